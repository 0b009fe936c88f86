//! A generation that comes as server-sent events: events become chunks.
//!
//! Used by the backends whose servers answer so; each says by a [`Dialect`] what its events mean. The
//! stream ends with exactly one [`Chunk::Done`] or one error. Dropping it closes the connection, which
//! is how a server learns that nobody waits.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::{Stream, stream};

use super::failure::Asked;
use super::http::Body;
use super::permits::Permit;
use super::wire::{Event, Sse};
use super::{BackendError, Chunk};

/// What a server's events mean.
pub(super) trait Dialect: Send {
    /// Takes one event in and puts out what it amounts to.
    fn event(
        &mut self,
        asked: Asked<'_>,
        event: &Event,
        out: &mut VecDeque<Chunk>,
    ) -> Result<(), BackendError>;

    /// The bytes are over and no `Done` was put out: puts it out if all that counts was there.
    fn end(&mut self, out: &mut VecDeque<Chunk>);
}

/// Who asked, for errors.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) backend: Arc<str>,
    pub(super) model: String,
}

impl Names {
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            backend: &self.backend,
            model: &self.model,
        }
    }
}

struct Answer<D> {
    names: Names,
    body: Body,
    decoder: Sse,
    dialect: D,
    out: VecDeque<Chunk>,
    events: usize,
    /// Given back with the end.
    _permit: Option<Permit>,
}

/// The chunks of an answer whose status was good.
pub(super) fn chunks<D: Dialect>(
    names: Names,
    body: Body,
    dialect: D,
    permit: Option<Permit>,
) -> impl Stream<Item = Result<Chunk, BackendError>> + Send {
    let answer = Answer {
        names,
        body,
        decoder: Sse::new(),
        dialect,
        out: VecDeque::new(),
        events: 0,
        _permit: permit,
    };
    stream::unfold(Some(answer), |answer| async {
        let mut answer = answer?;
        match answer.next().await {
            Ok(Chunk::Done(finish)) => {
                answer.body.keep();
                // The permit is let go before the last item is seen.
                drop(answer);
                Some((Ok(Chunk::Done(finish)), None))
            }
            Ok(chunk) => Some((Ok(chunk), Some(answer))),
            Err(error) => {
                drop(answer);
                Some((Err(error), None))
            }
        }
    })
}

impl<D: Dialect> Answer<D> {
    async fn next(&mut self) -> Result<Chunk, BackendError> {
        loop {
            if let Some(chunk) = self.out.pop_front() {
                return Ok(chunk);
            }
            let asked = self.names.asked();
            let wire = |error: super::wire::WireError| asked.protocol(error.to_string());
            if let Some(event) = self.decoder.next_event().map_err(wire)? {
                self.events += 1;
                self.dialect.event(asked, &event, &mut self.out)?;
                continue;
            }
            if let Some(bytes) = self.body.next(asked).await? {
                self.decoder.push(bytes.as_ref());
                continue;
            }
            return self.end();
        }
    }

    /// The body is over; its last event may lack the blank line.
    fn end(&mut self) -> Result<Chunk, BackendError> {
        let asked = self.names.asked();
        let last = self.decoder.finish();
        if let Some(event) = last.map_err(|error| asked.protocol(error.to_string()))? {
            self.events += 1;
            // An event that was cut off is no news, and its text is not whole.
            let read = self.dialect.event(asked, &event, &mut self.out);
            if !matches!(read, Err(BackendError::Protocol { .. })) {
                read?;
            }
        }
        if !self.out.iter().any(|chunk| matches!(chunk, Chunk::Done(_))) {
            self.dialect.end(&mut self.out);
        }
        match self.out.pop_front() {
            Some(chunk) => Ok(chunk),
            None if self.events == 0 => Err(asked.protocol("an empty answer")),
            None => Err(asked.interrupted("the answer ended without its end")),
        }
    }
}
