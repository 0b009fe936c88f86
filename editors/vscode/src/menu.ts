/** The menu behind the status bar item. */
import * as vscode from "vscode";
import type { Pause } from "./pause.ts";
import type { Phase } from "./server/supervisor.ts";
import { clipped, view } from "./status/view.ts";

interface Entry extends vscode.QuickPickItem {
  command?: string;
}

export async function showMenu(phase: Phase, pause: Pause): Promise<void> {
  const { title } = view({ phase, paused: pause.shown, latencyMs: undefined });
  const picked = await vscode.window.showQuickPick(entries(phase, pause), { title: "ghostline", placeHolder: clipped(title) });
  if (picked?.command) await vscode.commands.executeCommand(`ghostline.${picked.command}`);
}

function entries(phase: Phase, pause: Pause): Entry[] {
  const entry = (label: string, command: string): Entry => ({ label, command });
  const line = (label: string): Entry => ({ label, kind: vscode.QuickPickItemKind.Separator });
  const language = vscode.window.activeTextEditor?.document.languageId;
  const server = [line("Server"), entry("$(refresh) Restart the server", "restart"), entry("$(output) Log", "showLog")];
  if (phase.kind === "missing") {
    return [entry("$(file-binary) Locate or install the program…", "locateServer"), ...server];
  }
  return [
    line("Completions"),
    ...(pause.now
      ? [entry("$(play) Resume", "resume")]
      : [entry("$(debug-pause) Pause in this workspace", "pauseHere"), entry("$(debug-pause) Pause everywhere", "pauseEverywhere")]),
    ...(language ? [entry(`$(symbol-keyword) Switch ${pause.isOff(language) ? "on" : "off"} for ${language}`, "pauseLanguage")] : []),
    line("Models"),
    entry("$(list-selection) Choose models…", "chooseModel"),
    entry("$(cloud-download) Fetch a model…", "fetchModel"),
    line("Look closer"),
    entry("$(pulse) Check the set-up (doctor)", "doctor"),
    entry("$(graph) Metrics", "showMetrics"),
    entry("$(comment-discussion) Chat", "chat.open"),
    ...server,
  ];
}
