/** What the extension and the page of the chat view tell each other. No code. */

export type TurnState = "open" | "answered" | "cutOff" | "stopped" | "failed";

/** A question and its answer as the page shows them. */
export interface ShownTurn {
  question: string;
  /** What came with the question. */
  attachments: string[];
  answer: string;
  thinking: string;
  state: TurnState;
  /** What answered, and how fast. */
  byline: string;
  /** What went wrong, or what there is to say beside the answer. */
  notes: string[];
  /** Files that were quoted. */
  references: string[];
  /** Whether it can be asked again. */
  repeatable: boolean;
}

/** What is being typed, and when that was, in milliseconds of the clock. */
export interface Typed {
  text: string;
  atMs: number;
}

export type Role = "auto" | "chat" | "reasoning" | "vision";

export type ToPage =
  | { type: "show"; turns: ShownTurn[]; attachments: string[]; running: boolean; server: string }
  | { type: "attachments"; attachments: string[] }
  /** What was being typed when the page was last there. */
  | { type: "draft"; typed: Typed }
  | { type: "turn"; index: number; turn: ShownTurn; running: boolean }
  | { type: "delta"; index: number; text: string }
  | { type: "thinking"; index: number; text: string }
  | { type: "focus" };

export type FromPage =
  | { type: "ready" }
  | { type: "draft"; typed: Typed }
  /** `index` is the turn that is asked anew with other words. */
  | { type: "ask"; message: string; role: Role; index?: number }
  | { type: "stop" }
  | { type: "regenerate" }
  | { type: "new" }
  | { type: "history" }
  | { type: "attach"; what: "selection" | "file" | "image" }
  | { type: "paste"; name: string; mime: string; base64: string }
  | { type: "drop"; index: number }
  | { type: "copy"; code: string }
  | { type: "insert"; code: string }
  | { type: "apply"; index: number; code: string }
  | { type: "open"; index: number; reference: number };
