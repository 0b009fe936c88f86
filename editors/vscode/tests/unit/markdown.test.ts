import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { blocks, render } from "../../webview/markdown.ts";

test("HTML of a model is text", () => {
  for (const text of ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a <b>bold</b>", "<!-- x -->"]) {
    assert.doesNotMatch(render(text), /<(script|img|b|!--)/, text);
  }
});

test("pictures are named, never loaded", () => {
  const html = render("![a \"chart\"](https://example.com/x.png) ![](data:image/png;base64,AAAA)");
  assert.doesNotMatch(html, /<img|src=|url\(/);
  assert.match(html, /\[picture: a &quot;chart&quot;\]/);
});

test("links go to the web and show where; others are text", () => {
  assert.match(render("[here](https://example.com/?q=1)"), /<a href="https:\/\/example\.com\/\?q=1" title="https:\/\/example\.com\/\?q=1" rel="noreferrer noopener">here<\/a>/);
  for (const url of ["javascript:alert(1)", "command:ghostline.restart", "file:///etc/passwd", "data:text/html,x", "vscode://x", "//example.com"]) {
    assert.doesNotMatch(render(`[x](${url})`), /<a /, url);
  }
});

test("code is coloured and has its buttons; its name cannot break out", () => {
  const html = render("```rust\nfn main() {}\n```");
  assert.match(html, /<span class="hljs-keyword">fn<\/span>/);
  for (const act of ["copy", "insert", "apply"]) assert.ok(html.includes(`data-act="${act}"`));
  assert.doesNotMatch(render('```x"><script>\n</code></pre><script>1</script>\n```'), /<script/);
});

test("no style or script is inline, in what is rendered", () => {
  const html = render("# a\n\n| a | b |\n|:--|--:|\n| 1 | 2 |\n\n- x\n\n```js\n1\n```\n\n> q\n\n`c`");
  assert.doesNotMatch(html, / on\w+=| style=|javascript:/);
  assert.match(html, /<th class="right">b/);
});

const SAMPLE = "# Title\n\nSome *words*\nover lines.\n\n- a\n\n- b\n  - c\n\n```js\nlet a;\n\nlet b;\n```\n\n| a |\n|---|\n| 1 |\n\nEnd\n---\n\n1. x\n2. y\n\nlast";

test("blocks put together are the text, and render like the whole", () => {
  assert.equal(blocks(SAMPLE).join(""), SAMPLE);
  assert.equal(blocks(SAMPLE).map(render).join(""), render(SAMPLE));
});

test("a block that is not the last never changes as the text grows", () => {
  let settled: string[] = [];
  for (let end = 1; end <= SAMPLE.length; end += 1) {
    const now = blocks(SAMPLE.slice(0, end));
    const before = settled.map(render).join("");
    assert.equal(now.slice(0, settled.length).map(render).join(""), before, `after ${end} characters`);
    settled = now.slice(0, -1);
  }
});

test("the page's source names every command of its policy's scripts and no handler", () => {
  const source = readFileSync(join(import.meta.dirname, "../../src/chat/view.ts"), "utf8");
  const page = source.slice(source.indexOf("<!DOCTYPE html>"));
  assert.doesNotMatch(page, / on(click|load|error|submit)=|style=|<script>|<style/);
  assert.match(source, /default-src 'none'/);
  assert.doesNotMatch(source, /unsafe-(inline|eval)|img-src|connect-src/);
});
