/** Where the ghostline program may be: the setting, inside the extension, on PATH. Knows no editor. */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";

export interface Found {
  path: string;
  source: "setting" | "bundled" | "PATH";
}

export interface Where {
  /** `ghostline.server.path`; empty when not set. */
  setting: string;
  extensionPath: string;
  home: string;
  /** The variable PATH. */
  searchPath: string;
  windows: boolean;
}

/** What to try, in order. What the person set is tried alone: another program would be a surprise. */
export function candidates(where: Where): Found[] {
  const program = where.windows ? "ghostline.exe" : "ghostline";
  const setting = where.setting.trim();
  if (setting) {
    const path = /^~[/\\]/.test(setting) ? join(where.home, setting.slice(2)) : setting;
    return [{ path, source: "setting" }];
  }
  // A relative folder on PATH would find what a cloned repository holds.
  const folders = where.searchPath.split(delimiter).filter((folder) => isAbsolute(folder));
  // Cargo's folder of programs is not on the PATH of an editor started from a desktop.
  folders.push(join(where.home, ".cargo", "bin"));
  return [
    { path: join(where.extensionPath, "bin", program), source: "bundled" },
    ...folders.map((folder): Found => ({ path: join(folder, program), source: "PATH" })),
  ];
}

/** The first candidate that can be executed. */
export async function find(where: Where): Promise<Found | undefined> {
  for (const candidate of candidates(where)) {
    if (isAbsolute(candidate.path) && (await executable(candidate.path))) return candidate;
  }
  return undefined;
}

async function executable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
