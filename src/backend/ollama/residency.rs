//! What is known about one model in Ollama's memory: whether it is loaded, and who uses it.
//!
//! Ollama gives up a load when the client that caused it leaves, and the next request starts it from
//! zero: a person who types through a cold load would never see it end. So a request that can be
//! cancelled is sent only to a model believed to be loaded, and the load is a task of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::KeepAlive;
use super::remarks::{Placement, Remarks};
use crate::backend::BackendError;
use crate::backend::permits::Permits;

/// A load that takes longer was a real one: a loaded model answers within a few milliseconds, and
/// within about 300 ms in Ollama 0.30 to 0.32.14, which read the file's header each time.
pub(super) const REAL_LOAD: Duration = Duration::from_millis(500);

/// Requests without an answer before a model is suspected: one may have met a load, a second its end.
const SUSPICIOUS_REQUESTS: u32 = 3;

/// A load under way; every waiting request holds a clone.
pub(super) type Loading = Shared<BoxFuture<'static, Result<(), Arc<BackendError>>>>;

/// One model.
#[derive(Debug)]
pub(super) struct Residency {
    /// One request at a time, completions first: Ollama queues the rest without bound and in order of
    /// arrival, where nobody can take them back cheaply or go ahead.
    pub(super) slot: Arc<Permits>,
    /// Never held across an await.
    state: Mutex<State>,
    /// Whether the warning about needless loads was given.
    warned: AtomicBool,
}

/// With what a model is loaded. One set per model: a request that differs in it makes Ollama load the
/// model again, so uses of one model agree on what is enough for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    /// Context length in tokens.
    pub(super) num_ctx: u32,
    pub(super) keep_alive: KeepAlive,
    /// Whether it generates. What only embeds cannot be loaded by `/api/generate`.
    pub(super) generates: bool,
}

#[derive(Debug, Default)]
struct State {
    needs: Option<Needs>,
    loading: Option<Loading>,
    warmth: Warmth,
    silence: Silence,
    /// It was loaded and is not, and nobody asked for it since.
    lost: bool,
    remarks: Remarks,
    /// Whether the model has run since it was last known to be loaded from disk.
    heated: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Warmth {
    #[default]
    Cold,
    /// Loaded, as was heard at `since`; `until` is when Ollama unloads it by itself.
    Warm {
        since: Instant,
        until: Option<Instant>,
    },
}

/// Requests that a loaded model let wait until they were given up, with none answered in between.
#[derive(Debug, Clone, Copy, Default)]
struct Silence {
    requests: u32,
    /// When the first of them was sent.
    since: Option<Instant>,
}

impl Residency {
    pub(super) fn new() -> Self {
        Self {
            slot: Permits::new(1),
            state: Mutex::new(State::default()),
            warned: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The fields are independent of each other: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request can be sent without causing a load, as far as is known.
    pub(super) fn is_warm(&self) -> bool {
        match self.state().warmth {
            Warmth::Cold => false,
            Warmth::Warm { until, .. } => until.is_none_or(|until| Instant::now() < until),
        }
    }

    /// Adds a use to those the model is loaded for; gives what is enough for all. A longer context
    /// than it was loaded with means another load.
    pub(super) fn need(&self, more: Needs) -> Needs {
        let mut state = self.state();
        let needs = state.needs.map_or(more, |needs| Needs {
            num_ctx: needs.num_ctx.max(more.num_ctx),
            keep_alive: needs.keep_alive.max(more.keep_alive),
            generates: needs.generates || more.generates,
        });
        if state.needs.is_some_and(|old| old.num_ctx != needs.num_ctx) {
            state.warmth = Warmth::Cold;
        }
        state.needs = Some(needs);
        needs
    }

    /// What the model is loaded for; `first` if nothing was said yet.
    pub(super) fn needs_or(&self, first: Needs) -> Needs {
        *self.state().needs.get_or_insert(first)
    }

    /// The load under way, or the one that `start` begins.
    pub(super) fn join_or(&self, start: impl FnOnce() -> Loading) -> Loading {
        self.state().loading.get_or_insert_with(start).clone()
    }

    /// The load has ended; the next one is a new one.
    pub(super) fn load_ended(&self) {
        self.state().loading = None;
    }

    /// The model answered: it is loaded, and stays so for `keep_alive`.
    pub(super) fn answered(&self, keep_alive: KeepAlive) {
        let until = match keep_alive {
            KeepAlive::Forever => None,
            KeepAlive::For(duration) => Some(Instant::now() + duration),
        };
        let since = Instant::now();
        let mut state = self.state();
        state.warmth = Warmth::Warm { since, until };
        state.lost = false;
    }

    /// The model may be gone: the next request makes sure first.
    pub(super) fn doubt(&self) {
        self.state().warmth = Warmth::Cold;
    }

    /// A request failed, which raises doubt; without a server there is no loaded model either.
    pub(super) fn failed(&self, error: &BackendError) {
        self.doubt();
        if matches!(error, BackendError::Unreachable { .. }) {
            self.state().heated = false;
        }
    }

    /// Something came of a request: the model is alive.
    pub(super) fn heard(&self) {
        self.state().silence = Silence::default();
    }

    fn silent(&self, sent: Instant) {
        let silence = &mut self.state().silence;
        silence.requests += 1;
        silence.since.get_or_insert(sent);
    }

    /// Whether the model answered none of several requests for at least `patience`. Such models exist:
    /// an Ollama whose runner lost a request never gives its turn to the next.
    pub(super) fn is_suspect(&self, patience: Duration) -> bool {
        let silence = self.state().silence;
        let long = silence
            .since
            .is_some_and(|since| since.elapsed() >= patience);
        long && silence.requests >= SUSPICIOUS_REQUESTS
    }

    /// What `/api/ps`, asked at `asked`, says of the model: where it is, or that it is not loaded. True
    /// while it has lost its place and nobody asked for it since.
    pub(super) fn seen(&self, placement: Option<Placement>, asked: Instant) -> bool {
        let mut state = self.state();
        let news = state.remarks.placed(placement);
        let differs = placement.is_some_and(|placement| placement.differs());
        let was_warm = matches!(state.warmth, Warmth::Warm { since, .. } if since < asked);
        let gone = was_warm && placement.is_none();
        if gone || (was_warm && news && differs) {
            state.warmth = Warmth::Cold;
        }
        state.lost = placement.is_none() && (state.lost || gone);
        state.lost
    }

    /// Whether the model is to stay in memory for ever.
    pub(super) fn is_pinned(&self) -> bool {
        let needs = self.state().needs;
        needs.is_some_and(|needs| needs.keep_alive == KeepAlive::Forever)
    }

    /// Context length that the model is loaded for; none before its first use.
    pub(super) fn num_ctx(&self) -> Option<u32> {
        self.state().needs.map(|needs| needs.num_ctx)
    }

    /// Notes something for the status.
    pub(super) fn remark(&self, note: impl FnOnce(&mut Remarks)) {
        note(&mut self.state().remarks);
    }

    /// What a person should know.
    pub(super) fn remarks(&self) -> Option<String> {
        self.state().remarks.say()
    }

    /// Whether the model has to run once before it is quick, after a load that took `took`.
    pub(super) fn needs_heat(&self, took: Duration) -> bool {
        !self.state().heated || took > REAL_LOAD
    }

    pub(super) fn heated(&self) {
        self.state().heated = true;
    }

    /// Notes how long a request to a warm model spent loading. True once, when that was a real load:
    /// something makes Ollama load the model again and again.
    pub(super) fn thrashes(&self, load: Option<Duration>) -> bool {
        let Some(took) = load.filter(|load| *load > REAL_LOAD) else {
            return false;
        };
        self.remark(|remarks| remarks.reloaded(took));
        !self.warned.swap(true, Ordering::Relaxed)
    }
}

/// Watches one request from sending to the first byte. A request given up after [`REAL_LOAD`] may have
/// been waiting for a load, and giving up has just ended it.
#[derive(Debug)]
pub(super) struct FirstByteWatch {
    residency: Arc<Residency>,
    sent: Instant,
    answered: bool,
}

impl FirstByteWatch {
    pub(super) fn start(residency: Arc<Residency>) -> Self {
        Self {
            residency,
            sent: Instant::now(),
            answered: false,
        }
    }

    /// The model answered.
    pub(super) fn answered(mut self) {
        self.answered = true;
        self.residency.heard();
    }

    /// The server answered in the model's place.
    pub(super) fn refused(mut self) {
        self.answered = true;
    }
}

impl Drop for FirstByteWatch {
    fn drop(&mut self) {
        if !self.answered && self.sent.elapsed() > REAL_LOAD {
            self.residency.doubt();
            self.residency.silent(self.sent);
        }
    }
}

#[cfg(test)]
mod tests;
