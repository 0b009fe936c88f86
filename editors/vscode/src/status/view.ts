/** What the status bar says. Knows no editor. */
import type { Status } from "../protocol.ts";
import type { Phase } from "../server/supervisor.ts";

/** Where completions pause. */
export type Paused = "here" | "everywhere" | "language";

const WHERE: Record<Paused, string> = { here: "in this workspace", everywhere: "everywhere", language: "for this language" };

export interface Now {
  phase: Phase;
  /** Whether completions pause here, and why. */
  paused: Paused | undefined;
  /** How long the last ghost text took the server. */
  latencyMs: number | undefined;
}

export interface View {
  text: string;
  /** One sentence. */
  title: string;
  severity: "none" | "warning" | "error";
  /** What a screen reader says. */
  accessible: string;
}

export function view({ phase, paused, latencyMs }: Now): View {
  switch (phase.kind) {
    case "missing":
      return said("$(error) ghostline: no program", phase.why, "error");
    case "stopped":
      return said("$(error) ghostline: stopped", phase.why, "error");
    case "starting":
      return said("$(loading~spin) ghostline", "ghostline is starting");
    case "running":
      if (paused) return said("$(debug-pause) ghostline", `Completions pause ${WHERE[paused]}`);
      return running(phase.status, latencyMs);
  }
}

function running(status: Status, latencyMs: number | undefined): View {
  const completion = status.roles["completion"];
  const model = completion?.model ?? undefined;
  const latency = latencyMs === undefined ? "" : ` · ${latencyMs < 10 ? latencyMs.toFixed(1) : Math.round(latencyMs)} ms`;
  switch (status.state) {
    case "starting":
      return said("$(loading~spin) ghostline", status.message);
    case "loading": {
      const percent = completion?.loadedPercent;
      return said(`$(loading~spin) ${short(model)}${percent == null ? "" : ` ${percent} %`}`, status.message);
    }
    case "ready":
      return said(`$(sparkle) ${short(model)}${latency}`, status.message);
    case "degraded":
      // Completions come all the same when a model serves them.
      return completion?.state === "ready"
        ? said(`$(sparkle) ${short(model)}${latency}`, status.message)
        : said("$(warning) ghostline", status.message, "warning");
    case "unavailable":
      return said("$(circle-slash) ghostline: no model", status.message, "warning");
  }
}

/** What one line of a menu has room for, in characters. */
const MENU_CHARACTERS = 84;

/** A sentence that fits a menu's line: its first clause, or as many words as there is room for. */
export function clipped(sentence: string): string {
  if (sentence.length <= MENU_CHARACTERS) return sentence;
  const clause = sentence.split(/[,;] /, 1)[0] ?? "";
  if (clause.length <= MENU_CHARACTERS) return clause;
  const words = clause.slice(0, MENU_CHARACTERS - 1);
  return `${words.slice(0, words.lastIndexOf(" "))}…`;
}

/** What a status bar has room for. */
const MOST_CHARACTERS = 28;

/** `qwen2.5-coder:1.5b` of `hf.co/someone/qwen2.5-coder:1.5b-base-q4_K_M`. */
export function short(model: string | undefined): string {
  if (!model) return "ghostline";
  const name = model.split("/").at(-1) ?? model;
  const bare = name.replace(/\.gguf$/i, "").replace(/(-base|-instruct)?-q\d\w*$/i, "");
  return bare.length > MOST_CHARACTERS ? `${bare.slice(0, MOST_CHARACTERS - 1)}…` : bare;
}

function said(text: string, title: string, severity: View["severity"] = "none"): View {
  const plain = text.replace(/\$\([^)]*\)\s*/g, "");
  return { text, title, severity, accessible: `ghostline: ${plain.replace(/^ghostline:? ?/, "")}. ${title}` };
}

/** The roles as a Markdown table. */
export function rolesTable(status: Status): string {
  const rows = Object.entries(status.roles).map(([role, { state, model, backend, fallback }]) => {
    const who = model ? `\`${model.replaceAll("`", "")}\` (${backend ?? "?"})${fallback ? ", not the first choice" : ""}` : "–";
    return `| ${role} | ${state} | ${who} |`;
  });
  return ["| role | state | model |", "|---|---|---|", ...rows].join("\n");
}
