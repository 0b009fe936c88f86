//! How each model stands, for whoever asks from outside.
//!
//! Written by the engine's threads, read by the async side. By file, because one file may have two names.
//! The lock is held for a copy of a few words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::speed::Speed;

/// What the engine does with a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EngineState {
    /// It is not in memory. The next request loads it.
    #[default]
    Unloaded,
    /// It is being read.
    Loading {
        /// How much of it is there, in percent.
        percent: u8,
    },
    /// It is in memory.
    Ready,
    /// The last load failed. The next request tries again.
    Failed {
        /// Why, ending in what to do.
        message: String,
    },
}

/// What is known of one model.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) state: EngineState,
    pub(super) speed: Option<Speed>,
    /// What is wrong with its chat template.
    pub(super) complaint: Option<String>,
    /// Where it runs, if not all of it runs where it should.
    pub(super) place_remark: Option<String>,
}

/// See the file's page.
#[derive(Debug)]
pub(super) struct Standings {
    by_file: Mutex<BTreeMap<PathBuf, Known>>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

impl Default for Standings {
    fn default() -> Self {
        Self {
            by_file: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Standings {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Known>> {
        self.by_file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, file: &Path) -> Known {
        self.lock().get(file).cloned().unwrap_or_default()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Writes down what is known now.
    pub(super) fn set(&self, file: &Path, known: Known) {
        self.lock().insert(file.to_owned(), known);
        self.changed();
    }

    /// Writes down that nothing of the model is in memory.
    pub(super) fn unloaded(&self, file: &Path) {
        self.lock().remove(file);
        self.changed();
    }

    /// Writes down that the load failed.
    pub(super) fn failed(&self, file: &Path, message: &str) {
        let state = EngineState::Failed {
            message: message.to_owned(),
        };
        self.set(
            file,
            Known {
                state,
                ..Known::default()
            },
        );
    }

    /// Writes down the share that is read, from 0 to 1, where it is another percentage.
    pub(super) fn loading(&self, file: &Path, share: f32) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 100"
        )]
        let percent = (share.clamp(0.0, 1.0) * 100.0) as u8;
        let state = EngineState::Loading { percent };
        if self.of(file).state != state {
            self.set(
                file,
                Known {
                    state,
                    ..Known::default()
                },
            );
        }
    }

    /// Writes down what is wrong with the chat template.
    pub(super) fn complain(&self, file: &Path, complaint: Option<&str>) {
        let mut by_file = self.lock();
        let Some(known) = by_file.get_mut(file) else {
            return;
        };
        if known.complaint.as_deref() != complaint {
            known.complaint = complaint.map(str::to_owned);
            drop(by_file);
            self.changed();
        }
    }

    /// Writes down that nothing is in memory: all at once, at the end.
    pub(super) fn clear(&self) {
        self.lock().clear();
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{EngineState, Known, Standings};

    #[test]
    fn what_is_the_same_is_no_news() {
        let standings = Standings::default();
        let mut changes = standings.changes();
        let file = Path::new("a");
        let mut is_news = |change: &dyn Fn()| {
            drop(changes.borrow_and_update());
            change();
            changes.has_changed().expect("the sender lives")
        };
        assert!(is_news(&|| standings.loading(file, 0.5)));
        assert!(!is_news(&|| standings.loading(file, 0.501)));
        assert!(is_news(&|| standings.loading(file, 0.51)));
        assert!(is_news(&|| standings.set(
            file,
            Known {
                state: EngineState::Ready,
                ..Known::default()
            }
        )));
        assert!(!is_news(&|| standings.complain(file, None)));
        assert!(is_news(&|| standings.complain(file, Some("no template"))));
        assert_eq!(standings.of(file).complaint.as_deref(), Some("no template"));
        assert!(is_news(&|| standings.unloaded(file)));
        assert_eq!(standings.of(file).state, EngineState::Unloaded);
        standings.failed(file, "it is too large");
        assert!(matches!(
            standings.of(file).state,
            EngineState::Failed { .. }
        ));
    }
}
