/** A folder that the person does not trust: its settings name no program and no host. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ghostIs, openAtEnd, picture, statusIs } from "./actions.ts";
import { Backend } from "./backend.ts";
import { onStage, stopEditor } from "./editor.ts";

after(stopEditor);

test("the settings of an untrusted folder name no host and no program", async () => {
  const outside = mkdtempSync(join(tmpdir(), "ghostline-trust-"));
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
