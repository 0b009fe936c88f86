/** Choosing and fetching models. */
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { runJson } from "./program.ts";
import { executeCommandRequest } from "./protocol.ts";

interface Listing {
  models: { name: string; installed: boolean; size_bytes: number }[];
  roles: {
    role: string;
    candidates: { candidate: string; installed: boolean; chosen: boolean; why: string; model: string | null; backend: string | null; size_bytes: number | null }[];
  }[];
}

const USED_FOR: Record<string, string> = {
  completion: "ghost text",
  chat: "chat and code actions",
  reasoning: "planning changes",
  vision: "pictures",
  embedding: "search",
};

/** Asks for a role and one of the installed models, and makes it the role's first choice. */
export async function chooseModel(client: LanguageClient, program: string): Promise<void> {
  const listing = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: "ghostline: asking which models there are" },
    () => runJson<Listing>(program, ["models", "list", "--json"]),
  );
  const roles = listing.roles.map(({ role, candidates }) => ({
    label: role,
    description: USED_FOR[role] ?? "",
    detail: candidates.find((candidate) => candidate.chosen)?.candidate ?? "no model",
    role,
    candidates,
  }));
  const picked = await vscode.window.showQuickPick(roles, { title: "ghostline: models", placeHolder: "Which role?" });
  if (!picked) return;
  const installed = picked.candidates
    .filter((candidate) => candidate.installed)
    .map((candidate) => ({
      label: candidate.backend && candidate.model ? `${candidate.backend}/${candidate.model}` : candidate.candidate,
      description: candidate.chosen ? "serves now" : "",
      detail: candidate.why,
    }));
  const fetchOther = { label: "$(cloud-download) Fetch another…", description: "", detail: "" };
  const model = await vscode.window.showQuickPick([...installed, fetchOther], { title: `ghostline: model for ${picked.role}` });
  if (!model) return;
  if (model === fetchOther) return fetchModel(client, picked.role);
  await run(client, "ghostline.selectModel", [picked.role, model.label]);
}

/** Asks what to fetch and has the server fetch it, which shows its progress. */
export async function fetchModel(client: LanguageClient, role = "completion"): Promise<void> {
  const first = { label: `The first choice for ${role}`, name: role };
  const other = { label: "Another model…", name: "" };
  const picked = await vscode.window.showQuickPick([first, other], { title: "ghostline: fetch a model" });
  if (!picked) return;
  const prompt = "A model of Ollama's library or of `ghostline models list`, such as qwen2.5-coder:1.5b";
  const name = picked.name || (await vscode.window.showInputBox({ title: "ghostline: fetch a model", prompt }))?.trim();
  if (name) await run(client, "ghostline.pullModel", [name]);
}

async function run(client: LanguageClient, command: string, args: string[]): Promise<void> {
  await client.sendRequest(executeCommandRequest, { command, arguments: args });
}
