/** What `ghostline models list --json` tells, and how a person reads it. Knows no editor. */

export interface Listing {
  /** Weights of the engine in ghostline. */
  models: { name: string; installed: boolean; size_bytes: number }[];
  backends: { name: string; answers: boolean; message: string | null; models?: string[] }[];
  roles: { role: string; candidates: Candidate[] }[];
}

export interface Candidate {
  candidate: string;
  installed: boolean;
  chosen: boolean;
  why: string;
  model: string | null;
  backend: string | null;
  size_bytes: number | null;
}

/** A line of a menu; `name` is what the server is told. */
export interface Line {
  label: string;
  description: string;
  detail?: string;
  name: string;
}

const USED_FOR: Record<string, string> = {
  completion: "ghost text",
  chat: "chat and code actions",
  reasoning: "planning changes",
  vision: "pictures",
  embedding: "search",
};

/** The roles, each with what serves it now, and what it would rather have. */
export function roleLines({ roles }: Listing): Line[] {
  return roles.map(({ role, candidates }) => {
    const serving = candidates.find(({ chosen }) => chosen);
    const [first] = candidates;
    const now = serving ? `now ${whole(serving)}` : "no model";
    const rather = first && first !== serving ? `; first choice ${first.candidate}` : "";
    return { label: role, description: USED_FOR[role] ?? "", detail: now + rather, name: role };
  });
}

/** What is installed and can serve a role: first its own candidates, then all else that backends have. */
export function modelLines({ backends, roles }: Listing, role: string): { candidates: Line[]; others: Line[] } {
  const own = roles.find((row) => row.role === role)?.candidates.filter(({ installed }) => installed) ?? [];
  const candidates: Line[] = [];
  for (const candidate of own) {
    const name = whole(candidate);
    // Several candidates may be the same model.
    if (candidates.some((line) => line.name === name)) continue;
    const description = [candidate.chosen ? "serves now" : "", size(candidate.size_bytes)].filter(Boolean).join(", ");
    candidates.push({ label: name, description, name });
  }
  const all = backends.flatMap(({ name, models }) => (models ?? []).map((model) => `${name}/${model}`));
  const others = all.filter((name) => !candidates.some((line) => line.name === name)).map((name) => ({ label: name, description: "", name }));
  return { candidates, others };
}

/** The weights that ghostline fetches and runs by itself. */
export function weightLines({ models }: Listing): Line[] {
  return models.map(({ name, installed, size_bytes }) => ({
    label: name,
    description: installed ? "is here" : size(size_bytes),
    name,
  }));
}

function whole({ backend, model, candidate }: Candidate): string {
  return backend && model ? `${backend}/${model}` : candidate;
}

export function size(bytes: number | null): string {
  if (bytes === null) return "";
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;
}
