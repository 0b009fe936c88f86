//! A generation on its way in: lines of JSON become chunks.
//!
//! Made by [`Ollama`](super::Ollama) once the status is known. Ends with exactly one
//! [`Chunk::Done`] or one error. Dropping it closes the connection, which is how Ollama learns that
//! nobody waits; after the closing line the connection is kept for the next request instead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use reqwest::Response;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::api::GenerateLine;
use super::failure::Asked;
use super::residency::Residency;
use super::{Inner, KeepAlive};
use crate::backend::thinking::ThinkSplitter;
use crate::backend::wire::Ndjson;
use crate::backend::{BackendError, Chunk, Finish, StopReason};

/// How long and how much is read after the closing line, to get at the end of the body. Ollama ends it
/// at once; what takes longer costs a new connection and nothing else.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 64 * 1024;

pub(super) struct Answer {
    inner: Arc<Inner>,
    model: String,
    residency: Arc<Residency>,
    /// `None` after the closing line.
    response: Option<Response>,
    /// Given back with the closing line.
    permit: Option<OwnedSemaphorePermit>,
    decoder: Ndjson,
    lines: usize,
    /// Whether the model was believed to be loaded when the request was sent.
    was_warm: bool,
    /// How long the model stays loaded after the closing line.
    keep_alive: KeepAlive,
    /// Of a conversation: older versions send thoughts as a part of the text.
    splitter: Option<ThinkSplitter>,
    /// Chunks that are decided; the end goes behind the closing line's text.
    ready: VecDeque<Chunk>,
}

impl Answer {
    pub(super) fn new(
        inner: Arc<Inner>,
        model: String,
        residency: Arc<Residency>,
        response: Response,
        permit: OwnedSemaphorePermit,
        was_warm: bool,
        keep_alive: KeepAlive,
    ) -> Self {
        Self {
            inner,
            model,
            residency,
            response: Some(response),
            permit: Some(permit),
            decoder: Ndjson::new(),
            lines: 0,
            was_warm,
            keep_alive,
            splitter: None,
            ready: VecDeque::new(),
        }
    }

    /// Splits off what the model thinks.
    pub(super) fn of_conversation(mut self) -> Self {
        self.splitter = Some(ThinkSplitter::new(false));
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
        let Some(response) = &mut self.response else {
            return Ok(false);
        };
        let stall = self.inner.options.stall;
        match timeout(stall, response.chunk()).await {
            Ok(Ok(Some(bytes))) => {
                self.decoder.push(&bytes);
                Ok(true)
            }
            Ok(Ok(None)) => Ok(false),
            Ok(Err(error)) => Err(self.asked().transport(error)),
            Err(_) => Err(self
                .asked()
                .interrupted(format!("nothing came for {} s", stall.as_secs_f32()))),
        }
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
            return Err(self.asked().error_line(&message));
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
        self.closed(finish.load);
        self.ready.push_back(Chunk::Done(finish));
        Ok(())
    }

    /// The closing line was read: nothing more is waited for.
    fn closed(&mut self, load: Option<Duration>) {
        self.residency.answered(self.keep_alive);
        self.permit = None;
        if let Some(response) = self.response.take() {
            tokio::spawn(timeout(DRAIN_TIME, drain(response)));
        }
        if self.was_warm && self.residency.thrashes(load) {
            tracing::warn!(
                backend = self.inner.name,
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

/// Reads to the end of the body, so that the connection can carry the next request.
async fn drain(mut response: Response) {
    let mut read_bytes = 0;
    while let Ok(Some(bytes)) = response.chunk().await {
        read_bytes += bytes.len();
        if read_bytes > DRAIN_BYTES {
            return;
        }
    }
}
