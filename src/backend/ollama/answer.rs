//! A generation on its way in: lines of JSON become chunks.
//!
//! Made by [`Ollama`](super::Ollama) once the status is known. Ends with exactly one
//! [`Chunk::Done`] or one error. Dropping it closes the connection, which is how Ollama learns that
//! nobody waits; after the closing line the connection is kept for the next request instead.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use reqwest::Response;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::Inner;
use super::api::GenerateLine;
use super::failure::Asked;
use super::residency::Residency;
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
    /// The end, held back while the closing line's text goes out.
    finish: Option<Finish>,
}

impl Answer {
    pub(super) fn new(
        inner: Arc<Inner>,
        model: String,
        residency: Arc<Residency>,
        response: Response,
        permit: OwnedSemaphorePermit,
        was_warm: bool,
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
            finish: None,
        }
    }

    /// The chunks, one after the other.
    pub(super) fn chunks(self) -> impl Stream<Item = Result<Chunk, BackendError>> + Send {
        stream::unfold(Some(self), |answer| async {
            let mut answer = answer?;
            match answer.next().await {
                Ok(Chunk::Text(text)) => Some((Ok(Chunk::Text(text)), Some(answer))),
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
        if let Some(finish) = self.finish.take() {
            return Ok(Chunk::Done(finish));
        }
        loop {
            let line = self.decoder.next_value::<GenerateLine>();
            if let Some(line) = line.map_err(|error| self.asked().protocol(error.to_string()))? {
                if let Some(chunk) = self.take(line)? {
                    return Ok(chunk);
                }
            } else if !self.read().await? {
                return self.end();
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
    fn end(&mut self) -> Result<Chunk, BackendError> {
        let last = self.decoder.finish::<GenerateLine>();
        match last.map_err(|error| self.asked().interrupted(error.to_string()))? {
            Some(line) if line.done || line.error().is_some() => {
                if let Some(chunk) = self.take(line)? {
                    return Ok(chunk);
                }
            }
            None if self.lines == 0 => return Err(self.asked().protocol("an empty answer")),
            Some(_) | None => {}
        }
        Err(self
            .asked()
            .interrupted("the answer ended without its closing line"))
    }

    /// The chunk that a line amounts to, if any.
    fn take(&mut self, mut line: GenerateLine) -> Result<Option<Chunk>, BackendError> {
        self.lines += 1;
        if let Some(message) = line.error() {
            return Err(self.asked().error_line(&message));
        }
        let text = line.take_text().map(Chunk::Text);
        if !line.done {
            return Ok(text);
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
        Ok(Some(match text {
            Some(text) => {
                self.finish = Some(finish);
                text
            }
            None => Chunk::Done(finish),
        }))
    }

    /// The closing line was read: nothing more is waited for.
    fn closed(&mut self, load: Option<Duration>) {
        self.residency.answered(self.inner.options.keep_alive);
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
