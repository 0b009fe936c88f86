import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Draft } from "../../src/chat/draft.ts";

const folder = mkdtempSync(join(tmpdir(), "ghostline-draft-"));
after(() => rmSync(folder, { recursive: true }));

test("the newest text is kept, in a folder that is made for it", async () => {
  const file = join(folder, "new", "draft.json");
  const draft = new Draft(file);
  assert.deepEqual(await draft.read(), { text: "", atMs: 0 });
  for (const [n, text] of ["a", "ab", "abc"].entries()) draft.change({ text, atMs: n });
  await draft.settled();
  assert.deepEqual(await new Draft(file).read(), { text: "abc", atMs: 2 });
  draft.change({ text: "", atMs: 3 });
  await draft.settled();
  assert.deepEqual(await new Draft(file).read(), { text: "", atMs: 3 });
});

test("what is typed before the file is read wins", async () => {
  const file = join(folder, "old.txt");
  writeFileSync(file, JSON.stringify({ text: "old", atMs: 1 }));
  const draft = new Draft(file);
  const reading = draft.read();
  draft.change({ text: "new", atMs: 2 });
  assert.equal((await reading).text, "new");
});

test("a file that is broken or another's is no draft", async () => {
  for (const text of ["", "{", "null", "[]", '{"text": 1, "atMs": 1}']) {
    const file = join(folder, "broken.txt");
    writeFileSync(file, text);
    assert.equal((await new Draft(file).read()).text, "", text);
  }
});

test("a disk that takes nothing loses no text of the open window", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  const draft = new Draft(join(file, "below-a-file"));
  draft.change({ text: "text", atMs: 1 });
  await draft.settled();
  assert.equal((await draft.read()).text, "text");
});

test("folders have drafts of their own", () => {
  assert.notEqual(new Draft("/a/draft.json").place, new Draft("/b/draft.json").place);
});
