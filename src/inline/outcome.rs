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

/// An item gone sooner than this was not read, so its end says nothing; continue's editors use the same.
const READ_AFTER: Duration = Duration::from_millis(250);

/// The item shown last.
#[derive(Debug)]
struct Shown {
    id: u64,
    place: Place,
    text: String,
    features: Features,
    since: Instant,
}

/// Watches outcomes and teaches the gate.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) gate: Gate,
    lately: Lately,
    shown: Option<Shown>,
    /// The item whose text was inserted last, by accepting or by typing it.
    typed: Option<Shown>,
}

impl Outcomes {
    /// A completion is about to be shown at `place`; false when it is held back.
    pub(super) fn show(&mut self, completion: &Completion, place: &Place, explicit: bool) -> bool {
        let features = Features::of(completion, place, &self.lately);
        self.lately.key = Some(Instant::now());
        if !explicit && !self.gate.shows(&features) {
            self.shown = None;
            return false;
        }
        let text = completion.insert_text.replace("\r\n", "\n");
        // Typing along a ghost text goes on showing it: it counts from when it first appeared.
        let same = self.shown.as_ref().filter(|shown| {
            matches!(fit(&shown.place, &shown.text, place), Fit::Typed(typed)
                if shown.text.get(typed..).is_some_and(|rest| rest.starts_with(&text)))
        });
        let (features, since) = same.map_or((features, Instant::now()), |shown| {
            (shown.features, shown.since)
        });
        self.shown = Some(Shown {
            id: completion.id,
            place: place.clone(),
            text,
            features,
            since,
        });
        true
    }

    /// Whether an item is shown in the document.
    pub(super) fn watches(&self, uri: &Arc<str>) -> bool {
        self.shown
            .as_ref()
            .is_some_and(|shown| shown.place.uri == *uri)
    }

    /// The document with the shown item changed; the person is now at `now`. True when that was the
    /// accept of the item.
    pub(super) fn moved(&mut self, now: &Place) -> bool {
        let Some(shown) = self
            .shown
            .as_ref()
            .filter(|shown| shown.place.uri == now.uri)
        else {
            return false;
        };
        match fit(&shown.place, &shown.text, now) {
            Fit::Typed(typed) if typed < shown.text.trim_end().len() => false,
            Fit::Typed(_) | Fit::Ahead => {
                // Accepted or typed to its end: the editor tells of accepts itself, and typing says
                // that the text was right, not that it was wanted.
                self.typed = self.shown.take();
                true
            }
            Fit::Correcting => false,
            Fit::Diverged => {
                self.ended(false);
                false
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

    /// The document was closed: nobody knows what would have become of the item.
    pub(super) fn forget(&mut self, uri: &str) {
        self.shown.take_if(|shown| shown.place.uri.as_ref() == uri);
    }

    fn ended(&mut self, accepted: bool) {
        let Some(shown) = self.shown.take() else {
            return;
        };
        if !accepted && shown.since.elapsed() < READ_AFTER {
            return;
        }
        self.gate.learn(&shown.features, accepted);
        self.lately.was_accepted = accepted;
        if accepted {
            self.lately.accept = Some(Instant::now());
        }
    }
}
