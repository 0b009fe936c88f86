//! What the async side and the engine's thread have in common.
//!
//! The async side submits, the thread reports. No lock here is held while anything is computed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use super::embedder::EmbedJob;
use super::interrupt::{Arrival, Interrupt};
use super::job::{Job, Load, Task};
use super::standings::Standings;
use super::{EmbeddedModel, EngineOptions};
use crate::backend::queue::{Queue, Refused, Work};
use crate::backend::{
    BackendError, Chunk, EmbedRequest, Embeddings, PromptBudget, Request, Urgency,
};

/// Requests that may wait. A person has one completion, one chat and a prefetch or two; more is a
/// caller that does not look at its answers.
const QUEUE_CAPACITY: usize = 32;

/// Where a job's chunks come out.
pub(super) type ChunkReceiving = mpsc::UnboundedReceiver<Result<Chunk, BackendError>>;

/// How long the engine's thread has worked, and since when it does. A std mutex, held to read or write both.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<(Duration, Option<Instant>)>);

/// A stretch of work; it ends when it is dropped.
pub(super) struct Working<'a>(&'a Busy);

impl Busy {
    fn lock(&self) -> MutexGuard<'_, (Duration, Option<Instant>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Work begins.
    pub(super) fn working(&self) -> Working<'_> {
        self.lock().1 = Some(Instant::now());
        Working(self)
    }

    /// All of it up to now: an answer of a chat is one stretch of minutes.
    pub(super) fn total(&self) -> Duration {
        let (done, since) = *self.lock();
        done + since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let mut busy = self.0.lock();
        let elapsed = busy
            .1
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        busy.0 += elapsed;
    }
}

type Lister = Box<dyn Fn() -> Vec<EmbeddedModel> + Send + Sync>;

pub(super) struct Shared {
    pub(super) name: String,
    pub(super) options: EngineOptions,
    lister: Lister,
    models: ArcSwap<Vec<Arc<EmbeddedModel>>>,
    pub(super) queue: Queue<Task>,
    /// Kept by each context as well.
    pub(super) interrupt: Arc<Interrupt>,
    /// Numbers the jobs.
    submitted: AtomicU64,
    pub(super) standings: Standings,
    /// Whether something is worked on that somebody asked for.
    at_work: watch::Sender<bool>,
    /// From the first measurement of a model for completions in this run.
    pub(super) budget: OnceLock<PromptBudget>,
    pub(super) busy: Busy,
    pub(super) steps_decoded: AtomicU64,
    pub(super) tokens_decoded: AtomicU64,
    pub(super) tokens_drafted: AtomicU64,
    pub(super) tokens_of_drafts: AtomicU64,
    pub(super) tokens_moved: AtomicU64,
    pub(super) tokens_turned: AtomicU64,
    pub(super) tokens_refreshed: AtomicU64,
    pub(super) tokens_stale: AtomicU64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        name: String,
        models: impl Fn() -> Vec<EmbeddedModel> + Send + Sync + 'static,
        options: EngineOptions,
    ) -> Self {
        let first = models().into_iter().map(Arc::new).collect();
        Self {
            name,
            options,
            lister: Box::new(models),
            models: ArcSwap::from_pointee(first),
            queue: Queue::new(QUEUE_CAPACITY),
            interrupt: Arc::default(),
            submitted: AtomicU64::new(0),
            standings: Standings::default(),
            at_work: watch::Sender::new(false),
            budget: OnceLock::new(),
            busy: Busy::default(),
            steps_decoded: AtomicU64::new(0),
            tokens_decoded: AtomicU64::new(0),
            tokens_drafted: AtomicU64::new(0),
            tokens_of_drafts: AtomicU64::new(0),
            tokens_moved: AtomicU64::new(0),
            tokens_turned: AtomicU64::new(0),
            tokens_refreshed: AtomicU64::new(0),
            tokens_stale: AtomicU64::new(0),
        }
    }

    /// Which weights are there now. What runs goes on with its own file.
    pub(super) fn list_models(&self) -> Arc<Vec<Arc<EmbeddedModel>>> {
        let models = Arc::new((self.lister)().into_iter().map(Arc::new).collect());
        self.models.store(Arc::clone(&models));
        models
    }

    /// Queues a generation. The receiver's drop is its cancel; telling [`Interrupt::given_up`] the
    /// job's number as well ends the step that is computed for it.
    pub(super) fn submit(
        &self,
        request: Request,
        urgency: &Arc<Urgency>,
    ) -> Result<(u64, ChunkReceiving), BackendError> {
        let model = self.find(&request.model)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let number = self.submitted.fetch_add(1, Ordering::Relaxed) + 1;
        let job = Job::new(number, model, request, Arc::clone(urgency), sender);
        self.push(Task::Generate(Box::new(job)))?;
        Ok((number, receiver))
    }

    /// Queues texts to embed. The receiver's drop is the cancel.
    pub(super) fn submit_embed(
        &self,
        request: EmbedRequest,
    ) -> Result<oneshot::Receiver<Result<Embeddings, BackendError>>, BackendError> {
        let model = self.find(&request.model)?;
        let (done, receiver) = oneshot::channel();
        let job = EmbedJob::new(model, request.priority, request.texts, done);
        self.push(Task::Embed(Box::new(job)))?;
        Ok(receiver)
    }

    /// Queues a load.
    pub(super) fn submit_load(
        &self,
        model: &str,
    ) -> Result<oneshot::Receiver<Result<(), BackendError>>, BackendError> {
        let model = self.find(model)?;
        let (done, receiver) = oneshot::channel();
        self.push(Task::Load(Load { model, done }))?;
        Ok(receiver)
    }

    /// Follows whether something is worked on that somebody asked for.
    pub(super) fn watch_at_work(&self) -> watch::Receiver<bool> {
        self.at_work.subscribe()
    }

    pub(super) fn show_at_work(&self, now: bool) {
        self.at_work
            .send_if_modified(|shown| std::mem::replace(shown, now) != now);
    }

    pub(super) fn failed(&self, message: impl Into<String>) -> BackendError {
        BackendError::Failed {
            backend: self.name.clone(),
            message: message.into(),
        }
    }

    pub(super) fn interrupted(&self) -> BackendError {
        BackendError::Interrupted {
            backend: self.name.clone(),
            message: "the engine was shut down".to_owned(),
        }
    }

    pub(super) fn count_step(&self, tokens: u64) {
        self.steps_decoded.fetch_add(1, Ordering::Relaxed);
        self.tokens_decoded.fetch_add(tokens, Ordering::Relaxed);
    }

    /// A step with a draft of so many tokens gave so many.
    pub(super) fn count_drafted(&self, draft: usize, tokens: usize) {
        if draft > 0 {
            let right = tokens.saturating_sub(1);
            self.tokens_drafted
                .fetch_add(draft as u64, Ordering::Relaxed);
            self.tokens_of_drafts
                .fetch_add(right as u64, Ordering::Relaxed);
        }
    }

    /// So many tokens were moved, their keys turned here or by llama.cpp.
    pub(super) fn count_moved(&self, tokens: usize, turned_here: bool) {
        let tokens = tokens as u64;
        self.tokens_moved.fetch_add(tokens, Ordering::Relaxed);
        if turned_here {
            self.tokens_turned.fetch_add(tokens, Ordering::Relaxed);
        }
    }

    pub(super) fn count_refreshed(&self, tokens: u64) {
        self.tokens_refreshed.fetch_add(tokens, Ordering::Relaxed);
    }

    /// A model's cache has `now` stale tokens, where it had `before`.
    pub(super) fn show_stale(&self, before: usize, now: usize) {
        self.tokens_stale.fetch_add(now as u64, Ordering::Relaxed);
        self.tokens_stale
            .fetch_sub(before as u64, Ordering::Relaxed);
    }

    pub(super) fn find(&self, name: &str) -> Result<Arc<EmbeddedModel>, BackendError> {
        let models = self.models.load();
        models
            .iter()
            .find(|model| model.name == name)
            .cloned()
            .ok_or_else(|| BackendError::ModelMissing {
                backend: self.name.clone(),
                model: name.to_owned(),
            })
    }

    fn push(&self, task: Task) -> Result<(), BackendError> {
        let priority = task.priority();
        let prompt = match &task {
            Task::Generate(job) => job.prompt.clone().map(|prompt| (job.number, prompt)),
            Task::Embed(_) | Task::Load(_) | Task::Loaded(_) => None,
        };
        let prompt = prompt.filter(|_| !self.queue.waits_before(priority, |_| true));
        let arrival = Arrival { priority, prompt };
        self.queue.push(task).map_err(|refused| match refused {
            Refused::Full => BackendError::Busy {
                backend: self.name.clone(),
            },
            Refused::Closed => self.interrupted(),
        })?;
        self.interrupt.arrived(&arrival);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_counts_while_it_goes_on() {
        let busy = Busy::default();
        assert_eq!(busy.total(), Duration::ZERO);
        let working = busy.working();
        let before = busy.total();
        while busy.total() == before {}
        drop(working);
        let done = busy.total();
        assert!(done > before);
        assert_eq!(busy.total(), done);
    }
}
