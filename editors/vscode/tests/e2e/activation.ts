/**
 * Measures what the extension's activation costs VS Code, in windows of their own: not a test. `SAMPLES=9
 * node tests/e2e/activation.ts` with the variables that .ci/editors/vscode sets.
 *
 * `own` is what the extension does while VS Code waits: `activate` begins, loads the rest, starts it.
 * `finished` is VS Code's time to the end of `activate`, with what other extensions do meanwhile. So is
 * `code`, VS Code's time to load the first file, of less than 1 KB: `codeOfAnother` is the same of a small
 * extension that comes with VS Code.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { command, statusIs } from "./actions.ts";
import { installed, onStage, stopEditor } from "./editor.ts";
import { PATIENCE_MS } from "./patience.ts";

const samples = Number(process.env["SAMPLES"] ?? 9);

interface Reported {
  code: number;
  codeOfAnother: number;
  call: number;
  finished: number;
}

/** VS Code's report, in milliseconds. */
async function reported(page: Page): Promise<Reported> {
  await command(page, "Developer: Startup Performance");
  await page.waitForSelector('.tab.active[data-resource-name="Startup Performance"]');
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    if (Date.now() > until) throw new Error("VS Code's report does not name the extension");
    await page.locator(".editor-instance .view-lines").click();
    await page.keyboard.press("Control+A");
    await page.keyboard.press("Control+C");
    const report = await page.evaluate(() => navigator.clipboard.readText());
    const rows = report.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
    const of = (id: string) => rows.find((row) => row[1] === id)?.map(Number);
    const [own, another] = [of("ghostline.ghostline"), of("vscode.merge-conflict")];
    // Extension, Eager, Load Code, Call Activate, Finish Activate, Event, By.
    const [, , , code = NaN, call = NaN, finished = NaN] = own ?? [];
    if (own) return { code, codeOfAnother: another?.[3] ?? NaN, call, finished };
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
      const { code, codeOfAnother, call, finished } = await reported(page);
      rows.push({ own: call + load + start, load, start, finished, code, codeOfAnother });
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
