/**
 * The language client: what is announced, how failures are kept quiet, which feature is our own. A bundle
 * of its own, and the only code that holds the library: `server/supervisor.ts` loads it when the program is
 * found, others use the types alone.
 */
import * as vscode from "vscode";
import {
  type ClientCapabilities,
  CloseAction,
  type CloseHandlerResult,
  type DynamicFeature,
  ErrorAction,
  type ErrorHandler,
  ExecuteCommandRequest,
  InlineCompletionRequest,
  LanguageClient,
  type LanguageClientOptions,
  LSPErrorCodes,
  type Range,
  ResponseError,
  RevealOutputChannelOn,
  State,
  type StaticFeature,
} from "vscode-languageclient/node";
import { reason } from "./reason.ts";
import { SELECTOR } from "./selector.ts";

/** A server that ends more often than this within [`RESTARTS_WITHIN_MS`] is left alone. */
const RESTARTS = 3;
const RESTARTS_WITHIN_MS = 180_000;

const DID_ACCEPT = "ghostline.didAccept";
const EXPLAIN = "ghostline.explain";

class Client extends LanguageClient {
  /** `ghost.ts` asks for ghost text; the built-in feature only announces it. */
  override registerFeature(feature: StaticFeature | DynamicFeature<unknown>): void {
    if ("registrationType" in feature && feature.registrationType.method === InlineCompletionRequest.method) {
      feature.initialize = () => {};
    }
    super.registerFeature(feature);
  }
}

/** What we can draw beyond the standard protocol. */
class Extras implements StaticFeature {
  fillClientCapabilities(capabilities: ClientCapabilities): void {
    capabilities.experimental = { ghostline: { completionUpdates: true, markdown: true, instructions: true } };
  }
  initialize(): void {}
  getState() {
    return { kind: "static" as const };
  }
  clear(): void {}
}

/** Starts the server again when it ends, and tells `gaveUp` in place of a popup when it keeps ending. */
class QuietRestarts implements ErrorHandler {
  private ends: number[] = [];
  constructor(private readonly gaveUp: () => void) {}

  error() {
    return { action: ErrorAction.Continue, handled: true };
  }

  closed(): CloseHandlerResult {
    const now = Date.now();
    this.ends = [...this.ends.filter((end) => now - end < RESTARTS_WITHIN_MS), now];
    if (this.ends.length <= RESTARTS) return { action: CloseAction.Restart, handled: true };
    this.gaveUp();
    return { action: CloseAction.DoNotRestart, handled: true };
  }
}

/** What an action is about. */
export interface Target {
  uri: string;
  range: Range;
}

export interface Hooks {
  /** The object `ghostline` of the initialization options. */
  settings(): Record<string, unknown>;
  /** The server begins, for the first time or anew. */
  starting(): void;
  /** It answers. */
  running(client: LanguageClient): void;
  /** It keeps ending. */
  gaveUp(): void;
  /** Explains code in the chat view, where it streams and can be asked about. */
  explain(target: Target): void;
}

export function createClient(program: string, log: vscode.LogOutputChannel, hooks: Hooks): LanguageClient {
  const options: LanguageClientOptions = {
    documentSelector: SELECTOR,
    outputChannel: log,
    traceOutputChannel: log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationOptions: () => ({ ghostline: hooks.settings() }),
    initializationFailedHandler: () => false,
    errorHandler: new QuietRestarts(() => hooks.gaveUp()),
    markdown: { isTrusted: false, supportHtml: false },
    middleware: {
      async executeCommand(command, args) {
        if (command === EXPLAIN && isTarget(args[0])) return hooks.explain(args[0]);
        try {
          return await client.sendRequest(ExecuteCommandRequest.type, { command, arguments: args });
        } catch (error) {
          const wanted = !(error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled);
          // Accepting is a key of typing: a server that is gone must not show a message then.
          if (command !== DID_ACCEPT && wanted) void vscode.window.showErrorMessage(`ghostline: ${reason(error)}`);
          return undefined;
        } finally {
          if (command === DID_ACCEPT) void vscode.commands.executeCommand("setContext", "ghostline.accepted", true);
        }
      },
    },
  };
  const server = { command: program, args: ["serve", "--stdio"] };
  const client = new Client("ghostline", "ghostline", server, options);
  client.registerFeature(new Extras());
  client.onDidChangeState(({ newState }) => {
    if (newState === State.Running) hooks.running(client);
    if (newState === State.Starting) hooks.starting();
  });
  return client;
}

function isTarget(value: unknown): value is Target {
  return typeof value === "object" && value !== null && "uri" in value && "range" in value;
}
