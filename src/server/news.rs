//! What the completion engine tells of by itself, sent on to clients that announce that they listen.

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower_lsp::gen_lsp_types::InitializeParams;

use super::transport::Outbox;
use super::{ext, inline_completion};
use crate::document::position::Encoding;
use crate::inline::{Engine, Generation, Update};
use crate::metrics::ms;

/// What comes, each where the client asked for it.
#[derive(Debug, Default)]
pub(super) struct News {
    updates: Option<UnboundedReceiver<Update>>,
    generations: Option<UnboundedReceiver<Generation>>,
}

/// Where engines send it.
#[derive(Debug, Default)]
pub(super) struct Listening {
    updates: Option<UnboundedSender<Update>>,
    generations: Option<UnboundedSender<Generation>>,
}

impl Listening {
    /// Lets `engine` tell what the client wants to hear.
    pub(super) fn heard_from(&self, mut engine: Engine) -> Engine {
        if let Some(updates) = &self.updates {
            engine = engine.with_updates(updates.clone());
        }
        if let Some(generations) = &self.generations {
            engine = engine.with_generations(generations.clone());
        }
        engine
    }
}

impl News {
    /// What the client of `params` wants to hear.
    pub(super) fn of(params: &InitializeParams) -> (Listening, Self) {
        let (mut listening, mut news) = (Listening::default(), Self::default());
        if announces(params, "completionUpdates") {
            let (sender, updates) = unbounded_channel();
            (listening.updates, news.updates) = (Some(sender), Some(updates));
        }
        if announces(params, "generations") {
            let (sender, generations) = unbounded_channel();
            (listening.generations, news.generations) = (Some(sender), Some(generations));
        }
        (listening, news)
    }

    /// Sends all of it on.
    pub(super) async fn forward(self, outbox: Outbox, encoding: Encoding) {
        let Self {
            mut updates,
            mut generations,
        } = self;
        loop {
            tokio::select! {
                Some(update) = next(&mut updates) => {
                    outbox.notify(ext::COMPLETION_UPDATED, &updated(&update, encoding));
                }
                Some(generation) = next(&mut generations) => {
                    outbox.notify(ext::GENERATION_ENDED, &ended(&generation));
                }
                else => return,
            }
        }
    }
}

/// Whether the client announces `experimental.ghostline.NAME`.
fn announces(params: &InitializeParams, name: &str) -> bool {
    let experimental = params.capabilities.experimental.as_ref();
    let ours = experimental.and_then(|e| e.get("ghostline")?.get(name));
    ours.and_then(Value::as_bool).unwrap_or(false)
}

async fn next<T>(receiver: &mut Option<UnboundedReceiver<T>>) -> Option<T> {
    receiver.as_mut()?.recv().await
}

fn updated(update: &Update, encoding: Encoding) -> Value {
    let Update {
        document,
        completion,
    } = update;
    json!({
        "uri": &*document.uri,
        "version": document.version,
        "items": [inline_completion::item(document, completion, encoding)],
        "complete": completion.whole,
    })
}

fn ended(generation: &Generation) -> Value {
    let trace = &generation.trace;
    json!({
        "uri": &*generation.uri,
        "version": generation.version,
        "prefetch": generation.prefetch,
        "text": generation.text,
        "promptTokens": trace.prompt_tokens,
        "promptTokensEstimated": trace.prompt_estimated,
        "cachedTokens": trace.cached_tokens,
        "generatedTokens": trace.generated_tokens,
        "firstTokenMs": trace.first_token.map(ms),
        "openMs": ms(generation.open),
    })
}
