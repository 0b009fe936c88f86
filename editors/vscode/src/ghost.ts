/**
 * Ghost text that grows. VS Code asks; the server answers with what is safe so far and sends
 * `ghostline/completionUpdated` when there is more.
 *
 * The stable interface has no way to say "there is more", and VS Code asks no provider twice about
 * the same place. It does ask one that is new: so the provider is registered anew, and a trigger that
 * counts as automatic (an explicit one keeps the old text in front) draws the longer text over the
 * shorter without a gap. VS Code waits its 50 ms before that; what arrives meanwhile is drawn too.
 *
 * Nothing grows once the person moved, typed, dismissed the text or left the editor.
 */
import * as vscode from "vscode";
import type { InlineCompletionItem, InlineCompletionParams, LanguageClient } from "vscode-languageclient/node";
import { type CompletionUpdated, didPartiallyAccept, inlineCompletionRequest } from "./protocol.ts";

/** Lets VS Code draw an answer before it is asked to draw a longer one: asking again drops what it has not drawn. */
const DRAWING_MS = 40;

/** The first VS Code whose trigger takes arguments. Older ones hide the short text first, which flickers. */
const TRIGGER_TAKES_ARGUMENTS = [1, 139];

/** The place asked about last. */
interface Asked {
  uri: string;
  version: number;
  position: vscode.Position;
  /** When the answer went to VS Code, in milliseconds; nothing while it is awaited. */
  answeredMs?: number;
  /** The newest text for it that came after the answer. */
  grown?: CompletionUpdated;
  /** What VS Code was given last. */
  given?: InlineCompletionItem;
}

export class Ghosts implements vscode.InlineCompletionItemProvider, vscode.Disposable {
  private asked: Asked | undefined;
  private growing: NodeJS.Timeout | undefined;
  private registration: vscode.Disposable | undefined;
  private readonly subscriptions: vscode.Disposable[];

  constructor(
    private readonly client: LanguageClient,
    private readonly extensionId: string,
    private readonly selector: vscode.DocumentSelector,
    private readonly answered: (elapsedMs: number) => void,
  ) {
    this.register();
    this.subscriptions = [
      vscode.workspace.onDidChangeTextDocument((event) => this.partTaken(event)),
      vscode.window.onDidChangeActiveTextEditor(() => this.stopGrowing()),
      vscode.window.onDidChangeTextEditorSelection((event) => {
        const moved = !event.selections[0]?.active.isEqual(this.asked?.position ?? event.selections[0].active);
        if (moved) this.stopGrowing();
      }),
      vscode.window.onDidChangeWindowState((state) => {
        if (!state.focused) this.stopGrowing();
      }),
    ];
  }

  async provideInlineCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.InlineCompletionItem[] | undefined> {
    const explicit = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
    if (!explicit && hasSeveralCursors(document)) return undefined;
    const { code2ProtocolConverter: convert } = this.client;
    const uri = convert.asUri(document.uri);
    const before = this.asked;
    if (before?.grown && this.isAt(before, uri, document.version, position)) {
      const { items } = before.grown;
      delete before.grown;
      before.answeredMs = performance.now();
      return this.give(before, items);
    }
    this.stopGrowing();
    const asked: Asked = { uri, version: document.version, position };
    this.asked = asked;
    const params: InlineCompletionParams = convert.asInlineCompletionParams(document, position, context);
    Object.assign(params.textDocument, { version: document.version });
    const began = performance.now();
    let answer;
    try {
      answer = await this.client.sendRequest(inlineCompletionRequest, params, token);
    } catch {
      // While somebody types nothing is said; how the server stands is in the status bar.
      return undefined;
    }
    const items = asked.grown?.items ?? (Array.isArray(answer) ? answer : answer?.items);
    delete asked.grown;
    asked.answeredMs = performance.now();
    if (token.isCancellationRequested || !items?.length) return undefined;
    this.answered(asked.answeredMs - began);
    return this.give(asked, items);
  }

  /** `ghostline/completionUpdated`. */
  updated(update: CompletionUpdated): void {
    const asked = this.asked;
    if (asked?.uri !== update.uri || asked.version !== update.version) return;
    asked.grown = update;
    // The answer that is still awaited takes it along.
    if (asked.answeredMs === undefined || this.growing) return;
    const wait = Math.max(0, asked.answeredMs + DRAWING_MS - performance.now());
    this.growing = setTimeout(() => this.grow(), wait);
  }

  /** The person wants no more of the text that is shown. */
  stopGrowing(): void {
    clearTimeout(this.growing);
    this.growing = undefined;
    this.asked = undefined;
  }

  dispose(): void {
    this.stopGrowing();
    this.registration?.dispose();
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private grow(): void {
    this.growing = undefined;
    const editor = vscode.window.activeTextEditor;
    const asked = this.asked;
    if (!editor || !asked) return;
    const { document, selection } = editor;
    const uri = this.client.code2ProtocolConverter.asUri(document.uri);
    if (!selection.isEmpty || !this.isAt(asked, uri, document.version, selection.active)) return;
    if (triggerTakesArguments()) {
      this.register();
      const only = { providerId: `${this.extensionId}:*`, explicit: false };
      void vscode.commands.executeCommand("editor.action.inlineSuggest.trigger", only);
    } else {
      const commands = ["editor.action.inlineSuggest.hide", "editor.action.inlineSuggest.trigger"];
      void vscode.commands.executeCommand("runCommands", { commands });
    }
  }

  private register(): void {
    this.registration?.dispose();
    this.registration = vscode.languages.registerInlineCompletionItemProvider(this.selector, this);
  }

  private isAt(asked: Asked, uri: string, version: number, position: vscode.Position): boolean {
    return asked.uri === uri && asked.version === version && asked.position.isEqual(position);
  }

  private give(asked: Asked, items: readonly InlineCompletionItem[]): vscode.InlineCompletionItem[] {
    const [first] = items;
    if (first) asked.given = first;
    return items.map((item) => this.client.protocol2CodeConverter.asInlineCompletionItem(item));
  }

  /**
   * Tells the server of a part that was taken: VS Code has no event for it, but what it inserts then is
   * the beginning of the text, and more than a key types.
   */
  private partTaken({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    const asked = this.asked;
    const [change, more] = contentChanges;
    if (!asked?.given || !change || more || document.version !== asked.version + 1) return;
    if (this.client.code2ProtocolConverter.asUri(document.uri) !== asked.uri || !change.range.isEmpty) return;
    if (!change.range.start.isEqual(asked.position)) return;
    const { insertText, range } = asked.given;
    const typed = range ? asked.position.character - range.start.character : 0;
    const rest = typeof insertText === "string" ? insertText.slice(typed) : "";
    const taken = change.text.length;
    if (taken < 2 || taken >= rest.length || !rest.startsWith(change.text)) return;
    const params = { item: asked.given, acceptedLength: typed + taken };
    this.client.sendNotification(didPartiallyAccept, params).catch(() => {});
  }
}

/** A text for one of several places is not one for the others. */
function hasSeveralCursors(document: vscode.TextDocument): boolean {
  const editor = vscode.window.activeTextEditor;
  return editor?.document === document && editor.selections.length > 1;
}

function triggerTakesArguments(): boolean {
  const [major = 0, minor = 0] = vscode.version.split(".").map(Number);
  const [newMajor = 0, newMinor = 0] = TRIGGER_TAKES_ARGUMENTS;
  return major > newMajor || (major === newMajor && minor >= newMinor);
}
