/**
 * What VS Code loads first: next to nothing, for it waits for every extension in turn. The rest is loaded
 * once VS Code goes on, and the language client with the server. Commands wait for `main.ts`: VS Code runs
 * them when the promise of `activate` is kept.
 */
import type { ExtensionContext } from "vscode";

type Main = typeof import("./main.ts");

let main: Main | undefined;

export async function activate(context: ExtensionContext): Promise<void> {
  await new Promise(setImmediate);
  main = require("./main.cjs") as Main;
  main.start(context);
}

export async function deactivate(): Promise<void> {
  await main?.stop();
}
