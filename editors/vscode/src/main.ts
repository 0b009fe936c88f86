/** What happens once the extension is loaded: the status bar item, the commands, then the server. */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { Proposals } from "./chat/proposals.ts";
import { ChatView, VIEW } from "./chat/view.ts";
import type { Target } from "./client.ts";
import { tellCopies } from "./copies.ts";
import { Ghosts } from "./ghost.ts";
import { showMenu } from "./menu.ts";
import { chooseModel } from "./models/choose.ts";
import { fetchModel } from "./models/fetch.ts";
import { tellMoves } from "./moves.ts";
import { doctorPage, type Findings } from "./pages/doctor.ts";
import { metricsPage } from "./pages/metrics.ts";
import { Pages } from "./pages/pages.ts";
import { Pause } from "./pause.ts";
import { type Program, runJson } from "./program.ts";
import { completionUpdated, metricsRequest, showMarkdown } from "./protocol.ts";
import { trySample } from "./sample.ts";
import { locateOrInstall } from "./server/install.ts";
import { reason } from "./reason.ts";
import { SELECTOR } from "./selector.ts";
import { type Phase, Supervisor } from "./server/supervisor.ts";
import { serverSettings } from "./settings.ts";
import { StatusItem } from "./status/item.ts";

let supervisor: Supervisor | undefined;

export function start(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("ghostline", { log: true });
  const pages = new Pages();
  const pause = new Pause(context);
  const item = new StatusItem();
  const settings = () => {
    const all = vscode.workspace.getConfiguration();
    const circumstances = { trusted: vscode.workspace.isTrusted, paused: pause.here };
    return serverSettings(settingKeys(context), (key) => all.inspect(key), circumstances);
  };
  const proposals = new Proposals();
  const chat: ChatView = new ChatView(context, () => server.client, proposals);
  const server = new Supervisor(context, log, { settings, explain: (target) => void chat.explainTarget(target) });
  supervisor = server;
  let ghosts: Ghosts | undefined;
  let ofClient: vscode.Disposable[] = [];

  const showPause = () => item.set({ paused: pause.shown });
  const tellSettings = () => {
    showPause();
    server.tellSettings();
  };

  server.onDidStart((client) => {
    const own = new Ghosts(client, context.extension.id.toLowerCase(), SELECTOR, (ms) => item.latency(ms));
    ghosts = own;
    ofClient = [
      own,
      tellCopies(client, SELECTOR),
      tellMoves(client, SELECTOR),
      client.onNotification(completionUpdated, (update) => own.updated(update)),
      client.onNotification(showMarkdown, (shown) => void chat.show(shown)),
    ];
    chat.serverChanged();
  });
  server.onDidStop(() => {
    ghosts = undefined;
    for (const part of ofClient) part.dispose();
    ofClient = [];
  });
  server.onDidChangePhase((phase) => {
    item.set({ phase, paused: pause.shown });
    setProgress(phase);
  });

  const asked = (act: Act) => withServer(server, settings, act);
  const commands: Record<string, (...args: never[]) => unknown> = {
    "chat.open": () => chat.open(),
    "chat.new": () => chat.startAnew(),
    "chat.history": () => chat.history(),
    "chat.attachSelection": () => chat.attachSelection(),
    "chat.attachFile": (uri?: vscode.Uri) => chat.attachFile(uri),
    "chat.acceptProposal": () => proposals.accept(),
    "chat.rejectProposal": () => proposals.reject(),
    explainSelection: () => chat.explain(),
    rewrite: (target: Target) => rewrite(target),
    menu: () => showMenu(server.phase, pause),
    acceptWord: () => vscode.commands.executeCommand("editor.action.inlineSuggest.acceptNextWord"),
    acceptLine: () => vscode.commands.executeCommand("editor.action.inlineSuggest.acceptNextLine"),
    dismiss: () => {
      ghosts?.stopGrowing();
      return vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
    },
    pauseHere: () => pause.pauseHere(),
    pauseEverywhere: () => pause.pauseEverywhere(),
    resume: () => pause.resume(),
    pauseLanguage: () => {
      const language = vscode.window.activeTextEditor?.document.languageId;
      return language && pause.toggleLanguage(language);
    },
    chooseModel: () => asked(chooseModel),
    fetchModel: () => asked(fetchModel),
    doctor: () => asked((_, program) => doctor(program, pages)),
    showMetrics: () => asked(async (client) => pages.show("metrics", metricsPage(await client.sendRequest(metricsRequest, {})))),
    showLog: () => log.show(),
    restart: () => server.restart(),
    locateServer: () => locateOrInstall(server.phase.kind === "missing" ? server.phase.why : "The program was found"),
    getStarted: async () => {
      // The walkthrough's steps hear of what changes while they are there, and of nothing before.
      setProgress(undefined);
      await vscode.commands.executeCommand("workbench.action.openWalkthrough", `${context.extension.id}#start`, false);
      setProgress(server.phase);
    },
    tryCompletion: () => trySample(),
  };
  for (const [name, run] of Object.entries(commands)) {
    context.subscriptions.push(vscode.commands.registerCommand(`ghostline.${name}`, run));
  }
  context.subscriptions.push(
    log,
    pages,
    proposals,
    vscode.window.registerWebviewViewProvider(VIEW, chat),
    item,
    server,
    pause.onDidChange(tellSettings),
    vscode.window.onDidChangeActiveTextEditor(showPause),
    vscode.workspace.onDidGrantWorkspaceTrust(tellSettings),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("ghostline.server")) void server.restart();
      else if (event.affectsConfiguration("ghostline")) tellSettings();
    }),
  );
  void pause
    .load()
    .then(() => server.restart())
    .then(() => offerOnce(server, context));
}

export async function stop(): Promise<void> {
  await supervisor?.stop();
}

/** The keys of the settings that the manifest contributes. */
function settingKeys(context: vscode.ExtensionContext): string[] {
  const groups = context.extension.packageJSON.contributes.configuration as { properties: object }[];
  return groups.flatMap((group) => Object.keys(group.properties));
}

/** A person who has just installed the extension is told once that the program is missing. */
async function offerOnce(server: Supervisor, context: vscode.ExtensionContext): Promise<void> {
  if (server.phase.kind !== "missing" || context.globalState.get("offered")) return;
  await context.globalState.update("offered", true);
  const get = "Get it…";
  const answer = await vscode.window.showWarningMessage(`ghostline: ${server.phase.why}.`, get);
  if (answer === get) await locateOrInstall(server.phase.why);
}

type Act = (client: LanguageClient, program: Program) => Promise<unknown>;

/** Runs what a person asked for, and says why not when it fails. */
async function withServer(server: Supervisor, settings: () => Program["settings"], act: Act): Promise<void> {
  const { client, program } = server;
  if (!client?.isRunning() || !program) {
    const { phase } = server;
    const why = "why" in phase ? phase.why : "the server is starting";
    void vscode.window.showErrorMessage(`ghostline: ${why}`);
    return;
  }
  try {
    await act(client, { path: program, settings: settings() });
  } catch (error) {
    void vscode.window.showErrorMessage(`ghostline: ${reason(error)}`);
  }
}

/** Asks for words and has the server rewrite what a code action is about. */
async function rewrite(target: Target): Promise<void> {
  const prompt = "What should be different? For example: use early returns";
  const instruction = (await vscode.window.showInputBox({ title: "ghostline: rewrite", prompt }))?.trim();
  if (instruction) await vscode.commands.executeCommand("ghostline.action", { ...target, action: "rewrite", instruction });
}

async function doctor(program: Program, pages: Pages): Promise<void> {
  const options = { location: vscode.ProgressLocation.Notification, title: "ghostline: checking the set-up", cancellable: true };
  const findings = await vscode.window.withProgress(options, (_, token) => runJson<Findings>(program, ["doctor", "--json"], token));
  await pages.show("doctor", doctorPage(findings));
}

/** How far the first two steps of the walkthrough are. */
function setProgress(phase: Phase | undefined): void {
  const status = phase?.kind === "running" ? phase.status : undefined;
  setContext("running", status !== undefined);
  setContext("ready", status?.roles["completion"]?.state === "ready");
}

function setContext(name: string, value: boolean): void {
  void vscode.commands.executeCommand("setContext", `ghostline.${name}`, value);
}
