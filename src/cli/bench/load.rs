//! `ghostline bench load`: the in-process engine beside a chat, a cancel, and a compiler.

use std::path::PathBuf;

use anyhow::Context;

use super::splice::installed;
use crate::cli::{Exit, Usage, output};
use crate::eval::figures::Quantiles;
use crate::eval::load::{self, Options, Report};
use crate::prompt::fim;

/// Arguments of `ghostline bench load`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// An installed model, for completions
    #[arg(long, default_value = "qwen2.5-coder-1.5b")]
    pub model: String,
    /// A GGUF file of that model, instead of the installed one
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// An installed model that chats beside it; the same one without it
    #[arg(long, value_name = "MODEL")]
    pub chat_model: Option<String>,
    /// A GGUF file of the model that chats
    #[arg(long, value_name = "FILE")]
    pub chat_weights: Option<PathBuf>,
    /// Completions, and cancels, that are measured
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..))]
    pub requests: u32,
    /// Threads that compute; the engine's own choice without it
    #[arg(long)]
    pub threads: Option<usize>,
    /// Threads that want to run beside it; two per core without it
    #[arg(long)]
    pub load_threads: Option<usize>,
    /// Decides the lines that are typed and when is cancelled
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Measures and prints.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let family = fim::family_of(&args.model, None).ok_or_else(|| {
        Usage(format!(
            "--model: {} is of no known family; name one as `ghostline models list` does",
            args.model
        ))
    })?;
    let file = |name: &String, weights: Option<PathBuf>| {
        let path = weights.map_or_else(|| installed(name), Ok)?;
        anyhow::Ok((name.clone(), path))
    };
    let model = file(&args.model, args.weights)?;
    let chat = match (&args.chat_model, args.chat_weights) {
        (None, None) => model.clone(),
        (name, weights) => file(name.as_ref().unwrap_or(&"chat".to_owned()), weights)?,
    };
    let options = Options {
        model,
        chat,
        requests: usize::try_from(args.requests)?,
        threads: args.threads,
        load_threads: args.load_threads,
        seed: args.seed,
    };
    let report = load::measure(&options, family).await?;
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    show(&report);
    Ok(Exit::Success)
}

fn show(report: &Report) {
    output::line(&format!(
        "{}, chat by {}, {} requests, {} threads, {}",
        report.model,
        report.chat_model,
        report.requests,
        report.threads,
        report.machine.summary(),
    ));
    let row = |name: &str, quantiles: &Quantiles| {
        let figure = |figure: Option<f64>| figure.map_or("-".to_owned(), |ms| format!("{ms:.1}"));
        let (p50, p95, p99) = (quantiles.p50, quantiles.p95, quantiles.p99);
        output::line(&format!(
            "{name:<44}{:>10}{:>10}{:>10}",
            figure(p50),
            figure(p95),
            figure(p99)
        ));
    };
    output::line(&format!(
        "{:<44}{:>10}{:>10}{:>10}",
        "ms", "p50", "p95", "p99"
    ));
    row("first token, alone", &report.first_token_alone_ms);
    row(
        "first token, a chat streams",
        &report.first_token_beside_chat_ms,
    );
    row("completion, alone", &report.completion_alone_ms);
    row(
        "completion, a chat streams",
        &report.completion_beside_chat_ms,
    );
    let cancelled = &report.cancel_to_idle_ms;
    row(
        "cancel to idle, while a prompt is computed",
        &cancelled.in_prompt,
    );
    row(
        "cancel to idle, while an answer is generated",
        &cancelled.in_answer,
    );
    row("cancel to idle, all", &cancelled.all);
    if let Some(ratio) = report.beside_over_alone_p95 {
        output::line(&format!(
            "a completion beside a chat takes {ratio:.2} times as long (p95); the chat had {} tokens",
            report.chat_tokens
        ));
    }
    let against = &report.against_reference;
    output::line(&format!(
        "prompt {:.1} tokens per second ({:.2} of llama.cpp alone), answer {:.1} ({:.2})",
        against.engine.prompt_tokens_per_second,
        against.prompt_ratio,
        against.engine.decode_tokens_per_second,
        against.decode_ratio
    ));
    let over = &report.oversubscribed;
    output::line(&format!(
        "{:.1} tokens per second alone, {:.1} beside {} busy threads: {:.0} % of a fair share",
        over.alone_tokens_per_second,
        over.beside_tokens_per_second,
        over.load_threads,
        over.share_of_fair * 100.0
    ));
}
