/**
 * A real VS Code in a real browser: code-server and headless Chromium. One server and one browser for
 * all tests; each test has a window of its own on a folder of its own.
 *
 * Nothing sleeps: every wait is for something that must appear, and fails after PATIENCE_MS.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createWriteStream, globSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { Backend, type Rule } from "./backend.ts";
import { endsWithTests, eventually, PATIENCE_MS } from "./patience.ts";

/** The window's title, once the tests' settings are in force. */
const TITLE = "set by the tests";

const SETTINGS = {
  "window.title": TITLE,
  "editor.inlineSuggest.enabled": true,
  "workbench.startupEditor": "none",
  "workbench.colorTheme": "Default Dark Modern",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "extensions.autoUpdate": "off",
  "files.autoSave": "off",
  "telemetry.telemetryLevel": "off",
  // Other sources of what the tests look at.
  "editor.quickSuggestions": { other: "off", comments: "off", strings: "off" },
  "editor.wordBasedSuggestions": "off",
  "editor.minimap.enabled": false,
  "security.workspace.trust.enabled": false,
  "git.enabled": false,
  "typescript.validate.enable": false,
  "javascript.validate.enable": false,
};

/** `name` must be set by the one who runs the tests. */
function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; the tests run by .ci/editors/vscode`);
  return value;
}

export const outputFolder = (() => {
  const folder = process.env["GHOSTLINE_TEST_OUTPUT"] ?? join(import.meta.dirname, "../../test-output");
  mkdirSync(folder, { recursive: true });
  return folder;
})();

class Editor {
  readonly port: number;
  readonly folder: string;
  readonly browser: BrowserContext;
  private readonly server: ChildProcess;

  private constructor(port: number, folder: string, server: ChildProcess, browser: BrowserContext) {
    this.port = port;
    this.folder = folder;
    this.server = server;
    this.browser = browser;
  }

  static async start(): Promise<Editor> {
    const entry = realpathSync(required("GHOSTLINE_CODE_SERVER"));
    const folder = mkdtempSync(join(tmpdir(), "ghostline-vscode-"));
    const [userData, extensions, config] = ["user", "extensions", "config.yaml"].map((name) => join(folder, name)) as [string, string, string];
    writeFileSync(config, "");
    mkdirSync(join(userData, "User"), { recursive: true });
    mkdirSync(join(userData, "Machine"));
    setUser(folder, {});
    setProgram(folder, required("GHOSTLINE_BIN"));
    const common = ["--user-data-dir", userData, "--extensions-dir", extensions, "--config", config];
    const installed = spawnSync(process.execPath, [entry, ...common, "--install-extension", required("GHOSTLINE_VSIX")], { encoding: "utf8" });
    if (installed.status !== 0) throw new Error(`the extension was not installed:\n${installed.stdout}${installed.stderr}`);
    const port = await freePort();
    const log = createWriteStream(join(outputFolder, "code-server.log"));
    const args = [entry, ...common, "--auth", "none", "--bind-addr", `127.0.0.1:${port}`, "--disable-telemetry", "--disable-update-check"];
    const home = join(folder, "home");
    mkdirSync(home);
    const env = {
      PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
      HOME: home,
      LANG: "C.UTF-8",
      XDG_CONFIG_HOME: join(home, ".config"),
      // No weights: what serves is the scripted backend.
      GHOSTLINE_CACHE_DIR: join(home, "cache"),
    };
    const server = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    endsWithTests(server);
    server.stdout.pipe(log, { end: false });
    server.stderr.pipe(log, { end: false });
    await healthy(port, server);
    const browser = await chromium.launchPersistentContext(join(folder, "browser"), {
      executablePath: required("GHOSTLINE_CHROMIUM"),
      viewport: { width: 1280, height: 800 },
      permissions: ["clipboard-read", "clipboard-write"],
      args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
    browser.setDefaultTimeout(PATIENCE_MS);
    return new Editor(port, folder, server, browser);
  }

  async stop(): Promise<void> {
    await this.browser.close();
    const ended = new Promise((resolve) => this.server.once("exit", resolve));
    this.server.kill();
    await ended;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The person's own settings: the tests' with `more`. */
function setUser(folder: string, more: Record<string, unknown>): void {
  writeFileSync(join(folder, "user/User/settings.json"), JSON.stringify({ ...SETTINGS, ...more }));
}

/** The person's settings of the program, whatever editor runs it. */
function setConfig(folder: string, text: string): void {
  const own = join(folder, "home/.config/ghostline");
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "config.toml"), text);
}

/** The setting has scope `machine`, which VS Code reads from a file of its own. */
function setProgram(folder: string, program: string): void {
  writeFileSync(join(folder, "user/Machine/settings.json"), JSON.stringify({ "ghostline.server.path": program }));
}

let editor: Promise<Editor> | undefined;

/** Has the extension look for another program, in the tests' folder, while `act` runs. */
export async function withProgram(name: string, act: (program: string) => Promise<void>): Promise<void> {
  const folder = (await editor)?.folder;
  if (!folder) throw new Error("no editor runs");
  const program = join(folder, name);
  setProgram(folder, program);
  try {
    await act(program);
  } finally {
    setProgram(folder, required("GHOSTLINE_BIN"));
  }
}

/** The folder of the installed extension. */
export async function installed(): Promise<string> {
  editor ??= Editor.start();
  const extensions = join((await editor).folder, "extensions");
  const [name] = globSync("ghostline.ghostline-*", { cwd: extensions });
  if (!name) throw new Error("the extension is not installed");
  return join(extensions, name);
}

/** Ends the server and the browser, where a test started them. */
export async function stopEditor(): Promise<void> {
  await (await editor)?.stop();
  editor = undefined;
}

export interface Scene {
  /** The files of the workspace, by name. */
  files: Record<string, string>;
  /** What the scripted Ollama says; without, nothing listens. */
  rules?: Rule[];
  /** More arguments for it; `GATE` is the folder of its gates. */
  backendArgs?: string[];
  /** Settings of the workspace. */
  settings?: Record<string, unknown>;
  /** The person's own settings in this window. */
  user?: Record<string, unknown>;
  /** The person's own `config.toml`. */
  config?: string;
}

export interface Stage {
  page: Page;
  backend: Backend;
  folder: string;
  /** Writes other settings of the workspace. */
  settings: (settings: Record<string, unknown>) => void;
}

/** Opens a window on a fresh folder, runs `act` and closes it; a failure leaves a picture. */
export async function onStage(name: string, scene: Scene, act: (stage: Stage) => Promise<void>): Promise<void> {
  editor ??= Editor.start();
  const { port, folder: root, browser } = await editor;
  const folder = mkdtempSync(join(root, "workspace-"));
  const work = join(folder, "work");
  mkdirSync(join(work, ".vscode"), { recursive: true });
  for (const [file, text] of Object.entries(scene.files)) {
    mkdirSync(dirname(join(work, file)), { recursive: true });
    writeFileSync(join(work, file), text);
  }
  const backend = await Backend.start(folder, scene.rules ?? [], scene.backendArgs);
  if (!scene.rules) await backend.stop();
  const settings = (own: Record<string, unknown>) => writeFileSync(join(work, ".vscode/settings.json"), JSON.stringify(own));
  settings({
    "ghostline.backends": { ollama: { kind: "ollama", urls: [backend.url] } },
    ...scene.settings,
  });
  // A test before may have left others, such as another theme.
  setUser(root, scene.user ?? {});
  if (scene.config) setConfig(root, scene.config);
  const page = await browser.newPage();
  try {
    await page.goto(`http://127.0.0.1:${port}/?folder=${encodeURIComponent(work)}`);
    await settingsApply(page);
    await act({ page, backend, folder: work, settings });
  } catch (error) {
    await page.screenshot({ path: join(outputFolder, `failed-${name}.png`) }).catch(() => {});
    throw error;
  } finally {
    await page.close();
    if (scene.config) setConfig(root, "");
    await backend.stop();
  }
}

/**
 * Waits until the window follows the person's settings. A window that could not read them goes on without:
 * then suggestions of other sources are on, and Tab takes one of them. Such a window is loaded again.
 */
async function settingsApply(page: Page): Promise<void> {
  const apply = () => page.waitForFunction((title) => document.title === title, TITLE, { timeout: PATIENCE_MS / 2 });
  await page.waitForSelector(".monaco-workbench");
  try {
    await apply();
  } catch {
    console.warn(`the window is called ${await page.title()}: its settings were not read; it is loaded again`);
    await page.reload();
    await apply();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== "object" || !address) throw new Error("no free port");
  return address.port;
}

/** Waits until code-server answers. */
async function healthy(port: number, server: ChildProcess): Promise<void> {
  await eventually(() => "code-server does not answer", async () => {
    if (server.exitCode !== null) throw new Error(`code-server ended with ${server.exitCode}`);
    const health = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
    return health?.ok || undefined;
  });
}
