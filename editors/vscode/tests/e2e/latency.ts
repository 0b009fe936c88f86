/**
 * Measures, in the page, the time from a key press to the ghost text in the DOM and painted: not a test.
 * `SAMPLES=100 node tests/e2e/latency.ts` with the variables that .ci/editors/vscode sets.
 */
import { ghostIs, ghostIsGone, openAtEnd, statusIs } from "./actions.ts";
import { onStage, stopEditor } from "./editor.ts";

const samples = Number(process.env["SAMPLES"] ?? 60);

/** The scripted model's first token, in milliseconds. */
const BACKEND_MS = 20;

const rules = [{ when: "", steps: [{ wait_ms: BACKEND_MS }, { text: " = 42;" }] }];
const times: number[] = [];

await onStage("latency", { files: { "cart.js": "function total(prices) {\n  const a" }, rules }, async ({ page }) => {
  await openAtEnd(page, "cart.js");
  await statusIs(page, /qwen2\.5-coder/);
  for (let n = 0; n < samples; n += 1) {
    await page.evaluate(() => {
      const slot = window as never as { drawn?: Promise<number> };
      slot.drawn = new Promise((resolve) => {
        document.addEventListener(
          "keydown",
          () => {
            const pressed = performance.now();
            const look = () => (document.querySelector(".ghost-text-decoration") ? resolve(performance.now() - pressed) : requestAnimationFrame(look));
            // The old one goes with the key.
            requestAnimationFrame(look);
          },
          { capture: true, once: true },
        );
      });
    });
    await page.keyboard.press("bcdefghijk"[n % 10] as string);
    times.push(await page.evaluate(() => (window as never as { drawn: Promise<number> }).drawn));
    await ghostIs(page, /^ = 42;$/);
    await page.keyboard.press("Escape");
    await ghostIsGone(page);
    if (n % 30 === 29) await page.keyboard.type(" = 0;\n  const a");
  }
});
await stopEditor();

times.sort((a, b) => a - b);
const at = (share: number) => Math.round(times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? NaN);
console.log(JSON.stringify({ samples: times.length, backendMs: BACKEND_MS, keyToGhostMs: { p50: at(0.5), p90: at(0.9), p95: at(0.95), max: at(1) } }));
process.exit(0);
