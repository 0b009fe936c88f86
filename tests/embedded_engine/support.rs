//! What every case needs: an engine, prompts, and the answer as a whole.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use ghostline::backend::embedded::{Embedded, EmbeddedModel, EngineOptions, Splicing};
use ghostline::backend::{Backend, Chunk, ChunkStream, Finish, Priority, Request};
use ghostline::prompt::Segment;

pub(crate) use crate::generation::{collect, gap as fim};

/// The name under which the weights are offered.
pub(crate) const MODEL: &str = "under-test";

pub(crate) fn engine(weights: &Path) -> Embedded {
    engine_with(
        weights,
        EngineOptions {
            context_tokens: 2048,
            ..EngineOptions::default()
        },
    )
}

pub(crate) fn engine_with(weights: &Path, options: EngineOptions) -> Embedded {
    let model = EmbeddedModel {
        name: MODEL.to_owned(),
        path: weights.to_owned(),
        digest: None,
    };
    Embedded::new("embedded", move || vec![model.clone()], options)
}

pub(crate) fn request(prompt: Vec<Segment>, max_tokens: u32) -> Request {
    Request {
        model: MODEL.to_owned(),
        prompt: prompt.into(),
        max_tokens,
        stop: Vec::new(),
        priority: Priority::Completion,
    }
}

/// The first text of a stream, past the costs of its prompt.
pub(crate) async fn first_text(stream: &mut ChunkStream) -> String {
    loop {
        match stream.next().await {
            Some(Ok(Chunk::Prompt { .. })) => {}
            Some(Ok(Chunk::Text(text))) => return text,
            other => panic!("no text comes: {other:?}"),
        }
    }
}

pub(crate) async fn answer(
    engine: &Embedded,
    prompt: &[Segment],
    max_tokens: u32,
) -> (String, Finish) {
    collect(engine.stream(request(prompt.to_vec(), max_tokens)))
        .await
        .unwrap()
}

/// Prompt tokens that were computed.
pub(crate) fn computed(finish: &Finish) -> u32 {
    finish.prompt_tokens - finish.cached_tokens.unwrap()
}

/// About 330 tokens of code in which `name` occurs, so that two of them share no long prefix.
pub(crate) fn document(name: &str) -> String {
    use std::fmt::Write;

    let mut text = format!("//! The {name} module.\n\n");
    for number in 0..10 {
        writeln!(
            text,
            "/// Gives {name} number {number}.\npub fn {name}_{number}(a: i32) -> i32 {{\n    a + {number}\n}}\n"
        )
        .unwrap();
    }
    text
}

pub(crate) fn engine_splicing(weights: &Path, splicing: Splicing) -> Embedded {
    engine_with(
        weights,
        EngineOptions {
            context_tokens: 2048,
            splicing,
            ..EngineOptions::default()
        },
    )
}

/// Waits until all that was moved in the cache is computed anew.
pub(crate) async fn refreshed(engine: &Embedded) {
    while engine.tokens_stale() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until the engine has computed `tokens` more than `since`.
pub(crate) async fn computed_since(engine: &Embedded, since: u64, tokens: u64) {
    while engine.tokens_decoded() < since + tokens {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
