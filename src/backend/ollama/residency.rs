//! What is known about one model in Ollama's memory: whether it is loaded, and who uses it.
//!
//! Ollama gives up a load when the client that caused it leaves, and the next request starts it from
//! zero: a person who types through a cold load would never see it end. So a request that can be
//! cancelled is sent only to a model believed to be loaded, and the load is a task of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::KeepAlive;
use crate::backend::BackendError;

/// A load that takes longer was a real one: a loaded model answers within a few milliseconds, and
/// within about 300 ms in Ollama 0.30 to 0.32.14, which read the file's header each time.
pub(super) const REAL_LOAD: Duration = Duration::from_millis(500);

/// A load under way; every waiting request holds a clone.
pub(super) type Loading = Shared<BoxFuture<'static, Result<(), Arc<BackendError>>>>;

/// One model.
#[derive(Debug)]
pub(super) struct Residency {
    /// One request at a time: Ollama queues the rest without bound and in order of arrival, where
    /// nobody can take them back cheaply.
    pub(super) slot: Arc<Semaphore>,
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
    /// Whether the model has run since it was last known to be loaded from disk.
    heated: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Warmth {
    #[default]
    Cold,
    /// Loaded; `until` is when Ollama unloads it by itself.
    Warm { until: Option<Instant> },
}

impl Residency {
    pub(super) fn new() -> Self {
        Self {
            slot: Arc::new(Semaphore::new(1)),
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
            Warmth::Warm { until } => until.is_none_or(|until| Instant::now() < until),
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
        self.state().warmth = Warmth::Warm { until };
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
        load.is_some_and(|load| load > REAL_LOAD) && !self.warned.swap(true, Ordering::Relaxed)
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

    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for FirstByteWatch {
    fn drop(&mut self) {
        if !self.answered && self.sent.elapsed() > REAL_LOAD {
            self.residency.doubt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn warmth_lasts_as_long_as_keep_alive() {
        let model = Residency::new();
        assert!(!model.is_warm());
        model.answered(KeepAlive::For(MINUTE));
        tokio::time::advance(SECOND * 59).await;
        assert!(model.is_warm());
        tokio::time::advance(SECOND * 2).await;
        assert!(!model.is_warm());
        model.answered(KeepAlive::Forever);
        tokio::time::advance(MINUTE * 1000).await;
        assert!(model.is_warm());
        model.doubt();
        assert!(!model.is_warm());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_given_up_late_raises_doubt() {
        for (waited, answered, warm) in [
            (REAL_LOAD / 2, false, true),
            (REAL_LOAD * 2, false, false),
            (REAL_LOAD * 2, true, true),
        ] {
            let model = Arc::new(Residency::new());
            model.answered(KeepAlive::Forever);
            let watch = FirstByteWatch::start(Arc::clone(&model));
            tokio::time::advance(waited).await;
            if answered {
                watch.answered();
            } else {
                drop(watch);
            }
            assert_eq!(model.is_warm(), warm, "{waited:?} {answered}");
        }
    }

    #[test]
    fn uses_agree_on_what_is_enough() {
        let model = Residency::new();
        let completes = Needs {
            num_ctx: 4096,
            keep_alive: KeepAlive::Forever,
            generates: true,
        };
        let chats = Needs {
            num_ctx: 8192,
            keep_alive: KeepAlive::For(MINUTE),
            generates: true,
        };
        assert_eq!(model.need(completes), completes);
        model.answered(KeepAlive::Forever);
        assert_eq!(model.need(completes), completes);
        assert!(model.is_warm());
        let both = Needs {
            num_ctx: 8192,
            ..completes
        };
        assert_eq!(model.need(chats), both);
        assert!(!model.is_warm(), "a longer context is another load");
        model.answered(KeepAlive::Forever);
        assert_eq!(model.need(completes), both);
        assert!(model.is_warm());
    }

    #[test]
    fn needless_loads_are_told_once() {
        let model = Residency::new();
        assert!(!model.thrashes(None));
        assert!(!model.thrashes(Some(REAL_LOAD)));
        assert!(model.thrashes(Some(REAL_LOAD * 2)));
        assert!(!model.thrashes(Some(REAL_LOAD * 2)));
    }

    #[test]
    fn only_the_first_load_and_real_loads_need_heat() {
        let model = Residency::new();
        assert!(model.needs_heat(Duration::ZERO));
        model.heated();
        assert!(!model.needs_heat(Duration::ZERO));
        assert!(model.needs_heat(REAL_LOAD * 2));
    }
}
