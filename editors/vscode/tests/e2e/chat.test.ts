/** The chat view in a real VS Code: it streams, stops, asks again, applies, and loads nothing. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { after, test as anyTest } from "node:test";
import type { Page } from "playwright-core";
import { command, lines, openAtEnd, pageWith, picture, statusIs } from "./actions.ts";
import { onStage, stopEditor } from "./editor.ts";

after(stopEditor);

const CODE = "function total(prices) {\n  let sum = 0;\n  for (const price of prices) sum += price;\n  return sum;\n}\n";
const READY = /qwen2\.5-coder/;
/** Chats of the tests' model are answered by the same scripted server. */
const MODELS = ["--model", "qwen2.5-coder:1.5b", "--model", "qwen2.5-coder:7b"];

/** The server's part may not be in this build. */
const hasChat = spawnSync(process.env["GHOSTLINE_BIN"] ?? "", ["chat", "--help"]).status === 0;
const test = (name: string, run: () => Promise<void>) => anyTest(name, { skip: hasChat ? false : "this ghostline has no chat" }, run);

/** The page of the chat view. */
const chat = (page: Page) => pageWith(page, "#composer");

test("explaining a selection opens the chat view and streams", async () => {
  await onStage("explain", { files: { "cart.js": CODE }, rules: [], backendArgs: MODELS }, async ({ page, backend }) => {
    backend.say([{
      when: "", chat: true,
      steps: [
        { text: "It adds the **prices**.\n\n" }, backend.gate("code"),
        { text: "```js\nconst sum = prices.reduce((a, b) => a + b, 0);\n" }, backend.gate("rest"),
        { text: "```\n\n| step | does |\n|---|---|\n| 1 | starts at 0 |\n\nDone." },
      ],
    }]);
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await page.keyboard.press("Control+A");
    await command(page, "ghostline: Explain Selection");
    const view = await chat(page);
    await view.locator(".answer strong", { hasText: "prices" }).waitFor();
    assert.equal(await view.locator(".answer pre").count(), 0);
    await view.locator("#stop").waitFor();
    assert.equal(await view.locator(".turn").getAttribute("aria-busy"), "true");
    backend.open("code");
    await view.locator(".answer pre .hljs-keyword", { hasText: "const" }).waitFor();
    backend.open("rest");
    await view.locator(".answer td", { hasText: "starts at 0" }).waitFor();
    await view.locator("#send").waitFor();
    await view.locator(".byline", { hasText: "qwen2.5-coder" }).waitFor();
    assert.deepEqual(await view.locator(".references button").allTextContents(), ["cart.js:1–5"]);
    await picture(page, "chat-dark");
    await command(page, "Preferences: Toggle between Light/Dark Themes");
    await page.waitForSelector(".monaco-workbench.vs:not(.vs-dark)");
    await view.locator("body.vscode-light").waitFor();
    await picture(page, "chat-light");
    await command(page, "Preferences: Toggle between Light/Dark Themes");
    await page.waitForSelector(".monaco-workbench.vs-dark");
  });
});

test("code of an answer is shown as a difference, then applied", async () => {
  const answer = "Shorter:\n\n```js\nfunction total(prices) {\n  return prices.reduce((a, b) => a + b, 0);\n}\n```\n";
  const rules = [{ when: "shorten", chat: true, steps: [{ text: answer }] }];
  await onStage("apply", { files: { "cart.js": CODE }, rules, backendArgs: MODELS }, async ({ page }) => {
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await page.keyboard.press("Control+A");
    await command(page, "ghostline: Attach Selection to Chat");
    const view = await chat(page);
    await view.locator("#attachments li", { hasText: "cart.js:1" }).waitFor();
    await view.locator("#message").fill("shorten this");
    await view.locator("#message").press("Enter");
    await view.locator('[data-act="apply"]').click();
    await page.waitForSelector(".monaco-diff-editor .line-insert, .monaco-diff-editor .char-insert");
    await picture(page, "chat-diff");
    await command(page, "ghostline: Apply the Proposed Change");
    await page.locator(".monaco-diff-editor").waitFor({ state: "detached" });
    await page.waitForSelector('.tab.active[data-resource-name="cart.js"]');
    assert.deepEqual((await lines(page)).slice(0, 3), ["function total(prices) {", "  return prices.reduce((a, b) => a + b, 0);", "}"]);
  });
});

test("an answer is stopped, then asked for again; copying and inserting", async () => {
  await onStage("stop", { files: { "cart.js": CODE }, rules: [], backendArgs: MODELS }, async ({ page, backend, folder }) => {
    backend.say([{ when: "write", chat: true, steps: [{ text: "Well, " }, "hang"] }]);
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await command(page, "ghostline: Open Chat");
    const view = await chat(page);
    await view.locator("#message").fill("write something");
    await view.locator("#message").press("Enter");
    await view.locator(".answer", { hasText: "Well," }).waitFor();
    await view.locator("#message").press("Escape");
    await view.locator(".note", { hasText: "Stopped." }).waitFor();
    backend.say([{ when: "write", chat: true, steps: [{ text: "```js\nconst b = 2;\n```\n" }] }]);
    await view.locator('[data-act="regenerate"]').click();
    await view.locator(".answer pre", { hasText: "const b = 2;" }).waitFor();
    assert.equal(await view.locator(".turn").count(), 1);
    await view.locator('[data-act="copy"]').click();
    await view.locator("#status", { hasText: "Copied." }).waitFor();
    await view.locator('[data-act="insert"]').click();
    await page.locator(".view-line", { hasText: "const b = 2;" }).waitFor();
    assert.equal(readFileSync(join(folder, "cart.js"), "utf8"), CODE, "nothing is saved by itself");
  });
});

test("what a model writes loads nothing from the network and runs nothing", async () => {
  const answer = "![x](https://example.com/a.png) <img src=https://example.com/b.png> [l](https://example.com/c)\n\n<script>document.title='no'</script>\n\nEnd.";
  const rules = [{ when: "picture", chat: true, steps: [{ text: answer }] }];
  await onStage("network", { files: { "cart.js": CODE }, rules, backendArgs: MODELS }, async ({ page }) => {
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await command(page, "ghostline: Open Chat");
    const view = await chat(page);
    await view.locator("#message").fill("show a picture");
    await view.locator("#message").press("Enter");
    await view.locator(".answer p", { hasText: "End." }).waitFor();
    assert.equal(await view.locator(".answer img, .answer script").count(), 0);
    assert.deepEqual(asked.filter((url) => url.includes("example.com")), []);
  });
});
