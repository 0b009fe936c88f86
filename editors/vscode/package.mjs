// Makes ghostline-VERSION.vsix. `--program FILE` puts that ghostline inside, for one platform:
// `--target linux-x64` and the like, as vsce names them.
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
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
const bytes = ["dist/extension.cjs", "dist/chat.js", "dist/chat.css"].map((file) => statSync(file).size);
console.log(`${packagePath}: ${statSync(packagePath).size} bytes; bundles ${bytes.join(" + ")} = ${bytes.reduce((a, b) => a + b)} bytes`);
