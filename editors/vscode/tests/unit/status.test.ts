import assert from "node:assert/strict";
import { test } from "node:test";
import type { Status } from "../../src/protocol.ts";
import { clipped, rolesTable, short, view } from "../../src/status/view.ts";

const completion = { state: "ready" as const, model: "qwen2.5-coder:1.5b-base-q4_K_M", backend: "ollama", fallback: false };

function status(change: Partial<Status> = {}): Status {
  return { state: "ready", message: "Completions from it", roles: { completion }, busy: false, ...change };
}

const running = (change?: Partial<Status>, latencyMs?: number) =>
  view({ phase: { kind: "running", status: status(change) }, paused: undefined, latencyMs });

test("ready names the model and the last latency", () => {
  assert.equal(running().text, "$(sparkle) qwen2.5-coder:1.5b");
  assert.equal(running({}, 73.6).text, "$(sparkle) qwen2.5-coder:1.5b · 74 ms");
  assert.equal(running({}, 0.24).text, "$(sparkle) qwen2.5-coder:1.5b · 0.2 ms");
});

test("without a chat model completions are no warning", () => {
  const shown = running({ state: "degraded", message: "Completions from it; no model for chat" });
  assert.equal(shown.severity, "none");
  assert.match(shown.title, /no model for chat/);
});

test("loading says how far", () => {
  const roles = { completion: { ...completion, state: "loading" as const, loadedPercent: 40 } };
  assert.equal(running({ state: "loading", roles }).text, "$(loading~spin) qwen2.5-coder:1.5b 40 %");
});

test("no model is a warning, no program an error", () => {
  assert.equal(running({ state: "unavailable", roles: {} }).text, "$(circle-slash) ghostline: no model");
  assert.equal(running({ state: "unavailable", roles: {} }).severity, "warning");
  const missing = view({ phase: { kind: "missing", why: "It is not there" }, paused: undefined, latencyMs: undefined });
  assert.deepEqual([missing.text, missing.title, missing.severity], ["$(error) ghostline: no program", "It is not there", "error"]);
});

test("a pause hides the rest", () => {
  const cases = [["here", "in this workspace"], ["everywhere", "everywhere"], ["language", "for this language"]] as const;
  for (const [paused, where] of cases) {
    const shown = view({ phase: { kind: "running", status: status() }, paused, latencyMs: 5 });
    assert.deepEqual([shown.text, shown.title], ["$(debug-pause) ghostline", `Completions pause ${where}`]);
  }
});

test("a screen reader hears words, no icons", () => {
  assert.equal(running({}, 74).accessible, "ghostline: qwen2.5-coder:1.5b · 74 ms. Completions from it");
  assert.ok(!running({ state: "unavailable" }).accessible.includes("$("));
});

test("short names", () => {
  const table: [string, string][] = [
    ["qwen2.5-coder:1.5b-base-q4_K_M", "qwen2.5-coder:1.5b"],
    ["hf.co/someone/qwen3-coder:30b-a3b-q4_K_M", "qwen3-coder:30b-a3b"],
    ["qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b"],
    ["/models/mine-q4_0.gguf", "mine"],
    ["sha256-1d9614638d18024d0fbb36575a15f130.gguf", "sha256-1d9614638d18024d0fbb…"],
  ];
  for (const [model, expected] of table) assert.equal(short(model), expected);
});

test("the table of roles keeps a model's name as text", () => {
  const table = rolesTable(status({ roles: { chat: { ...completion, model: "a`b", fallback: true } } }));
  assert.match(table, /\| chat \| ready \| `ab` \(ollama\), not the first choice \|/);
});

test("a menu's line has the first clause, or the words that fit", () => {
  const long = "because the first choice, qwen3-coder:1.5b-q4_K_M, is not installed in the Ollama on this machine";
  const cases = [
    ["Completions pause everywhere", "Completions pause everywhere"],
    [`Completions from qwen2.5-coder:1.5b (ollama), ${long}`, "Completions from qwen2.5-coder:1.5b (ollama)"],
    ["word ".repeat(30).trim(), `${"word ".repeat(16).trim()}…`],
  ] as const;
  for (const [sentence, line] of cases) assert.equal(clipped(sentence), line);
});
