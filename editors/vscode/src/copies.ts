/**
 * Tells the server what the person copied in an editor, as `ghostline/didCopy`. A paste provider that
 * never pastes: VS Code asks those at every copy, and has no event for it.
 */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { didCopy } from "./protocol.ts";

/** More than this is no example to imitate, in characters. */
const MOST = 16_384;

export function tellCopies(client: LanguageClient, selector: vscode.DocumentSelector): vscode.Disposable {
  const provider: vscode.DocumentPasteEditProvider = {
    prepareDocumentPaste(document, ranges) {
      const text = ranges.map((range) => document.getText(range)).join("\n");
      if (!text.trim() || text.length > MOST || !client.isRunning()) return;
      const uri = client.code2ProtocolConverter.asUri(document.uri);
      // A server that is gone learns nothing; that is no news.
      client.sendNotification(didCopy, { text, uri }).catch(() => {});
    },
  };
  const metadata = { providedPasteEditKinds: [], copyMimeTypes: ["application/vnd.ghostline.copy"], pasteMimeTypes: [] };
  return vscode.languages.registerDocumentPasteEditProvider(selector, provider, metadata);
}
