//! What became of the completions that were shown: accepted, typed past, or neither.
//!
//! The editor tells of an accept; everything else is read off what the person types next. One item is
//! watched at a time, the one shown last.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ask::Completion;
use super::gate::{Features, Gate, Lately};
use super::place::{Fit, Place, fit};
use super::{Engine, lock};

/// An item gone sooner than this was not read, so its end says nothing; continue's editors use the same.
const READ_AFTER: Duration = Duration::from_millis(250);

impl Engine {
    /// What was learned of this person's accepts.
    pub fn gate(&self) -> Gate {
        lock(&self.outcomes).gate.clone()
    }

    /// Goes on from what was learned earlier, or from nothing.
    pub fn set_gate(&self, gate: Gate) {
        lock(&self.outcomes).gate = gate;
    }

    /// The editor inserted the completion `id`.
    pub fn accepted(&self, id: u64) {
        self.metrics.completion_accepted();
        lock(&self.outcomes).accepted(id);
    }

    /// The editor drew the completion `id`; not all editors tell.
    pub fn drawn(&self, id: u64) {
        lock(&self.outcomes).drawn(id);
    }

    /// The editor inserted a part of the completion `id`.
    pub fn partly_accepted(&self, id: u64) {
        self.metrics.completion_partly_accepted();
        lock(&self.outcomes).partly_accepted(id);
    }
}

/// The item shown last.
#[derive(Debug)]
struct Shown {
    id: u64,
    place: Place,
    text: String,
    features: Features,
    since: Instant,
    /// Characters of it that are not in the document yet.
    left: usize,
    /// Whether the person has typed some of it, blanks aside.
    followed: bool,
    /// Whether the editor said that it drew it.
    drawn: bool,
    /// Whether a part of it was inserted: the rest being left is no rejection.
    partly_accepted: bool,
}

/// How much one more outcome counts for [`Outcomes::takes_what_is_shown`]: about the last twenty.
const WEIGHT: f64 = 0.05;
/// The least share of items taken by one stroke of a person who accepts: the last one, or one in ten for long.
const LEAST_TAKEN: f64 = WEIGHT;

/// Watches outcomes and teaches the gate.
#[derive(Debug)]
pub(super) struct Outcomes {
    /// Share of the last items that were inserted at once rather than typed or left.
    taken: f64,
    pub(super) gate: Gate,
    lately: Lately,
    shown: Option<Shown>,
    /// The item whose text was inserted last, by accepting or by typing it.
    typed: Option<Shown>,
    /// Whether this editor tells what it draws: then nothing is learned of what it did not.
    tells_what_it_draws: bool,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self {
            // A person nobody knows yet is taken for one of many, who accepts.
            taken: 0.25,
            gate: Gate::default(),
            lately: Lately::default(),
            shown: None,
            typed: None,
            tells_what_it_draws: false,
        }
    }
}

impl Outcomes {
    /// A completion for `place` is about to be shown, which begins at `start`; false when it is held back.
    pub(super) fn show(
        &mut self,
        completion: &Completion,
        place: &Place,
        start: &Place,
        explicit: bool,
    ) -> bool {
        let features = Features::of(completion, place, &self.lately);
        self.lately.key = Some(Instant::now());
        let text = completion.insert_text.replace("\r\n", "\n");
        // Typing along a ghost text goes on showing it: it counts from when it first appeared.
        let same = self.shown.as_ref().and_then(|shown| {
            let Fit::Typed(typed) = fit(&shown.place, &shown.text, start) else {
                return None;
            };
            let (typed, rest) = shown.text.split_at_checked(typed)?;
            rest.starts_with(&text).then_some((shown, typed))
        });
        // What is on the screen stays there.
        if !explicit && same.is_none() && !self.gate.shows(&features) {
            self.shown = None;
            return false;
        }
        // A space says nothing of the word behind it.
        let followed =
            same.is_some_and(|(shown, typed)| shown.followed || !typed.trim().is_empty());
        let (features, since, drawn, partly_accepted) =
            same.map_or((features, Instant::now(), false, false), |(shown, _)| {
                let Shown {
                    features, since, ..
                } = *shown;
                (features, since, shown.drawn, shown.partly_accepted)
            });
        self.shown = Some(Shown {
            left: text.trim_end().chars().count(),
            id: completion.id,
            place: start.clone(),
            text,
            features,
            since,
            drawn,
            partly_accepted,
            followed,
        });
        true
    }

    /// Whether this person accepts items, rather than typing them out.
    pub(super) fn takes_what_is_shown(&self) -> bool {
        self.taken >= LEAST_TAKEN
    }

    /// Whether some of what is shown has been typed: it is what the person has in mind, or begins so.
    pub(super) fn follows_what_is_shown(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.followed)
    }

    /// Whether an item is shown in the document.
    pub(super) fn watches(&self, uri: &Arc<str>) -> bool {
        self.shown
            .as_ref()
            .is_some_and(|shown| shown.place.uri == *uri)
    }

    /// The item on the screen has grown to `completion`. Nothing was typed since.
    pub(super) fn grown(&mut self, completion: &Completion) {
        let shown = self.shown.as_mut();
        if let Some(shown) = shown.filter(|shown| shown.id == completion.id) {
            shown.text = completion.insert_text.replace("\r\n", "\n");
            shown.left = shown.text.trim_end().chars().count();
        }
    }

    /// The document with the shown item changed; the person is now at one of `places`. That one's number
    /// when all of the item stands there now.
    pub(super) fn moved(&mut self, places: &[Place]) -> Option<usize> {
        let shown = self.shown.as_mut()?;
        if places.first()?.uri != shown.place.uri {
            return None;
        }
        let mut fits = places
            .iter()
            .map(|now| fit(&shown.place, &shown.text, now))
            .enumerate();
        let (number, fit) = fits
            .find(|(_, fit)| *fit != Fit::Diverged)
            .unwrap_or((0, Fit::Diverged));
        match fit {
            Fit::Typed(typed) if typed < shown.text.trim_end().len() => {
                let left = shown.text.trim_end().get(typed..).unwrap_or_default();
                shown.left = left.chars().count();
                None
            }
            Fit::Typed(_) | Fit::Ahead => {
                let at_once = shown.left > 1;
                self.taken += WEIGHT * (if at_once { 1.0 } else { 0.0 } - self.taken);
                // Accepted or typed to its end: the editor tells of accepts itself, and typing says
                // that the text was right, not that it was wanted.
                self.typed = self.shown.take();
                Some(number)
            }
            Fit::Correcting => None,
            Fit::Diverged => {
                self.taken -= WEIGHT * self.taken;
                self.ended(false);
                None
            }
        }
    }

    /// The editor says that the item `id` was accepted. Its text may stand in the document already.
    pub(super) fn accepted(&mut self, id: u64) {
        if let Some(typed) = self.typed.take_if(|typed| typed.id == id) {
            self.shown = Some(typed);
        }
        if self.shown.as_ref().is_some_and(|shown| shown.id == id) {
            self.ended(true);
        }
    }

    /// The editor says that it drew the item `id`: only now can it be read.
    fn drawn(&mut self, id: u64) {
        self.tells_what_it_draws = true;
        if let Some(shown) = self
            .shown
            .as_mut()
            .filter(|shown| shown.id == id && !shown.drawn)
        {
            shown.drawn = true;
            shown.since = Instant::now();
        }
    }

    /// The editor says that it inserted a part of the item `id`.
    fn partly_accepted(&mut self, id: u64) {
        for shown in [&mut self.shown, &mut self.typed].into_iter().flatten() {
            shown.partly_accepted |= shown.id == id;
        }
    }

    /// The document was closed: nobody knows what would have become of the item.
    pub(super) fn forget(&mut self, uri: &str) {
        self.shown.take_if(|shown| shown.place.uri.as_ref() == uri);
    }

    fn ended(&mut self, accepted: bool) {
        let Some(shown) = self.shown.take() else {
            return;
        };
        let accepted = accepted || shown.partly_accepted;
        let unread =
            shown.since.elapsed() < READ_AFTER || (self.tells_what_it_draws && !shown.drawn);
        if !accepted && unread {
            return;
        }
        self.gate.learn(&shown.features, accepted);
        self.lately.was_accepted = accepted;
        if accepted {
            self.lately.accept = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
