/**
 * Pausing. Here: remembered for the workspace, outside its folder. Everywhere: the person's own
 * setting `ghostline.inline.enabled`, which all windows share.
 */
import * as vscode from "vscode";
import { type Kept, keptByWindow } from "./kept.ts";
import type { Paused } from "./status/view.ts";

const ENABLED = "inline.enabled";

export class Pause {
  private readonly changes = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changes.event;

  /** Whether completions pause in this window. */
  here = false;
  private readonly kept: Pick<Kept<boolean>, "read" | "change">;

  constructor(context: vscode.ExtensionContext) {
    this.kept = keptByWindow(context, "paused", false, (json) => json === true);
  }

  /** Finds out how the window was left. */
  async load(): Promise<void> {
    this.here = await this.kept.read();
  }

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

  pauseHere(): void {
    this.set(true);
  }

  async pauseEverywhere(): Promise<void> {
    await this.enable(false);
  }

  async resume(): Promise<void> {
    if (this.now === "everywhere") await this.enable(undefined);
    this.set(false);
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

  private set(here: boolean): void {
    this.here = here;
    this.kept.change(here);
    this.changes.fire();
  }

  private get languagesOff(): string[] {
    return vscode.workspace.getConfiguration("ghostline").inspect<string[]>("inline.disabled_languages")?.globalValue ?? [];
  }

  private async enable(value: boolean | undefined): Promise<void> {
    await vscode.workspace.getConfiguration("ghostline").update(ENABLED, value, vscode.ConfigurationTarget.Global);
  }
}
