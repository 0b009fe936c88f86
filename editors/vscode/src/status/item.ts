/** The status bar item. The menu is behind it. */
import * as vscode from "vscode";
import { type Now, rolesTable, view } from "./view.ts";

/** The latency changes with every key; read at most this often it does not distract. */
const SETTLE_MS = 500;

export class StatusItem implements vscode.Disposable {
  private readonly item: vscode.StatusBarItem;
  private settling: NodeJS.Timeout | undefined;
  private now: Now = { phase: { kind: "starting" }, paused: undefined, latencyMs: undefined };

  constructor() {
    this.item = vscode.window.createStatusBarItem("ghostline.status", vscode.StatusBarAlignment.Right, 100);
    this.item.name = "ghostline";
    this.item.command = "ghostline.menu";
    this.draw();
    this.item.show();
  }

  /** Shows a new phase or pause at once. */
  set(change: Partial<Omit<Now, "latencyMs">>): void {
    this.now = { ...this.now, ...change };
    this.draw();
  }

  /** Shows how long the last ghost text took. */
  latency(latencyMs: number): void {
    this.now.latencyMs = latencyMs;
    this.settling ??= setTimeout(() => this.draw(), SETTLE_MS);
  }

  dispose(): void {
    clearTimeout(this.settling);
    this.item.dispose();
  }

  private draw(): void {
    clearTimeout(this.settling);
    this.settling = undefined;
    const { text, title, severity, accessible } = view(this.now);
    this.item.text = text;
    this.item.accessibilityInformation = { label: accessible };
    const color = { none: undefined, warning: "statusBarItem.warningBackground", error: "statusBarItem.errorBackground" }[severity];
    this.item.backgroundColor = color ? new vscode.ThemeColor(color) : undefined;
    const tooltip = new vscode.MarkdownString();
    tooltip.appendText(title);
    const { phase } = this.now;
    if (phase.kind === "running") tooltip.appendMarkdown(`\n\n${rolesTable(phase.status)}`);
    this.item.tooltip = tooltip;
  }
}
