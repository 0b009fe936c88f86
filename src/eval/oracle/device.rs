//! One device that computes one thing at a time: completions, guesses at them, and a chat.
//!
//! Under an oracle that [shares](super::Oracle::sharing) it. Who goes first is decided by the embedded
//! engine's own line ([`Queue`]), and work goes the way of its thread: between two steps, which are one
//! chunk of prompt or one token, it looks whether the job was given up or somebody more important waits;
//! a step is broken off for the same reasons, is lost then, and ends after a time that was measured. Only
//! the computing is made up.
//!
//! Invariant: on one thread with a paused clock a seed gives one course of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::talk::Talk;
use super::{Oracle, Piece, Running};
use crate::backend::pool::{Devices, Seat, in_turn};
use crate::backend::queue::{Arrival, Popped, Queue, Work};
use crate::backend::{
    BackendError, Chunk, ChunkStream, Finish, Priority, Prompt, Request, StopReason, Urgency,
};
use crate::eval::chance::Chance;

/// Work that waits, at most. A person who types has one or two generations, and there is one chat.
const CAPACITY: usize = 16;
/// The longest chunk of a prompt: what the engine makes them by.
const CHUNK_TIME: Duration = Duration::from_millis(20);
/// From a cancel in an answer to an engine that does nothing, in nine of ten cases: `bench load` with the
/// real 1.5B on two threads, the median (November 2026). A step that ends sooner ends by itself.
const BROKEN_OFF: Duration = Duration::from_micros(400);
/// The same in the others: the 95th and the 99th percentile there.
const BROKEN_OFF_LATE: Duration = Duration::from_micros(4_100);
/// How many are late. Measured were two in twenty.
const LATE_SHARE: f64 = 0.1;

/// The device.
#[derive(Debug)]
pub(super) struct Device {
    queue: Queue<Job>,
    /// Somebody came, or waits more urgently.
    news: watch::Sender<u64>,
    numbers: AtomicU64,
    seat: Arc<Seat>,
    seed: u64,
}

/// A generation, not begun or put aside.
#[derive(Debug)]
struct Job {
    oracle: Oracle,
    urgency: Arc<Urgency>,
    chunks: UnboundedSender<Result<Chunk, BackendError>>,
    asked: Instant,
    /// What the prompt takes, and what of it is left.
    prompt: Duration,
    prompt_left: Duration,
    /// Halvings of the next chunk: one that never gets to its end gets shorter.
    halved: u32,
    writes: Writes,
}

#[derive(Debug)]
enum Writes {
    Completion(Running),
    Answer(Talk),
}

impl Work for Job {
    fn is_abandoned(&self) -> bool {
        self.chunks.is_closed()
    }

    fn priority(&self) -> Priority {
        self.urgency.priority()
    }
}

impl Device {
    /// A device whose work is done by a task of the runtime this is called in.
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let device = Arc::new(Self {
            queue: Queue::new(CAPACITY),
            news: watch::Sender::default(),
            numbers: AtomicU64::default(),
            seat: Arc::new(Seat::new(Devices::default().here(), true)),
            seed,
        });
        tokio::spawn(Arc::clone(&device).run());
        device
    }

    /// A generation of `oracle`. It is queued at the first poll.
    pub(super) fn stream(
        self: &Arc<Self>,
        oracle: Oracle,
        request: Request,
        urgency: &Arc<Urgency>,
    ) -> ChunkStream {
        let (device, urgency) = (Arc::clone(self), Arc::clone(urgency));
        let priority = request.priority;
        let queued = async move { receiving(device.push(oracle, &request, urgency)) };
        in_turn(
            Arc::clone(&self.seat),
            priority,
            stream::once(queued).flatten().boxed(),
        )
    }

    fn push(
        self: &Arc<Self>,
        oracle: Oracle,
        request: &Request,
        urgency: Arc<Urgency>,
    ) -> UnboundedReceiver<Result<Chunk, BackendError>> {
        let (chunks, receiver) = unbounded_channel();
        let writes = match &request.prompt {
            Prompt::Fim(_) => Writes::Completion(oracle.begin(request)),
            Prompt::Chat(conversation) => {
                Writes::Answer(Talk::new(&oracle, conversation, request.max_tokens))
            }
        };
        let (prompt_tokens, cached_tokens) = writes.prompt();
        let computed = prompt_tokens.saturating_sub(cached_tokens);
        let prompt = oracle.options.prefill() * computed;
        // The receiver is in this function.
        drop(chunks.send(Ok(Chunk::Prompt {
            prompt_tokens,
            cached_tokens: Some(cached_tokens),
            estimated: false,
        })));
        let rises = Arc::downgrade(self);
        urgency.listen(move |_| {
            if let Some(device) = rises.upgrade() {
                device.tell();
            }
        });
        let job = Job {
            oracle,
            urgency,
            chunks: chunks.clone(),
            asked: Instant::now(),
            prompt,
            prompt_left: prompt,
            halved: 0,
            writes,
        };
        if self.queue.push(job).is_err() {
            let backend = "oracle".to_owned();
            drop(chunks.send(Err(BackendError::Busy { backend })));
        }
        self.tell();
        receiver
    }

    fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }

    /// Works for ever.
    async fn run(self: Arc<Self>) {
        let mut news = self.news.subscribe();
        loop {
            news.borrow_and_update();
            match self.queue.pop(Some(Duration::ZERO), |_| true) {
                Popped::Item(arrival, job) => self.take(arrival, job).await,
                Popped::Idle => drop(news.changed().await),
                Popped::Closed => return,
            }
        }
    }

    /// Works on one job until it is done, given up, or somebody more important waits.
    async fn take(&self, arrival: Arrival, mut job: Job) {
        while !job.is_abandoned() {
            if self.queue.waits_before(job.priority(), |_| true) {
                return self.queue.put_back(arrival, job);
            }
            let step = job.step();
            if !self.compute(&job, step).await {
                job.halved += 1;
            } else if job.computed(step) {
                return;
            }
        }
    }

    /// Computes one step; `false` when it was broken off before its end.
    async fn compute(&self, job: &Job, step: Duration) -> bool {
        let end = Instant::now() + step;
        tokio::select! {
            biased;
            () = sleep_until(end) => true,
            () = self.unwanted(job) => {
                let off = Instant::now() + self.broken_off();
                sleep_until(off.min(end)).await;
                off >= end
            }
        }
    }

    /// Waits until the job is to make room.
    async fn unwanted(&self, job: &Job) {
        let mut news = self.news.subscribe();
        while !self.queue.waits_before(job.priority(), |_| true) {
            tokio::select! {
                biased;
                () = job.chunks.closed() => return,
                _ = news.changed() => {}
            }
        }
    }

    fn broken_off(&self) -> Duration {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let late = Chance::new(self.seed, "broken off", number).hits(LATE_SHARE);
        if late { BROKEN_OFF_LATE } else { BROKEN_OFF }
    }
}

impl Job {
    /// How long the next step takes.
    fn step(&self) -> Duration {
        if self.prompt_left.is_zero() {
            return self.writes.token(&self.oracle);
        }
        // A chunk of a few tokens is not halved any more.
        self.prompt_left.min(CHUNK_TIME / (1 << self.halved.min(4)))
    }

    /// A step was computed. `true` when nothing is left to do.
    fn computed(&mut self, step: Duration) -> bool {
        self.halved = self.halved.saturating_sub(1);
        if !self.prompt_left.is_zero() {
            self.prompt_left = self.prompt_left.saturating_sub(step);
            return false;
        }
        let piece = match &mut self.writes {
            Writes::Completion(running) => {
                if running.next == 0 {
                    running.first_token_after(&self.oracle, self.asked.elapsed());
                }
                running.piece(&self.oracle)
            }
            Writes::Answer(talk) => talk.piece(&self.oracle),
        };
        // Nobody listening is seen before the next step.
        drop(match piece {
            Piece::Silent => return false,
            Piece::Text(text) => {
                return self.chunks.send(Ok(Chunk::Text(text))).is_err();
            }
            Piece::End(finish) => self.chunks.send(Ok(Chunk::Done(finish))),
        });
        true
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Writes::Completion(running) = &mut self.writes {
            let left = self.prompt_left.as_secs_f64() / self.prompt.as_secs_f64().max(1e-9);
            running.drop_from(&self.oracle, left);
        }
    }
}

impl Writes {
    /// Tokens of the prompt, and those that are cached.
    fn prompt(&self) -> (u32, u32) {
        match self {
            Self::Completion(running) => (running.prompt_tokens, running.cached_tokens),
            Self::Answer(talk) => (talk.prompt_tokens, talk.cached_tokens),
        }
    }

    /// The time of the next token.
    fn token(&self, oracle: &Oracle) -> Duration {
        match self {
            Self::Completion(running) if running.next == 0 => oracle.options.first_token(),
            Self::Completion(_) | Self::Answer(_) => oracle.options.token(),
        }
    }
}

fn receiving(receiver: UnboundedReceiver<Result<Chunk, BackendError>>) -> ChunkStream {
    stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    })
    .boxed()
}

/// The end of an answer of so many tokens.
pub(super) fn finish(stop: StopReason, (prompt, cached): (u32, u32), generated: usize) -> Finish {
    Finish {
        stop,
        prompt_tokens: prompt,
        cached_tokens: Some(cached),
        generated_tokens: u32::try_from(generated).unwrap_or(u32::MAX),
        load: None,
    }
}

#[cfg(test)]
mod tests;
