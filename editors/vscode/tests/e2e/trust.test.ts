/** What a folder's own settings may do before the person trusts it, and after. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ghostIs, openAtEnd, picture, statusIs } from "./actions.ts";
import { Backend } from "./backend.ts";
import { onStage, stopEditor } from "./editor.ts";

after(stopEditor);

test("the settings of an untrusted folder name no host and no program", async (t) => {
  const outside = mkdtempSync(join(tmpdir(), "ghostline-trust-"));
  t.after(() => rmSync(outside, { recursive: true }));
  const theirs = await Backend.start(outside, [{ when: "const sum", steps: [{ text: " = theirs;" }] }]);
  const program = join(outside, "program");
  const ran = join(outside, "ran");
  writeFileSync(program, `#!/bin/sh\ntouch ${ran}\n`);
  chmodSync(program, 0o755);
  const host = { ollama: { kind: "ollama", urls: [theirs.url] } };
  try {
    const mine = await Backend.start(mkdtempSync(join(outside, "mine-")), [{ when: "const sum", steps: [{ text: " = mine;" }] }]);
    const scene = {
      files: {
        "cart.js": "function total(prices) {\n",
        ".ghostline.toml": `[backends.ollama]\nkind = "ollama"\nurls = ["${theirs.url}"]\n`,
        ".env": `OLLAMA_HOST=${theirs.url}\n`,
      },
      settings: { "ghostline.server.path": program, "ghostline.backends": host },
      user: {
        "security.workspace.trust.enabled": true,
        "security.workspace.trust.startupPrompt": "never",
        "ghostline.backends": { ollama: { kind: "ollama", urls: [mine.url] } },
      },
    };
    try {
      await onStage("trust", scene, async ({ page }) => {
        await page.locator(".statusbar-item", { hasText: "Restricted Mode" }).waitFor();
        await openAtEnd(page, "cart.js");
        await statusIs(page, /qwen2\.5-coder/);
        await page.keyboard.type("  const sum");
        await ghostIs(page, /^ = mine;$/);
        await picture(page, "restricted");
        assert.ok(!existsSync(ran), "a program of the workspace ran");
      });
    } finally {
      await mine.stop();
    }
  } finally {
    await theirs.stop();
  }
});

/** A scripted Ollama with two models that completes with `text`. */
function ollama(folder: string, text: string): Promise<Backend> {
  const models = ["--model", "qwen2.5-coder:1.5b", "--model", "qwen2.5-coder:7b"];
  return Backend.start(mkdtempSync(join(folder, "ollama-")), [{ when: "const sum", steps: [{ text }] }], models);
}

test("a folder's files choose models at once, and hosts from when the folder is trusted", async (t) => {
  const outside = mkdtempSync(join(tmpdir(), "ghostline-trust-"));
  t.after(() => rmSync(outside, { recursive: true }));
  const backends: Backend[] = [];
  const start = async (text: string) => {
    const backend = await ollama(outside, text);
    backends.push(backend);
    return backend.url;
  };
  const toml = (candidate: string) => `[roles.completion]\ncandidates = ["${candidate}", "qwen2.5-coder:7b"]\n`;
  try {
    const [mine, team, env] = [await start(" = mine;"), await start(" = team;"), await start(" = env;")];
    const scene = {
      files: {
        "cart.js": "function total(prices) {\n",
        ".ghostline.toml": `${toml("team/qwen2.5-coder:1.5b")}\n[backends.team]\nkind = "ollama"\nurls = ["${team}"]\n`,
        ".env": `OLLAMA_HOST=${env}\n`,
      },
      settings: { "ghostline.backends": undefined },
      config: `[backends.ollama]\nkind = "ollama"\nurls = ["${mine}"]\n`,
      user: { "security.workspace.trust.enabled": true, "security.workspace.trust.startupPrompt": "never" },
    };
    await onStage("trusted", scene, async ({ page, folder }) => {
      const restricted = page.locator(".statusbar-item", { hasText: "Restricted Mode" });
      await restricted.waitFor();
      await openAtEnd(page, "cart.js");
      // The folder chose the bigger model, on the person's own host.
      await statusIs(page, /qwen2\.5-coder:7b/);
      await page.keyboard.type("  const sum");
      await ghostIs(page, /^ = mine;$/);
      await picture(page, "trust-before");

      await restricted.click();
      await page.locator(".workspace-trust-buttons-row").getByRole("button", { name: "Trust", exact: true }).first().click();
      await restricted.waitFor({ state: "detached" });
      await statusIs(page, /qwen2\.5-coder:1\.5b/);
      await picture(page, "trust-granted");
      const modal = page.locator(".monaco-modal-editor-block");
      await modal.locator(".action-label.codicon-close").first().click();
      await modal.waitFor({ state: "detached" });
      await page.locator(".editor-instance .monaco-editor.focused").first().waitFor();
      await page.keyboard.type("A");
      await ghostIs(page, /^ = team;$/);

      // The file changes: OLLAMA_HOST of the folder's `.env` holds as well.
      writeFileSync(join(folder, ".ghostline.toml"), toml("qwen2.5-coder:7b"));
      await statusIs(page, /qwen2\.5-coder:7b/);
      await page.keyboard.type("B");
      await ghostIs(page, /^ = env;$/);
    });
  } finally {
    for (const backend of backends) await backend.stop();
  }
});
