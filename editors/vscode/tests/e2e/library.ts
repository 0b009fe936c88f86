/**
 * An Ollama that fetches: a scripted one with `/api/pull` before it. A fetch goes as far as the test says,
 * and a model that was fetched whole is there from then on.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { within } from "./patience.ts";

/** Bytes of the model that is fetched. */
const TOTAL = 986_000_000;

export class Library {
  readonly url: string;
  private readonly server: Server;
  private pulling: ServerResponse | undefined;
  private readonly wishes: (() => void)[] = [];
  private readonly visitors: (() => void)[] = [];
  private listed = false;
  private readonly fetched: string[] = [];
  private wanted = "";

  private constructor(server: Server, url: string) {
    this.server = server;
    this.url = url;
  }

  /** Before the Ollama at `behind`. */
  static async start(behind: string): Promise<Library> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const library = new Library(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on("request", (request, response) => void library.answer(behind, request, response));
    return library;
  }

  /** Waits until somebody asked which models there are. */
  async asked(): Promise<void> {
    if (!this.listed) await within("nobody asked which models there are", new Promise<void>((resolve) => this.visitors.push(resolve)));
  }

  /** Waits until a fetch has begun, and tells of what. */
  async begun(): Promise<string> {
    if (!this.pulling) await within("no fetch began", new Promise<void>((resolve) => this.wishes.push(resolve)));
    return this.wanted;
  }

  /** Tells how much is there, as a share from 0 to 1. */
  reach(share: number): void {
    this.tell({ status: "pulling 0123456789ab", digest: "sha256:0123456789ab", total: TOTAL, completed: Math.round(TOTAL * share) });
  }

  finish(): void {
    this.fetched.push(this.wanted);
    this.tell({ status: "success" });
    this.end();
  }

  fail(error: string): void {
    this.tell({ error });
    this.end();
  }

  /** Waits until the client has gone. */
  async left(): Promise<void> {
    const { pulling } = this;
    if (!pulling) throw new Error("nothing is fetched");
    if (!pulling.closed) await within("the client stayed", new Promise((resolve) => pulling.once("close", resolve)));
    this.pulling = undefined;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** What was fetched behaves as the model that the Ollama behind has. */
  private asKnown(body: string): string {
    const asked = JSON.parse(body) as { model?: string };
    return this.fetched.includes(asked.model ?? "") ? JSON.stringify({ ...asked, model: "qwen2.5-coder:1.5b" }) : body;
  }

  private tell(line: object): void {
    this.pulling?.write(`${JSON.stringify(line)}\n`);
  }

  private end(): void {
    this.pulling?.end();
    this.pulling = undefined;
  }

  private async answer(behind: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    if (request.url === "/api/pull") {
      this.wanted = (JSON.parse(body.toString()) as { model: string }).model;
      this.pulling = response;
      this.tell({ status: "pulling manifest" });
      for (const heard of this.wishes.splice(0)) heard();
      return;
    }
    const method = request.method ?? "GET";
    const answer = await fetch(behind + request.url, { method, ...(body.length ? { body: this.asKnown(body.toString()) } : {}) });
    let text = await answer.text();
    if (request.url === "/api/tags") {
      const tags = JSON.parse(text) as { models: Record<string, unknown>[] };
      for (const name of this.fetched) tags.models.push({ ...tags.models[0], name, model: name });
      text = JSON.stringify(tags);
      this.listed = true;
      for (const heard of this.visitors.splice(0)) heard();
    }
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "application/json" });
    response.end(text);
  }
}
