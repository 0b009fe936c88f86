//! A backend that knows what the person will type, in place of a model.
//!
//! The replay tells it before each edit what comes next ([`Oracle::look_ahead`]); a request is answered
//! with that text, each token right with a given probability by a seeded draw; so is that it says nothing
//! where the person types nothing more. Where nobody comes all is wrong. Behind a wrong token it goes on as
//! if that had been right, stays wrong to the end of the line, or ends ([`AfterWrong`]). A wrong text is
//! code that parses in most places, and has the space that belongs in front of it: those a model gets
//! right, and a bench of texts that no model writes would measure how the engine refuses them.
//! Speed is modelled: time to the first token of a warm prompt, time per token, and time per prompt
//! token that the KV cache does not hold. A prompt that is given up leaves in the cache what was computed
//! by then.
//!
//! An oracle that [shares](Oracle::sharing) also talks, and computes one thing at a time (`device`).
//!
//! Invariants: a place, a future and a seed give one text, whoever asks and however often; a prompt
//! token counts as computed once the request is polled, whether or not anybody waits for the end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt as _, stream};
use tokio::time::{Instant, sleep_until};

use crate::backend::{
    Backend, BackendError, Capabilities, Chunk, ChunkStream, Finish, Installed, PromptBudget,
    Request, Urgency,
};

mod answer;
mod device;
mod ledger;
mod options;
mod talk;
mod tokens;

pub use ledger::{Generated, Ledger};
pub use options::{AfterWrong, OracleOptions};

use answer::Answer;
use device::Device;
use ledger::Slots;

/// The name under which it is asked. It has the family's name in it, so that prompts are laid out as
/// for Qwen2.5-Coder.
pub const MODEL: &str = "qwen2.5-coder-oracle";

/// The oracle. Shared between the replay, which tells it the future, and the policy, which asks.
#[derive(Debug, Clone)]
pub struct Oracle {
    options: OracleOptions,
    seed: u64,
    state: Arc<Mutex<State>>,
    /// Where it computes, when it is not alone there.
    device: Option<Arc<Device>>,
}

#[derive(Debug)]
struct State {
    /// The end of the text before the cursor, and what comes after it.
    before: String,
    future: String,
    slots: Slots,
    ledger: Ledger,
    /// Tokens of the last conversation, which has a cache of its own.
    talked: Vec<u64>,
}

impl Oracle {
    /// An oracle that has seen nothing yet.
    pub fn new(options: OracleOptions, seed: u64) -> Self {
        let state = State {
            before: String::new(),
            future: String::new(),
            slots: Slots::new(options.slots),
            ledger: Ledger::default(),
            talked: Vec::new(),
        };
        Self {
            options,
            seed,
            state: Arc::new(Mutex::new(state)),
            device: None,
        }
    }

    /// An oracle that also talks, with one device for all. Must be called in a runtime, whose clock it
    /// works by.
    pub fn sharing(options: OracleOptions, seed: u64) -> Self {
        Self {
            device: Some(Device::new(seed)),
            ..Self::new(options, seed)
        }
    }

    /// Tells what stands before the cursor after step `key`, and what the person types from there on.
    pub fn look_ahead(&self, key: usize, before: &str, future: &str) {
        let mut state = lock(&self.state);
        state.ledger.key = key;
        before.clone_into(&mut state.before);
        future.clone_into(&mut state.future);
    }

    /// The person goes to where step `key` will be made.
    pub fn turn_to(&self, key: usize) {
        lock(&self.state).ledger.key = key;
    }

    /// Notes that a ghost of this text was shown.
    pub fn shown(&self, text: &str) {
        lock(&self.state).ledger.shown(text);
    }

    /// What was generated so far.
    pub fn ledger(&self) -> Ledger {
        lock(&self.state).ledger.clone()
    }
}

impl Backend for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        let model = Installed {
            name: MODEL.to_owned(),
            fim: Some(true),
            ..Installed::default()
        };
        ready(Ok(vec![model])).boxed()
    }

    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        ready(Ok(())).boxed()
    }

    fn stream(&self, request: Request) -> ChunkStream {
        let urgency = Urgency::new(request.priority);
        self.stream_raisable(request, &urgency)
    }

    fn stream_raisable(&self, request: Request, urgency: &Arc<Urgency>) -> ChunkStream {
        if let Some(device) = &self.device {
            return device.stream(self.clone(), request, urgency);
        }
        let generation = Generation {
            oracle: self.clone(),
            request,
            running: None,
        };
        Box::pin(stream::unfold(generation, |mut generation| async move {
            let chunk = generation.next().await?;
            Some((Ok(chunk), generation))
        }))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fim: true,
            chat: self.device.is_some(),
            ..Capabilities::default()
        }
    }

    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget::at_speed(1_000.0 / self.options.prefill_ms)
    }
}

/// One request, from its first poll to its drop.
struct Generation {
    oracle: Oracle,
    request: Request,
    /// With the moment of its first token.
    running: Option<(Running, Instant)>,
}

#[derive(Debug)]
struct Running {
    /// Its number in the ledger.
    id: usize,
    slot: usize,
    answer: Answer,
    prompt_tokens: u32,
    cached_tokens: u32,
    first_token: Duration,
    next: usize,
    ended: bool,
}

/// What comes next of a generation.
enum Piece {
    Text(String),
    /// A token without text.
    Silent,
    End(Finish),
}

impl Generation {
    async fn next(&mut self) -> Option<Chunk> {
        let Some((running, first_token_at)) = &mut self.running else {
            let running = self.oracle.begin(&self.request);
            let chunk = Chunk::Prompt {
                prompt_tokens: running.prompt_tokens,
                cached_tokens: Some(running.cached_tokens),
                estimated: false,
            };
            let first_token_at = Instant::now() + running.first_token;
            self.running = Some((running, first_token_at));
            return Some(chunk);
        };
        if running.ended {
            return None;
        }
        loop {
            let index = u32::try_from(running.next).unwrap_or(u32::MAX);
            sleep_until(*first_token_at + self.oracle.options.token() * index).await;
            match running.piece(&self.oracle) {
                Piece::Text(text) => return Some(Chunk::Text(text)),
                Piece::Silent => {}
                Piece::End(finish) => return Some(Chunk::Done(finish)),
            }
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if let Some((running, first_token_at)) = &mut self.running {
            let left = first_token_at.saturating_duration_since(Instant::now());
            let share = left.div_duration_f64(running.first_token);
            running.drop_from(&self.oracle, share);
        }
    }
}

impl Running {
    /// The next piece, at the time when it comes.
    fn piece(&mut self, oracle: &Oracle) -> Piece {
        let mut state = lock(&oracle.state);
        let Some(token) = self.answer.tokens.get(self.next) else {
            self.ended = true;
            state.ledger.ended();
            let cost = (self.prompt_tokens, self.cached_tokens);
            return Piece::End(device::finish(self.answer.stop, cost, self.next));
        };
        self.next += 1;
        state.ledger.token(self.id, token);
        state.slots.generated(self.slot, token);
        if token.is_empty() {
            return Piece::Silent;
        }
        Piece::Text(token.clone())
    }

    /// It took so long to the first token, as others were there.
    fn first_token_after(&self, oracle: &Oracle, elapsed: Duration) {
        lock(&oracle.state).ledger.first_token(self.id, elapsed);
    }

    /// Nobody wants the rest. Of a prompt that was given up with this share of the way to its first token
    /// `left` the cache holds what was computed by then.
    fn drop_from(&mut self, oracle: &Oracle, left: f64) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let mut state = lock(&oracle.state);
        state.ledger.ended();
        if self.next == 0 && left > 0.0 {
            state.slots.given_up(self.slot, left, self.cached_tokens);
        }
    }
}

impl Oracle {
    fn begin(&self, request: &Request) -> Running {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let prompt = tokens::of_prompt(request.prompt.segments());
        let (slot, cached) = state.slots.take(&prompt);
        let computed = prompt.len().saturating_sub(cached);
        let as_tokens = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let first_token: Duration =
            self.options.first_token() + self.options.prefill() * as_tokens(computed);
        let written = answer::written(request.prompt.segments());
        let id = state.ledger.begin(Generated {
            key: state.ledger.key,
            priority: request.priority,
            computed_tokens: Some(as_tokens(computed)),
            first_token: Some(first_token),
            tokens: 0,
            shown_tokens: 0,
            text: String::new(),
            began: Some(Instant::now()),
        });
        let truth = answer::truth(&written, &state.before, &state.future);
        Running {
            id,
            slot,
            answer: Answer::new(self.options, self.seed, &written, truth.as_deref(), request),
            prompt_tokens: as_tokens(prompt.len()),
            cached_tokens: as_tokens(cached),
            first_token,
            next: 0,
            ended: false,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
