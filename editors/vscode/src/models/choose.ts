/** Choosing which model serves a role. */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { type Program, runJson } from "../program.ts";
import { executeCommandRequest } from "../protocol.ts";
import { fetchFor } from "./fetch.ts";
import { type Line, type Listing, modelLines, roleLines } from "./listing.ts";

/** Asks for a role and one of the installed models, and makes it the role's first choice. */
export async function chooseModel(client: LanguageClient, program: Program): Promise<void> {
  const listing = await list(program);
  const picked = await vscode.window.showQuickPick(roleLines(listing), { title: "ghostline: models", placeHolder: "Which role?" });
  if (!picked) return;
  const role = picked.name;
  const { candidates, others } = modelLines(listing, role);
  const line = (label: string): Line & vscode.QuickPickItem => ({ label, description: "", name: "", kind: vscode.QuickPickItemKind.Separator });
  const fetchOther: Line = { label: "$(cloud-download) Fetch another…", description: "", name: "" };
  const entries = [
    ...(candidates.length ? [line("In this role's list"), ...candidates] : []),
    ...(others.length ? [line("Also installed"), ...others] : []),
    line("Not here yet"),
    fetchOther,
  ];
  const options = { title: `ghostline: model for ${role}`, placeHolder: "It becomes the first choice, in your settings file" };
  const model = await vscode.window.showQuickPick<Line>(entries, options);
  if (!model) return;
  if (model === fetchOther) return fetchFor(client, listing, role);
  await select(client, role, model.name);
}

export async function select(client: LanguageClient, role: string, model: string): Promise<void> {
  await client.sendRequest(executeCommandRequest, { command: "ghostline.selectModel", arguments: [role, model] });
  vscode.window.setStatusBarMessage(`ghostline: ${model} is the first choice for ${role}`, 5_000);
}

export async function list(program: Program): Promise<Listing> {
  const options = { location: vscode.ProgressLocation.Window, title: "ghostline: asking which models there are" };
  return vscode.window.withProgress(options, () => runJson<Listing>(program, ["models", "list", "--json"]));
}
