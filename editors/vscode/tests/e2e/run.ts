/** Runs the end-to-end tests in one process, so that they share one editor and one browser. */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";

const files = globSync("*.test.ts", { cwd: import.meta.dirname }).sort().map((file) => join(import.meta.dirname, file));
const reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout"];
const junit = process.env["GHOSTLINE_JUNIT"];
if (junit) reporters.push("--test-reporter=junit", `--test-reporter-destination=${junit}`);
// A test that was given up may have left something open, which would keep the process for ever.
const args = ["--test", "--test-isolation=none", "--test-timeout=240000", "--test-force-exit", ...reporters, ...process.argv.slice(2), ...files];
process.exit(spawnSync(process.execPath, args, { stdio: "inherit" }).status ?? 1);
