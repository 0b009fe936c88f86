/** How long the tests wait for what must come. Every wait ends, with words. */
import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** What something that must appear may take on a busy machine, in milliseconds. */
export const PATIENCE_MS = 60_000;

/** How often it is looked for, where nothing tells, in milliseconds. */
const LOOK_MS = 20;

/** What `promise` gives, or an error that says `otherwise`. */
export async function within<T>(otherwise: string, promise: Promise<T>): Promise<T> {
  const over = new AbortController();
  const late = sleep(PATIENCE_MS, undefined, over).then(() => Promise.reject(new Error(otherwise)));
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
  }
}

/** What `look` finds, once it finds something, or an error that says `otherwise`. */
export async function eventually<T>(otherwise: () => string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > until) throw new Error(otherwise());
    await sleep(LOOK_MS);
  }
}

/** A program that a test which was given up has left ends with the tests: it would hold their output open. */
export function endsWithTests(child: ChildProcess): void {
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  child.once("exit", () => process.off("exit", end));
}
