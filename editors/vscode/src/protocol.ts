/** The server's methods beyond the standard protocol; the README describes them. */
import {
  type InlineCompletionItem,
  NotificationType,
  type Location,
  ProgressType,
  type Range,
  RequestType,
} from "vscode-languageclient/node";

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

export const statusRequest = new RequestType<object, Status, void>("ghostline/status");
export const metricsRequest = new RequestType<object, Record<string, unknown>, void>("ghostline/metrics");
export const chatRequest = new RequestType<ChatParams, ChatAnswer, void>("ghostline/chat");
export const conversationsRequest = new RequestType<object, ListedConversation[], void>("ghostline/conversations");
export const conversationRequest = new RequestType<{ conversation: string }, { turns: KeptTurn[] }, void>("ghostline/conversation");
export const deleteConversationRequest = new RequestType<{ conversation: string }, unknown, void>("ghostline/deleteConversation");
export const chatProgress = new ProgressType<ChatPart>();
export const statusChanged = new NotificationType<Status>("ghostline/statusChanged");
export const completionUpdated = new NotificationType<CompletionUpdated>("ghostline/completionUpdated");
export const showMarkdown = new NotificationType<ShowMarkdown>("ghostline/showMarkdown");
export const didCopy = new NotificationType<{ text: string; uri?: string }>("ghostline/didCopy");
/** `acceptedLength` in UTF-16 units from the start of the item's text. */
export const didPartiallyAccept = new NotificationType<{ item: InlineCompletionItem; acceptedLength: number }>(
  "textDocument/didPartiallyAcceptCompletion",
);
