//! Whether a generation in flight is still of use.
//!
//! Asked on every change of the document and on every piece of text: either may be the first to
//! disagree with the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::place::{Fit, Place, fit};

/// What decides whether a generation is still of use.
#[derive(Debug)]
pub(super) struct Wanted {
    origin: Arc<Place>,
    /// What must be accepted for this generation to be wanted; nothing when somebody asked for it.
    predicted: Option<Prediction>,
    /// Where the person is since the last change. A std mutex, held for one comparison.
    newest: Mutex<Option<Place>>,
}

impl Wanted {
    pub(super) fn new(origin: Arc<Place>, predicted: Option<Prediction>) -> Self {
        Self {
            origin,
            predicted,
            newest: Mutex::default(),
        }
    }

    fn newest(&self) -> MutexGuard<'_, Option<Place>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody asked for the generation yet.
    pub(super) fn is_speculative(&self) -> bool {
        self.predicted.is_some()
    }

    /// The document changed, and the person is at `now`.
    pub(super) fn moved(&self, now: Place) {
        *self.newest() = Some(now);
    }

    /// Whether `text` may be of use where the person is.
    pub(super) fn allows(&self, text: &str) -> bool {
        let newest = self.newest();
        let Some(now) = newest.as_ref() else {
            return true;
        };
        let fits = |fit| fit != Fit::Diverged;
        fits(fit(&self.origin, text, now))
            || self
                .predicted
                .as_ref()
                .is_some_and(|p| fits(fit(&p.place, &p.text, now)))
    }
}

/// The completion that a speculative generation takes for accepted.
#[derive(Debug, Clone)]
pub(super) struct Prediction {
    pub(super) place: Place,
    pub(super) text: String,
}
