/**
 * Tells the server where the cursor went without an edit, as `ghostline/didMoveCursor`: the prompt for that
 * place is computed ahead. VS Code asks for ghost text at edits only.
 */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { didMoveCursor } from "./protocol.ts";

export function tellMoves(client: LanguageClient, selector: vscode.DocumentSelector): vscode.Disposable {
  const versions = new WeakMap<vscode.TextDocument, number>();
  return vscode.window.onDidChangeTextEditorSelection(({ textEditor: { document }, selections }) => {
    const before = versions.get(document) ?? document.version;
    versions.set(document, document.version);
    const [cursor] = selections;
    const moved = before === document.version && selections.length === 1 && cursor?.isEmpty;
    if (!moved || !client.isRunning() || vscode.languages.match(selector, document) === 0) return;
    const { code2ProtocolConverter: convert } = client;
    const params = { uri: convert.asUri(document.uri), position: convert.asPosition(cursor.active) };
    // A server that is gone learns nothing; that is no news.
    client.sendNotification(didMoveCursor, params).catch(() => {});
  });
}
