/** What to offer where the program is missing: a file, or a build from the sources. */
import { execFile } from "node:child_process";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as vscode from "vscode";

const SETTING = "server.path";

/** Asks how to get the program. The setting that results starts it. */
export async function locateOrInstall(why: string): Promise<void> {
  const locate = { label: "$(file-binary) Choose the program…", detail: "A ghostline on this machine", run: chooseProgram };
  const build = {
    label: "$(tools) Build from the sources…",
    detail: "Choose a checkout of ghostline; Cargo builds and installs it in a terminal",
    run: buildFromCheckout,
  };
  const picked = await vscode.window.showQuickPick([locate, build], { title: "ghostline: get the program", placeHolder: why });
  await picked?.run();
}

async function chooseProgram(): Promise<void> {
  const [file] = (await vscode.window.showOpenDialog({ title: "The ghostline program", openLabel: "Use" })) ?? [];
  if (file) await vscode.workspace.getConfiguration("ghostline").update(SETTING, file.fsPath, vscode.ConfigurationTarget.Global);
}

async function buildFromCheckout(): Promise<void> {
  const dialog = { title: "A checkout of ghostline", openLabel: "Build", canSelectFolders: true, canSelectFiles: false };
  const [folder] = (await vscode.window.showOpenDialog(dialog)) ?? [];
  if (!folder) return;
  if (!(await isCheckout(folder.fsPath))) {
    void vscode.window.showErrorMessage(`ghostline: ${folder.fsPath} holds no sources of ghostline`);
    return;
  }
  if (!(await hasCargo())) {
    void vscode.window.showErrorMessage("ghostline: Cargo is missing; install Rust as https://rustup.rs says, then try again");
    return;
  }
  // A terminal, so that the person sees what is built and can stop it.
  const terminal = vscode.window.createTerminal({ name: "ghostline: build", cwd: folder });
  terminal.show();
  terminal.sendText("cargo install --locked --path .");
}

async function isCheckout(folder: string): Promise<boolean> {
  try {
    await access(join(folder, "src", "main.rs"));
    return /^name = "ghostline"$/m.test(await readFile(join(folder, "Cargo.toml"), "utf8"));
  } catch {
    return false;
  }
}

function hasCargo(): Promise<boolean> {
  return new Promise((resolve) => execFile("cargo", ["--version"], (error) => resolve(!error)));
}
