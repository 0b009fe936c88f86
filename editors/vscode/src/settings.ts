/** The editor's settings as the server takes them: what the person set, and nothing of the defaults. */

/** Settings of the extension itself, which the server does not know. */
const OWN = ["ghostline.server.path", "ghostline.trace.server"];

/** What `WorkspaceConfiguration.inspect` tells. */
export interface Inspected {
  globalValue?: unknown;
  workspaceValue?: unknown;
  workspaceFolderValue?: unknown;
}

export interface Circumstances {
  /** Whether the person trusts the workspace. */
  trusted: boolean;
  /** Whether completions pause in this window. */
  paused: boolean;
}

/**
 * The object `ghostline` of the initialization options. Defaults stay out: sent, they would win over
 * the person's settings file.
 */
export function serverSettings(
  keys: readonly string[],
  inspect: (key: string) => Inspected | undefined,
  { trusted, paused }: Circumstances,
): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const key of keys) {
    if (OWN.includes(key)) continue;
    const found = inspect(key);
    const value = found?.workspaceFolderValue ?? found?.workspaceValue ?? found?.globalValue;
    if (value !== undefined) put(settings, key.split(".").slice(1), value);
  }
  if (paused) put(settings, ["inline", "enabled"], false);
  settings["trusted"] = trusted;
  return settings;
}

function put(settings: Record<string, unknown>, path: string[], value: unknown): void {
  let at = settings;
  for (const part of path.slice(0, -1)) {
    at = (at[part] ??= {}) as Record<string, unknown>;
  }
  const last = path.at(-1);
  if (last !== undefined) at[last] = value;
}
