/** Ghost text in a real VS Code: drawn, grown, taken, dropped. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { command, ghostIs, ghostIsGone, lineIs, lines, notifications, openAtEnd, picture, statusIs } from "./actions.ts";
import { onStage, stopEditor, withProgram } from "./editor.ts";
import { eventually } from "./patience.ts";

after(stopEditor);

const CODE = "function total(prices) {\n";
const READY = /qwen2\.5-coder/;
/** LSP's `InlineCompletionTriggerKind`. */
const INVOKED = 1;

test("a ghost text is drawn while typing, Tab takes all of it, and no message appears", async () => {
  const rules = [{ when: "const sum", steps: [{ wait_ms: 20 }, { text: " = prices.reduce((a, b) => a + b, 0);" }] }];
  await onStage("tab", { files: { "cart.js": CODE }, rules }, async ({ page }) => {
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await page.keyboard.type("  const sum");
    await ghostIs(page, /^ = prices\.reduce\(\(a, b\) => a \+ b, 0\);$/);
    await picture(page, "ghost-dark");
    await page.keyboard.press("Tab");
    await lineIs(page, /^ {2}const sum = prices\.reduce\(\(a, b\) => a \+ b, 0\);$/);
    await ghostIsGone(page);
    await statusIs(page, /ms$/);
    assert.deepEqual(await notifications(page), []);
  });
});

test("a ghost text grows in place", async () => {
  await onStage("grows", { files: { "cart.js": CODE }, rules: [] }, async ({ page, backend }) => {
    backend.say([{
      when: "const sum",
      steps: [{ text: " = prices" }, { text: ".first" }, backend.gate("more"), { text: " + prices" }, { text: ".second" }, backend.gate("rest"), { text: " + tip;" }],
    }]);
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await page.keyboard.type("  const sum");
    const first = await ghostIs(page, /^ = prices/);
    assert.ok(!first.includes("second"), `drawn before it was said: ${first}`);
    // From here on every frame shows some of it: growing never blinks.
    await page.evaluate(() => {
      const seen = ((window as never as { gaps: number }).gaps = 0);
      const look = () => {
        if (!document.querySelector(".ghost-text-decoration")) (window as never as { gaps: number }).gaps += 1;
        requestAnimationFrame(look);
      };
      look();
      return seen;
    });
    backend.open("more");
    const longer = await ghostIs(page, /^ = prices\.first \+ prices/);
    assert.ok(!longer.includes("tip"), `drawn before it was said: ${longer}`);
    backend.open("rest");
    await ghostIs(page, /^ = prices\.first \+ prices\.second \+ tip;$/);
    assert.equal(await page.evaluate(() => (window as never as { gaps: number }).gaps), 0);
    await page.keyboard.press("Tab");
    await lineIs(page, / \+ tip;$/);
  });
});

test("a block is typed along through the braces that the editor closes", async () => {
  const rules = [{ when: "if (prices) {", steps: [{ text: "\n    return 1;\n" }, { text: "  }\n" }] }];
  await onStage("braces", { files: { "cart.js": CODE }, rules }, async ({ page, backend }) => {
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await page.keyboard.type("  if (prices) {");
    // The brace that closes is the document's, drawn where it will stand.
    await ghostIs(page, /^\n {4}return 1;\n {2}\}$/);
    await picture(page, "braces");
    backend.say([]);
    await page.keyboard.press("Enter");
    await ghostIs(page, /^return 1;$/);
    await page.keyboard.press("Tab");
    await lineIs(page, /^ {4}return 1;$/);
    assert.deepEqual((await lines(page)).slice(1), ["  if (prices) {", "    return 1;", "  }"]);
  });
});

test("a word, then a line, are taken one after the other", async () => {
  const rules = [{ when: "const sum", steps: [{ text: " = first + second;" }] }];
  await onStage("word", { files: { "cart.js": CODE }, rules }, async ({ page }) => {
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await page.keyboard.type("  const sum");
    await ghostIs(page, /first \+ second/);
    await page.keyboard.press("Control+ArrowRight");
    await lineIs(page, /^ {2}const sum $/);
    await ghostIs(page, /^= first \+ second;$/);
    await page.keyboard.press("Control+Alt+ArrowRight");
    await lineIs(page, /^ {2}const sum = first \+ second;$/);
  });
});

test("typing something else drops the ghost text and cancels the model", async () => {
  await onStage("divergence", { files: { "cart.js": CODE }, rules: [] }, async ({ page, backend }) => {
    backend.say([{ when: "const sumx", steps: [{ text: "yz = 1;" }] }, { when: "const sum", steps: [{ text: " = prices.length;" }] }]);
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await page.keyboard.type("  const sum");
    await ghostIs(page, /^ = prices\.length;$/);
    await page.keyboard.type("x");
    await ghostIs(page, /^yz = 1;$/);
    assert.ok((await lines(page)).includes("  const sumx"));
  });
});

test("Escape dismisses a ghost text that still grows, and it stays away", async () => {
  await onStage("escape", { files: { "cart.js": CODE }, rules: [] }, async ({ page, backend }) => {
    backend.say([{ when: "const sum", steps: [{ text: " = prices" }, { text: ".length" }, backend.gate("rest"), { text: " + 1;" }] }]);
    await openAtEnd(page, "cart.js");
    await statusIs(page, READY);
    await page.keyboard.type("  const sum");
    await ghostIs(page, /^ = prices/);
    await page.keyboard.press("Escape");
    await ghostIsGone(page);
    backend.open("rest");
    // The next key is answered after the growth that must not be drawn.
    backend.say([{ when: "const sum2", steps: [{ text: " = 7;" }] }]);
    await page.keyboard.type("2");
    await ghostIs(page, /^ = 7;$/);
  });
});

/** Runs with a program that keeps what the editor says to the server; `heard` gives all of it so far. */
function listening(run: (heard: () => string) => Promise<void>): Promise<void> {
  return withProgram("listening", async (program) => {
    const file = `${program}.heard`;
    // Another test may have listened here.
    writeFileSync(file, "");
    // What is asked of it beside the server, such as its version, gives it no input that ends.
    const script = `#!/bin/sh\n[ "$1" = serve ] || exec '${process.env["GHOSTLINE_BIN"]}' "$@"\ntee -a '${file}' | '${process.env["GHOSTLINE_BIN"]}' "$@"\n`;
    writeFileSync(program, script, { mode: 0o755 });
    await run(() => readFileSync(file, "utf8"));
  });
}

test("the server is told where the cursor goes, and typing tells it nothing twice", async () => {
  const rules = [{ when: "let c", steps: [{ text: " = 3;" }] }];
  await onStage("moves", { files: { "cart.js": "let a;\nlet b;\n" }, rules }, async ({ page }) => {
    await listening(async (heard) => {
      const moves = () => [...heard().matchAll(/"ghostline\/didMoveCursor".*?"line":(\d+),"character":(\d+)/g)].map((move) => `${move[1]}:${move[2]}`);
      await statusIs(page, READY);
      await openAtEnd(page, "cart.js");
      const movesTo = (place: string) => eventually(() => `the server was told ${moves()}`, () => moves().at(-1) === place || undefined);
      await page.keyboard.press("ArrowUp");
      await movesTo("1:0");
      await page.keyboard.press("ArrowDown");
      await movesTo("2:0");
      const before = moves();
      await page.keyboard.type("let c");
      await ghostIs(page, /^ = 3;$/);
      assert.deepEqual(moves(), before);
    });
  });
});

test("with several cursors only an explicit trigger asks", async () => {
  const rules = [{ when: "two = 1", steps: [{ text: " + 3;" }] }];
  await onStage("cursors", { files: { "cart.js": "one\ntwo" }, rules }, async ({ page }) => {
    await listening(async (heard) => {
      const asked = () => [...heard().matchAll(/"textDocument\/inlineCompletion".*?"triggerKind":(\d)/g)].map((found) => Number(found[1]));
      await statusIs(page, READY);
      await openAtEnd(page, "cart.js");
      await command(page, "Add Cursor Above");
      await page.keyboard.type(" =");
      await lineIs(page, /^one =$/);
      await lineIs(page, /^two =$/);
      await command(page, "Trigger Inline Suggestion");
      await eventually(() => `the server was asked ${asked()}`, () => asked().includes(INVOKED) || undefined);
      assert.deepEqual(asked(), [INVOKED]);
      // One for what the trigger may have shown, and one for the cursors.
      await page.keyboard.press("Escape");
      await page.keyboard.press("Escape");
      await page.keyboard.type(" 1");
      await ghostIs(page, /^ \+ 3;$/);
    });
  });
});
