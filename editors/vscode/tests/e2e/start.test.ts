/** The first start: the walkthrough. And a real model completes. */
import { existsSync } from "node:fs";
import { after, test } from "node:test";
import { command, ghostIs, lineIs, openAtEnd, picture, statusIs } from "./actions.ts";
import { onStage, stopEditor } from "./editor.ts";

after(stopEditor);

test("the walkthrough ticks the program and the model that are there", async () => {
  await onStage("walkthrough", { files: { "a.txt": "" }, rules: [] }, async ({ page }) => {
    await statusIs(page, /qwen2\.5-coder/);
    await command(page, "ghostline: Get Started");
    const step = (title: string) => page.locator(".getting-started-step", { hasText: title });
    const done = (title: string) => step(title).locator(".codicon.complete");
    await done("Find the program").first().waitFor();
    await done("Have a model").first().waitFor();
    await picture(page, "walkthrough");
  });
});

const weights = process.env["GHOSTLINE_TEST_WEIGHTS"];
const real = weights && existsSync(weights) ? false : "NO REAL MODEL: GHOSTLINE_TEST_WEIGHTS names no weights";

test("a real model goes on with what is typed", { skip: real }, async () => {
  const files = { "fibonacci.py": "def fibonacci(n):\n    if n < 2:\n        return n\n" };
  const settings = { "ghostline.roles.completion.candidates": [`embedded/${weights}`] };
  await onStage("real", { files, settings }, async ({ page }) => {
    await openAtEnd(page, "fibonacci.py");
    await statusIs(page, /^\s*(?!no model).*qwen|gguf|1d96/i);
    await page.keyboard.type("    return fibonacci(n - 1) +");
    await ghostIs(page, /^ fibonacci\(n - 2\)$/);
    await picture(page, "real-model");
    await page.keyboard.press("Tab");
    await lineIs(page, /return fibonacci\(n - 1\) \+ fibonacci\(n - 2\)$/);
  });
});
