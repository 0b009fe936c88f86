//! `ghostline bench search`: what search costs on a large index, and how well words, vectors and both find.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use crate::cli::{Exit, Usage, output};
use crate::config::{Candidate, Role};
use crate::eval::figures::Quantiles;
use crate::eval::machine::{Machine, rss_bytes};
use crate::eval::problem::{self, Problem};
use crate::eval::statistics::wilson;
use crate::host::LocalHost;
use crate::index::bench::{Costs, Options, RECALL_AT, Recall, costs, fill, recall};
use crate::router::{RoleState, Router};

/// Arguments of `ghostline bench search`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Chunks of the index whose costs are measured; 0 leaves that out.
    #[arg(long, default_value_t = 50_000)]
    pub chunks: usize,
    /// Numbers of a vector: 768 of nomic-embed-text, 1536 of the embedded 1.5B model.
    #[arg(long, default_value_t = 1536, value_parser = clap::value_parser!(u16).range(1..=8192))]
    pub dims: u16,
    /// Questions asked of it.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    pub queries: u16,
    /// Also measure quality on these problems: `HumanEval.jsonl.gz` of github.com/openai/human-eval. Each
    /// docstring looks for the body of its function, names removed.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// The model that embeds; what serves the embedding role when absent.
    #[arg(long, value_name = "[BACKEND/]MODEL")]
    pub model: Option<String>,
    /// How much the ranking by meaning counts beside the one by words, from 0; what search takes for the
    /// model when absent.
    #[arg(long)]
    pub weight: Option<f32>,
    /// Keep the vectors in this folder, and take those that are there: for more runs over one data set.
    #[arg(long, value_name = "FOLDER")]
    pub vectors: Option<PathBuf>,
    /// Only make the index of the costs, in this empty folder; started by the benchmark itself.
    #[arg(long, hide = true)]
    pub fill: Option<PathBuf>,
    /// Also write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Measures.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    if let Some(dir) = &args.fill {
        fill(dir, args.chunks, args.dims.into())?;
        return Ok(Exit::Success);
    }
    let mut object = json!({ "machine": Machine::here() });
    if args.chunks > 0 {
        let (chunks, dims, queries) = (
            args.chunks,
            usize::from(args.dims),
            usize::from(args.queries),
        );
        let measured = tokio::task::spawn_blocking(move || {
            let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
            let program = std::env::current_exe().context("cannot find the running program")?;
            let mut filling = std::process::Command::new(program);
            filling.args([
                "bench",
                "search",
                "--chunks",
                &chunks.to_string(),
                "--dims",
                &dims.to_string(),
            ]);
            let filled = filling.arg("--fill").arg(dir.path()).status()?;
            anyhow::ensure!(filled.success(), "the index could not be made");
            anyhow::Ok(costs(dir.path(), chunks, dims, queries, || {
                rss_bytes(std::process::id())
            })?)
        });
        object["costs"] = show_costs(measured.await??);
    }
    if let Some(data) = &args.data {
        let pairs: Vec<_> = problem::read(data)?.iter().filter_map(pair).collect();
        match quality(&args, &pairs).await? {
            Ok(measured) => object["quality"] = measured,
            Err(exit) => return Ok(exit),
        }
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&object)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Exit::Success)
}

fn show_costs(costs: Costs) -> serde_json::Value {
    let mib = |bytes: u64| bytes >> 20;
    output::line(&format!(
        "{} chunks, {} numbers a vector",
        costs.chunks, costs.dims
    ));
    let line = |name: &str, values: Vec<f64>| {
        let worst = values.iter().copied().reduce(f64::max);
        let of = Quantiles::of(values);
        let shown = |x: Option<f64>| x.map_or_else(|| "?".to_owned(), |x| format!("{x:.1}"));
        output::line(&format!(
            "{name:<24} p50 {:>7} ms  p95 {:>7} ms  worst {:>7} ms",
            shown(of.p50),
            shown(of.p95),
            shown(worst)
        ));
        json!(of)
    };
    let object = json!({
        "chunks": costs.chunks, "dims": costs.dims,
        "query_ms": line("question, by both", costs.query_ms),
        "words_ms": line("  by words alone", costs.words_ms),
        "vectors_ms": line("  by meaning alone", costs.vectors_ms),
        "refresh_ms": line("a changed file", costs.refresh_ms),
        "keep_ms": costs.keep_ms, "load_ms": costs.load_ms,
        "memory_bytes": costs.memory_bytes, "disk_bytes": costs.disk_bytes,
    });
    output::line(&format!(
        "{:<24} {:>11.1} ms",
        "keeping 16 vectors", costs.keep_ms
    ));
    output::line(&format!("{:<24} {:>11.1} ms", "loading all", costs.load_ms));
    let memory = costs
        .memory_bytes
        .map_or_else(|| "?".to_owned(), |bytes| mib(bytes).to_string());
    output::line(&format!("{:<24} {memory:>11} MiB", "memory"));
    output::line(&format!(
        "{:<24} {:>11} MiB",
        "on disk",
        mib(costs.disk_bytes)
    ));
    object
}

async fn quality(
    args: &Args,
    pairs: &[(String, String)],
) -> anyhow::Result<Result<serde_json::Value, Exit>> {
    let host = LocalHost::new();
    let (settings, mut choices, problems) =
        host.here().context("cannot find the current folder")?;
    for problem in &problems {
        output::note(problem);
    }
    if let Some(name) = &args.model {
        let candidate = Candidate::parse(name, &settings.backends)
            .map_err(|why| Usage(format!("--model: {why}")))?;
        choices.candidates.insert(Role::Embedding, vec![candidate]);
    }
    let router = Router::new(choices);
    router.check().await;
    let route = match router.route(Role::Embedding) {
        RoleState::Ready(route) => route,
        state => {
            let why = if let RoleState::Unavailable(why) = state {
                why
            } else {
                "no model".to_owned()
            };
            output::note(&format!("ghostline: {why}"));
            return Ok(Err(Exit::NoBackend));
        }
    };
    let all = 2 * pairs.len();
    let done = |count: usize| {
        if count.is_multiple_of(80) {
            output::note(&format!("{count} of {all} texts embedded"));
        }
    };
    let options = Options {
        weight: args.weight,
        vectors: args.vectors.as_deref(),
    };
    let measured = recall(pairs, &route, &options, done).await?;
    output::line(&format!(
        "{} on {}, {} questions",
        route.model,
        route.backend.name(),
        pairs.len()
    ));
    let candidates: Vec<_> = measured.iter().map(show_recall).collect();
    Ok(Ok(json!({
        "data": args.data.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy()),
        "model": route.model, "backend": route.backend.name(), "questions": pairs.len(),
        "candidates": candidates,
    })))
}

fn show_recall(recall: &Recall) -> serde_json::Value {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (found, all) = (
        recall.found.iter().filter(|found| **found).count(),
        recall.found.len(),
    );
    let share = f64::from(count(found)) / f64::from(count(all.max(1)));
    let mrr = recall.mean_reciprocal_rank;
    output::line(&format!(
        "{:<10} recall@{RECALL_AT} {share:.3} ({found} of {all}), mean reciprocal rank {mrr:.3}",
        recall.name
    ));
    json!({
        "name": recall.name, "problems": all, "passed": found, "rate": share,
        "interval": wilson(count(found), count(all)), "mean_reciprocal_rank": mrr,
    })
}

/// What is asked and what is to be found: the docstring up to its examples, and the body; both without the
/// function's name.
fn pair(problem: &Problem) -> Option<(String, String)> {
    let quote = if problem.prompt.contains("\"\"\"") {
        "\"\"\""
    } else {
        "'''"
    };
    let (_, doc) = problem
        .prompt
        .rsplit_once(&format!("def {}", problem.entry_point))?;
    let doc = doc.split(quote).nth(1)?;
    let end = [">>>", "Example", "example:", "For example", "e.g."]
        .iter()
        .filter_map(|sign| doc.find(sign))
        .min();
    let doc = doc.get(..end.unwrap_or(doc.len()))?;
    let doc: Vec<&str> = doc.split_whitespace().collect();
    let unnamed = |text: &str| text.replace(&problem.entry_point, "f");
    let question = unnamed(&doc.join(" "));
    (!question.trim().is_empty()).then(|| {
        (
            question,
            unnamed(&format!("def f():\n{}", problem.canonical_solution)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_and_its_body_have_no_name() {
        let problem = Problem {
            task_id: "x/0".into(),
            prompt: "import os\n\ndef add_all(xs):\n    \"\"\" Adds all, as add_all does.\n    >>> add_all([1])\n    \"\"\"\n".into(),
            suffix: None,
            canonical_solution: "    return xs[0] + add_all(xs[1:])\n".into(),
            test: String::new(),
            entry_point: "add_all".into(),
        };
        let (question, body) = pair(&problem).unwrap();
        assert_eq!(question, "Adds all, as f does.");
        assert_eq!(body, "def f():\n    return xs[0] + f(xs[1:])\n");
    }
}
