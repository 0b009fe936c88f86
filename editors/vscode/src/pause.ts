/**
 * Pausing. Here: remembered for the workspace, no file of it is written. Everywhere: the person's own
 * setting `ghostline.inline.enabled`, which all windows share.
 */
import * as vscode from "vscode";
import type { Paused } from "./status/view.ts";

const PAUSED_HERE = "pausedHere";
const ENABLED = "inline.enabled";

export class Pause {
  private readonly changes = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changes.event;

  constructor(private readonly state: vscode.Memento) {}

  get now(): "here" | "everywhere" | undefined {
    const setting = vscode.workspace.getConfiguration("ghostline").inspect<boolean>(ENABLED);
    if (setting?.globalValue === false) return "everywhere";
    return this.here ? "here" : undefined;
  }

  /** Whether completions pause in the editor in front, and where else. */
  get shown(): Paused | undefined {
    const language = vscode.window.activeTextEditor?.document.languageId;
    return this.now ?? (language && this.isOff(language) ? "language" : undefined);
  }

  get here(): boolean {
    return this.state.get(PAUSED_HERE, false);
  }

  async pauseHere(): Promise<void> {
    await this.state.update(PAUSED_HERE, true);
    this.changes.fire();
  }

  async pauseEverywhere(): Promise<void> {
    await this.enable(false);
  }

  async resume(): Promise<void> {
    if (this.now === "everywhere") await this.enable(undefined);
    await this.state.update(PAUSED_HERE, undefined);
    this.changes.fire();
  }

  /** Whether completions are switched off for a language. */
  isOff(language: string): boolean {
    return this.languagesOff.includes(language);
  }

  /** Switches completions off, or on again, for a language. */
  async toggleLanguage(language: string): Promise<void> {
    const settings = vscode.workspace.getConfiguration("ghostline");
    const off = this.languagesOff;
    const next = off.includes(language) ? off.filter((name) => name !== language) : [...off, language];
    await settings.update("inline.disabled_languages", next.length ? next : undefined, vscode.ConfigurationTarget.Global);
  }

  private get languagesOff(): string[] {
    return vscode.workspace.getConfiguration("ghostline").inspect<string[]>("inline.disabled_languages")?.globalValue ?? [];
  }

  private async enable(value: boolean | undefined): Promise<void> {
    await vscode.workspace.getConfiguration("ghostline").update(ENABLED, value, vscode.ConfigurationTarget.Global);
  }
}
