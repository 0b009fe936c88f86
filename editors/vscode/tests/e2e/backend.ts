/** A scripted Ollama for one test: the example `ollama-double`. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { endsWithTests } from "./patience.ts";

export type Step = { text: string } | { thinking: string } | { wait_ms: number } | { gate: string } | "hang";

/** The first rule whose `when` is in the prompt, or in a chat's last message, answers. */
export interface Rule {
  when: string;
  chat?: boolean;
  status?: number;
  steps?: Step[];
}

export class Backend {
  readonly url: string;
  private readonly child: ChildProcess;
  private readonly folder: string;

  private constructor(url: string, child: ChildProcess, folder: string) {
    this.url = url;
    this.child = child;
    this.folder = folder;
  }

  static async start(folder: string, rules: Rule[], args: string[] = []): Promise<Backend> {
    const program = process.env["GHOSTLINE_OLLAMA_DOUBLE"];
    if (!program || !existsSync(program)) throw new Error("GHOSTLINE_OLLAMA_DOUBLE names no program");
    write(folder, rules);
    const all = ["--port", "0", "--prefill-us", "0", "--token-ms", "0", "--script", join(folder, "script.json"), ...args.map((arg) => arg.replace("GATE", folder))];
    const child = spawn(program, all, { stdio: ["ignore", "pipe", "inherit"] });
    endsWithTests(child);
    for await (const line of createInterface({ input: child.stdout })) return new Backend(line.trim(), child, folder);
    throw new Error("the scripted Ollama ended before it listened");
  }

  say(rules: Rule[]): void {
    write(this.folder, rules);
  }

  /** A step that waits for `open`. */
  gate(name: string): Step {
    return { gate: join(this.folder, name) };
  }

  open(name: string): void {
    writeFileSync(join(this.folder, name), "");
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await ended;
  }
}

/** What no rule fits, such as the request that loads the model, gets an empty answer. */
function write(folder: string, rules: Rule[]): void {
  writeFileSync(join(folder, "script.json"), JSON.stringify([...rules, { when: "", steps: [] }]));
}
