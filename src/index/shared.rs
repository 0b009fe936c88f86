//! What searches and the background task share.
//!
//! Locks are std's: held for a copy, a search, or one file's change; never across an await.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::corpus::Corpus;
use super::refresh::Workspace;
use super::status::{Phase, Status};
use crate::router::Router;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) router: Arc<Router>,
    pub(super) workspace: ArcSwap<Workspace>,
    /// A std lock: held for a search or for one file, never across an await.
    pub(super) corpus: RwLock<Corpus>,
    pub(super) todo: Mutex<Todo>,
    pub(super) woken: Notify,
    /// Whether there are vectors to sweep.
    pub(super) sweep: AtomicBool,
    pub(super) status: watch::Sender<Status>,
    pub(super) typed_at: Mutex<Option<Instant>>,
}

/// What the task has to do.
#[derive(Debug, Default)]
pub(super) struct Todo {
    /// Forget what is known of files.
    pub(super) anew: bool,
    /// Read the index from the disk.
    pub(super) load: bool,
    /// Look at every file.
    pub(super) all: bool,
    /// Look at these.
    pub(super) paths: HashSet<PathBuf>,
}

/// More files than this at once, and all are looked at.
pub(super) const MANY_PATHS: usize = 5_000;

impl Todo {
    pub(super) fn is_empty(&self) -> bool {
        !(self.anew || self.load || self.all) && self.paths.is_empty()
    }
}

impl Shared {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Corpus> {
        self.corpus.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn later(&self, change: impl FnOnce(&mut Todo)) {
        change(&mut self.todo.lock().unwrap_or_else(PoisonError::into_inner));
        self.woken.notify_one();
    }

    pub(super) fn take_todo(&self) -> Todo {
        std::mem::take(&mut *self.todo.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether every file is to be looked at because of many changes, and not because somebody asked.
    pub(super) fn wants_all(&self) -> bool {
        let todo = self.todo.lock().unwrap_or_else(PoisonError::into_inner);
        todo.all && !(todo.anew || todo.load)
    }

    pub(super) fn has_todo(&self) -> bool {
        !self
            .todo
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    pub(super) fn take_sweep(&self) -> bool {
        self.sweep.swap(false, Ordering::Relaxed)
    }

    /// Whether folders or settings are others than `workspace` was made for.
    pub(super) fn is_replaced(&self, workspace: &Arc<Workspace>) -> bool {
        !Arc::ptr_eq(&self.workspace.load(), workspace)
    }

    pub(super) fn typed_at(&self) -> Option<Instant> {
        *self.typed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn say(&self, phase: Phase) {
        self.status.send_if_modified(|status| {
            let news = status.phase != phase;
            status.phase = phase;
            news
        });
    }

    /// Publishes how much there is.
    pub(super) fn count(&self) {
        let (files, chunks, embedded, model) = {
            let corpus = self.read();
            let (files, chunks, embedded) = corpus.counts();
            (
                files,
                chunks,
                embedded,
                corpus.model().map(ToString::to_string),
            )
        };
        self.status.send_if_modified(|status| {
            let now = Status {
                phase: status.phase.clone(),
                files,
                chunks,
                embedded,
                model,
            };
            let news = *status != now;
            *status = now;
            news
        });
    }
}
