import assert from "node:assert/strict";
import { test } from "node:test";
import { type Candidate, type Listing, modelLines, roleLines, size, weightLines } from "../../src/models/listing.ts";

function candidate(change: Partial<Candidate>): Candidate {
  return { candidate: "x", installed: false, chosen: false, why: "not installed", model: null, backend: null, size_bytes: null, ...change };
}

const SMALL = { installed: true, model: "qwen2.5-coder:1.5b", backend: "ollama", size_bytes: 986_000_000 };
const LISTING: Listing = {
  models: [
    { name: "qwen2.5-coder-1.5b", installed: false, size_bytes: 1_117_320_768 },
    { name: "qwen2.5-coder-0.5b", installed: true, size_bytes: 491_400_064 },
  ],
  backends: [
    { name: "ollama", answers: true, message: null, models: ["qwen2.5-coder:1.5b", "llama3.1:8b"] },
    { name: "old", answers: false, message: "silent" },
  ],
  roles: [
    {
      role: "completion",
      candidates: [
        candidate({ candidate: "qwen3-coder:1.5b-q4_K_M" }),
        candidate({ candidate: "qwen2.5-coder:1.5b", chosen: true, ...SMALL }),
        candidate({ candidate: "qwen2.5-coder:*", ...SMALL }),
      ],
    },
    { role: "vision", candidates: [candidate({ candidate: "gemma3:12b" })] },
  ],
};

test("a role shows what serves it, or what it would rather have", () => {
  assert.deepEqual(roleLines(LISTING).map(({ label, description, detail }) => [label, description, detail]), [
    ["completion", "ghost text", "now ollama/qwen2.5-coder:1.5b; first choice qwen3-coder:1.5b-q4_K_M"],
    ["vision", "pictures", "no model; first choice gemma3:12b"],
  ]);
});

test("every installed model can be chosen, each once", () => {
  const { candidates, others } = modelLines(LISTING, "completion");
  assert.deepEqual(candidates, [{ label: "ollama/qwen2.5-coder:1.5b", description: "serves now, 986 MB", name: "ollama/qwen2.5-coder:1.5b" }]);
  assert.deepEqual(others.map(({ name }) => name), ["ollama/llama3.1:8b"]);
  assert.deepEqual(modelLines(LISTING, "vision").others.length, 2);
});

test("ghostline's own models show their size, or that they are here", () => {
  assert.deepEqual(weightLines(LISTING).map(({ description }) => description), ["1.1 GB", "is here"]);
  assert.deepEqual([size(null), size(12_000_000)], ["", "12 MB"]);
});
