//! Reads the stream of a generation to its end, with breaks.
//!
//! A person in the flow of typing reads no more than the next word or two, and what a model says further
//! on is mostly wrong by the time they get there. So a generation takes a break once enough of it lies
//! ahead: the stream is dropped, which frees the backend, and opened anew behind the text so far when
//! little is left or when the person stops to read ([`Wanted::more`]). The backend has all of that
//! prompt cached. Nobody who waits notices more than that the text grows later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// Opens the stream of a generation anew, behind the text so far, of which so many tokens are there.
pub(in crate::inline) type Resume = Box<dyn Fn(&str, u32) -> ChunkStream + Send + Sync>;

pub(super) struct Reader {
    pub(super) stream: ChunkStream,
    /// `None` where the generation takes no breaks.
    pub(super) resume: Option<Resume>,
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
    Break,
    End,
    /// The person went another way: whoever waits finds the sender gone, and the text diverged.
    Drop,
}

impl Reader {
    pub(super) async fn run(mut self) -> Result<(), BackendError> {
        let started = Instant::now();
        let uri = self.origin.uri.clone();
        let _told = Told::new(self.notice.take(), uri, self.sender.subscribe());
        // Tokens received before the last break.
        let mut before = 0;
        if !self.sender.borrow().text.is_empty() {
            before = self.take_a_break().await;
        }
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
                // What is computed after a break was computed before.
                Chunk::Prompt {
                    prompt_tokens,
                    cached_tokens,
                } if before == 0 => {
                    self.sender.send_modify(|p| {
                        p.trace.prompt_tokens = Some(prompt_tokens);
                        p.trace.cached_tokens = Some(cached_tokens);
                    });
                    Next::Go
                }
                // Nothing that completions ask thinks first.
                Chunk::Prompt { .. } | Chunk::Thinking(_) => Next::Go,
                Chunk::Text(text) => self.take(&text, started.elapsed()),
                Chunk::Done(finish) => {
                    self.finish(finish, before);
                    Next::End
                }
            };
            match next {
                Next::Go => {}
                Next::Break => before = self.take_a_break().await,
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
                drop_blank_lines(&mut p.text);
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
            } else if self.resume.is_some() && self.wanted.has_enough(&p.text) {
                p.resting = true;
                next = Next::Break;
            }
        });
        next
    }

    /// Frees the backend until more is wanted; returns the tokens received so far.
    async fn take_a_break(&mut self) -> u32 {
        self.stream = futures_util::stream::empty().boxed();
        let (text, trace) = {
            let progress = self.sender.borrow();
            (progress.text.clone(), progress.trace.clone())
        };
        let tokens = trace.generated_tokens;
        // Who goes elsewhere may come back.
        let entry = Entry::new(&text, trace, !self.wanted.is_speculative());
        self.cache()
            .insert(self.origin.as_ref().clone(), entry.part());
        self.wanted.more(&text).await;
        self.sender.send_if_modified(|p| {
            p.resting = false;
            false
        });
        if let Some(resume) = &self.resume {
            self.stream = resume(&text, tokens);
        }
        tokens
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, finish: Finish, before: u32) {
        self.sender.send_modify(|p| {
            p.trace.stop = finish.stop;
            if finish.prompt_tokens > 0 && before == 0 {
                p.trace.prompt_tokens = Some(finish.prompt_tokens);
            }
            if finish.cached_tokens.is_some() && before == 0 {
                p.trace.cached_tokens = finish.cached_tokens;
            }
            if finish.generated_tokens > 0 {
                p.trace.generated_tokens = before + finish.generated_tokens;
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
        let entry = Entry::new(text, trace, !wanted.is_speculative());
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(origin.as_ref().clone(), entry);
    }
}

/// On an empty line, empty lines in front of the text are the model's habit.
fn drop_blank_lines(text: &mut String) {
    let indent = text.len() - text.trim_start().len();
    if let Some(end) = text.get(..indent).and_then(|blank| blank.rfind('\n')) {
        text.drain(..=end);
    }
}
