//! A generation on its way in: lines of JSON become chunks.
//!
//! Made by [`Ollama`](super::Ollama) once the status is known. Ends with exactly one
//! [`Chunk::Done`] or one error. Dropping it closes the connection, which is how Ollama learns that
//! nobody waits; after the closing line the connection is kept for the next request instead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::runtime::Handle;

use super::api::GenerateLine;
use super::failure::error_line;
use super::residency::{REAL_LOAD, Residency};
use super::{Inner, KeepAlive};
use crate::backend::failure::Asked;
use crate::backend::http::Body;
use crate::backend::permits::Permit;
use crate::backend::speed::{Says, Sent};
use crate::backend::thinking::ThinkSplitter;
use crate::backend::wire::Ndjson;
use crate::backend::{BackendError, Chunk, Finish, StopReason};

pub(super) struct Answer {
    inner: Arc<Inner>,
    model: String,
    residency: Arc<Residency>,
    body: Body,
    /// Given back with the closing line.
    permit: Option<Permit>,
    decoder: Ndjson,
    lines: usize,
    /// Whether the model was believed to be loaded when the request was sent.
    was_warm: bool,
    /// How long the model stays loaded after the closing line.
    keep_alive: KeepAlive,
    /// Of a completion: the prompt. Only the closing line counts it, and most answers are cut before.
    sent: Option<Sent>,
    cost_told: bool,
    /// Of a conversation: older versions send thoughts as a part of the text.
    splitter: Option<ThinkSplitter>,
    /// Of a conversation: what is in memory is looked after when it ends.
    talk: Option<Talk>,
    /// Chunks that are decided; the end goes behind the closing line's text.
    ready: VecDeque<Chunk>,
}

impl Answer {
    pub(super) fn new(
        inner: Arc<Inner>,
        model: String,
        residency: Arc<Residency>,
        body: Body,
        permit: Permit,
        was_warm: bool,
        keep_alive: KeepAlive,
    ) -> Self {
        Self {
            inner,
            model,
            residency,
            body,
            permit: Some(permit),
            decoder: Ndjson::new(),
            lines: 0,
            was_warm,
            keep_alive,
            sent: None,
            cost_told: false,
            splitter: None,
            talk: None,
            ready: VecDeque::new(),
        }
    }

    /// Tells what the prompt costs, and learns from it.
    pub(super) fn of_completion(mut self, sent: Sent) -> Self {
        self.sent = Some(sent);
        self
    }

    /// Splits off what the model thinks.
    pub(super) fn of_conversation(mut self, talk: Talk) -> Self {
        self.splitter = Some(ThinkSplitter::new(false));
        self.talk = Some(talk);
        self
    }

    /// The chunks, one after the other.
    pub(super) fn chunks(self) -> impl Stream<Item = Result<Chunk, BackendError>> + Send {
        stream::unfold(Some(self), |answer| async {
            let mut answer = answer?;
            match answer.next().await {
                Ok(chunk) if !matches!(chunk, Chunk::Done(_)) => Some((Ok(chunk), Some(answer))),
                // The connection and the permit are let go before the last item is seen.
                last => {
                    if let Err(error) = &last {
                        answer.residency.failed(error);
                    }
                    drop(answer);
                    Some((last, None))
                }
            }
        })
    }

    async fn next(&mut self) -> Result<Chunk, BackendError> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(chunk);
            }
            let line = self.decoder.next_value::<GenerateLine>();
            if let Some(line) = line.map_err(|error| self.asked().protocol(error.to_string()))? {
                self.take(line)?;
            } else if !self.read().await? {
                self.end()?;
            }
        }
    }

    fn asked(&self) -> Asked<'_> {
        self.inner.asked(&self.model)
    }

    /// Reads one piece of the body; false at its end.
    async fn read(&mut self) -> Result<bool, BackendError> {
        let asked = self.inner.asked(&self.model);
        let piece = self.body.next(asked).await?;
        let Some(bytes) = piece else { return Ok(false) };
        self.decoder.push(bytes.as_ref());
        Ok(true)
    }

    /// The body is over without a closing line, unless that is its last line without a line end.
    fn end(&mut self) -> Result<(), BackendError> {
        let last = self.decoder.finish::<GenerateLine>();
        match last.map_err(|error| self.asked().interrupted(error.to_string()))? {
            Some(line) if line.done || line.error().is_some() => {
                return self.take(line);
            }
            None if self.lines == 0 => return Err(self.asked().protocol("an empty answer")),
            Some(_) | None => {}
        }
        Err(self
            .asked()
            .interrupted("the answer ended without its closing line"))
    }

    /// Adds the chunks that a line amounts to.
    fn take(&mut self, mut line: GenerateLine) -> Result<(), BackendError> {
        self.lines += 1;
        if let Some(message) = line.error() {
            return Err(error_line(self.asked(), &message));
        }
        if let Some(sent) = self.sent.filter(|_| !self.cost_told) {
            self.cost_told = true;
            self.ready.push_back(Chunk::Prompt {
                prompt_tokens: sent.tokens(),
                cached_tokens: None,
                estimated: true,
            });
        }
        self.ready.extend(line.take_thinking().map(Chunk::Thinking));
        let text = line.take_text();
        match &mut self.splitter {
            None => self.ready.extend(text.map(Chunk::Text)),
            Some(splitter) => {
                self.ready.extend(splitter.push(&text.unwrap_or_default()));
                if line.done {
                    self.ready.extend(splitter.finish());
                }
            }
        }
        if !line.done {
            return Ok(());
        }
        let finish = Finish {
            stop: match line.done_reason.as_deref() {
                Some("length") => StopReason::Length,
                _ => StopReason::Stop,
            },
            prompt_tokens: line.prompt_tokens(),
            cached_tokens: None,
            generated_tokens: line.generated_tokens(),
            load: line.load(),
        };
        self.learn(&line);
        self.closed(finish.load);
        self.ready.push_back(Chunk::Done(finish));
        Ok(())
    }

    /// What the closing line says of the prompt's speed. From 0.30.1 on it counts cached tokens, and
    /// nowhere says how many those are; what a model that was just loaded computes is slower than usual.
    fn learn(&self, line: &GenerateLine) {
        let loaded = line.load().is_some_and(|load| load > REAL_LOAD);
        let Some(sent) = self.sent.filter(|_| !loaded) else {
            return;
        };
        if let Some(computed) = sent.computed(line.prompt_tokens()) {
            let took = line.prompt_took();
            let speeds = &self.inner.speeds;
            speeds.add(&self.model, computed, took, Says::Server);
        }
    }

    /// The closing line was read: nothing more is waited for.
    fn closed(&mut self, load: Option<Duration>) {
        self.residency.answered(self.keep_alive);
        self.permit = None;
        self.talk = None;
        self.body.keep();
        if self.was_warm && self.residency.thrashes(load) {
            tracing::warn!(
                backend = &*self.inner.name,
                model = self.model,
                load_ms = load.unwrap_or_default().as_millis(),
                "the model was loaded again although it was in use; another program asks for it with \
                 other options, or it does not fit into memory beside the others: use one num_ctx \
                 everywhere ({}), or raise OLLAMA_MAX_LOADED_MODELS",
                self.inner.options.num_ctx,
            );
        }
    }
}

/// A conversation under way, from before its model is loaded.
pub(super) struct Talk {
    inner: Arc<Inner>,
}

impl Talk {
    pub(super) fn begin(inner: &Arc<Inner>) -> Self {
        inner.conversations.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: Arc::clone(inner),
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.inner.conversations.fetch_sub(1, Ordering::Relaxed);
        self.inner.talked();
        // It may have cost the completion's model its place in memory.
        if let Ok(runtime) = Handle::try_current() {
            let inner = Arc::clone(&self.inner);
            runtime.spawn(async move { inner.look_after().await });
        }
    }
}
