/** Finds the program, checks it, runs it, and says in which phase all that is. */
import { homedir } from "node:os";
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import type { Hooks } from "../client.ts";
import { didChangeConfiguration, type Status, statusChanged, statusRequest } from "../protocol.ts";
import { reason } from "../reason.ts";
import { find } from "./find.ts";
import { fits, OLDEST, probe } from "./version.ts";

export type Phase =
  | { kind: "missing"; why: string }
  | { kind: "starting" }
  | { kind: "running"; status: Status }
  | { kind: "stopped"; why: string };

/** How often a missing program is looked for: somebody may be building it. */
const LOOK_AGAIN_MS = 5_000;

export class Supervisor implements vscode.Disposable {
  /** Runs with every client that is up, before its first document is asked about. */
  readonly onDidStart: vscode.Event<LanguageClient>;
  readonly onDidStop: vscode.Event<void>;
  readonly onDidChangePhase: vscode.Event<Phase>;
  phase: Phase = { kind: "starting" };
  client: LanguageClient | undefined;
  /** The program that runs. */
  program: string | undefined;

  private readonly started = new vscode.EventEmitter<LanguageClient>();
  private readonly ended = new vscode.EventEmitter<void>();
  private readonly phases = new vscode.EventEmitter<Phase>();
  /** Starts and stops, one after the other. */
  private queue: Promise<void> = Promise.resolve();
  private looking: NodeJS.Timeout | undefined;
  /** The settings that the server was told last, as JSON. */
  private told = "";

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly hooks: Pick<Hooks, "settings" | "explain">,
  ) {
    this.onDidStart = this.started.event;
    this.onDidStop = this.ended.event;
    this.onDidChangePhase = this.phases.event;
  }

  /** Starts the server, anew when it runs. */
  restart(): Promise<void> {
    this.queue = this.queue.then(async () => {
      await this.stop();
      try {
        await this.start();
      } catch (error) {
        this.enter({ kind: "stopped", why: `The server did not start: ${reason(error)}` });
      }
    });
    return this.queue;
  }

  /** Tells the server the settings, where it does not know them. One that starts is told when it runs. */
  tellSettings(): void {
    const { client, told } = this;
    if (!client?.isRunning()) return;
    const settings = this.settings();
    if (this.told !== told) void client.sendNotification(didChangeConfiguration, { settings: { ghostline: settings } });
  }

  dispose(): void {
    this.stopLooking();
    this.started.dispose();
    this.ended.dispose();
    this.phases.dispose();
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (!client) return;
    this.ended.fire();
    try {
      await client.dispose();
    } catch (error) {
      this.log.warn(`the server did not stop in order: ${reason(error)}`);
    }
  }

  /** The settings of now, which the caller tells the server. */
  private settings(): Record<string, unknown> {
    const settings = this.hooks.settings();
    this.told = JSON.stringify(settings);
    return settings;
  }

  private look(setting: string) {
    return find({
      setting,
      extensionPath: this.context.extensionPath,
      home: homedir(),
      searchPath: process.env["PATH"] ?? "",
      windows: process.platform === "win32",
    });
  }

  private stopLooking(): void {
    clearTimeout(this.looking);
    this.looking = undefined;
  }

  /** Starts as soon as the program is there. */
  private lookAgain(setting: string): void {
    const own = setTimeout(async () => {
      const found = await this.look(setting);
      // Ended meanwhile, or begun anew with another setting.
      if (this.looking !== own) return;
      if (found) await this.restart();
      else this.lookAgain(setting);
    }, LOOK_AGAIN_MS);
    this.looking = own;
  }

  private async start(): Promise<void> {
    this.stopLooking();
    this.enter({ kind: "starting" });
    const setting = vscode.workspace.getConfiguration("ghostline").get<string>("server.path", "");
    const found = await this.look(setting);
    if (!found) {
      this.lookAgain(setting);
      const why = setting
        ? `ghostline.server.path names no program: ${setting}`
        : "The ghostline program is neither on PATH nor in Cargo's folder of programs";
      return this.enter({ kind: "missing", why });
    }
    const probed = await probe(found.path);
    if ("error" in probed) {
      return this.enter({ kind: "missing", why: `${found.path} can't be used: ${probed.error}` });
    }
    if (!fits(probed.version, OLDEST)) {
      const why = `${found.path} is version ${probed.version}; this extension needs ${OLDEST} or a newer one that fits`;
      return this.enter({ kind: "missing", why });
    }
    this.log.info(`${found.path} (${found.source}), version ${probed.version}`);
    this.program = found.path;
    const { createClient } = require("./client.cjs") as typeof import("../client.ts");
    const client = createClient(found.path, this.log, {
      explain: this.hooks.explain,
      settings: () => this.settings(),
      starting: () => this.enter({ kind: "starting" }),
      running: (running) => {
        // Some may have changed since it was started with them.
        this.tellSettings();
        void this.askStatus(running);
      },
      gaveUp: () => this.enter({ kind: "stopped", why: "The server keeps ending; the log says why" }),
    });
    this.client = client;
    client.onNotification(statusChanged, (status) => this.enter({ kind: "running", status }));
    await client.start();
    this.started.fire(client);
  }

  private async askStatus(client: LanguageClient): Promise<void> {
    try {
      this.enter({ kind: "running", status: await client.sendRequest(statusRequest, {}) });
    } catch (error) {
      this.log.warn(`the server does not tell its status: ${reason(error)}`);
    }
  }

  private enter(phase: Phase): void {
    this.phase = phase;
    this.phases.fire(phase);
  }
}
