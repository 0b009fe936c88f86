/**
 * What outlives the window. VS Code's own stores are written some time after a change, in a browser seconds
 * after it, and a window that is loaded anew meanwhile finds what was before. A file is written at once.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type * as vscode from "vscode";

type Check<T> = (json: unknown) => T;

/** A value of one window. With a folder it has a file; those without would share one, so VS Code keeps it for each. */
export function keptByWindow<T>(
  { storageUri, workspaceState }: Pick<vscode.ExtensionContext, "storageUri" | "workspaceState">,
  name: string,
  none: T,
  check: Check<T>,
): Pick<Kept<T>, "read" | "change"> {
  if (storageUri) return new Kept(join(storageUri.fsPath, `${name}.json`), none, check);
  return {
    read: async () => workspaceState.get(name, none),
    change: (value) => void workspaceState.update(name, value),
  };
}

/** A value in a file of its own. */
export class Kept<T> {
  /** What is there, once it was read or changed. */
  private value: T | undefined;
  private writing: Promise<void> | undefined;
  private readonly file: string;
  private readonly none: T;
  private readonly check: Check<T>;

  /** `check` throws where `file` holds something else than a value; then it is `none`. */
  constructor(file: string, none: T, check: Check<T>) {
    this.file = file;
    this.none = none;
    this.check = check;
  }

  async read(): Promise<T> {
    if (this.value !== undefined) return this.value;
    const kept = await readFile(this.file, "utf8").then((text) => this.check(JSON.parse(text))).catch(() => this.none);
    // It may have been changed meanwhile.
    return (this.value ??= kept);
  }

  change(value: T): void {
    this.value = value;
    this.writing ??= this.write();
  }

  /** Waits until all is written. */
  async settled(): Promise<void> {
    await this.writing;
  }

  private async write(): Promise<void> {
    let written: T | undefined;
    try {
      await mkdir(dirname(this.file), { recursive: true });
      while (this.value !== written) {
        written = this.value;
        // Never a part of it, when the window ends now.
        await writeFile(`${this.file}.new`, JSON.stringify(written), { mode: 0o600 });
        await rename(`${this.file}.new`, this.file);
      }
    } catch {
      // A full disk costs the value at the window's end, and nothing while it is open.
    } finally {
      this.writing = undefined;
    }
  }
}
