/** An answer that grows: blocks that are complete stay as they are, only the last is rendered anew. */
import { blocks, render } from "./markdown.ts";

export class Answer {
  private text = "";
  /** How much of the text is in blocks that stay. */
  private settled = 0;
  /** The nodes of the last block. */
  private last: ChildNode[] = [];
  private frame: number | undefined;

  constructor(private readonly element: HTMLElement) {}

  add(text: string): void {
    this.text += text;
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  /** Replaces the text, and draws at once. */
  set(text: string): void {
    if (text === this.text && this.frame === undefined) return;
    if (!text.startsWith(this.text)) {
      this.element.replaceChildren();
      this.settled = 0;
      this.last = [];
    }
    this.text = text;
    this.draw();
  }

  private draw(): void {
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
    this.frame = undefined;
    for (const node of this.last) node.remove();
    this.last = [];
    const parts = blocks(this.text.slice(this.settled));
    for (const [n, part] of parts.entries()) {
      const template = document.createElement("template");
      // Nothing but our own markup: HTML in the text was escaped by `render`.
      template.innerHTML = render(part);
      const nodes = [...template.content.childNodes];
      this.element.append(...nodes);
      if (n < parts.length - 1) this.settled += part.length;
      else this.last = nodes;
    }
  }
}
