//! How the in-process engine holds up under load, on real weights.
//!
//! Four questions. What does a chat that streams cost a completion? How soon is the engine idle after a
//! cancel? What is left of decoding when more threads want to run than there are cores, as beside a
//! compiler? How near is the engine to llama.cpp alone? Completions are asked for as somebody types: some
//! words on a line, then another line.
//!
//! Called by `cli/bench/load`.

mod decoding;
mod typing;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use self::typing::{Scene, chat};
use super::figures::Quantiles;
use super::machine::Machine;
use crate::backend::Backend;
use crate::backend::embedded::{Drafting, Embedded, EmbeddedModel, EngineOptions, Reference};
use crate::prompt::fim::Family;

/// What is measured on what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name and GGUF file of the model for completions.
    pub model: (String, PathBuf),
    /// Name and GGUF file of the model that chats; the same one where they are equal.
    pub chat: (String, PathBuf),
    /// Completions, and cancels, that are measured.
    pub requests: usize,
    /// Threads that compute; `None` for the engine's own choice.
    pub threads: Option<usize>,
    /// Threads that want to run beside it; `None` for two per core.
    pub load_threads: Option<usize>,
    /// Decides the lines and the moments of the cancels.
    pub seed: u64,
}

/// The figures. Times are in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// The model that completes.
    pub model: String,
    /// The model that chats.
    pub chat_model: String,
    /// Threads that compute.
    pub threads: usize,
    /// Completions asked for each time.
    pub requests: usize,
    /// From the request to the first text, nothing else running.
    pub first_token_alone_ms: Quantiles,
    /// The same while a chat streams.
    pub first_token_beside_chat_ms: Quantiles,
    /// From the request to the end, nothing else running.
    pub completion_alone_ms: Quantiles,
    /// The same while a chat streams.
    pub completion_beside_chat_ms: Quantiles,
    /// The 95th percentile beside the chat over the one alone.
    pub beside_over_alone_p95: Option<f64>,
    /// Tokens that the chat generated meanwhile.
    pub chat_tokens: u64,
    /// From the cancel to the moment when the engine works on nothing.
    pub cancel_to_idle_ms: Cancelled,
    /// Decoding beside more threads than there are cores.
    pub oversubscribed: Oversubscribed,
    /// The engine against llama.cpp's own benchmark loop, taken in turns.
    pub against_reference: AgainstReference,
}

/// The best of a few rounds.
#[derive(Debug, Clone, Serialize)]
pub struct AgainstReference {
    /// llama.cpp alone.
    pub reference: Reference,
    /// The engine: a prompt and an answer asked for as any other.
    pub engine: Reference,
    /// The engine's speed over the other's.
    pub prompt_ratio: f64,
    /// The same of answers.
    pub decode_ratio: f64,
}

/// Cancels by what they hit.
#[derive(Debug, Clone, Serialize)]
pub struct Cancelled {
    /// All.
    pub all: Quantiles,
    /// While a prompt was computed.
    pub in_prompt: Quantiles,
    /// While an answer was generated.
    pub in_answer: Quantiles,
}

/// Decoding beside a load.
#[derive(Debug, Clone, Serialize)]
pub struct Oversubscribed {
    /// Threads that wanted to run, the engine's own left out.
    pub load_threads: usize,
    /// Tokens per second, nothing else running.
    pub alone_tokens_per_second: f64,
    /// Tokens per second beside the load.
    pub beside_tokens_per_second: f64,
    /// The share of the speed that is left when every thread gets as much of the cores as any other.
    pub fair_share: f64,
    /// The speed beside the load over the fair share of the speed alone.
    pub share_of_fair: f64,
}

/// Measures.
///
/// # Errors
/// When the engine fails.
pub async fn measure(options: &Options, family: &Family) -> anyhow::Result<Report> {
    let machine = Machine::here();
    let engine_options = EngineOptions {
        threads: options.threads,
        // Steps are compared, not what comes of guesses.
        drafting: Drafting::Off,
        ..EngineOptions::default()
    };
    let threads = engine_options.thread_count();
    let models: Vec<_> = [&options.model, &options.chat]
        .map(|(name, path)| EmbeddedModel {
            name: name.clone(),
            path: path.clone(),
            digest: None,
        })
        .into();
    let engine = Arc::new(Embedded::new(
        "embedded",
        move || models.clone(),
        engine_options,
    ));
    let scene = Scene {
        engine: &engine,
        options,
        family,
    };
    engine.warm_up(&options.model.0).await?;
    engine.warm_up(&options.chat.0).await?;
    // The first round is not measured: it reads what was mapped.
    scene.ask(0, 0).await?;
    let alone = scene.type_along("alone").await?;
    let chat = tokio::spawn(chat(Arc::clone(&engine), options.chat.0.clone()));
    let beside = scene.type_along("beside").await;
    chat.abort();
    // Aborted, it ends with an error; the count is in the engine's own.
    drop(chat.await);
    let beside = beside?;
    let cancelled = scene.cancel().await?;
    let against_reference = scene.compare(threads).await?;
    let oversubscribed = scene.oversubscribe(&machine, threads).await?;
    let beside_over_alone_p95 = match (beside.whole_ms.p95, alone.whole_ms.p95) {
        (Some(beside), Some(alone)) if alone > 0.0 => Some(beside / alone),
        _ => None,
    };
    Ok(Report {
        machine,
        model: options.model.0.clone(),
        chat_model: options.chat.0.clone(),
        threads,
        requests: options.requests,
        first_token_alone_ms: alone.first_ms,
        first_token_beside_chat_ms: beside.first_ms,
        completion_alone_ms: alone.whole_ms,
        completion_beside_chat_ms: beside.whole_ms,
        beside_over_alone_p95,
        chat_tokens: beside.tokens_of_others,
        cancel_to_idle_ms: cancelled,
        oversubscribed,
        against_reference,
    })
}

fn quantiles(times: impl IntoIterator<Item = Duration>) -> Quantiles {
    Quantiles::of(
        times
            .into_iter()
            .map(|time| time.as_secs_f64() * 1000.0)
            .collect(),
    )
}
