//! What a generation was and what it cost, told once it has ended, however that came.
//!
//! For clients that measure. Sent by the task that reads the stream, so a generation that never reached
//! its backend is not told of.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::ask::Trace;
use super::live::Progress;

/// A generation that has ended.
#[derive(Debug, Clone)]
pub struct Generation {
    /// The document it was for.
    pub uri: Arc<str>,
    /// The document's version when it began.
    pub version: i32,
    /// Whether it was a guess at the next completion.
    pub prefetch: bool,
    /// What was generated, as far as it was wanted.
    pub text: String,
    /// What it cost.
    pub trace: Trace,
    /// From asking the backend to the end of the stream.
    pub open: Duration,
}

/// Who is told, and what the stream does not know.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) to: mpsc::UnboundedSender<Generation>,
    pub(super) version: i32,
    pub(super) prefetch: bool,
}

/// Tells when it is dropped.
#[derive(Debug)]
pub(super) struct Told {
    notice: Option<Notice>,
    uri: Arc<str>,
    started: Instant,
    progress: watch::Receiver<Progress>,
}

impl Told {
    pub(super) fn new(
        notice: Option<Notice>,
        uri: Arc<str>,
        progress: watch::Receiver<Progress>,
    ) -> Self {
        Self {
            notice,
            uri,
            started: Instant::now(),
            progress,
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let Some(notice) = self.notice.take() else {
            return;
        };
        let progress = self.progress.borrow();
        let generation = Generation {
            uri: self.uri.clone(),
            version: notice.version,
            prefetch: notice.prefetch,
            text: progress.text.clone(),
            trace: progress.trace.clone(),
            open: self.started.elapsed(),
        };
        // Nobody listening any more is fine.
        let _ = notice.to.send(generation);
    }
}
