//! One request on its way through a pool, however many endpoints it takes.
//!
//! Made by [`Pool`](super::Pool) for each stream. What its reader sees is one answer: text is never said
//! twice, the costs of the prompt come once, and the end counts all endpoints.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;

use super::affinity::Blocks;
use super::breaker::Outcome;
use super::device::Turn;
use super::{Inner, outcome};
use crate::backend::{
    BackendError, Chunk, ChunkStream, Finish, Priority, Prompt, Request, StopReason,
};
use crate::prompt::{Message, Segment, Speaker};

/// A request that is being answered.
pub(super) struct Going {
    inner: Arc<Inner>,
    request: Request,
    /// Hashed at the first poll: nothing is done for a request that nobody polls.
    blocks: Option<Blocks>,
    now: Option<Leg>,
    /// Endpoints that failed this request.
    tried: Vec<usize>,
    failure: Option<BackendError>,
    /// The answer so far.
    said: String,
    /// About how many tokens of it came.
    said_tokens: u32,
    thought: bool,
    cost_told: bool,
}

/// The part of the way that one endpoint goes. Dropping it cancels there.
struct Leg {
    inner: Arc<Inner>,
    member: usize,
    /// Whether this is the trial of an endpoint that was left alone, until something came of it.
    trial: bool,
    /// Until it has its turn on a shared device nothing is polled, and so nothing is sent.
    turn: Option<Turn>,
    waits: bool,
    chunks: ChunkStream,
}

impl Leg {
    /// Waits for the turn on a shared device, once.
    async fn wait(&mut self, priority: Priority) {
        let seat = &self.inner.members[self.member].seat;
        if let Some(seat) = seat.as_ref().filter(|_| self.waits) {
            self.turn = Some(seat.turn(priority).await);
            self.waits = false;
        }
    }

    fn tell(&mut self, outcome: Outcome) {
        self.trial = false;
        self.inner.members[self.member].breaker.note(outcome);
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        let member = &self.inner.members[self.member];
        member.outstanding.fetch_sub(1, Ordering::Relaxed);
        if self.trial {
            member.breaker.trial_given_up();
        }
    }
}

impl Going {
    pub(super) fn new(inner: Arc<Inner>, request: Request) -> Self {
        Self {
            inner,
            request,
            blocks: None,
            now: None,
            tried: Vec::new(),
            failure: None,
            said: String::new(),
            said_tokens: 0,
            thought: false,
            cost_told: false,
        }
    }

    /// The next chunk; after an error or the end nothing may be asked any more.
    pub(super) async fn next(&mut self) -> Result<Chunk, BackendError> {
        loop {
            if self.now.is_none()
                && let Some(end) = self.set_out()?
            {
                return Ok(end);
            }
            let Some(leg) = &mut self.now else { continue };
            leg.wait(self.request.priority).await;
            match leg.chunks.next().await {
                Some(Ok(chunk)) => {
                    if let Some(turn) = &mut leg.turn {
                        turn.first_token();
                    }
                    if leg.trial {
                        leg.tell(Outcome::Works);
                    }
                    if let Some(chunk) = self.pass_on(chunk) {
                        return Ok(chunk);
                    }
                }
                Some(Err(error)) => self.failed(error),
                None => {
                    let error = BackendError::Interrupted {
                        backend: self.inner.name.clone(),
                        message: "the answer ended without its end".to_owned(),
                    };
                    self.failed(error);
                }
            }
        }
    }

    fn failed(&mut self, error: BackendError) {
        if let Some(mut leg) = self.now.take() {
            leg.tell(outcome(&error));
            self.tried.push(leg.member);
            let backend = self.inner.members[leg.member].backend.name();
            tracing::debug!(backend, %error, "an endpoint failed");
        }
        self.failure = Some(error);
    }

    /// Chooses an endpoint and starts there. The end, when nothing more may be generated.
    fn set_out(&mut self) -> Result<Option<Chunk>, BackendError> {
        let cannot = matches!(self.failure, Some(BackendError::Unsupported { .. }));
        let inner = Arc::clone(&self.inner);
        let blocks = self.blocks.take().unwrap_or_else(|| {
            // With one endpoint there is nothing to choose.
            if inner.members.len() > 1 {
                Blocks::of(&self.request)
            } else {
                Blocks::default()
            }
        });
        let mut passed_over = Vec::new();
        let next = loop {
            let out: Vec<usize> = self.tried.iter().chain(&passed_over).copied().collect();
            let Some(index) = inner.choose(&self.request.model, &blocks, &out) else {
                break None;
            };
            let member = &inner.members[index];
            let continues = self.said.is_empty()
                || matches!(self.request.prompt, Prompt::Fim(_))
                || member.backend.capabilities().continues;
            // Somebody else may have become the trial in between.
            match (continues, member.breaker.enter_detached()) {
                (true, Some(trial)) => break Some((index, trial)),
                (false, Some(true)) => member.breaker.trial_given_up(),
                _ => {}
            }
            passed_over.push(index);
        };
        let Some((index, trial)) = next.filter(|_| !cannot) else {
            if let Some((index, true)) = next {
                inner.members[index].breaker.trial_given_up();
            }
            let nobody = || inner.members[0].nobody();
            return Err(self.failure.take().unwrap_or_else(nobody));
        };
        let member = &inner.members[index];
        let request = if self.said.is_empty() {
            self.request.clone()
        } else {
            match self.rest() {
                Some(request) => request,
                None => return Ok(Some(self.end_of_length(index, trial))),
            }
        };
        member.seen.add(&blocks);
        self.blocks = Some(blocks);
        member.served.fetch_add(1, Ordering::Relaxed);
        member.outstanding.fetch_add(1, Ordering::Relaxed);
        self.now = Some(Leg {
            chunks: member.backend.stream(request),
            inner,
            member: index,
            trial,
            turn: None,
            waits: true,
        });
        Ok(None)
    }

    /// All tokens had been said when the endpoint broke off; nobody needs to be asked.
    fn end_of_length(&self, index: usize, trial: bool) -> Chunk {
        if trial {
            self.inner.members[index].breaker.trial_given_up();
        }
        Chunk::Done(Finish {
            stop: StopReason::Length,
            generated_tokens: self.said_tokens,
            ..Finish::default()
        })
    }

    /// The request for what is missing of the answer; `None` when nothing is.
    fn rest(&self) -> Option<Request> {
        let max_tokens = self.request.max_tokens.checked_sub(self.said_tokens)?;
        if max_tokens == 0 {
            return None;
        }
        let mut request = Request {
            max_tokens,
            ..self.request.clone()
        };
        match &mut request.prompt {
            // In every layout the typed part of the line stands last, and this is more of it.
            Prompt::Fim(segments) => segments.push(Segment::Text(self.said.clone())),
            Prompt::Chat(conversation) => {
                let said = Message::new(Speaker::Assistant, self.said.clone());
                conversation.messages.push(said);
            }
        }
        Some(request)
    }

    /// What the reader sees of a chunk.
    fn pass_on(&mut self, chunk: Chunk) -> Option<Chunk> {
        let again = !self.tried.is_empty();
        match chunk {
            Chunk::Prompt { .. } => {
                (!std::mem::replace(&mut self.cost_told, true)).then_some(chunk)
            }
            Chunk::Text(text) => {
                self.said.push_str(&text);
                self.said_tokens += 1;
                Some(Chunk::Text(text))
            }
            // The second endpoint thinks it all again; the reader has seen it.
            Chunk::Thinking(_) if again && self.thought => None,
            Chunk::Thinking(_) => {
                self.thought = true;
                Some(chunk)
            }
            Chunk::Done(mut finish) => {
                if let Some(leg) = &mut self.now {
                    leg.tell(Outcome::Works);
                }
                if again {
                    finish.generated_tokens = finish.generated_tokens.max(self.said_tokens);
                }
                Some(Chunk::Done(finish))
            }
        }
    }
}
