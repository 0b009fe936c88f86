/** The pages and menus behind the status bar: doctor, metrics, choosing and fetching models; light and dark. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { command, ghostIs, lineIs, openAtEnd, pageWith, picture, statusIs } from "./actions.ts";
import { onStage, stopEditor } from "./editor.ts";
import { Library } from "./library.ts";

after(stopEditor);

const FILES = { "cart.js": "function total(prices) {\n" };
const RULES = [{ when: "const sum", steps: [{ text: " = prices.length;" }] }];
const backendArgs = ["--model", "qwen2.5-coder:1.5b", "--model", "qwen2.5-coder:7b", "--model", "llama3.1:8b"];
/** The person's own file: what is chosen is written to it, and forgotten after the test. */
const OWN = "[inline]\nenabled = true\n";
const READY = /qwen2\.5-coder:1\.5b/;

const row = (page: Page, text: string | RegExp) => page.locator(".quick-input-list .monaco-list-row", { hasText: text }).first();
const toast = (page: Page, text: string | RegExp) => page.locator(".notifications-toasts .notification-list-item", { hasText: text });

/** Pictures in the dark theme and in the light one. */
async function bothThemes(page: Page, name: string): Promise<void> {
  const toggle = "Preferences: Toggle between Light/Dark Themes";
  await picture(page, `${name}-dark`);
  await command(page, toggle);
  await page.waitForSelector(".monaco-workbench.vs:not(.vs-dark)");
  await (await pageWith(page, ".markdown-body")).locator("body.vscode-light").waitFor();
  await picture(page, `${name}-light`);
  await command(page, toggle);
  await page.waitForSelector(".monaco-workbench.vs-dark");
}

test("the doctor looks at what the server of this window uses, and each failure has what mends it", async () => {
  await onStage("doctor", { files: FILES, rules: RULES, backendArgs }, async ({ page, backend }) => {
    await statusIs(page, READY);
    await command(page, "ghostline: Check the Set-up");
    const shown = await pageWith(page, ".markdown-body");
    await shown.locator("h1", { hasText: "doctor" }).waitFor();
    // The address is in the editor's settings alone.
    await shown.locator("li", { hasText: backend.url }).waitFor();
    await shown.locator("li", { hasText: "completion is served by qwen2.5-coder:1.5b on ollama" }).waitFor();
    await shown.locator("p", { hasText: "What mends it:" }).locator("code", { hasText: "ghostline models pull vision" }).waitFor();
    assert.equal(await shown.locator("text=plugin").count(), 0);
    await bothThemes(page, "doctor");
  });
});

test("the metrics have words and units, and the JSON below", async () => {
  await onStage("metrics", { files: FILES, rules: RULES, backendArgs }, async ({ page }) => {
    await statusIs(page, READY);
    await openAtEnd(page, "cart.js");
    await page.keyboard.type("  const sum");
    await ghostIs(page, /^ = prices\.length;$/);
    await page.keyboard.press("Tab");
    await lineIs(page, /= prices\.length;$/);
    await command(page, "ghostline: Show Metrics");
    const shown = await pageWith(page, ".markdown-body");
    await shown.locator("td", { hasText: "Ghost text answered" }).waitFor();
    await shown.locator("tr", { hasText: "First token after" }).locator("td", { hasText: /\d m?s$/ }).waitFor();
    await bothThemes(page, "metrics");
    const again = await pageWith(page, ".markdown-body");
    await again.locator("summary").click();
    await again.locator("details[open] code", { hasText: '"requests"' }).waitFor();
    await picture(page, "metrics-json");
  });
});

test("every installed model can be chosen for a role", async () => {
  await onStage("choose", { files: FILES, rules: RULES, backendArgs, config: OWN }, async ({ page }) => {
    await statusIs(page, READY);
    await command(page, "ghostline: Choose Models");
    await row(page, "ollama/qwen2.5-coder:7b").waitFor();
    await picture(page, "choose-role");
    await row(page, "completion").click();
    await row(page, "llama3.1:8b").waitFor();
    assert.match(await row(page, "serves now").innerText(), /qwen2\.5-coder:1\.5b/);
    await picture(page, "choose-model");
    await page.keyboard.type("coder:7b");
    await row(page, "llama3.1:8b").waitFor({ state: "detached" });
    await page.keyboard.press("Enter");
    await page.locator(".statusbar-item", { hasText: "ollama/qwen2.5-coder:7b is the first choice" }).waitFor();
    await statusIs(page, /qwen2\.5-coder:7b/);
    await picture(page, "choose-done");
  });
});

test("a fetch shows how far it is, can be broken off, fails in words, and its model can be used", async () => {
  await onStage("fetch", { files: FILES, rules: RULES, backendArgs, config: OWN }, async ({ page, backend, settings }) => {
    const library = await Library.start(backend.url);
    try {
      settings({ "ghostline.backends": { ollama: { kind: "ollama", urls: [library.url] } } });
      await library.asked();
      await statusIs(page, READY);
      const fetchNamed = async (name: string) => {
        await command(page, "ghostline: Fetch a Model");
        await row(page, "Another model").waitFor();
        await picture(page, "fetch-menu");
        await row(page, "Another model").click();
        await page.locator(".quick-input-widget", { hasText: "A name of Ollama's library" }).waitFor();
        await page.locator(".quick-input-widget .monaco-inputbox input").fill(name);
        await page.keyboard.press("Enter");
        assert.equal(await library.begun(), name);
      };
      await fetchNamed("codegemma:2b");
      library.reach(0.25);
      await toast(page, "246 of 986 MB").waitFor();
      await picture(page, "fetch-progress");
      await toast(page, "codegemma:2b").getByRole("button", { name: "Cancel" }).click();
      await library.left();
      await toast(page, "codegemma:2b").waitFor({ state: "detached" });

      await fetchNamed("no-such:1b");
      library.fail("pull model manifest: file does not exist");
      await toast(page, /no-such:1b/).getByRole("button", { name: "Another model…" }).waitFor();
      await picture(page, "fetch-failed");
      await page.keyboard.press("Escape");
      await command(page, "Notifications: Clear All Notifications");

      await fetchNamed("codegemma:2b");
      library.reach(0.75);
      await toast(page, "739 of 986 MB").waitFor();
      library.finish();
      await toast(page, "codegemma:2b is here").getByRole("button", { name: "Use for completion" }).waitFor();
      await picture(page, "fetch-done");
      await toast(page, "codegemma:2b is here").getByRole("button", { name: "Use for completion" }).click();
      await statusIs(page, /codegemma:2b/);
    } finally {
      await library.stop();
    }
  });
});
