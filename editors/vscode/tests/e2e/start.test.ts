/** The first start: the walkthrough. And a real model completes. */
import assert from "node:assert/strict";
import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { command, ghostIs, lineIs, openAtEnd, pageWith, picture, statusIs } from "./actions.ts";
import { onStage, stopEditor, withProgram } from "./editor.ts";

after(stopEditor);

/** Port 9 of this machine: nothing listens there. */
const NOWHERE = { ollama: { kind: "ollama", urls: ["http://127.0.0.1:9"] } };

test("the walkthrough goes from no program to a completion and an answer, and ticks each step", async () => {
  const rules = [
    { when: "celsius_to_fahrenheit", steps: [{ text: " celsius * 9 / 5 + 32" }] },
    { when: "hello", chat: true, steps: [{ text: "Good day." }] },
  ];
  const scene = { files: { "a.txt": "" }, rules, settings: { "ghostline.backends": NOWHERE }, backendArgs: ["--model", "qwen2.5-coder:1.5b", "--model", "qwen2.5-coder:7b"] };
  await onStage("walkthrough", scene, async ({ page, backend, folder }) => {
    const step = (title: string) => page.locator(".getting-started-step", { hasText: title });
    const ticked = (title: string) => step(title).locator(".codicon.complete").first().waitFor();
    const open = async (title: string) => {
      if ((await step(title).getAttribute("class"))?.includes("expanded")) return;
      await step(title).locator(".step-title").click();
    };
    const press = async (title: string, button: string) => {
      await open(title);
      await step(title).getByRole("button", { name: button }).click();
    };
    const goOn = () => page.locator(".tab", { hasText: "Welcome" }).click();
    await statusIs(page, /no model/);
    await withProgram("walkthrough", async (program) => {
      await statusIs(page, /no program/);
      await command(page, "Reset Welcome Page Walkthrough Progress");
      await command(page, "ghostline: Get Started");
      await step("Find the program").waitFor();
      assert.equal(await page.locator(".getting-started-step .codicon.complete").count(), 0);
      await press("Find the program", "Locate or install");
      await page.locator(".quick-input-list .monaco-list-row", { hasText: "Choose the program" }).waitFor();
      await picture(page, "walkthrough-program");
      await page.keyboard.press("Escape");
      symlinkSync(process.env["GHOSTLINE_BIN"] as string, program);
      await ticked("Find the program");
      await statusIs(page, /no model/);
      assert.equal(await step("Have a model").locator(".codicon.complete").count(), 0);
      const settings = { "ghostline.backends": { ollama: { kind: "ollama", urls: [backend.url] } } };
      writeFileSync(join(folder, ".vscode/settings.json"), JSON.stringify(settings));
      await ticked("Have a model");
      await press("See a completion", "Try a completion");
      await ghostIs(page, /^celsius \* 9 \/ 5 \+ 32$/);
      await picture(page, "walkthrough-completion");
      await page.keyboard.press("Tab");
      await lineIs(page, /^ {4}return celsius \* 9 \/ 5 \+ 32$/);
      await goOn();
      await ticked("See a completion");
      await press("Ask about your code", "Open the chat");
      const chat = await pageWith(page, "#composer");
      await chat.locator("#message:focus").waitFor();
      await page.keyboard.type("hello");
      await page.keyboard.press("Enter");
      await chat.locator(".answer", { hasText: "Good day." }).waitFor();
      await ticked("Ask about your code");
      await picture(page, "walkthrough-done");
    });
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
