/** The page's own copy of what is typed: it is there at once, whatever becomes of the window. */
import type { Typed } from "../src/chat/messages.ts";

export class OwnCopy {
  private readonly key: string;

  /** `place` tells workspaces apart, whose pages share one store. */
  constructor(place: string) {
    this.key = `ghostline.draft.${place}`;
  }

  keep(typed: Typed): void {
    try {
      localStorage.setItem(this.key, JSON.stringify(typed));
    } catch {
      // A browser may forbid it; the extension keeps a copy too.
    }
  }

  /** The newer of the own copy and the extension's. */
  newer(theirs: Typed): Typed {
    try {
      const own = JSON.parse(localStorage.getItem(this.key) ?? "null") as Typed | null;
      return own && own.atMs > theirs.atMs ? own : theirs;
    } catch {
      return theirs;
    }
  }
}
