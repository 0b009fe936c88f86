//! Whether a completion is worth showing: a tiny model of what this person accepts.
//!
//! A logistic regression over telemetry alone: lengths, times and earlier outcomes, never text. It
//! learns from every accepted and every rejected item and is off until it has seen enough of both.
//! What it holds back was computed all the same and stays in the cache, so a person who asks for it
//! gets it at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::ask::{Completion, Source};
use super::place::Place;
use crate::document::Document;

/// How many features there are; a stored model with another number is not used.
const FEATURES: usize = 8;
/// Outcomes of each kind before the gate may hold anything back: fewer would be luck.
const ENOUGH: u64 = 50;
/// A completion less likely to be accepted than this share of the person's own rate is held back. A
/// third of it hides little that would have been wanted: about 70 % of what is shown anywhere is not
/// accepted, so the rate itself is no bar.
const SHARE_OF_RATE: f64 = 1.0 / 3.0;
/// Step of the stochastic gradient descent: a hundred outcomes move a weight across its range.
const STEP: f64 = 0.05;
/// Pulls weights to zero, so that old habits fade.
const DECAY: f64 = 1e-4;

/// Numbers about a completion at the moment it is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Features([f64; FEATURES]);

/// What was learned; kept on disk between sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    weights: Vec<f64>,
    /// Items accepted.
    pub accepted: u64,
    /// Items that the person typed past.
    pub rejected: u64,
    /// Items held back.
    #[serde(default)]
    pub held_back: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            weights: vec![0.0; FEATURES],
            accepted: 0,
            rejected: 0,
            held_back: 0,
        }
    }
}

/// A completion about to be shown: what the gate judges, outside an engine. For measuring the judgement.
#[derive(Debug)]
pub struct GateCase {
    completion: Completion,
    place: Place,
    lately: Lately,
}

impl GateCase {
    /// `completion` at byte `offset_bytes`; `None` where nothing is ever shown.
    pub fn new(completion: Completion, document: &Document, offset_bytes: usize) -> Option<Self> {
        let now = Instant::now();
        Some(Self {
            completion,
            place: Place::at(document, offset_bytes)?,
            lately: Lately {
                accept: Some(now),
                was_accepted: true,
                key: Some(now),
            },
        })
    }
}

/// What happened lately, as far as it says something about the next completion.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lately {
    pub(super) accept: Option<Instant>,
    pub(super) was_accepted: bool,
    pub(super) key: Option<Instant>,
}

impl Features {
    /// Reads them off a completion about to be shown.
    pub(super) fn of(completion: &Completion, place: &Place, lately: &Lately) -> Self {
        let now = Instant::now();
        let text = completion.insert_text.trim();
        let chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let since = |then: Option<Instant>, longest: Duration| {
            let elapsed = then.map_or(longest, |then| (now - then).min(longest));
            (1.0 + elapsed.as_secs_f64()).ln() / (1.0 + longest.as_secs_f64()).ln()
        };
        let flag = |is: bool| if is { 1.0 } else { 0.0 };
        Self([
            1.0,
            (1.0 + f64::from(chars)).ln() / 6.0,
            flag(text.contains('\n')),
            flag(place.on_blank_start()),
            flag(completion.source == Source::Cache),
            flag(lately.was_accepted),
            since(lately.accept, Duration::from_mins(10)),
            since(lately.key, Duration::from_secs(10)),
        ])
    }
}

impl Gate {
    /// Reads a stored model; a damaged or foreign one is a new one.
    pub fn from_json(text: &str) -> Self {
        let stored: Option<Self> = serde_json::from_str(text).ok();
        let sound = |gate: &Self| {
            gate.weights.len() == FEATURES && gate.weights.iter().all(|w| w.is_finite())
        };
        stored.filter(sound).unwrap_or_default()
    }

    /// Whether it has seen enough to judge.
    pub fn is_on(&self) -> bool {
        self.accepted.min(self.rejected) >= ENOUGH
    }

    /// Whether `case` would be shown: all that a decision costs.
    pub fn judge(&mut self, case: &GateCase) -> bool {
        let GateCase {
            completion,
            place,
            lately,
        } = case;
        self.shows(&Features::of(completion, place, lately))
    }

    /// Whether to show a completion with these features.
    pub(super) fn shows(&mut self, features: &Features) -> bool {
        if !self.is_on() || self.likelihood(features) >= SHARE_OF_RATE * self.rate() {
            return true;
        }
        self.held_back += 1;
        false
    }

    /// Learns from an outcome.
    pub(super) fn learn(&mut self, features: &Features, accepted: bool) {
        *(if accepted {
            &mut self.accepted
        } else {
            &mut self.rejected
        }) += 1;
        let target = if accepted { 1.0 } else { 0.0 };
        let error = target - self.likelihood(features);
        for (weight, feature) in self.weights.iter_mut().zip(features.0) {
            *weight += STEP * error * feature - DECAY * *weight;
        }
    }

    fn likelihood(&self, features: &Features) -> f64 {
        let score: f64 = self
            .weights
            .iter()
            .zip(features.0)
            .map(|(w, f)| w * f)
            .sum();
        1.0 / (1.0 + (-score).exp())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate needs no more than 52 bits"
    )]
    fn rate(&self) -> f64 {
        self.accepted as f64 / (self.accepted + self.rejected).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A person who takes short texts and never long ones.
    fn features(long: bool) -> Features {
        Features([
            1.0,
            if long { 0.9 } else { 0.3 },
            0.0,
            0.0,
            0.0,
            0.0,
            0.5,
            0.1,
        ])
    }

    fn trained(outcomes: u64) -> Gate {
        let mut gate = Gate::default();
        for _ in 0..outcomes {
            gate.learn(&features(false), true);
            gate.learn(&features(true), false);
            gate.learn(&features(true), false);
        }
        gate
    }

    #[test]
    fn it_is_off_until_it_has_seen_enough_of_both() {
        let mut gate = trained(ENOUGH - 1);
        assert!(!gate.is_on());
        assert!(gate.shows(&features(true)));
        let mut one_sided = Gate::default();
        (0..1000).for_each(|_| one_sided.learn(&features(true), false));
        assert!(one_sided.shows(&features(true)));
    }

    #[test]
    fn it_holds_back_what_is_never_taken_and_nothing_that_is() {
        let mut gate = trained(1000);
        assert!(gate.is_on());
        assert!(gate.shows(&features(false)));
        assert!(!gate.shows(&features(true)));
        assert_eq!(gate.held_back, 1);
    }

    #[test]
    fn it_survives_being_stored_and_a_damaged_file_starts_anew() {
        let gate = trained(100);
        let text = serde_json::to_string(&gate).unwrap();
        assert_eq!(Gate::from_json(&text), gate);
        for damaged in ["", "{}", r#"{"weights":[1],"accepted":9,"rejected":9}"#] {
            assert_eq!(Gate::from_json(damaged), Gate::default(), "{damaged}");
        }
    }
}
