/** The chat view: what the page shows, what its buttons do. The conversation itself is the server's. */
import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { keptByWindow } from "../kept.ts";
import type { ShowMarkdown } from "../protocol.ts";
import { reason } from "../reason.ts";
import { type Attachment, choose, file, picture, piece, selection } from "./attachments.ts";
import type { Target } from "../client.ts";
import { Conversation } from "./conversation.ts";
import { Draft } from "./draft.ts";
import type { FromPage, ToPage } from "./messages.ts";
import { only, place } from "./place.ts";
import type { Proposals } from "./proposals.ts";

export const VIEW = "ghostline.chat";

export class ChatView implements vscode.WebviewViewProvider {
  private view: vscode.WebviewView | undefined;
  private attachments: Attachment[] = [];
  private readonly conversation: Conversation;
  private readonly draft: Draft;
  /** Runs once the page listens. */
  private atReady: (() => unknown)[] = [];
  private ready = false;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly client: () => LanguageClient | undefined,
    private readonly proposals: Proposals,
  ) {
    const last = keptByWindow(context, "conversation", "", text);
    this.conversation = new Conversation(client, last, (message) => this.post(message));
    this.draft = new Draft(vscode.Uri.joinPath(context.storageUri ?? context.globalStorageUri, "draft.json").fsPath);
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view;
    this.ready = false;
    const { webview } = view;
    const roots = ["dist", "media"].map((folder) => vscode.Uri.joinPath(this.context.extensionUri, folder));
    webview.options = { enableScripts: true, enableCommandUris: false, localResourceRoots: roots };
    webview.onDidReceiveMessage((message: FromPage) => {
      this.on(message).catch(said);
    });
    view.onDidDispose(() => {
      this.view = undefined;
      this.ready = false;
    });
    webview.html = page(webview, this.context.extensionUri, this.draft.place);
  }

  /** Opens the view; `then` runs when its page listens. */
  async open(then?: () => unknown): Promise<void> {
    if (then) {
      if (this.ready) then();
      else this.atReady.push(then);
    }
    await vscode.commands.executeCommand(`${VIEW}.focus`);
    // A page that does not listen yet would miss it.
    const focus = () => this.post({ type: "focus" });
    if (this.ready) focus();
    else this.atReady.push(focus);
  }

  /** Asks about the selection. */
  async explain(): Promise<void> {
    const selected = selection();
    if (selected) await this.explainPiece(selected);
  }

  /** Asks about what a code action is about. */
  async explainTarget({ uri, range }: Target): Promise<void> {
    const convert = this.client()?.protocol2CodeConverter;
    if (!convert) return;
    const document = await vscode.workspace.openTextDocument(convert.asUri(uri));
    await this.explainPiece(piece(document, convert.asRange(range)));
  }

  private explainPiece(attachment: Attachment): Promise<void> {
    return this.open(() => this.conversation.ask("/explain", "auto", [attachment]).catch(said));
  }

  async attachSelection(): Promise<void> {
    const selected = selection();
    if (selected) this.attach([selected]);
    await this.open();
  }

  async attachFile(uri: vscode.Uri | undefined): Promise<void> {
    const target = uri ?? vscode.window.activeTextEditor?.document.uri;
    if (target) this.attach([file(target)]);
    await this.open();
  }

  /** `ghostline/showMarkdown`. */
  async show({ title, markdown, references }: ShowMarkdown): Promise<void> {
    await this.open(() => this.conversation.note(title, markdown, references ?? []));
  }

  startAnew(): void {
    this.conversation.startAnew();
    this.attachments = [];
    this.showAll();
  }

  history(): Promise<void> {
    return this.conversation.choose(() => this.showAll());
  }

  /** The server is up or gone. */
  serverChanged(): void {
    void this.conversation.resume().then(() => this.showAll());
  }

  private attach(attachments: Attachment[]): void {
    this.attachments.push(...attachments);
    this.post({ type: "attachments", attachments: this.labels() });
  }

  private labels(): string[] {
    return this.attachments.map(({ label }) => label);
  }

  private showAll(): void {
    const { turns, running } = this.conversation;
    const server = this.client()?.isRunning() ? "" : "The server is not running; the status bar says why.";
    this.post({ type: "show", turns, attachments: this.labels(), running, server });
  }

  private async on(message: FromPage): Promise<void> {
    switch (message.type) {
      case "ready":
        this.post({ type: "draft", typed: await this.draft.read() });
        this.ready = true;
        this.showAll();
        for (const act of this.atReady.splice(0)) act();
        return;
      case "draft":
        return this.draft.change(message.typed);
      case "ask": {
        const attachments = this.attachments;
        this.attachments = [];
        this.post({ type: "attachments", attachments: [] });
        const { index, message: words, role } = message;
        if (index === undefined) return this.conversation.ask(words, role, attachments);
        return this.conversation.rephrase(index, words, role, attachments, () => this.showAll());
      }
      case "stop":
        return this.conversation.stop();
      case "regenerate":
        return this.conversation.regenerate();
      case "new":
        return this.startAnew();
      case "history":
        return this.history();
      case "attach": {
        if (message.what !== "selection") return this.attach(await choose(message.what));
        const selected = selection();
        if (!selected) throw new Error("no editor is open to attach from");
        return this.attach([selected]);
      }
      case "paste":
        return this.attach([picture(message.name, message.mime, message.base64)]);
      case "drop":
        this.attachments.splice(message.index, 1);
        return this.post({ type: "attachments", attachments: this.labels() });
      case "copy":
        return vscode.env.clipboard.writeText(message.code);
      case "insert":
        return insert(message.code);
      case "apply":
        return this.apply(message.index, message.code);
      case "open":
        return this.conversation.openReference(message.index, message.reference);
    }
  }

  private async apply(index: number, code: string): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    for (const { uri, text } of this.conversation.attached(index)) {
      if (!uri || text === undefined) continue;
      const document = await vscode.workspace.openTextDocument(uri);
      const quoted = only(document.getText(), text);
      if (quoted) return this.proposals.show(document, place(document.getText(), code, { quoted, selection: quoted }));
    }
    if (!editor) throw new Error("open the file that the code belongs to, then apply it again");
    const { document } = editor;
    const offsets = { start: document.offsetAt(editor.selection.start), end: document.offsetAt(editor.selection.end) };
    await this.proposals.show(document, place(document.getText(), code, { selection: offsets }));
  }

  private post(message: ToPage): void {
    void this.view?.webview.postMessage(message);
  }
}

function text(json: unknown): string {
  if (typeof json !== "string") throw new TypeError("no text");
  return json;
}

function said(error: unknown): void {
  void vscode.window.showErrorMessage(`ghostline: ${reason(error)}`);
}

async function insert(code: string): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (!editor) throw new Error("no editor is open to insert into");
  await editor.edit((edit) => {
    for (const selection of editor.selections) edit.replace(selection, code);
  });
  await vscode.window.showTextDocument(editor.document, editor.viewColumn);
}

/** The page: nothing of it is inline, and it loads nothing from anywhere but the extension. */
function page(webview: vscode.Webview, extension: vscode.Uri, place: string): string {
  const nonce = randomBytes(16).toString("base64url");
  const of = (file: string) => webview.asWebviewUri(vscode.Uri.joinPath(extension, "dist", file)).toString();
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${webview.cspSource}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ghostline chat</title>
<link rel="stylesheet" href="${of("chat.css")}">
</head>
<body data-place="${place}">
<main id="turns" role="log" aria-label="Conversation" aria-live="polite" tabindex="0"></main>
<p id="status" role="status"></p>
<form id="composer" aria-label="Ask">
<ul id="attachments" aria-label="Attached"></ul>
<label for="message" class="unseen">Question</label>
<textarea id="message" disabled rows="3" placeholder="Ask about your code, or /explain, /fix, /test, /plan, /search" aria-describedby="keys"></textarea>
<p id="keys" class="unseen">Enter sends, Shift+Enter begins a new line, Escape stops an answer.</p>
<div class="row">
<button type="button" class="quiet" data-attach="selection" title="Attach the selection of the editor">Selection</button>
<button type="button" class="quiet" data-attach="file" title="Attach files">File</button>
<button type="button" class="quiet" data-attach="image" title="Attach pictures; they can be pasted as well">Picture</button>
<label for="role" class="unseen">Who answers</label>
<select id="role" title="Who answers"><option value="auto">auto</option><option value="chat">chat</option><option value="reasoning">reasoning</option><option value="vision">vision</option></select>
<button id="stop" type="button" hidden>Stop</button>
<button id="send" type="submit">Send</button>
</div>
</form>
<script nonce="${nonce}" src="${of("chat.js")}"></script>
</body>
</html>`;
}
