/** The conversation as elements. */
import type { ShownTurn } from "../src/chat/messages.ts";
import { Answer } from "./answer.ts";

const STATES: Partial<Record<ShownTurn["state"], string>> = {
  stopped: "Stopped.",
  cutOff: "The answer was cut off: it reached the model's limit.",
  failed: "No answer.",
};

function element<K extends keyof HTMLElementTagNameMap>(name: K, className: string, text?: string): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A question with its answer. */
export class TurnElement {
  readonly root = element("section", "turn");
  private readonly question = element("div", "question");
  private readonly thinking = element("details", "thinking");
  private readonly thoughts = element("div", "thoughts");
  private readonly answer = element("div", "answer");
  private readonly foot = element("div", "foot");
  private readonly growing = new Answer(this.answer);

  constructor(index: number, turn: ShownTurn) {
    this.root.dataset["index"] = String(index);
    this.thinking.append(element("summary", "", "Thoughts"), this.thoughts);
    this.root.append(this.question, this.thinking, this.answer, this.foot);
    this.show(turn, false);
  }

  /** Shows all of the turn. `last` turns can be asked again. */
  show(turn: ShownTurn, last: boolean): void {
    this.root.setAttribute("aria-label", turn.question);
    this.root.setAttribute("aria-busy", String(turn.state === "open"));
    const words = element("p", "words", turn.question);
    const files = element("ul", "files");
    files.append(...turn.attachments.map((name) => element("li", "", name)));
    const edit = element("button", "quiet edit", "Edit");
    edit.type = "button";
    edit.dataset["act"] = "edit";
    edit.title = "Change this question and ask again; what follows it is forgotten";
    this.question.replaceChildren(words, ...(turn.attachments.length ? [files] : []), ...(turn.repeatable ? [edit] : []));
    this.thoughts.textContent = turn.thinking;
    this.thinking.hidden = turn.thinking === "";
    this.growing.set(turn.answer);
    this.foot.replaceChildren(...this.remarks(turn, last));
  }

  add(text: string): void {
    this.growing.add(text);
  }

  think(text: string): void {
    this.thinking.hidden = false;
    this.thoughts.append(text);
  }

  private remarks(turn: ShownTurn, last: boolean): HTMLElement[] {
    if (turn.state === "open") return turn.answer || turn.thinking ? [] : [element("p", "waiting", "…")];
    const all: HTMLElement[] = [];
    const state = STATES[turn.state];
    if (state) all.push(element("p", turn.state === "failed" ? "error" : "note", [state, ...turn.notes].join(" ")));
    else all.push(...turn.notes.map((note) => element("p", "note", note)));
    if (turn.references.length) {
      const list = element("ul", "references");
      list.setAttribute("aria-label", "Quoted");
      for (const [n, name] of turn.references.entries()) {
        const item = element("li", "");
        const button = element("button", "quiet", name);
        button.type = "button";
        button.dataset["reference"] = String(n);
        item.append(button);
        list.append(item);
      }
      all.push(list);
    }
    const row = element("div", "row");
    if (turn.byline) row.append(element("span", "byline", turn.byline));
    if (last && turn.repeatable) {
      const again = element("button", "quiet", "Ask again");
      again.type = "button";
      again.dataset["act"] = "regenerate";
      again.title = "Forget this answer and ask the same question again";
      row.append(again);
    }
    if (row.childElementCount) all.push(row);
    return all;
  }
}
