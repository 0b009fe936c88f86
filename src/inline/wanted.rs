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
    /// Whether nobody asked for it.
    speculative: bool,
    /// The way there, for a person who is not at the origin yet.
    lead: Option<Lead>,
    /// Where the person may be since the last change or request; none before one, when it is wanted. A std
    /// mutex, held for one comparison.
    newest: Mutex<Vec<Place>>,
}

impl Wanted {
    pub(super) fn new(origin: Arc<Place>, speculative: bool, lead: Option<Lead>) -> Self {
        Self {
            origin,
            speculative,
            lead,
            newest: Mutex::default(),
        }
    }

    fn newest(&self) -> MutexGuard<'_, Vec<Place>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody asked for the generation yet.
    pub(super) fn is_speculative(&self) -> bool {
        self.speculative
    }

    /// The document changed, or somebody asked: the person is at one of `places`.
    pub(super) fn moved(&self, places: Vec<Place>) {
        *self.newest() = places;
    }

    /// Whether `text` may be of use where the person is.
    pub(super) fn allows(&self, text: &str) -> bool {
        let newest = self.newest();
        let leads = |now: &Place| {
            let lead = self.lead.as_ref();
            lead.is_some_and(|lead| fit(&lead.place, &lead.text, now) != Fit::Diverged)
        };
        newest.is_empty()
            || newest
                .iter()
                .any(|now| fit(&self.origin, text, now) != Fit::Diverged || leads(now))
    }
}

/// A text that leads to where a generation begins, and from where: the completion that a guess takes for
/// accepted, or the selected entry of the editor's list.
#[derive(Debug, Clone)]
pub(super) struct Lead {
    pub(super) place: Place,
    pub(super) text: String,
}
