/** Which conversation a window goes on with when it is loaded anew. */
import { join } from "node:path";
import type * as vscode from "vscode";
import { Kept } from "./kept.ts";

const KEY = "conversation";

export interface Last {
  read(): Promise<string | undefined>;
  change(conversation: string | undefined): void;
}

/** A window with a folder keeps it in a file. Those without would share one, so VS Code keeps it for each. */
export function lastConversation({ storageUri, workspaceState }: Pick<vscode.ExtensionContext, "storageUri" | "workspaceState">): Last {
  if (!storageUri) {
    return {
      read: async () => workspaceState.get<string>(KEY),
      change: (conversation) => void workspaceState.update(KEY, conversation),
    };
  }
  const kept = new Kept(join(storageUri.fsPath, "conversation.json"), "", check);
  return {
    read: async () => (await kept.read()) || undefined,
    change: (conversation) => kept.change(conversation ?? ""),
  };
}

function check(json: unknown): string {
  if (typeof json !== "string") throw new TypeError("no conversation");
  return json;
}
