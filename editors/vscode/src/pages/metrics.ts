/** `ghostline/metrics` in words. Knows no editor. What it has no words for is in the JSON at the end. */
import { escape, folded, table } from "./markdown.ts";

type Metrics = Record<string, unknown>;

/** Counts of `completions`, in the order of a person's questions. Indented ones are part of the one above. */
const COUNTED: readonly (readonly [key: string, words: string])[] = [
  ["requests", "Places asked about"],
  ["shown", "Ghost text answered"],
  ["fromCache", "– known already, as when you type along"],
  ["joined", "– from an answer under way"],
  ["generated", "– written anew by the model"],
  ["accepted", "Taken whole"],
  ["partlyAccepted", "Taken in part, counted by part"],
  ["superseded", "Overtaken by your next key"],
  ["empty", "Nothing that fits, or held back"],
  ["skipped", "Not wanted at that place, or switched off"],
  ["failed", "No model, or it failed"],
];

const TIMED = [
  ["answerMs", "From the question to ghost text"],
  ["firstTokenMs", "To the model's first token"],
] as const;

const SOURCES: Record<string, string> = { cache: "known already", joined: "an answer under way", generated: "written anew" };

export function metricsPage(metrics: Metrics): string {
  const completions = object(metrics["completions"]);
  const parts = [
    "# ghostline metrics",
    "Counted since this window's server started. Nothing leaves the machine. Open the page again for newer numbers.",
    "## Ghost text",
    table(["", "Times"], COUNTED.filter(([key]) => key in completions).map(([key, words]) => [words, number(completions[key])])),
    "## How long it takes",
    times(completions),
  ];
  const last = object(completions["last"]);
  if (Object.keys(last).length) parts.push("## The last ghost text", table(["", ""], lastRows(last)));
  const learned = learnedRows(object(metrics["gate"]));
  if (learned.length) parts.push("## Learned from what you take", table(["", ""], learned));
  if (typeof metrics["busyMs"] === "number") {
    parts.push("## The engine in ghostline", table(["", ""], [["Time it computed", duration(metrics["busyMs"])]]));
  }
  parts.push(folded("All numbers, as JSON", "json", JSON.stringify(metrics, null, 2)));
  return `${parts.join("\n\n")}\n`;
}

function times(completions: Metrics): string {
  const rows = TIMED.flatMap(([key, words]) => {
    const { count, p50, p95, p99 } = object(completions[key]);
    return count ? [[words, duration(p50), duration(p95), duration(p99), number(count)]] : [];
  });
  if (rows.length === 0) return "Nothing was measured yet.";
  return table(["", "Half within", "95 % within", "99 % within", "Measured"], rows);
}

function lastRows(last: Metrics): string[][] {
  const { model, backend, source, promptTokens, promptTokensEstimated, cachedTokens, generatedTokens, firstTokenMs, totalMs, whole } = last;
  const rows: string[][] = [["Model", `${text(model)} (${text(backend)})`], ["From", text(SOURCES[String(source)] ?? source)]];
  if (typeof promptTokens === "number") {
    const cached = typeof cachedTokens === "number" ? `, ${number(cachedTokens)} of them kept from before` : "";
    rows.push(["Prompt", `${promptTokensEstimated === true ? "about " : ""}${number(promptTokens)} tokens${cached}`]);
  }
  if (typeof generatedTokens === "number") rows.push(["Written", `${number(generatedTokens)} ${generatedTokens === 1 ? "token" : "tokens"}`]);
  if (typeof firstTokenMs === "number") rows.push(["First token after", duration(firstTokenMs)]);
  if (typeof totalMs === "number") rows.push([whole === false ? "So far" : "Whole after", duration(totalMs)]);
  return rows;
}

function learnedRows({ on, accepted, rejected, heldBack }: Metrics): string[][] {
  if (typeof accepted !== "number") return [];
  const rows = [["Taken", number(accepted)], ["Typed past", number(rejected)]];
  const held = on === true ? number(heldBack) : `${number(heldBack)}; not enough was learned to hold any back`;
  return [...rows, ["Held back, since you would hardly take it", held]];
}

/** A count with its thousands apart. */
function number(value: unknown): string {
  return typeof value === "number" ? value.toLocaleString("en") : "–";
}

/** Milliseconds in the unit that reads best. */
export function duration(ms: unknown): string {
  if (typeof ms !== "number") return "–";
  if (ms >= 60_000) return `${(ms / 60_000).toFixed(1)} min`;
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms > 0 && ms < 0.1) return "under 0.1 ms";
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function text(value: unknown): string {
  return value === null || value === undefined ? "–" : escape(String(value));
}

function object(value: unknown): Metrics {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Metrics) : {};
}
