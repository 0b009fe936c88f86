/** Pieces of Markdown. Knows no editor. */

/** Text as it is, whatever Markdown would make of it. */
export function escape(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+!|<>~]/g, "\\$&").replace(/\s+/g, " ");
}

/** Text as code. */
export function literal(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  const fence = "`".repeat(longestRun(line) + 1);
  return `${fence} ${line} ${fence}`;
}

/** A sentence in which some is code between backticks; without any it is a command, and code as a whole. */
export function instruction(text: string): string {
  const parts = text.split("`");
  if (parts.length < 3 || parts.length % 2 === 0) return literal(text);
  return parts.map((part, n) => (n % 2 ? literal(part) : escape(part))).join("");
}

/** Text as a block of code that opens when somebody wants to see it. */
export function folded(title: string, language: string, text: string): string {
  const fence = "`".repeat(Math.max(3, longestRun(text) + 1));
  return `<details>\n<summary>${title}</summary>\n\n${fence}${language}\n${text}\n${fence}\n\n</details>`;
}

/** A table; its cells are Markdown already. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, n) => (n ? "---:" : "---"));
  return [head, rule, ...rows].map(line).join("\n");
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
