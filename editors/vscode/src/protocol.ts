/** The server's methods beyond the standard protocol, which the README describes, and those of it that are used. */
import type {
  ExecuteCommandParams,
  InlineCompletionItem,
  InlineCompletionList,
  InlineCompletionParams,
  Location,
  NotificationType,
  Position,
  ProgressType,
  Range,
  RequestType,
} from "vscode-languageclient/node";

/**
 * Methods are names, which the language client takes as well as objects of its classes: with those, all of
 * it would be loaded while VS Code waits for the extension.
 */
const request = <P, R>(method: string) => method as unknown as RequestType<P, R, void>;
const notification = <P>(method: string) => method as unknown as NotificationType<P>;

export interface RoleStatus {
  state: "starting" | "loading" | "ready" | "unavailable";
  loadedPercent?: number | null;
  model?: string | null;
  backend?: string | null;
  fallback: boolean;
}

export interface Status {
  state: "starting" | "loading" | "ready" | "degraded" | "unavailable";
  message: string;
  roles: Record<string, RoleStatus>;
  busy: boolean;
}

export interface CompletionUpdated {
  uri: string;
  version: number;
  items: InlineCompletionItem[];
  /** No more will come. */
  complete?: boolean;
}

export interface ShowMarkdown {
  title: string;
  markdown: string;
  references?: Location[];
}

export type WireAttachment = { uri: string; range?: Range } | { mime: string; base64: string };

export interface ChatParams {
  /** Without it a new one begins. */
  conversation?: string;
  /** The turn that is asked anew, with the new `message` or its own; later ones go. */
  turn?: number;
  message?: string;
  attachments?: WireAttachment[];
  role?: string;
  partialResultToken: string;
}

type Ended = "answered" | "cutOff" | "stopped" | "failed";

export interface ChatAnswer {
  conversation: string;
  /** Its place in the conversation, from 0. */
  turn: number;
  message: string;
  thinking?: string;
  state?: Ended;
  notes?: string[];
  role: string;
  model?: string | null;
  backend?: string | null;
  usage?: { promptTokens?: number | null; completionTokens?: number | null; firstTokenMs?: number | null; totalMs?: number | null };
  references?: Location[];
}

/** What comes while an answer is written: first who answers, then the answer. */
export type ChatPart = { delta: string } | { thinking: string } | { conversation: string; turn: number };

export interface ListedConversation {
  conversation: string;
  title: string;
  updatedMs: number;
  turns: number;
}

export interface KeptTurn {
  message: string;
  answer: string;
  thinking?: string;
  state: Ended;
  role: string;
  model?: string;
  backend?: string;
  references?: Location[];
  /** How many pictures came with it. */
  images?: number;
}

/** How far a piece of work is. */
export interface WorkDone {
  kind: "begin" | "report" | "end";
  message?: string;
  percentage?: number;
}

export const statusRequest = request<object, Status>("ghostline/status");
export const metricsRequest = request<object, Record<string, unknown>>("ghostline/metrics");
export const chatRequest = request<ChatParams, ChatAnswer>("ghostline/chat");
export const conversationsRequest = request<object, ListedConversation[]>("ghostline/conversations");
export const conversationRequest = request<{ conversation: string }, { turns: KeptTurn[] }>("ghostline/conversation");
export const deleteConversationRequest = request<{ conversation: string }, unknown>("ghostline/deleteConversation");
export const chatProgress = {} as ProgressType<ChatPart>;
export const workDone = {} as ProgressType<WorkDone>;
export const cancelProgress = notification<{ token: string }>("window/workDoneProgress/cancel");
export const statusChanged = notification<Status>("ghostline/statusChanged");
export const completionUpdated = notification<CompletionUpdated>("ghostline/completionUpdated");
export const showMarkdown = notification<ShowMarkdown>("ghostline/showMarkdown");
export const didCopy = notification<{ text: string; uri?: string }>("ghostline/didCopy");
export const didMoveCursor = notification<{ uri: string; position: Position }>("ghostline/didMoveCursor");
/** `acceptedLength` in UTF-16 units from the start of the item's text. */
export const didPartiallyAccept = notification<{ item: InlineCompletionItem; acceptedLength: number }>(
  "textDocument/didPartiallyAcceptCompletion",
);

export const inlineCompletionRequest = request<InlineCompletionParams, InlineCompletionItem[] | InlineCompletionList | null>(
  "textDocument/inlineCompletion",
);
export const executeCommandRequest = request<ExecuteCommandParams, unknown>("workspace/executeCommand");
export const didChangeConfiguration = notification<{ settings: unknown }>("workspace/didChangeConfiguration");
