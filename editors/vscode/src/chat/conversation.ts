/** One conversation with the server: asking, stopping, asking anew, earlier ones. */
import * as vscode from "vscode";
import type { LanguageClient, Location } from "vscode-languageclient/node";
import type { Kept } from "../kept.ts";
import {
  type ChatAnswer,
  type ChatParams,
  chatProgress,
  chatRequest,
  conversationRequest,
  conversationsRequest,
  deleteConversationRequest,
  type KeptTurn,
} from "../protocol.ts";
import { reason } from "../reason.ts";
import { type Attachment, wire } from "./attachments.ts";
import type { Role, ShownTurn, ToPage } from "./messages.ts";

/** A turn with what the page does not see. */
interface Turn extends ShownTurn {
  attached: Attachment[];
  locations: Location[];
  role: Role;
  /** Its place in the server's conversation; nothing where the server never took it. */
  number?: number;
}

export class Conversation {
  private id: string | undefined;
  private all: Turn[] = [];
  private cancel: vscode.CancellationTokenSource | undefined;
  private number = 0;

  constructor(
    private readonly client: () => LanguageClient | undefined,
    /** The one to go on with when the window is loaded anew; empty for none. */
    private readonly last: Pick<Kept<string>, "read" | "change">,
    private readonly post: (message: ToPage) => void,
  ) {}

  get turns(): ShownTurn[] {
    return this.all.map(shown);
  }

  get running(): boolean {
    return this.cancel !== undefined;
  }

  attached(index: number): Attachment[] {
    return this.all[index]?.attached ?? [];
  }

  async ask(message: string, role: Role, attachments: Attachment[]): Promise<void> {
    if (this.running) throw new Error("an answer is still being written; stop it first");
    const turn: Turn = {
      question: message,
      attachments: attachments.map(({ label }) => label),
      ...EMPTY,
      attached: attachments,
      locations: [],
      role,
    };
    this.all.push(turn);
    await this.answer(turn, { message, attachments: this.wired(attachments), role });
  }

  /** Asks the last question anew. */
  async regenerate(): Promise<void> {
    const turn = this.all.at(-1);
    if (this.running || !turn?.repeatable) return;
    Object.assign(turn, EMPTY, { locations: [] });
    const { number, question, attached, role } = turn;
    await this.answer(turn, number === undefined ? { message: question, attachments: this.wired(attached), role } : { turn: number, role });
  }

  /** Asks an earlier question anew in other words; what followed it is forgotten. `showAll` runs once it is. */
  async rephrase(index: number, message: string, role: Role, attachments: Attachment[], showAll: () => void): Promise<void> {
    const turn = this.all[index];
    if (this.running || !turn?.repeatable) throw new Error("this question can't be asked anew now");
    this.all.splice(index + 1);
    Object.assign(turn, EMPTY, { locations: [], question: message, role });
    // Without any, the turn keeps its own.
    if (attachments.length) Object.assign(turn, { attached: attachments, attachments: attachments.map(({ label }) => label) });
    showAll();
    const sent = this.wired(turn.number === undefined ? turn.attached : attachments);
    await this.answer(turn, { message, attachments: sent, role, ...(turn.number === undefined ? {} : { turn: turn.number }) });
  }

  private wired(attachments: Attachment[]) {
    const asUri = this.client()?.code2ProtocolConverter.asUri ?? String;
    return attachments.flatMap((attachment) => wire(attachment, asUri));
  }

  async stop(): Promise<void> {
    this.cancel?.cancel();
  }

  /** Text that the server shows by itself; the same title again replaces it. */
  note(title: string, markdown: string, locations: Location[]): void {
    let index = this.all.findIndex((turn) => turn.question === title && !turn.repeatable);
    const turn: Turn = {
      ...EMPTY,
      question: title,
      attachments: [],
      answer: markdown,
      state: "answered",
      attached: [],
      locations,
      references: locations.map(label),
      role: "auto",
      repeatable: false,
    };
    if (index < 0) index = this.all.push(turn) - 1;
    else this.all[index] = turn;
    this.post({ type: "turn", index, turn: shown(turn), running: this.running });
  }

  startAnew(): void {
    this.cancel?.cancel();
    this.keep(undefined);
    this.all = [];
  }

  /** Shows what was said before this window was opened. */
  async resume(): Promise<void> {
    const last = await this.last.read();
    if (!last || this.all.length > 0) return;
    const turns = await this.load(last).catch(() => {
      // Forgotten, or kept by a server that knows no conversations.
    });
    // A question may have been asked meanwhile.
    if (turns && this.all.length === 0) this.show(last, turns);
  }

  /** Asks for an earlier conversation, and forgets some. `showAll` runs when another is shown, or none. */
  async choose(showAll: () => void): Promise<void> {
    const client = this.client();
    if (!client?.isRunning()) throw new Error("the server is not running");
    const forget = { iconPath: new vscode.ThemeIcon("trash"), tooltip: "Forget this conversation" };
    const items = async () =>
      (await client.sendRequest(conversationsRequest, {})).map(({ conversation, title, updatedMs, turns }) => ({
        label: title || "(no words)",
        description: new Date(updatedMs).toLocaleString(),
        detail: `${turns} ${turns === 1 ? "question" : "questions"}`,
        conversation,
        buttons: [forget],
      }));
    const pick = vscode.window.createQuickPick<Awaited<ReturnType<typeof items>>[number]>();
    pick.title = "ghostline: earlier conversations";
    pick.placeholder = "Kept on this machine, for this workspace";
    pick.items = await items();
    pick.onDidTriggerItemButton(async ({ item }) => {
      await client.sendRequest(deleteConversationRequest, { conversation: item.conversation });
      if (item.conversation === this.id) {
        this.startAnew();
        showAll();
      }
      pick.items = await items();
    });
    const chosen = await new Promise<string | undefined>((resolve) => {
      pick.onDidAccept(() => resolve(pick.selectedItems[0]?.conversation));
      pick.onDidHide(() => resolve(undefined));
      pick.show();
    });
    pick.dispose();
    if (!chosen) return;
    this.cancel?.cancel();
    const turns = await this.load(chosen);
    if (turns) this.show(chosen, turns);
    showAll();
  }

  async openReference(index: number, reference: number): Promise<void> {
    const location = this.all[index]?.locations[reference];
    const client = this.client();
    if (!location || !client) return;
    const { uri, range } = client.protocol2CodeConverter.asLocation(location);
    await vscode.window.showTextDocument(uri, { selection: range, preview: true });
  }

  private async load(id: string): Promise<Turn[] | undefined> {
    const client = this.client();
    if (!client?.isRunning()) return undefined;
    const { turns } = await client.sendRequest(conversationRequest, { conversation: id });
    return turns.map(kept);
  }

  private show(id: string, turns: Turn[]): void {
    this.keep(id);
    this.all = turns;
  }

  private keep(id: string | undefined): void {
    this.id = id;
    this.last.change(id ?? "");
  }

  private async answer(turn: Turn, params: Omit<ChatParams, "partialResultToken" | "conversation">): Promise<void> {
    const index = this.all.indexOf(turn);
    const client = this.client();
    const cancel = new vscode.CancellationTokenSource();
    this.cancel = cancel;
    const show = () => {
      // Another conversation may be shown by now.
      if (this.all[index] === turn) this.post({ type: "turn", index, turn: shown(turn), running: this.running });
    };
    show();
    this.number += 1;
    const partialResultToken = `ghostline/chat/${this.number}`;
    let listening: vscode.Disposable | undefined;
    try {
      if (!client?.isRunning()) throw new Error("The server is not running; the status bar says why.");
      listening = client.onProgress(chatProgress, partialResultToken, (part) => {
        if ("delta" in part) {
          turn.answer += part.delta;
          if (this.all[index] === turn) this.post({ type: "delta", index, text: part.delta });
        } else if ("thinking" in part) {
          turn.thinking += part.thinking;
          if (this.all[index] === turn) this.post({ type: "thinking", index, text: part.thinking });
        } else if (this.all[index] === turn) {
          this.keep(part.conversation);
          turn.number = part.turn;
        }
      });
      const conversation = this.id === undefined ? {} : { conversation: this.id };
      const answer = await client.sendRequest(chatRequest, { ...params, ...conversation, partialResultToken }, cancel.token);
      this.ended(turn, index, answer);
    } catch (error) {
      turn.state = cancel.token.isCancellationRequested ? "stopped" : "failed";
      if (turn.state === "failed") turn.notes = [reason(error)];
    } finally {
      listening?.dispose();
      if (this.cancel === cancel) this.cancel = undefined;
      cancel.dispose();
      show();
    }
  }

  private ended(turn: Turn, index: number, answer: ChatAnswer): void {
    if (this.all[index] === turn) this.keep(answer.conversation);
    turn.number = answer.turn;
    turn.answer = answer.message;
    turn.thinking = answer.thinking ?? turn.thinking;
    turn.state = answer.state ?? "answered";
    turn.byline = byline(answer);
    turn.notes = answer.notes ?? [];
    turn.locations = answer.references ?? [];
    turn.references = turn.locations.map(label);
  }
}

const EMPTY = {
  answer: "",
  thinking: "",
  state: "open" as const,
  byline: "",
  notes: [] as string[],
  references: [] as string[],
  repeatable: true,
};

function shown({ attached: _, locations: __, role: ___, number: ____, ...turn }: Turn): ShownTurn {
  return turn;
}

function kept(turn: KeptTurn, number: number): Turn {
  const locations = turn.references ?? [];
  return {
    ...EMPTY,
    question: turn.message,
    attachments: turn.images ? [`${turn.images} ${turn.images === 1 ? "picture" : "pictures"}`] : [],
    answer: turn.answer,
    thinking: turn.thinking ?? "",
    state: turn.state,
    byline: byline(turn),
    locations,
    references: locations.map(label),
    attached: [],
    role: "auto",
    number,
  };
}

function byline({ model, backend, usage }: { model?: string | null; backend?: string | null; usage?: ChatAnswer["usage"] }): string {
  const parts = model ? [`${model} (${backend ?? "?"})`] : [];
  const tokens = usage?.completionTokens;
  if (tokens) parts.push(`${tokens} ${tokens === 1 ? "token" : "tokens"}`);
  if (usage?.totalMs) parts.push(`${(usage.totalMs / 1000).toFixed(1)} s`);
  return parts.join(" · ");
}

function label({ uri, range }: Location): string {
  const name = vscode.workspace.asRelativePath(vscode.Uri.parse(uri), false);
  const first = range.start.line + 1;
  // A range that ends where a line begins has nothing of that line.
  const last = range.end.line + (range.end.character > 0 ? 1 : 0);
  return last > first ? `${name}:${first}–${last}` : `${name}:${first}`;
}
