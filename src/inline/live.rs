//! The generation in flight: it outlives the requests that wait for it.
//!
//! A task reads the backend's stream, ends it as soon as no more is wanted, and leaves a finished text
//! in the cache. Requests wait on its progress. Dropping [`Live`] drops the stream, which is what
//! frees the backend.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::ask::Trace;
use super::braces::closer_indent;
use super::cache::Cache;
use super::notice::Notice;
use super::place::{Fit, Place, fit};
use super::postprocess;
use super::stop::Shape;
use super::wanted::{Lead, Wanted};
use crate::backend::{ChunkStream, Urgency};

mod reader;

use reader::Reader;

/// How long a request made in the middle of a typing correction waits for the text to agree with the
/// stream again before it asks anew. Two keys of an average typist are 138 ms apart.
const CORRECTION_WAIT: Duration = Duration::from_millis(120);

#[derive(Debug)]
pub(super) struct Progress {
    pub(super) text: String,
    pub(super) trace: Trace,
    ended: Option<Ended>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Whole,
    Failed,
}

/// A handle to the generation in flight; one exists per engine.
#[derive(Debug)]
pub(super) struct Live {
    shared: Watch,
    task: JoinHandle<()>,
    wanted: Arc<Wanted>,
    /// Rises when a person waits for what was a guess.
    pub(super) urgency: Arc<Urgency>,
    /// Whether it may have several lines.
    pub(super) multi_line: bool,
}

/// What a generation begins with.
pub(super) struct Start {
    /// The backend's one slot, held until the stream has closed, however that comes.
    pub(super) slot: Arc<Semaphore>,
    pub(super) stream: ChunkStream,
    pub(super) urgency: Arc<Urgency>,
    pub(super) origin: Place,
    pub(super) shape: Shape,
    pub(super) trace: Trace,
    /// Whether nobody asked for it.
    pub(super) speculative: bool,
    pub(super) lead: Option<Lead>,
    pub(super) cache: Arc<Mutex<Cache>>,
    /// Whom to tell what it cost.
    pub(super) notice: Option<Notice>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a waiting request holds: it does not keep the stream alive.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) origin: Arc<Place>,
    progress: watch::Receiver<Progress>,
}

/// A part of a generation that may be shown.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) text: String,
    /// Nothing more will come.
    pub(super) whole: bool,
    /// Indentation of the closer behind it, where that is to stand on a line of its own.
    pub(super) closer_indent: Option<String>,
    pub(super) trace: Trace,
}

/// Why a request that waited got nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// The stream went another way than the person: ask anew.
    Diverged,
    /// The backend failed.
    Failed,
    /// The model had nothing to say.
    Empty,
}

impl Live {
    /// Starts reading. A text that ends by itself goes into the cache; a failure to `failed`.
    pub(super) fn start(
        start: Start,
        failed: impl FnOnce(crate::backend::BackendError) + Send + 'static,
    ) -> Self {
        let Start {
            slot,
            stream,
            urgency,
            origin,
            shape,
            trace,
            speculative,
            lead,
            cache,
            notice,
        } = start;
        let origin = Arc::new(origin);
        let first = Progress {
            text: String::new(),
            trace,
            ended: None,
        };
        let (sender, progress) = watch::channel(first);
        let wanted = Arc::new(Wanted::new(origin.clone(), speculative, lead));
        let multi_line = shape.may_have_lines();
        let reader = Reader {
            stream,
            origin: origin.clone(),
            shape,
            wanted: wanted.clone(),
            sender,
            cache,
            notice,
        };
        let task = tokio::spawn(async move {
            let _turn = slot.acquire_owned().await;
            if let Err(error) = reader.run().await {
                failed(error);
            }
        });
        Self {
            shared: Watch { origin, progress },
            task,
            wanted,
            urgency,
            multi_line,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.shared.progress.borrow().ended.is_none()
    }

    /// Somebody waits for it who is at `now`.
    pub(super) fn joined(&self, now: &Place) {
        self.wanted.moved(vec![now.clone()]);
    }

    pub(super) fn watch(&self) -> Watch {
        self.shared.clone()
    }

    /// Whether the generation was thrown away before it ended, although somebody had asked for it.
    pub(super) fn is_waste(&self) -> bool {
        !self.wanted.is_speculative() && self.is_running()
    }

    /// Whether the document, in which the person is at one of `places` since a change, may still want this.
    pub(super) fn may_be_wanted(&self, places: Vec<Place>) -> bool {
        self.wanted.moved(places);
        let progress = self.shared.progress.borrow();
        progress.ended.is_none() && self.wanted.allows(&progress.text)
    }

    /// How what was generated so far relates to `now`, and whether some of it lies ahead of there; `None`
    /// when the stream has ended.
    pub(super) fn fit(&self, now: &Place) -> Option<(Fit, bool)> {
        let progress = self.shared.progress.borrow();
        if progress.ended.is_some() {
            return None;
        }
        let fit = fit(&self.shared.origin, &progress.text, now);
        let ahead = matches!(fit, Fit::Typed(typed) if typed < progress.text.trim_end().len());
        Some((fit, ahead))
    }
}

impl Watch {
    /// Waits until something of the text may be shown at `now`: all of it, its first line where one
    /// line is wanted, or from `deadline` on the longest safe partial.
    ///
    /// A `deadline` that has passed asks for the first safe partial.
    pub(super) async fn rest_at(&mut self, now: &Place, deadline: Instant) -> Result<Rest, Waited> {
        let mut correcting_since = None;
        loop {
            // Read once: who looks just before the deadline must wake up at it.
            let is_due = Instant::now() >= deadline;
            let wake = match self.look(now, is_due)? {
                Look::Show(rest) => return Ok(rest),
                Look::Wait => (!is_due).then_some(deadline),
                Look::Correcting => {
                    let since = *correcting_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= CORRECTION_WAIT {
                        return Err(Waited::Diverged);
                    }
                    Some(since + CORRECTION_WAIT)
                }
            };
            let changed = self.progress.changed();
            let gone = match wake {
                Some(wake) => tokio::select! {
                    changed = changed => changed.is_err(),
                    () = tokio::time::sleep_until(wake) => false,
                },
                None => changed.await.is_err(),
            };
            // The task was aborted: its place was taken by another stream.
            if gone && self.progress.borrow().ended.is_none() {
                return Err(Waited::Diverged);
            }
        }
    }

    /// Waits until more may be shown at `now` than `shown`, which was shown before.
    pub(super) async fn more_at(&mut self, now: &Place, shown: &str) -> Result<Rest, Waited> {
        loop {
            match self.look(now, true)? {
                Look::Show(rest) if rest.whole || rest.text.len() > shown.len() => return Ok(rest),
                Look::Show(_) | Look::Wait => {}
                Look::Correcting => return Err(Waited::Diverged),
            }
            if self.progress.changed().await.is_err() && self.progress.borrow().ended.is_none() {
                return Err(Waited::Diverged);
            }
        }
    }

    /// What there is at `now`; of a text that grows yet, a partial only where one `is_due`.
    fn look(&mut self, now: &Place, is_due: bool) -> Result<Look, Waited> {
        let progress = self.progress.borrow_and_update();
        if progress.ended == Some(Ended::Failed) {
            return Err(Waited::Failed);
        }
        let whole = progress.ended.is_some();
        let typed = match fit(&self.origin, &progress.text, now) {
            Fit::Typed(typed) => typed,
            Fit::Ahead if !whole => return Ok(Look::Wait),
            Fit::Correcting if !whole => return Ok(Look::Correcting),
            // A text that has ended will not come to agree.
            Fit::Ahead | Fit::Correcting | Fit::Diverged => return Err(Waited::Diverged),
        };
        let rest = progress.text.get(typed..).unwrap_or_default();
        if whole && progress.text.trim().is_empty() {
            return Err(Waited::Empty);
        }
        // Typed to its end: what comes next is another question.
        if whole && rest.trim().is_empty() {
            return Err(Waited::Diverged);
        }
        let closer_indent = closer_indent(&self.origin, &progress.text, typed, now);
        let shown = if whole {
            Some(rest)
        } else if !is_due {
            None
        } else if closer_indent.is_some() {
            postprocess::safe_lines(rest)
        } else {
            postprocess::safe_partial(rest)
        };
        Ok(shown.map_or(Look::Wait, |text| {
            Look::Show(Rest {
                text: text.to_owned(),
                whole,
                closer_indent,
                trace: progress.trace.clone(),
            })
        }))
    }
}

enum Look {
    Show(Rest),
    Wait,
    Correcting,
}
