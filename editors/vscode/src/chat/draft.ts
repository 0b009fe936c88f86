/**
 * The question that is being typed, in a file. It outlives the page, which VS Code throws away while another
 * view is shown, and the window: VS Code's own stores are written some time after a change. The page keeps
 * it too, for what is still on its way here when the window goes.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Typed } from "./messages.ts";

export class Draft {
  /** Tells the drafts of workspaces apart. */
  readonly place: string;
  private readonly file: string;
  /** What is there, once it was read or changed. */
  private typed: Typed | undefined;
  private writing: Promise<void> | undefined;

  constructor(file: string) {
    this.file = file;
    this.place = createHash("sha256").update(file).digest("base64url").slice(0, 16);
  }

  async read(): Promise<Typed> {
    if (this.typed) return this.typed;
    const kept = await readFile(this.file, "utf8").then(parse).catch(() => undefined);
    // Something may have been typed meanwhile.
    return (this.typed ??= kept ?? { text: "", atMs: 0 });
  }

  change(typed: Typed): void {
    this.typed = typed;
    this.writing ??= this.write();
  }

  /** Waits until all is written. */
  async settled(): Promise<void> {
    await this.writing;
  }

  private async write(): Promise<void> {
    let written: Typed | undefined;
    try {
      await mkdir(dirname(this.file), { recursive: true });
      while (this.typed !== written) {
        written = this.typed;
        await writeFile(this.file, JSON.stringify(written), { mode: 0o600 });
      }
    } catch {
      // A full disk costs the draft at the window's end, and nothing while it is open.
    } finally {
      this.writing = undefined;
    }
  }
}

function parse(json: string): Typed | undefined {
  const { text, atMs } = (JSON.parse(json) ?? {}) as Partial<Typed>;
  return typeof text === "string" && typeof atMs === "number" ? { text, atMs } : undefined;
}
