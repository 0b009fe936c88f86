//! Reads the stream of a generation to its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Ended, Progress};
use crate::backend::{BackendError, Chunk, ChunkStream, Finish, StopReason};
use crate::inline::cache::{Cache, Entry};
use crate::inline::notice::{Notice, Told};
use crate::inline::place::Place;
use crate::inline::stop::{self, Shape};
use crate::inline::wanted::Wanted;

pub(super) struct Reader {
    pub(super) stream: ChunkStream,
    pub(super) origin: Arc<Place>,
    pub(super) shape: Shape,
    pub(super) wanted: Arc<Wanted>,
    pub(super) sender: watch::Sender<Progress>,
    pub(super) cache: Arc<Mutex<Cache>>,
    pub(super) notice: Option<Notice>,
}

/// What a chunk means for the generation.
enum Next {
    Go,
    End,
    /// The person went another way: whoever waits finds the sender gone, and the text diverged.
    Drop,
}

impl Reader {
    pub(super) async fn run(mut self) -> Result<(), BackendError> {
        let started = Instant::now();
        let uri = self.origin.uri.clone();
        let _told = Told::new(self.notice.take(), uri, self.sender.subscribe());
        loop {
            let chunk = match self.stream.next().await {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => {
                    self.sender.send_modify(|p| p.ended = Some(Ended::Failed));
                    return Err(error);
                }
                None => Chunk::Done(Finish::cut()),
            };
            let next = match chunk {
                Chunk::Prompt {
                    prompt_tokens,
                    cached_tokens,
                    estimated,
                } => {
                    self.sender.send_modify(|p| {
                        p.trace.prompt_tokens = Some(prompt_tokens);
                        p.trace.prompt_estimated = estimated;
                        p.trace.cached_tokens = cached_tokens;
                    });
                    Next::Go
                }
                // Nothing that completions ask thinks first.
                Chunk::Thinking(_) => Next::Go,
                Chunk::Text(text) => self.take(&text, started.elapsed()),
                Chunk::Done(finish) => {
                    self.finish(finish);
                    Next::End
                }
            };
            match next {
                Next::Go => {}
                Next::End => break,
                Next::Drop => return Ok(()),
            }
        }
        self.keep();
        Ok(())
    }

    /// Appends `text`.
    fn take(&self, text: &str, elapsed: Duration) -> Next {
        let mut next = Next::Go;
        self.sender.send_modify(|p| {
            p.text.push_str(text);
            if self.origin.on_blank_start() {
                stop::drop_blank_lines(&mut p.text);
            }
            p.trace.generated_tokens += 1;
            p.trace.first_token.get_or_insert(elapsed);
            p.trace.total = elapsed;
            if let Some(end) = stop::end_of(&p.text, &self.origin, &self.shape) {
                p.text.truncate(end);
                p.trace.stop = StopReason::Cut;
                next = Next::End;
            } else if !self.wanted.allows(&p.text) {
                next = Next::Drop;
            }
        });
        next
    }

    fn finish(&self, finish: Finish) {
        self.sender.send_modify(|p| {
            p.trace.stop = finish.stop;
            if finish.prompt_tokens > 0 {
                p.trace.prompt_tokens = Some(finish.prompt_tokens);
                p.trace.prompt_estimated = false;
            }
            if finish.cached_tokens.is_some() {
                p.trace.cached_tokens = finish.cached_tokens;
            }
            if finish.generated_tokens > 0 {
                p.trace.generated_tokens = finish.generated_tokens;
            }
            let end = stop::end_of_finished(&p.text, &self.origin, &self.shape);
            p.text.truncate(end.unwrap_or(p.text.len()));
        });
    }

    /// Closes the stream, tells that the text is whole, and leaves it in the cache.
    fn keep(self) {
        // The backend is freed before anybody is told.
        let Self {
            stream,
            origin,
            shape,
            wanted,
            sender,
            cache,
            ..
        } = self;
        drop(stream);
        sender.send_modify(|p| p.ended = Some(Ended::Whole));
        let (text, trace) = {
            let progress = sender.borrow();
            (progress.text.clone(), progress.trace.clone())
        };
        // That there is nothing to say is worth remembering too, unless the stream broke off.
        if trace.stop == StopReason::Cut && trace.generated_tokens == 0 {
            return;
        }
        let text = if text.trim().is_empty() { "" } else { &text };
        let entry = Entry {
            text: text.into(),
            trace,
            reached: !wanted.is_speculative(),
            multi_line: shape.may_have_lines(),
        };
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(origin, entry);
    }
}
