/** What a person attaches to a question: a selection, a file, a picture. */
import * as vscode from "vscode";
import type { WireAttachment } from "../protocol.ts";

/** Larger pictures are refused here; the server makes smaller ones fit. In bytes. */
const MOST_BYTES = 20_000_000;

const PICTURES: Record<string, string> = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp" };

export interface Attachment {
  label: string;
  /** Of text, where it is. */
  uri?: vscode.Uri;
  range?: vscode.Range;
  /** Of a selection, what it said. */
  text?: string;
  /** Of a picture, what goes to the server. */
  picture?: { mime: string; base64: string };
}

/** The selection of the active editor, the whole file when nothing is selected. */
export function selection(): Attachment | undefined {
  const editor = vscode.window.activeTextEditor;
  if (!editor) return undefined;
  const { document, selection } = editor;
  return selection.isEmpty ? file(document.uri) : piece(document, selection);
}

export function piece(document: vscode.TextDocument, range: vscode.Range): Attachment {
  // An end at the beginning of a line belongs to the line before.
  const end = range.end.character === 0 && range.end.line > range.start.line ? range.end.line : range.end.line + 1;
  const first = range.start.line + 1;
  return {
    label: `${name(document.uri)}:${first === end ? first : `${first}–${end}`}`,
    uri: document.uri,
    range: new vscode.Range(range.start, range.end),
    text: document.getText(range),
  };
}

export function file(uri: vscode.Uri): Attachment {
  return { label: name(uri), uri };
}

/** Asks for files or pictures. */
export async function choose(what: "file" | "image"): Promise<Attachment[]> {
  const filters = what === "image" ? { Pictures: Object.keys(PICTURES) } : {};
  const dialog = { title: `Attach a ${what}`, openLabel: "Attach", canSelectMany: true, filters };
  const chosen = (await vscode.window.showOpenDialog(dialog)) ?? [];
  return Promise.all(chosen.map(read));
}

/** A picture is read, text is left to the server. */
async function read(uri: vscode.Uri): Promise<Attachment> {
  const mime = PICTURES[uri.path.split(".").at(-1)?.toLowerCase() ?? ""];
  if (!mime) return file(uri);
  const bytes = await vscode.workspace.fs.readFile(uri);
  return picture(name(uri), mime, Buffer.from(bytes).toString("base64"));
}

export function picture(label: string, mime: string, base64: string): Attachment {
  if (!Object.values(PICTURES).includes(mime)) throw new Error(`${label} is no picture that a model reads (PNG, JPEG, GIF, WebP)`);
  if (base64.length * 0.75 > MOST_BYTES) throw new Error(`${label} is larger than ${MOST_BYTES / 1e6} MB`);
  return { label, picture: { mime, base64 } };
}

/** As the server takes it. */
export function wire(attachment: Attachment, asUri: (uri: vscode.Uri) => string): WireAttachment[] {
  const { uri, range, picture } = attachment;
  if (picture) return [picture];
  if (!uri) return [];
  return [range ? { uri: asUri(uri), range: { start: { ...place(range.start) }, end: { ...place(range.end) } } } : { uri: asUri(uri) }];
}

function place({ line, character }: vscode.Position) {
  return { line, character };
}

function name(uri: vscode.Uri): string {
  return vscode.workspace.asRelativePath(uri, false);
}
