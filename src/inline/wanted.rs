//! Whether a generation in flight is still of use, and whether more of it is.
//!
//! Asked on every change of the document and on every piece of text: either may be the first to
//! disagree with the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::debounce::PAUSE;
use super::place::{Fit, Place, fit};
use super::postprocess::safe_partial;

/// Characters that are enough ahead of somebody who types: a second and a half of typing, and more than
/// the word at which they look.
const ENOUGH_CHARS: usize = 10;
/// With fewer ahead more is asked for: half a second of typing, in which a backend begins to answer.
const LITTLE_CHARS: usize = 4;

/// What decides whether a generation is still of use.
#[derive(Debug)]
pub(super) struct Wanted {
    origin: Arc<Place>,
    /// What must be accepted for this generation to be wanted; nothing when somebody asked for it.
    predicted: Option<Prediction>,
    /// Where the person is since the last change, and since when. A std mutex, held for one comparison.
    newest: Mutex<(Option<Place>, Instant)>,
    moved: Notify,
}

impl Wanted {
    pub(super) fn new(origin: Arc<Place>, predicted: Option<Prediction>) -> Self {
        Self {
            origin,
            predicted,
            newest: Mutex::new((None, Instant::now())),
            moved: Notify::new(),
        }
    }

    fn newest(&self) -> MutexGuard<'_, (Option<Place>, Instant)> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody asked for the generation yet.
    pub(super) fn is_speculative(&self) -> bool {
        self.predicted.is_some()
    }

    /// The document changed, and the person is at `now`.
    pub(super) fn moved(&self, now: Place) {
        *self.newest() = (Some(now), Instant::now());
        self.moved.notify_one();
    }

    /// Whether `text` may be of use where the person is.
    pub(super) fn allows(&self, text: &str) -> bool {
        let newest = self.newest();
        let Some(now) = newest.0.as_ref() else {
            return true;
        };
        let fits = |fit| fit != Fit::Diverged;
        fits(fit(&self.origin, text, now))
            || self
                .predicted
                .as_ref()
                .is_some_and(|p| fits(fit(&p.place, &p.text, now)))
    }

    /// Whether enough of `text` lies ahead of the person for now.
    pub(super) fn has_enough(&self, text: &str) -> bool {
        // Where a statement or a head may end, the next token tells whether the line does: cheaper now than
        // as a request of its own.
        let may_end = [';', '{', '}', ')', ']', ':', ','];
        if text.trim_end_matches(' ').ends_with(may_end) {
            return false;
        }
        match self.ahead(text) {
            Ahead::Of { chars, since } => chars >= ENOUGH_CHARS && since.elapsed() < PAUSE,
            Ahead::Elsewhere => chars_of(text) >= ENOUGH_CHARS,
        }
    }

    /// Ends when more than `text` is wanted: little of it is left, or the person has stopped to read.
    pub(super) async fn more(&self, text: &str) {
        loop {
            let moved = self.moved.notified();
            match self.ahead(text) {
                Ahead::Of { chars, .. } if chars < LITTLE_CHARS => return,
                Ahead::Of { since, .. } => tokio::select! {
                    () = moved => {}
                    () = sleep_until(since + PAUSE) => return,
                },
                Ahead::Elsewhere => moved.await,
            }
        }
    }

    fn ahead(&self, text: &str) -> Ahead {
        let newest = self.newest();
        let since = newest.1;
        let typed = match newest.0.as_ref().map(|now| fit(&self.origin, text, now)) {
            None if self.is_speculative() => return Ahead::Elsewhere,
            None => 0,
            Some(Fit::Typed(typed)) => typed,
            Some(Fit::Ahead) => text.len(),
            Some(Fit::Correcting | Fit::Diverged) => return Ahead::Elsewhere,
        };
        let chars = chars_of(text.get(typed..).unwrap_or_default());
        Ahead::Of { chars, since }
    }
}

/// What of a text lies ahead of the person.
enum Ahead {
    /// So many characters that may be shown, and since when the person is there.
    Of { chars: usize, since: Instant },
    /// The person has not come to it yet, or is correcting what stands in front of it.
    Elsewhere,
}

/// Whether `text` lies far enough ahead to be worth showing without more of it.
pub(super) fn is_enough(text: &str) -> bool {
    chars_of(text) >= LITTLE_CHARS
}

/// Characters of `text` that may be shown.
fn chars_of(text: &str) -> usize {
    safe_partial(text).map_or(0, |shown| shown.trim().chars().count())
}

/// The completion that a speculative generation takes for accepted.
#[derive(Debug, Clone)]
pub(super) struct Prediction {
    pub(super) place: Place,
    pub(super) text: String,
}
