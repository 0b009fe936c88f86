/** The chat view by keyboard alone, in a window that is loaded again in between. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { command, fieldIs, openAtEnd, pageWith, picture, statusIs } from "./actions.ts";
import { onStage, stopEditor } from "./editor.ts";

after(stopEditor);

const MODELS = ["--model", "qwen2.5-coder:1.5b", "--model", "qwen2.5-coder:7b"];
const READY = /qwen2\.5-coder/;

/** Opens the chat with its key; its field for questions has the focus then. */
async function openChat(page: Page) {
  await page.keyboard.press("Control+Alt+g");
  const view = await pageWith(page, "#composer");
  await view.locator("#message:focus").waitFor();
  return view;
}

/** Presses Tab until the focus is on something like this, within one round. */
async function tabTo(page: Page, reached: () => Promise<boolean>, key = "Tab"): Promise<void> {
  for (let n = 0; n < 40; n += 1) {
    if (await reached()) return;
    await page.keyboard.press(key);
  }
  throw new Error(`${key} never gets there`);
}

test("ask, stop, ask again, go on after a reload, forget: no mouse", async () => {
  const scene = { files: { "cart.js": "const a = 1;\n" }, rules: [], backendArgs: MODELS };
  await onStage("keyboard", scene, async ({ page, backend }) => {
    backend.say([
      { when: "first", chat: true, steps: [{ text: "Well." }] },
      { when: "second", chat: true, steps: [{ text: "Now, " }, "hang"] },
    ]);
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    let view = await openChat(page);
    await page.keyboard.type("the first question");
    await page.keyboard.press("Enter");
    await view.locator(".answer", { hasText: "Well." }).waitFor();
    await page.keyboard.type("the second");

    // At once: VS Code itself keeps what was said and typed seconds later only.
    await page.reload();
    await page.waitForSelector(".monaco-workbench");
    await statusIs(page, READY);
    view = await openChat(page);
    await view.locator(".answer", { hasText: "Well." }).waitFor();
    assert.equal(await view.locator(".question .words").innerText(), "the first question");
    await fieldIs(view, "#message", "the second");
    await picture(page, "chat-after-reload");

    await page.keyboard.press("Control+End");
    await page.keyboard.type(" question");
    await page.keyboard.press("Enter");
    await view.locator(".answer", { hasText: "Now," }).waitFor();
    await page.keyboard.press("Escape");
    await view.locator(".note", { hasText: "Stopped." }).waitFor();
    await view.locator("#message:focus").waitFor();

    backend.say([{ when: "second", chat: true, steps: [{ text: "Now **done**.\n\n```js\nconst b = 2;\n```\n" }] }]);
    const again = view.locator('[data-act="regenerate"]');
    await tabTo(page, () => again.evaluate((button) => button === document.activeElement), "Shift+Tab");
    await page.keyboard.press("Enter");
    await view.locator(".answer strong", { hasText: "done" }).waitFor();
    // The button that was pressed is gone; the focus is where one goes on.
    await view.locator("#message:focus").waitFor();

    await command(page, "ghostline: Earlier Conversations");
    const row = page.locator(".quick-input-list .monaco-list-row", { hasText: "the first question" });
    await row.waitFor();
    const forgets = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") === "Forget this conversation");
    await tabTo(page, forgets);
    await page.keyboard.press("Enter");
    await row.waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    await view.locator("#turns:empty").waitFor({ state: "attached" });
    await picture(page, "chat-forgotten");

    await page.reload();
    await page.waitForSelector(".monaco-workbench");
    await statusIs(page, READY);
    view = await openChat(page);
    await view.locator("#turns:empty").waitFor({ state: "attached" });
  });
});
