import assert from "node:assert/strict";
import { test } from "node:test";
import { only, place } from "../../src/chat/place.ts";

/** The document with `⟦` and `⟧` around the selection, or `|` at the cursor; answers it with the code in place. */
function placed(marked: string, code: string, quoted?: string): string {
  const bare = marked.replace(/[⟦⟧|]/g, "");
  const cursor = marked.indexOf("|");
  const selection = cursor >= 0 ? { start: cursor, end: cursor } : { start: marked.indexOf("⟦"), end: marked.indexOf("⟧") - 1 };
  const { start, end, text } = place(bare, code, { selection, quoted: quoted ? only(bare, quoted) : undefined });
  return bare.slice(0, start) + text + bare.slice(end);
}

test("the selection is replaced by whole lines, at its own indent", () => {
  assert.equal(placed("class A {\n    ⟦old();⟧\n}\n", "fresh();\nmore();\n"), "class A {\n    fresh();\n    more();\n}\n");
});

test("a selection that ends at the beginning of a line leaves that line", () => {
  assert.equal(placed("⟦one\n⟧two\n", "1"), "1\ntwo\n");
});

test("a selection inside a line stays inside it", () => {
  assert.equal(placed("let a = ⟦1⟧;\n", "2;"), "let a = 2;\n");
});

test("what was quoted wins over the selection", () => {
  assert.equal(placed("one\n⟦two⟧\nthree\n", "3", "three"), "one\ntwo\n3\n");
});

test("a function is found by its first and last line", () => {
  const document = "fn a() {\n    1\n}\n\nfn b() {\n    2\n}\n|";
  assert.equal(placed(document, "fn b() {\n    3\n}"), "fn a() {\n    1\n}\n\nfn b() {\n    3\n}\n");
});

test("a method is found inside its class, and moved to its depth", () => {
  const document = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n|";
  const code = "def f(self):\n    x = 5\n    return 1\n";
  assert.equal(placed(document, code), "class A:\n    def f(self):\n        x = 5\n        return 1\n\n    def g(self):\n        return 2\n");
});

test("a first line that occurs twice is no place", () => {
  assert.equal(placed("if (a) {\n}\nif (a) {\n}\n|", "if (a) {\n  b\n}"), "if (a) {\n}\nif (a) {\n}\nif (a) {\n  b\n}");
});

test("at the cursor the first line goes on where it stands, the rest is indented", () => {
  assert.equal(placed("    |\n", "a\n  b\n"), "    a\n      b\n");
});

test("line ends of other systems", () => {
  assert.equal(placed("⟦x⟧", "a\r\nb\r\n"), "a\nb");
});

test("a quoted text that is gone or ambiguous is no place", () => {
  assert.equal(only("abcabc", "abc"), undefined);
  assert.equal(only("abc", "x"), undefined);
  assert.equal(only("abc", "  "), undefined);
  assert.deepEqual(only("abc", "bc"), { start: 1, end: 3 });
});
