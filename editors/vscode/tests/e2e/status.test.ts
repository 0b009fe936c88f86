/** What the status bar says, and what is behind it. */
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { command, ghostIs, ghostIsGone, openAtEnd, picture, statusIs } from "./actions.ts";
import { Backend } from "./backend.ts";
import { onStage, stopEditor, withProgram } from "./editor.ts";
import { eventually } from "./patience.ts";

after(stopEditor);

const FILES = { "cart.js": "function total(prices) {\n" };
const RULES = [{ when: "const sum", steps: [{ text: " = prices.length;" }] }];

test("loading, then ready", async () => {
  await onStage("states", { files: FILES, rules: RULES, backendArgs: ["--load-gate", "GATE/loaded"] }, async ({ page, backend }) => {
    await statusIs(page, /qwen2\.5-coder:1\.5b/);
    const loading = page.locator("#ghostline\\.ghostline\\.ghostline\\.status .codicon-loading");
    await openAtEnd(page, "cart.js");
    await page.keyboard.type("  const sum");
    await loading.waitFor();
    await picture(page, "status-loading");
    backend.open("loaded");
    await loading.waitFor({ state: "detached" });
    await statusIs(page, /^\s*qwen2\.5-coder:1\.5b/);
    await picture(page, "status-ready");
  });
});

test("without a backend it says so", async () => {
  await onStage("unavailable", { files: FILES }, async ({ page }) => {
    await statusIs(page, /no model/);
    await picture(page, "status-no-backend");
  });
});

test("what is set while the server starts holds", async () => {
  await onStage("starting", { files: FILES }, async ({ page, folder, settings }) => {
    await statusIs(page, /no model/);
    const later = await Backend.start(mkdtempSync(join(folder, "later-")), RULES);
    try {
      await withProgram("slow", async (program) => {
        const [began, go] = [`${program}-began`, `${program}-go`];
        const slow = `[ "$1" != serve ] || { : >"${began}"; until [ -e "${go}" ]; do sleep 0.02; done; }`;
        writeFileSync(program, `#!/bin/sh\n${slow}\nexec '${process.env["GHOSTLINE_BIN"]}' "$@"\n`, { mode: 0o755 });
        await eventually(() => "the server was not started", () => existsSync(began) || undefined);
        const title = "other settings";
        settings({ "window.title": title, "ghostline.backends": { ollama: { kind: "ollama", urls: [later.url] } } });
        await page.waitForFunction((wanted) => document.title === wanted, title);
        writeFileSync(go, "");
        await statusIs(page, /qwen2\.5-coder/);
      });
    } finally {
      await later.stop();
    }
  });
});

test("without the program it says so, and it starts when the program or the right setting is there", async () => {
  await onStage("missing", { files: FILES, rules: RULES }, async ({ page }) => {
    await statusIs(page, /qwen2\.5-coder/);
    await withProgram("not-built-yet", async (program) => {
      await statusIs(page, /no program/);
      await picture(page, "status-no-program");
      symlinkSync(process.env["GHOSTLINE_BIN"] as string, program);
      await statusIs(page, /qwen2\.5-coder/);
      rmSync(program);
    });
    await withProgram("nowhere", () => statusIs(page, /no program/));
    await statusIs(page, /qwen2\.5-coder/);
  });
});

test("pausing here stops ghost text, resuming brings it back", async () => {
  await onStage("pause", { files: FILES, rules: [{ when: "", steps: [{ text: " = 1;" }] }] }, async ({ page }) => {
    await openAtEnd(page, "cart.js");
    await statusIs(page, /qwen2\.5-coder/);
    await page.locator("#ghostline\\.ghostline\\.ghostline\\.status a").click();
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "Pause in this workspace" }).waitFor();
    await picture(page, "menu");
    await page.keyboard.press("Escape");
    await command(page, "ghostline: Pause in This Workspace");
    const pause = page.locator("#ghostline\\.ghostline\\.ghostline\\.status .codicon-debug-pause");
    await pause.waitFor();
    await page.reload();
    await page.waitForSelector(".monaco-workbench");
    await pause.waitFor();
    await openAtEnd(page, "cart.js");
    await page.keyboard.type("  const a");
    await ghostIsGone(page);
    await command(page, "ghostline: Resume");
    await statusIs(page, /qwen2\.5-coder/);
    await page.locator(".editor-instance .view-lines").click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("b");
    await ghostIs(page, /^ = 1;$/);
    await command(page, "ghostline: Switch Completions On or Off for This Language");
    await pause.waitFor();
    await page.locator("#ghostline\\.ghostline\\.ghostline\\.status a").click();
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "Switch on for javascript" }).waitFor();
    await page.locator('.quick-input-widget input[placeholder="Completions pause for this language"]').waitFor();
    await picture(page, "menu-language-off");
    await page.keyboard.press("Escape");
    await command(page, "ghostline: Switch Completions On or Off for This Language");
    await pause.waitFor({ state: "detached" });
  });
});
