/** Runs a subcommand of ghostline that prints one JSON object. */
import { execFile } from "node:child_process";
import * as vscode from "vscode";

/** The doctor measures with the person's models; a cold one takes its time. In milliseconds. */
const PATIENCE_MS = 300_000;

/** The program, and the settings that its server was told. */
export interface Program {
  path: string;
  settings: Record<string, unknown>;
}

/**
 * The object that `PROGRAM ARGUMENTS` prints, whatever its exit code. It counts with the editor's settings as
 * the server does.
 */
export function runJson<T>(program: Program, args: readonly string[], token?: vscode.CancellationToken): Promise<T> {
  const cwd = vscode.workspace.workspaceFolders?.find((folder) => folder.uri.scheme === "file")?.uri.fsPath;
  const env = { ...process.env, GHOSTLINE_EDITOR_SETTINGS: JSON.stringify(program.settings) };
  return new Promise((resolve, reject) => {
    const options = { timeout: PATIENCE_MS, maxBuffer: 16 * 1024 * 1024, windowsHide: true, ...(cwd ? { cwd } : {}), env };
    const child = execFile(program.path, args, options, (error, out, err) => {
      try {
        resolve(JSON.parse(out) as T);
      } catch {
        reject(new Error(err.trim() || error?.message || `\`ghostline ${args.join(" ")}\` printed no JSON`));
      }
    });
    token?.onCancellationRequested(() => child.kill());
  });
}
