import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { keptByWindow } from "../../src/kept.ts";

const folder = mkdtempSync(join(tmpdir(), "ghostline-kept-"));
after(() => rmSync(folder, { recursive: true }));

/** What VS Code keeps by itself. */
function memento() {
  const values = new Map<string, unknown>();
  return {
    get: (key: string, none: unknown) => values.get(key) ?? none,
    update: async (key: string, value: unknown) => void values.set(key, value),
  };
}

function opened(storage: string | undefined, workspaceState = memento()) {
  return keptByWindow({ storageUri: storage && { fsPath: storage }, workspaceState } as never, "name", "", (json) => {
    if (typeof json !== "string") throw new TypeError("no text");
    return json;
  });
}

test("a folder's window that is loaded anew has the newest value, or none where the file is broken", async () => {
  const kept = opened(folder);
  assert.equal(await kept.read(), "");
  kept.change("one");
  kept.change("two");
  const file = join(folder, "name.json");
  while (!/two/.test(readOr(file))) await new Promise(setImmediate);
  assert.equal(await opened(folder).read(), "two");
  for (const text of ["", "{", "null", "7"]) {
    writeFileSync(file, text);
    assert.equal(await opened(folder).read(), "", text);
  }
});

test("windows without a folder have a value each", async () => {
  const [one, other] = [memento(), memento()];
  opened(undefined, one).change("one");
  assert.equal(await opened(undefined, one).read(), "one");
  assert.equal(await opened(undefined, other).read(), "");
});

function readOr(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
