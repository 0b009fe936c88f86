import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { candidates, find } from "../../src/server/find.ts";
import { fits, parse, probe } from "../../src/server/version.ts";

const nowhere = { setting: "", extensionPath: "/ext", home: "/home/me", searchPath: "", windows: false };

test("what the person set is tried alone", () => {
  assert.deepEqual(candidates({ ...nowhere, setting: " ~/bin/ghostline ", searchPath: "/usr/bin" }), [
    { path: "/home/me/bin/ghostline", source: "setting" },
  ]);
});

test("without a setting: the bundled one, PATH in order, Cargo's folder", () => {
  const searchPath = ["/a", "/b"].join(delimiter);
  const paths = candidates({ ...nowhere, searchPath }).map(({ path }) => path);
  assert.deepEqual(paths, ["/ext/bin/ghostline", "/a/ghostline", "/b/ghostline", "/home/me/.cargo/bin/ghostline"]);
});

test("a relative folder on PATH is never searched", () => {
  const searchPath = [".", "", "node_modules/.bin", "/a"].join(delimiter);
  const paths = candidates({ ...nowhere, searchPath }).map(({ path }) => path);
  assert.deepEqual(paths, ["/ext/bin/ghostline", "/a/ghostline", "/home/me/.cargo/bin/ghostline"]);
});

test("Windows has a suffix", () => {
  assert.match(candidates({ ...nowhere, windows: true })[0]?.path ?? "", /ghostline\.exe$/);
});

test("the first file that can be executed is taken", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ghostline-find-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const at = (name: string) => join(folder, name);
  for (const name of ["folder", "text", "program"]) mkdirSync(at(name));
  mkdirSync(at("folder/ghostline"));
  writeFileSync(at("text/ghostline"), "");
  writeFileSync(at("program/ghostline"), "#!/bin/sh\necho ghostline 0.1.7-rc.1\n");
  chmodSync(at("program/ghostline"), 0o755);
  const searchPath = [at("none"), at("folder"), at("text"), at("program")].join(delimiter);
  const found = await find({ ...nowhere, home: folder, searchPath });
  assert.deepEqual(found, { path: at("program/ghostline"), source: "PATH" });
  assert.deepEqual(await probe(found?.path ?? ""), { version: "0.1.7" });
  assert.equal(await find({ ...nowhere, home: folder, setting: "relative/ghostline" }), undefined);
});

test("a program that is something else says so", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ghostline-probe-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o755);
    return join(folder, name);
  };
  assert.deepEqual(await probe(write("other", "#!/bin/sh\necho hello\n")), { error: "it is not ghostline: `--version` names none" });
  const broken = await probe(write("broken", "#!/bin/sh\nexit 3\n"));
  assert.match("error" in broken ? broken.error : "", /^it does not start: /);
});

test("versions", () => {
  assert.equal(parse("ghostline 1.2.3"), "1.2.3");
  assert.equal(parse("ghost 1.2.3"), undefined);
  const table: [string, string, boolean][] = [
    ["0.1.0", "0.1.0", true],
    ["0.1.9", "0.1.0", true],
    ["0.1.0", "0.1.1", false],
    ["0.2.0", "0.1.0", false],
    ["1.4.0", "1.2.5", true],
    ["1.2.4", "1.2.5", false],
    ["2.0.0", "1.2.5", false],
  ];
  for (const [version, oldest, expected] of table) assert.equal(fits(version, oldest), expected, `${version} for ${oldest}`);
});
