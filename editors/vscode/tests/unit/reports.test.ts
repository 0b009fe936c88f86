import assert from "node:assert/strict";
import { test } from "node:test";
import { doctorPage, metricsPage } from "../../src/reports.ts";

test("the doctor's failures come first, each with what mends it", () => {
  const page = doctorPage({
    ok: false,
    checks: [
      { id: "disk", ok: true, severity: "info", message: "20 GB are free" },
      { id: "chat", ok: false, severity: "warning", message: "no model for `chat`", fix: "ghostline models pull chat" },
      { id: "ollama", ok: false, severity: "error", message: "nothing <b>listens</b>", fix: "ollama serve" },
    ],
  });
  assert.match(page, /2 of 3 checks want attention/);
  const order = ["✗ **ollama**", "✗", "⚠ **chat**", "✓ **disk**"].map((part) => page.indexOf(part));
  assert.deepEqual(order, [...order].sort((a, b) => a - b));
  assert.ok(page.includes("` ollama serve `"));
  assert.ok(page.includes("nothing \\<b\\>listens\\</b\\>"));
});

test("metrics become one table for each object", () => {
  const page = metricsPage({ completions: { requests: 3, answerMs: { p50: 1.2 }, last: null }, gate: { on: false } });
  assert.match(page, /## completions\n\n\| \| \|\n\|---\|---\|\n\| requests \| 3 \|\n\| last \| – \|/);
  assert.match(page, /## completions \/ answerMs/);
  assert.match(page, /## gate/);
});
