/** Whether a ghostline program fits this extension. Knows no editor. */
import { execFile } from "node:child_process";

/** The oldest server this extension speaks to. */
export const OLDEST = "0.1.0";

/** Time for `ghostline --version`, in milliseconds: it takes 5; a scanner may hold a new file. */
const PATIENCE_MS = 20_000;

export type Probe = { version: string } | { error: string };

/** Runs `PROGRAM --version`. */
export function probe(path: string): Promise<Probe> {
  return new Promise((resolve) => {
    execFile(path, ["--version"], { timeout: PATIENCE_MS, windowsHide: true }, (error, out) => {
      const version = parse(out);
      if (version) resolve({ version });
      else if (error) resolve({ error: `it does not start: ${error.message.trim()}` });
      else resolve({ error: "it is not ghostline: `--version` names none" });
    });
  });
}

/** `1.2.3` out of `ghostline 1.2.3-rc.1`. */
export function parse(output: string): string | undefined {
  return /^ghostline (\d+\.\d+\.\d+)/.exec(output)?.[1];
}

/** Whether `version` is at least `oldest` and promises the same interface. */
export function fits(version: string, oldest: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  const [oldMajor = 0, oldMinor = 0, oldPatch = 0] = oldest.split(".").map(Number);
  if (major !== oldMajor) return false;
  // Before 1.0 a new minor version may change anything, after it only adds.
  if (minor !== oldMinor) return major > 0 && minor > oldMinor;
  return patch >= oldPatch;
}
