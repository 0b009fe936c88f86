//! A model in memory, with all that works on it.
//!
//! Owned by the worker. The contexts borrow the weights, so both are kept in one self-referential value.

use std::sync::Arc;
use std::time::{Duration, Instant};

use llama_cpp_2::model::LlamaModel;

use super::super::EmbeddedModel;
use super::super::embedder::EmbedJob;
use super::super::job::{Job, Loaded};
use super::super::shared::Shared;
use super::super::speed::Speed;
use super::Ready;
use super::caches::Purpose;
use super::engine::{Engine, Turn};
use crate::backend::Priority;

/// What an engine borrows.
pub(super) struct Weights {
    pub(super) shared: Arc<Shared>,
    pub(super) model: Arc<EmbeddedModel>,
    pub(super) loaded: LlamaModel,
    /// What it was loaded for.
    pub(super) first: Purpose,
}

self_cell::self_cell!(
    struct Cell {
        owner: Weights,
        #[not_covariant]
        dependent: Engine,
    }
);

/// See the file's page.
pub(super) struct Resident {
    cell: Cell,
    speed: Speed,
    /// Of its file: mapped, so the system counts it as free.
    file_bytes: u64,
    /// All that it takes.
    needed_bytes: u64,
    used: Instant,
    /// The most important work it was used for.
    most_important: Priority,
}

impl Resident {
    /// Makes the context and measures its speed.
    ///
    /// # Errors
    /// Why not, ending in what to do.
    pub(super) fn new(shared: Arc<Shared>, loaded: Loaded) -> Result<Self, String> {
        let weights = Weights {
            shared,
            model: loaded.model,
            loaded: loaded.weights?,
            first: if loaded.for_completion {
                Purpose::Typing
            } else {
                Purpose::Talk
            },
        };
        let file_bytes = weights.model.path.metadata().map_or(0, |file| file.len());
        let cell = Cell::try_new(weights, |weights| Engine::of(weights)).map_err(|message| {
            format!("{message}; set a smaller context, or choose a smaller model")
        })?;
        let speed = cell.with_dependent(|_, engine| engine.speed());
        Ok(Self {
            cell,
            speed,
            file_bytes,
            needed_bytes: loaded.needed_bytes,
            used: Instant::now(),
            most_important: loaded.priority,
        })
    }

    pub(super) fn model(&self) -> &Arc<EmbeddedModel> {
        &self.cell.borrow_owner().model
    }

    pub(super) fn speed(&self) -> Speed {
        self.speed
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    pub(super) fn needed_bytes(&self) -> u64 {
        self.needed_bytes
    }

    /// Notes that it is used now.
    pub(super) fn used_for(&mut self, priority: Priority) {
        self.used = Instant::now();
        self.most_important = self.most_important.min(priority);
    }

    /// How long nobody has used it.
    pub(super) fn unused(&self) -> Duration {
        self.used.elapsed()
    }

    /// Whether it may be unloaded for a model that work of `priority` needs. What nobody waits for puts
    /// nothing out that somebody waited for: the two would take turns at each key.
    pub(super) fn gives_way_to(&self, priority: Priority) -> bool {
        priority <= Priority::Chat || priority <= self.most_important
    }

    /// Works on a generation.
    pub(super) fn generate(&mut self, job: &mut Job, ready: &Ready) -> Result<Turn, String> {
        let turn = self
            .cell
            .with_dependent_mut(|_, engine| engine.generate(job, ready));
        self.used = Instant::now();
        turn
    }

    /// Embeds texts.
    pub(super) fn embed(&mut self, job: &mut EmbedJob, ready: &Ready) -> Result<Turn, String> {
        let turn = self
            .cell
            .with_dependent_mut(|_, engine| engine.embed(job, ready));
        self.used = Instant::now();
        turn
    }

    /// Computes a chunk anew of what was spliced, while nobody waits. `false` when there is nothing to
    /// do.
    pub(super) fn refresh(&mut self, ready: &Ready) -> bool {
        self.cell
            .with_dependent_mut(|_, engine| engine.refresh(ready))
    }
}
