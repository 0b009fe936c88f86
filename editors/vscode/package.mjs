// Makes ghostline-VERSION.vsix. `--program FILE` puts that ghostline inside, for one platform:
// `--target linux-x64` and the like, as vsce names them.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { createVSIX } from "@vscode/vsce";

const { values } = parseArgs({ options: { program: { type: "string" }, target: { type: "string" }, out: { type: "string" } } });
const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const made = ["LICENSE-MIT", "LICENSE-APACHE"];
for (const file of made) copyFileSync(`../../${file}`, file);
rmSync("bin", { recursive: true, force: true });
if (values.program) {
  mkdirSync("bin");
  copyFileSync(values.program, `bin/ghostline${basename(values.program).endsWith(".exe") ? ".exe" : ""}`);
}
const packagePath = values.out ?? `ghostline-${version}.vsix`;
try {
  await createVSIX({ packagePath, dependencies: false, skipLicense: true, ...(values.target ? { target: values.target } : {}) });
} finally {
  for (const file of made) rmSync(file);
}
const bytes = readdirSync("dist").map((file) => statSync(`dist/${file}`).size).reduce((a, b) => a + b);
console.log(`${packagePath}: ${statSync(packagePath).size} bytes; bundles ${bytes} bytes`);
// What a person downloads and VS Code reads; the program comes on top.
if (bytes > 1_000_000) throw new Error(`the bundles have ${bytes} bytes; 1,000,000 is the most`);
