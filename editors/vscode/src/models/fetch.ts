/** Fetching models: what to fetch, how far it is, and what to do with it. */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import type { Program } from "../program.ts";
import { cancelProgress, executeCommandRequest, type WorkDone, workDone } from "../protocol.ts";
import { reason } from "../reason.ts";
import { list, select } from "./choose.ts";
import { type Line, type Listing, roleLines, weightLines } from "./listing.ts";

/** Roles that a model without a role is likely meant for. */
const LIKELY = ["completion", "chat"];

let number = 0;

/** Asks what to fetch, and fetches it. */
export async function fetchModel(client: LanguageClient, program: Program): Promise<void> {
  const listing = await list(program);
  const line = (label: string): Line & vscode.QuickPickItem => ({ label, description: "", name: "", kind: vscode.QuickPickItemKind.Separator });
  const other: Line = { label: "Another model…", description: "", name: "" };
  const entries = [
    line("The best for a role"),
    ...roleLines(listing),
    line("Run by ghostline itself"),
    ...weightLines(listing),
    line("Of Ollama's library"),
    other,
  ];
  const picked = await vscode.window.showQuickPick<Line>(entries, { title: "ghostline: fetch a model", placeHolder: "What should be fetched?" });
  if (picked === other) await fetchNamed(client, listing);
  else if (picked) await fetchAs(client, listing, picked.name);
}

/** Asks for a name to fetch for a role, or fetches the first of the role's candidates that can be had. */
export async function fetchFor(client: LanguageClient, listing: Listing, role: string): Promise<void> {
  const best: Line = { label: `The best that can be had for ${role}`, description: "", name: role };
  const other: Line = { label: "Another model…", description: "", name: "" };
  const picked = await vscode.window.showQuickPick<Line>([best, other], { title: `ghostline: fetch a model for ${role}` });
  if (picked === other) await fetchNamed(client, listing, role);
  else if (picked) await fetchAs(client, listing, role);
}

async function fetchNamed(client: LanguageClient, listing: Listing, role?: string): Promise<void> {
  const prompt = "A name of Ollama's library, such as qwen2.5-coder:1.5b";
  const name = (await vscode.window.showInputBox({ title: "ghostline: fetch a model", prompt }))?.trim();
  if (name) await fetchAs(client, listing, name, role);
}

/** Fetches a role's best or a model by its name. What is for no role so far is offered to some. */
async function fetchAs(client: LanguageClient, listing: Listing, name: string, role?: string): Promise<void> {
  const isRole = listing.roles.some((row) => row.role === name);
  const what = isRole ? `a model for ${name}` : name;
  let model: string | undefined;
  try {
    model = await pull(client, name, what);
  } catch (error) {
    // With a button the message is shown whole.
    const other = "Another model…";
    const answer = await vscode.window.showErrorMessage(`ghostline: ${what} was not fetched: ${reason(error)}`, other);
    if (answer === other) await fetchNamed(client, listing, role);
    return;
  }
  if (!model) return;
  const uses = isRole ? [] : (role ? [role] : LIKELY).map((use) => ({ title: `Use for ${use}`, use }));
  const answer = await vscode.window.showInformationMessage(`ghostline: ${model} is here.`, ...uses);
  if (answer) await select(client, answer.use, model);
}

/** Has the server fetch `name`; nothing when the person broke it off. */
async function pull(client: LanguageClient, name: string, what: string): Promise<string | undefined> {
  number += 1;
  const token = `ghostline/fetch/${number}`;
  const options = { location: vscode.ProgressLocation.Notification, title: `ghostline: fetching ${what}`, cancellable: true };
  return vscode.window.withProgress(options, async (progress, cancel) => {
    let percent = 0;
    const listening = client.onProgress(workDone, token, (done: WorkDone) => {
      const now = done.percentage ?? percent;
      progress.report({ increment: now - percent, ...(done.message ? { message: done.message } : {}) });
      percent = now;
    });
    cancel.onCancellationRequested(() => void client.sendNotification(cancelProgress, { token }));
    try {
      const params = { command: "ghostline.pullModel", arguments: [name], workDoneToken: token };
      const got = (await client.sendRequest(executeCommandRequest, params)) as { model: string };
      return got.model;
    } catch (error) {
      if (!cancel.isCancellationRequested) throw error;
      vscode.window.setStatusBarMessage("ghostline: the fetch was broken off; fetching the model again carries on", 8_000);
      return undefined;
    } finally {
      listening.dispose();
    }
  });
}
