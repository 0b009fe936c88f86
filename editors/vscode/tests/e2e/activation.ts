/**
 * Measures what the extension's activation costs VS Code, in windows of their own: not a test. `SAMPLES=9
 * node tests/e2e/activation.ts` with the variables that .ci/editors/vscode sets.
 *
 * `own` is all that runs while VS Code waits: its own figures for loading the first file and for calling
 * `activate`, then loading the rest and starting it. `finished` is VS Code's time to the end of `activate`,
 * with what other extensions do meanwhile.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { command, statusIs } from "./actions.ts";
import { installed, onStage, PATIENCE_MS, stopEditor } from "./editor.ts";

const samples = Number(process.env["SAMPLES"] ?? 9);

/** VS Code's report: time to load the first file, to call `activate`, and to its end, in milliseconds. */
async function reported(page: Page): Promise<{ code: number; call: number; finished: number }> {
  await command(page, "Developer: Startup Performance");
  await page.waitForSelector('.tab.active[data-resource-name="Startup Performance"]');
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    if (Date.now() > until) throw new Error("VS Code's report does not name the extension");
    await page.locator(".editor-instance .view-lines").click();
    await page.keyboard.press("Control+A");
    await page.keyboard.press("Control+C");
    const report = await page.evaluate(() => navigator.clipboard.readText());
    const row = report.split("\n").find((line) => /^\|\s*ghostline/.test(line));
    // Extension, Eager, Load Code, Call Activate, Finish Activate, Event, By.
    const cells = row?.split("|").slice(1).map((cell) => Number(cell.trim()));
    if (cells) return { code: cells[2] ?? NaN, call: cells[3] ?? NaN, finished: cells[4] ?? NaN };
  }
}

/** Stands in front of the extension's first file: says on the console how long the rest takes. */
const WATCH = `
const Module = require("node:module");
const load = Module._load;
Module._load = function (request, ...rest) {
  if (!request.endsWith("main.cjs")) return load.call(this, request, ...rest);
  const began = performance.now();
  const main = load.call(this, request, ...rest);
  const loaded = performance.now();
  const start = (...args) => {
    const from = performance.now();
    main.start(...args);
    console.log("activation " + JSON.stringify({ load: loaded - began, start: performance.now() - from }));
  };
  return { start, stop: main.stop };
};
`;

const first = join(await installed(), "dist/extension.cjs");
writeFileSync(first, WATCH + readFileSync(first, "utf8"));

const rows: Record<string, number>[] = [];
try {
  for (let n = 0; n < samples; n += 1) {
    await onStage("activation", { files: { "a.txt": "" }, rules: [] }, async ({ page }) => {
      // VS Code shows in the page what extensions print.
      const printed = page.waitForEvent("console", (message) => message.text().includes("activation {"));
      await statusIs(page, /qwen2\.5-coder/);
      const { load, start } = JSON.parse(/activation (\{.*?\})/.exec((await printed).text())?.[1] ?? "{}");
      const { code, call, finished } = await reported(page);
      rows.push({ own: code + call + load + start, code, call, load, start, finished });
    });
  }
} finally {
  await stopEditor();
}

function middle(values: number[]): number {
  values.sort((a, b) => a - b);
  return Math.round((values[Math.floor(values.length / 2)] ?? NaN) * 10) / 10;
}
const names = Object.keys(rows[0] ?? {});
const p50 = Object.fromEntries(names.map((name) => [name, middle(rows.map((row) => row[name] ?? NaN))]));
const most = Math.max(...rows.map((row) => row["own"] ?? NaN));
console.log(JSON.stringify({ samples, activationMs: { p50, maxOwn: Math.round(most * 10) / 10 } }));
process.exit(0);
