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
        let same = self.shown.as_ref().and_then(|shown| {
            let Fit::Typed(typed) = fit(&shown.place, &shown.text, place) else {
                return None;
            };
            let (typed, rest) = shown.text.split_at_checked(typed)?;
            rest.starts_with(&text).then_some((shown, typed))
        });
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
            place: place.clone(),
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

    /// The document with the shown item changed; the person is now at `now`. True when that was the
    /// accept of the item.
    pub(super) fn moved(&mut self, now: &Place) -> bool {
        let Some(shown) = self
            .shown
            .as_mut()
            .filter(|shown| shown.place.uri == now.uri)
        else {
            return false;
        };
        match fit(&shown.place, &shown.text, now) {
            Fit::Typed(typed) if typed < shown.text.trim_end().len() => {
                let left = shown.text.trim_end().get(typed..).unwrap_or_default();
                shown.left = left.chars().count();
                false
            }
            Fit::Typed(_) | Fit::Ahead => {
                let at_once = shown.left > 1;
                self.taken += WEIGHT * (if at_once { 1.0 } else { 0.0 } - self.taken);
                // Accepted or typed to its end: the editor tells of accepts itself, and typing says
                // that the text was right, not that it was wanted.
                self.typed = self.shown.take();
                true
            }
            Fit::Correcting => false,
            Fit::Diverged => {
                self.taken -= WEIGHT * self.taken;
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
mod tests {
    use super::*;
    use crate::backend::StopReason;
    use crate::inline::place::tests::place;
    use crate::inline::{Source, Trace};

    fn completion() -> Completion {
        let trace = Trace {
            model: "m".into(),
            backend: "b".into(),
            prompt_tokens: None,
            prompt_estimated: false,
            cached_tokens: None,
            generated_tokens: 2,
            first_token: None,
            total: Duration::ZERO,
            stop: StopReason::Stop,
        };
        Completion {
            id: 1,
            range_bytes: 1..1,
            insert_text: "bc".to_owned(),
            whole: true,
            source: Source::Generated,
            trace,
        }
    }

    #[test]
    fn a_blank_typed_is_no_sign_that_an_item_is_followed() {
        let mut outcomes = Outcomes::default();
        for (text, at, follows) in [
            (" bc", "a|", false),
            ("bc", "a |", false),
            ("c", "a b|", true),
        ] {
            let item = Completion {
                insert_text: text.to_owned(),
                ..completion()
            };
            assert!(outcomes.show(&item, &place(at), false));
            assert_eq!(outcomes.follows_what_is_shown(), follows, "{at}");
        }
    }

    fn shown_at_a(outcomes: &mut Outcomes) {
        assert!(outcomes.show(&completion(), &place("a|"), false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_drawn_or_was_taken_in_part_is_not_rejected() {
        // What the editor tells of the item, and what is learned when the person types something else.
        type Tell = fn(&mut Outcomes);
        let cases: [(Tell, u64, u64); 4] = [
            (|_| {}, 0, 1),
            (|outcomes| outcomes.drawn(1), 0, 1),
            (|outcomes| outcomes.drawn(2), 0, 0),
            (|outcomes| outcomes.partly_accepted(1), 1, 0),
        ];
        for (number, (tell, accepted, rejected)) in cases.into_iter().enumerate() {
            let mut outcomes = Outcomes::default();
            shown_at_a(&mut outcomes);
            tell(&mut outcomes);
            tokio::time::advance(READ_AFTER * 2).await;
            assert!(!outcomes.moved(&place("ax|")));
            let learned = (outcomes.gate.accepted, outcomes.gate.rejected);
            assert_eq!(learned, (accepted, rejected), "case {number}");
        }
    }

    #[test]
    fn an_item_is_followed_once_some_of_it_was_typed() {
        let mut outcomes = Outcomes::default();
        shown_at_a(&mut outcomes);
        assert!(!outcomes.follows_what_is_shown());
        // The same again: the person has not moved.
        shown_at_a(&mut outcomes);
        assert!(!outcomes.follows_what_is_shown());
        let rest = Completion {
            insert_text: "c".to_owned(),
            ..completion()
        };
        assert!(outcomes.show(&rest, &place("ab|"), false));
        assert!(outcomes.follows_what_is_shown());
        shown_at_a(&mut outcomes);
        assert!(!outcomes.follows_what_is_shown(), "another item");
    }

    #[test]
    fn one_stroke_tells_an_accept_from_typing_the_same() {
        let mut outcomes = Outcomes::default();
        assert!(outcomes.takes_what_is_shown(), "nobody knows yet");
        for _ in 0..100 {
            shown_at_a(&mut outcomes);
            assert!(!outcomes.moved(&place("ab|")));
            assert!(outcomes.moved(&place("abc|")));
        }
        assert!(!outcomes.takes_what_is_shown(), "all was typed");
        shown_at_a(&mut outcomes);
        assert!(outcomes.moved(&place("abc|")));
        assert!(outcomes.takes_what_is_shown(), "one was accepted");
    }
}
