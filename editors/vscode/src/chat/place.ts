/** Where a block of code from an answer belongs in a document. Knows no editor. */

/** A replacement, in UTF-16 units of the document. */
export interface Change {
  start: number;
  end: number;
  text: string;
}

export interface Hints {
  /** What was quoted in the question and still stands in the document. */
  quoted?: { start: number; end: number } | undefined;
  /** What is selected; empty is the cursor. */
  selection: { start: number; end: number };
}

/**
 * The quoted piece is replaced, else the selection, else the part of the document that begins and ends
 * as the code does, else the code goes in at the cursor.
 */
export function place(document: string, code: string, hints: Hints): Change {
  const { quoted, selection } = hints;
  if (quoted && quoted.start < quoted.end) return replacing(document, wholeLines(document, quoted), code);
  if (selection.start < selection.end) return replacing(document, wholeLines(document, selection), code);
  const same = between(document, code);
  if (same) return replacing(document, same, code);
  return { ...selection, text: indented(trimmed(code), indentAt(document, selection.start), false) };
}

/** Where `text` stands in `document`, if in one place only. */
export function only(document: string, text: string): { start: number; end: number } | undefined {
  if (!text.trim()) return undefined;
  const start = document.indexOf(text);
  if (start < 0 || document.indexOf(text, start + 1) >= 0) return undefined;
  return { start, end: start + text.length };
}

function replacing(document: string, { start, end }: { start: number; end: number }, code: string): Change {
  const old = document.slice(start, end);
  const text = indented(trimmed(code), indentOf(old), true);
  return { start, end, text: old.endsWith("\n") ? `${text}\n` : text };
}

/** The piece, grown to whole lines: a block of code has no part of a line. Its last line break stays out. */
function wholeLines(document: string, { start, end }: { start: number; end: number }) {
  const first = document.lastIndexOf("\n", start - 1) + 1;
  // An end at the beginning of a line belongs to the line before.
  const last = end > start && document[end - 1] === "\n" ? end - 1 : end;
  const stop = document.indexOf("\n", last);
  return { start: document.slice(first, start).trim() ? start : first, end: stop < 0 ? document.length : stop };
}

/** From the one line like the code's first to the next one like its last, at the same depth. */
function between(document: string, code: string): { start: number; end: number } | undefined {
  const wanted = trimmed(code).split("\n");
  const [head, tail] = [wanted[0]?.trim() ?? "", wanted.at(-1)?.trim() ?? ""];
  if (wanted.length < 2 || head.length < 4) return undefined;
  const lines = document.split("\n");
  const heads = lines.flatMap((line, n) => (line.trim() === head ? [n] : []));
  const [from] = heads;
  if (heads.length !== 1 || from === undefined) return undefined;
  const depth = indentOf(lines[from] ?? "").length;
  const to = lines.findIndex((line, n) => n > from && line.trim() === tail && indentOf(line).length === depth + deeper(wanted));
  if (to < 0) return undefined;
  const start = lines.slice(0, from).reduce((sum, line) => sum + line.length + 1, 0);
  return { start, end: start + lines.slice(from, to + 1).join("\n").length };
}

/** How much further in the code's last line stands than its first. */
function deeper(lines: string[]): number {
  return indentOf(lines.at(-1) ?? "").length - indentOf(lines[0] ?? "").length;
}

/** Moves the code so that its first line stands at `indent`. */
function indented(code: string, indent: string, first: boolean): string {
  const lines = code.split("\n");
  const own = indentOf(lines[0] ?? "");
  return lines
    .map((line, n) => {
      if (!line.trim()) return "";
      const rest = line.startsWith(own) ? line.slice(own.length) : line.trimStart();
      return n === 0 && !first ? rest : indent + rest;
    })
    .join("\n");
}

function indentOf(text: string): string {
  const line = text.split("\n").find((candidate) => candidate.trim()) ?? "";
  return /^[ \t]*/.exec(line)?.[0] ?? "";
}

/** The indent left of an offset. */
function indentAt(document: string, offset: number): string {
  const line = document.slice(document.lastIndexOf("\n", offset - 1) + 1, offset);
  return /^[ \t]*/.exec(line)?.[0] ?? "";
}

function trimmed(code: string): string {
  return code.replace(/\r\n?/g, "\n").replace(/^(?:[ \t]*\n)+/, "").trimEnd();
}
