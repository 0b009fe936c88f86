//! A generation seen from the async side.
//!
//! Returned by [`Embedded::stream`](super::Embedded). Queues the request at the first poll and not
//! before; dropping it is the cancel, which the engine's thread sees before its next step. Invariant:
//! after the last chunk or an error it gives `None` for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;

use super::shared::{ChunkReceiving, Shared};
use crate::backend::{BackendError, Chunk, Request, Urgency};

/// See the file's page.
#[derive(Debug)]
pub(super) enum ChunkReceiver {
    /// Not polled yet.
    Unsent(Arc<Shared>, Box<Request>, Arc<Urgency>),
    Running(Running),
    Ended,
}

/// A job in the engine.
#[derive(Debug)]
pub(super) struct Running {
    shared: Arc<Shared>,
    /// The job's.
    number: u64,
    chunks: ChunkReceiving,
}

impl Drop for Running {
    /// Closed first: the step that is broken off looks for the reason.
    fn drop(&mut self) {
        self.chunks.close();
        self.shared.interrupt.given_up(self.number);
    }
}

impl Stream for ChunkReceiver {
    type Item = Result<Chunk, BackendError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Self::Unsent(shared, request, urgency) = this {
            match shared.submit((**request).clone(), urgency) {
                Ok((number, chunks)) => {
                    let shared = Arc::clone(shared);
                    let raised = Arc::downgrade(&shared);
                    urgency.listen(move |priority| {
                        if let Some(shared) = raised.upgrade() {
                            shared.interrupt.raised(number, priority);
                        }
                    });
                    *this = Self::Running(Running {
                        shared,
                        number,
                        chunks,
                    });
                }
                Err(error) => {
                    *this = Self::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        let Self::Running(running) = this else {
            return Poll::Ready(None);
        };
        let item = ready!(running.chunks.poll_recv(cx))
            .unwrap_or_else(|| Err(running.shared.interrupted()));
        if matches!(item, Ok(Chunk::Done(_)) | Err(_)) {
            *this = Self::Ended;
        }
        Poll::Ready(Some(item))
    }
}
