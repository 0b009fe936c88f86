//! A generation seen from the async side.
//!
//! Returned by [`Embedded::stream`](super::Embedded). Queues the request at the first poll and not
//! before; dropping it is the cancel, which the engine's thread sees before its next step. Invariant:
//! after the last chunk or an error it gives `None` for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tokio::sync::mpsc;

use super::shared::Shared;
use crate::backend::{BackendError, Chunk, Request};

/// See the file's page.
#[derive(Debug)]
pub(super) enum ChunkReceiver {
    /// Not polled yet.
    Unsent(Arc<Shared>, Box<Request>),
    Running(String, mpsc::UnboundedReceiver<Result<Chunk, BackendError>>),
    Ended,
}

impl Stream for ChunkReceiver {
    type Item = Result<Chunk, BackendError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Self::Unsent(shared, request) = this {
            match shared.submit((**request).clone()) {
                Ok(chunks) => *this = Self::Running(shared.name.clone(), chunks),
                Err(error) => {
                    *this = Self::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        let Self::Running(name, chunks) = this else {
            return Poll::Ready(None);
        };
        let item = ready!(chunks.poll_recv(cx)).unwrap_or_else(|| {
            Err(BackendError::Interrupted {
                backend: name.clone(),
                message: "the engine was shut down".to_owned(),
            })
        });
        if matches!(item, Ok(Chunk::Done(_)) | Err(_)) {
            *this = Self::Ended;
        }
        Poll::Ready(Some(item))
    }
}
