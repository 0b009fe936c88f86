/** The page of the chat view: draws what the extension tells, and tells what the person does. */
import type { FromPage, Role, ShownTurn, ToPage } from "../src/chat/messages.ts";
import { OwnCopy } from "./draft.ts";
import { TurnElement } from "./turns.ts";

declare function acquireVsCodeApi(): { postMessage(message: FromPage): void };

const vscode = acquireVsCodeApi();
const tell = (message: FromPage) => vscode.postMessage(message);

function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found as T;
}

const log = byId("turns");
const status = byId("status");
const form = byId<HTMLFormElement>("composer");
const message = byId<HTMLTextAreaElement>("message");
const attachments = byId<HTMLUListElement>("attachments");
const role = byId<HTMLSelectElement>("role");
const stop = byId<HTMLButtonElement>("stop");
const send = byId<HTMLButtonElement>("send");

const copy = new OwnCopy(document.body.dataset["place"] ?? "");
let turns: ShownTurn[] = [];
let elements: TurnElement[] = [];
/** The question that is being changed. */
let editing: number | undefined;

function keepDraft(): void {
  const typed = { text: message.value, atMs: Date.now() };
  copy.keep(typed);
  tell({ type: "draft", typed });
}

function write(words: string): void {
  message.value = words;
  keepDraft();
}

function edit(index: number | undefined): void {
  editing = index;
  write(index === undefined ? "" : (turns[index]?.question ?? ""));
  status.textContent = index === undefined ? "" : "Sending forgets what followed this question. Escape leaves it as it was.";
  message.focus();
}

/** Whose button goes away goes on in the composer, not at the page's beginning. */
function keepingFocus(change: () => void): void {
  const focused = document.activeElement;
  change();
  const gone = focused && (!focused.isConnected || focused.closest("[hidden]"));
  if (gone) message.focus();
}

/** Follows the end of the conversation, unless the person has scrolled up to read. */
function following(change: () => void): void {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  change();
  if (atEnd) requestAnimationFrame(() => log.scrollTo({ top: log.scrollHeight }));
}

function showRunning(running: boolean): void {
  stop.hidden = !running;
  send.hidden = running;
  status.textContent = running ? "Answering…" : "";
}

function showTurn(index: number, turn: ShownTurn): void {
  turns[index] = turn;
  const known = elements[index];
  if (!known) {
    // A new question is always looked at.
    const made = new TurnElement(index, turn);
    elements[index] = made;
    log.append(made.root);
    made.show(turn, true);
    elements[index - 1]?.show(turns[index - 1] as ShownTurn, false);
    log.scrollTo({ top: log.scrollHeight });
  } else {
    following(() => known.show(turn, index === turns.length - 1));
  }
}

function showAttachments(labels: string[]): void {
  attachments.replaceChildren(
    ...labels.map((label, index) => {
      const item = document.createElement("li");
      const drop = document.createElement("button");
      drop.type = "button";
      drop.className = "quiet";
      drop.textContent = "×";
      drop.setAttribute("aria-label", `Remove ${label}`);
      drop.addEventListener("click", () => tell({ type: "drop", index }));
      item.append(label, drop);
      return item;
    }),
  );
}

window.addEventListener("message", ({ data }: MessageEvent<ToPage>) => keepingFocus(() => hear(data)));

function hear(data: ToPage): void {
  switch (data.type) {
    case "show":
      turns = [];
      elements = [];
      log.replaceChildren();
      editing = undefined;
      for (const [index, turn] of data.turns.entries()) showTurn(index, turn);
      showAttachments(data.attachments);
      showRunning(data.running);
      if (data.server) status.textContent = data.server;
      break;
    case "attachments":
      showAttachments(data.attachments);
      break;
    case "draft":
      // What is typed here already is newer.
      if (message.value === "") message.value = copy.newer(data.typed).text;
      break;
    case "turn":
      showTurn(data.index, data.turn);
      showRunning(data.running);
      break;
    case "delta":
      following(() => elements[data.index]?.add(data.text));
      break;
    case "thinking":
      following(() => elements[data.index]?.think(data.text));
      break;
    case "focus":
      message.focus();
      break;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = message.value.trim();
  if (!words || send.hidden) return;
  tell({ type: "ask", message: words, role: role.value as Role, ...(editing === undefined ? {} : { index: editing }) });
  editing = undefined;
  write("");
});

message.addEventListener("keydown", (event) => {
  // Enter ends a word of an input method first.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  } else if (event.key === "ArrowUp" && message.value === "") {
    const last = turns.at(-1);
    if (!last) return;
    event.preventDefault();
    write(last.question);
  }
});

message.addEventListener("input", keepDraft);

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (!stop.hidden) tell({ type: "stop" });
  else if (editing !== undefined) edit(undefined);
});

stop.addEventListener("click", () => tell({ type: "stop" }));

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (!button) return;
  const { act, attach, reference } = button.dataset;
  const index = Number(button.closest<HTMLElement>(".turn")?.dataset["index"]);
  const code = button.closest(".code")?.querySelector("pre code")?.textContent ?? "";
  if (attach === "selection" || attach === "file" || attach === "image") tell({ type: "attach", what: attach });
  else if (reference !== undefined) tell({ type: "open", index, reference: Number(reference) });
  else if (act === "edit" && stop.hidden) edit(index);
  else if (act === "edit") status.textContent = "An answer is still being written; stop it first.";
  else if (act === "regenerate") tell({ type: "regenerate" });
  else if (act === "insert") tell({ type: "insert", code });
  else if (act === "apply") tell({ type: "apply", index, code });
  else if (act === "copy") {
    tell({ type: "copy", code });
    status.textContent = "Copied.";
  }
});

message.addEventListener("paste", (event) => {
  for (const item of event.clipboardData?.items ?? []) {
    const picture = item.type.startsWith("image/") ? item.getAsFile() : null;
    if (!picture) continue;
    event.preventDefault();
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      const base64 = String(reader.result).split(",", 2)[1] ?? "";
      tell({ type: "paste", name: picture.name || "pasted picture", mime: picture.type, base64 });
    });
    reader.readAsDataURL(picture);
  }
});

// Until here nobody would hear what is typed.
message.disabled = false;
tell({ type: "ready" });
