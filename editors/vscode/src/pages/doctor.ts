/** The doctor's findings as a page. Knows no editor. */
import { escape, instruction } from "./markdown.ts";

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

const GROUPS = [
  { severity: "error", title: "To mend", mark: "✗" },
  { severity: "warning", title: "Worth a look", mark: "⚠" },
  { severity: "info", title: "Good to know", mark: "ℹ" },
] as const;

/** The findings, what fails first. Checks of editors' plugins are left out: the one that asks is there. */
export function doctorPage(findings: Findings): string {
  const checks = findings.checks.filter(({ id }) => !id.startsWith("editor."));
  const failed = (severity: string) => checks.filter((check) => !check.ok && check.severity === severity);
  const groups = GROUPS.flatMap(({ severity, title, mark }) => {
    const found = failed(severity);
    return found.length ? [`## ${title}`, ...found.map((check) => finding(check, mark))] : [];
  });
  const fine = checks.filter((check) => check.ok);
  if (fine.length) groups.push("## In order", fine.map((check) => `- ✓ ${said(check)}`).join("\n"));
  return `${["# ghostline doctor", summary(failed("error").length, failed("warning").length), ...groups].join("\n\n")}\n`;
}

function summary(errors: number, warnings: number): string {
  const counted = [count(errors, "error"), count(warnings, "warning")].filter(Boolean).join(" and ");
  return counted ? `${counted[0]?.toUpperCase()}${counted.slice(1)}.` : "All is well.";
}

function count(number: number, what: string): string {
  return number === 0 ? "" : `${number} ${what}${number === 1 ? "" : "s"}`;
}

function finding(check: Check, mark: string): string {
  const lines = [`${mark} ${said(check)}`];
  if (check.fix) lines.push(`What mends it: ${instruction(check.fix)}`);
  return lines.join("\n\n");
}

/** `role.chat` is for scripts; people read "role chat". */
function said({ id, message }: Check): string {
  return `**${escape(id.replaceAll(/[._]/g, " "))}:** ${escape(message)}`;
}
