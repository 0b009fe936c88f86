/**
 * The question that is being typed. It outlives the page, which VS Code throws away while another view is
 * shown, and the window. The page keeps it too, for what is still on its way here when the window goes.
 */
import { createHash } from "node:crypto";
import { Kept } from "../kept.ts";
import type { Typed } from "./messages.ts";

export class Draft extends Kept<Typed> {
  /** Tells the drafts of workspaces apart. */
  readonly place: string;

  constructor(file: string) {
    super(file, { text: "", atMs: 0 }, check);
    this.place = createHash("sha256").update(file).digest("base64url").slice(0, 16);
  }
}

function check(json: unknown): Typed {
  const { text, atMs } = json as Partial<Typed>;
  if (typeof text !== "string" || typeof atMs !== "number") throw new TypeError("no draft");
  return { text, atMs };
}
