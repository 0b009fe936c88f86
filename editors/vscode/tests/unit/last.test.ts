import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { lastConversation } from "../../src/chat/last.ts";

const folder = mkdtempSync(join(tmpdir(), "ghostline-last-"));
after(() => rmSync(folder, { recursive: true }));

/** What VS Code keeps by itself. */
function memento() {
  const values = new Map<string, unknown>();
  return { keys: () => [...values.keys()], get: (key: string) => values.get(key), update: async (key: string, value: unknown) => void values.set(key, value) };
}

const opened = (storage: string | undefined, workspaceState = memento()) =>
  lastConversation({ storageUri: storage && { fsPath: storage }, workspaceState } as never);

test("a folder's window goes on with its last conversation, and with none that was left", async () => {
  const last = opened(folder);
  assert.equal(await last.read(), undefined);
  last.change("one");
  last.change("two");
  const file = join(folder, "conversation.json");
  while (!/two/.test(readOr(file))) await new Promise(setImmediate);
  assert.equal(await opened(folder).read(), "two");
  last.change(undefined);
  while (/two/.test(readOr(file))) await new Promise(setImmediate);
  assert.equal(await opened(folder).read(), undefined);
  for (const text of ["", "{", "null", "7"]) {
    writeFileSync(file, text);
    assert.equal(await opened(folder).read(), undefined, text);
  }
});

test("windows without a folder have a conversation each", async () => {
  const [one, other] = [memento(), memento()];
  opened(undefined, one).change("one");
  assert.equal(await opened(undefined, one).read(), "one");
  assert.equal(await opened(undefined, other).read(), undefined);
});

function readOr(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
