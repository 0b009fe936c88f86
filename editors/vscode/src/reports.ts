/** The doctor's findings and the metrics as Markdown. Knows no editor. */

export interface Check {
  id: string;
  ok: boolean;
  severity: "error" | "warning" | "info";
  message: string;
  fix?: string | null;
}

export interface Findings {
  ok: boolean;
  checks: Check[];
}

/** The findings, what fails first. */
export function doctorPage({ checks }: Findings): string {
  const rank = { error: 0, warning: 1, info: 2 };
  const order = (check: Check) => (check.ok ? 3 : rank[check.severity]);
  const sorted = [...checks].sort((a, b) => order(a) - order(b));
  const failures = checks.filter((check) => !check.ok);
  const title = failures.length === 0 ? "All is well" : `${failures.length} of ${checks.length} checks want attention`;
  const lines = sorted.map((check) => {
    const mark = check.ok ? "✓" : { error: "✗", warning: "⚠", info: "ℹ" }[check.severity];
    const fix = !check.ok && check.fix ? `\n  ${literal(check.fix)}` : "";
    return `- ${mark} **${escape(check.id)}** ${escape(check.message)}${fix}`;
  });
  return [`# ghostline doctor`, title, lines.join("\n"), ""].join("\n\n");
}

/** The metrics as tables, one for each object in them. */
export function metricsPage(metrics: Record<string, unknown>): string {
  const parts = ["# ghostline metrics", "Counted in this window. Nothing leaves the machine. Times in milliseconds."];
  const table = (name: string, value: Record<string, unknown>): void => {
    const rows = Object.entries(value).filter(([, cell]) => !isTable(cell));
    if (rows.length) {
      const lines = rows.map(([key, cell]) => `| ${escape(key)} | ${escape(cell === null ? "–" : String(cell))} |`);
      parts.push(`## ${escape(name)}`, ["| | |", "|---|---|", ...lines].join("\n"));
    }
    for (const [key, cell] of Object.entries(value)) {
      if (isTable(cell)) table(name === "all" ? key : `${name} / ${key}`, cell);
    }
  };
  table("all", metrics);
  return `${parts.join("\n\n")}\n`;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Text as it is, whatever Markdown would make of it. */
function escape(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+!|<>~]/g, "\\$&").replace(/\s+/g, " ");
}

/** Text as code. */
function literal(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  const longest = Math.max(0, ...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence} ${line} ${fence}`;
}
