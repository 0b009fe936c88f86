/** Shows a change as a difference before it is made. */
import * as vscode from "vscode";
import type { Change } from "./place.ts";

export const SCHEME = "ghostline-proposal";

interface Proposal {
  document: vscode.Uri;
  /** The document's text when the change was made of it. */
  before: string;
  after: string;
}

export class Proposals implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly open = new Map<string, Proposal>();
  private number = 0;
  private readonly subscriptions: vscode.Disposable[];

  constructor() {
    this.subscriptions = [
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
      vscode.workspace.onDidCloseTextDocument((document) => {
        if (document.uri.scheme === SCHEME) this.open.delete(document.uri.toString());
      }),
    ];
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.open.get(uri.toString())?.after ?? "";
  }

  /** Opens the difference that `change` makes. */
  async show(document: vscode.TextDocument, change: Change): Promise<void> {
    const before = document.getText();
    const after = before.slice(0, change.start) + change.text + before.slice(change.end);
    this.number += 1;
    // The path ends as the document's does: that is how VS Code chooses the language.
    const uri = document.uri.with({ scheme: SCHEME, authority: "", query: String(this.number) });
    this.open.set(uri.toString(), { document: document.uri, before, after });
    const name = vscode.workspace.asRelativePath(document.uri);
    await vscode.commands.executeCommand("vscode.diff", document.uri, uri, `${name}: proposed change`, { preview: true });
  }

  /** Makes the change of the difference in front, unless the document has moved on. */
  async accept(): Promise<void> {
    const found = this.inFront();
    if (!found) return;
    const { proposal, tab } = found;
    const document = await vscode.workspace.openTextDocument(proposal.document);
    if (document.getText() !== proposal.before) {
      void vscode.window.showWarningMessage("ghostline: the file has changed since; apply the code again to see the difference.");
      return;
    }
    const edit = new vscode.WorkspaceEdit();
    const [range, text] = narrowed(document, proposal);
    edit.replace(document.uri, range, text);
    await vscode.workspace.applyEdit(edit);
    await vscode.window.tabGroups.close(tab);
    await vscode.window.showTextDocument(document);
  }

  async reject(): Promise<void> {
    const found = this.inFront();
    if (found) await vscode.window.tabGroups.close(found.tab);
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private inFront(): { proposal: Proposal; tab: vscode.Tab } | undefined {
    const tab = vscode.window.tabGroups.activeTabGroup.activeTab;
    if (!(tab?.input instanceof vscode.TabInputTextDiff)) return undefined;
    const proposal = this.open.get(tab.input.modified.toString());
    return proposal && { proposal, tab };
  }
}

/** The part of the document that really changes, so that cursors and marks elsewhere stay. */
function narrowed(document: vscode.TextDocument, { before, after }: Proposal): [vscode.Range, string] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const range = new vscode.Range(document.positionAt(start), document.positionAt(before.length - end));
  return [range, after.slice(start, after.length - end)];
}
