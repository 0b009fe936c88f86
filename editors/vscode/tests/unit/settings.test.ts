import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Inspected, serverSettings } from "../../src/settings.ts";

const KEYS = ["ghostline.server.path", "ghostline.inline.enabled", "ghostline.inline.max_tokens", "ghostline.roles.chat.candidates", "ghostline.backends"];

function settings(values: Record<string, Inspected>, circumstances = { trusted: true, paused: false }) {
  return serverSettings(KEYS, (key) => values[key], circumstances);
}

test("nothing set sends nothing but the word on trust", () => {
  assert.deepEqual(settings({}), { trusted: true });
  assert.deepEqual(settings({}, { trusted: false, paused: false }), { trusted: false });
});

test("what is set goes as a tree, the nearest wins", () => {
  const sent = settings({
    "ghostline.inline.max_tokens": { globalValue: 32, workspaceValue: 48 },
    "ghostline.roles.chat.candidates": { globalValue: ["a"], workspaceValue: ["b"], workspaceFolderValue: ["c"] },
    "ghostline.backends": { globalValue: { gpu: { kind: "openai" } } },
  });
  assert.deepEqual(sent, {
    inline: { max_tokens: 48 },
    roles: { chat: { candidates: ["c"] } },
    backends: { gpu: { kind: "openai" } },
    trusted: true,
  });
});

test("settings of the extension stay here", () => {
  assert.deepEqual(settings({ "ghostline.server.path": { globalValue: "/x" } }), { trusted: true });
});

test("pausing switches completions off and leaves the rest", () => {
  const sent = settings({ "ghostline.inline.enabled": { globalValue: true }, "ghostline.inline.max_tokens": { globalValue: 9 } }, { trusted: true, paused: true });
  assert.deepEqual(sent, { inline: { enabled: false, max_tokens: 9 }, trusted: true });
});

test("every command of a menu, key or step of the walkthrough is contributed", () => {
  const manifest = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
  const known = new Set(manifest.contributes.commands.map((entry: { command: string }) => entry.command));
  const text = JSON.stringify({ ...manifest.contributes, commands: [] });
  const used = [...text.matchAll(/"command":"(ghostline\.[\w.]+)"|command:(ghostline\.[\w.]+)/g)].map((match) => match[1] ?? match[2]);
  assert.ok(used.length > 10);
  for (const command of used) assert.ok(known.has(command), `${command} is not contributed`);
});
