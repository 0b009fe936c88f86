import assert from "node:assert/strict";
import { test } from "node:test";
import { doctorPage } from "../../src/pages/doctor.ts";
import { duration, metricsPage } from "../../src/pages/metrics.ts";

const CHECKS = [
  { id: "disk", ok: true, severity: "info" as const, message: "20 GB are free" },
  { id: "role.chat", ok: false, severity: "warning" as const, message: "no model for chat", fix: "ghostline models pull chat" },
  { id: "backend.ollama", ok: false, severity: "error" as const, message: "nothing <b>listens</b>", fix: "start it: `ollama serve`" },
  { id: "editor.vscode", ok: false, severity: "info" as const, message: "no plugin found for VS Code" },
];

test("the doctor's failures come first, each with what mends it", () => {
  const page = doctorPage({ ok: false, checks: CHECKS });
  const order = ["1 error and 1 warning.", "## To mend", "✗ **backend ollama:**", "⚠ **role chat:**", "✓ **disk:**"];
  const places = order.map((part) => page.indexOf(part));
  assert.ok(places.every((place) => place >= 0), page);
  assert.deepEqual(places, [...places].sort((a, b) => a - b));
  assert.ok(page.includes("What mends it: ` ghostline models pull chat `"));
  assert.ok(page.includes("What mends it: start it: ` ollama serve `"));
  assert.ok(page.includes("nothing \\<b\\>listens\\</b\\>"));
});

test("the doctor says nothing of plugins to the one that asks", () => {
  assert.ok(!doctorPage({ ok: false, checks: CHECKS }).includes("plugin"));
});

test("a set-up without failures is well", () => {
  const page = doctorPage({ ok: true, checks: CHECKS.slice(0, 1) });
  assert.match(page, /All is well\./);
  assert.doesNotMatch(page, /To mend|Worth a look|Good to know/);
});

const METRICS = {
  busyMs: 61_000,
  completions: {
    requests: 1203, shown: 900, fromCache: 700, joined: 20, generated: 180, skipped: 3, superseded: 250, empty: 40, failed: 10, accepted: 80,
    partlyAccepted: 5,
    answerMs: { count: 900, p50: 0.3, p95: 42.4, p99: 1530 },
    firstTokenMs: { count: 0, p50: 0, p95: 0, p99: 0 },
    last: {
      whole: true, source: "generated", model: "qwen2.5-coder:1.5b", backend: "ollama", promptTokens: 812, promptTokensEstimated: true,
      cachedTokens: 790, generatedTokens: 1, firstTokenMs: 51.2, totalMs: 80,
    },
  },
  gate: { on: false, accepted: 80, rejected: 20, heldBack: 0 },
};

test("metrics are told in words and units", () => {
  const page = metricsPage(METRICS);
  for (const line of [
    "| Places asked about | 1,203 |",
    "| From the question to ghost text | 0.3 ms | 42 ms | 1.5 s | 900 |",
    "| Model | qwen2.5-coder:1.5b (ollama) |",
    "| Prompt | about 812 tokens, 790 of them kept from before |",
    "| Written | 1 token |",
    "| Time it computed | 1.0 min |",
  ]) {
    assert.ok(page.includes(line), `${line}\n\n${page}`);
  }
  assert.doesNotMatch(page, /first token \|/i, "what was not measured has no row");
});

test("no raw name stands outside of the JSON, which has them all", () => {
  const [words, json] = metricsPage(METRICS).split("<details>") as [string, string];
  assert.doesNotMatch(words, /\b[a-z]+[A-Z]\w*|\bp\d\d\b/);
  const block = /```json\n(.*?)\n```/s.exec(json)?.[1] ?? "";
  assert.deepEqual(JSON.parse(block), METRICS);
});

test("metrics of a fresh server, and of one that counts other things, have a page", () => {
  assert.match(metricsPage({ completions: { requests: 0, last: null } }), /Nothing was measured yet\./);
  assert.match(metricsPage({ other: 1 }), /"other": 1/);
});

test("times have the unit that reads best", () => {
  const cases: [unknown, string][] = [[0, "0.0 ms"], [0.04, "under 0.1 ms"], [9.96, "10.0 ms"], [10, "10 ms"], [999.4, "999 ms"], [1000, "1.0 s"], [90_000, "1.5 min"], [null, "–"]];
  for (const [ms, words] of cases) assert.equal(duration(ms), words);
});
