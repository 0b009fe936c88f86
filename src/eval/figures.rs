//! From what happened at each key to the figures of a policy.
//!
//! Denominators, the same for every policy. A *key* is a typed character or Enter; a *wanted* key is
//! one at which our trigger rules want a completion; some of these are the last that is typed on a line, and it
//! is right to show nothing there.
//!
//! | figure | over |
//! |---|---|
//! | `key_to_ghost_ms` | ghosts shown before the next edit |
//! | `ghost_before_next_key`, `no_new_request` | wanted keys; a request that began after the ghost was there only makes it grow |
//! | `ghost_before_next_key_goes_on` | wanted keys after which more is typed on the line |
//! | `right_ghost` | all keys, since not asking is a judgement too |
//! | `right_ghost_of_wanted` | wanted keys |
//! | `ghost_within_100ms` | wanted keys with no edit in the 100 ms after them |
//! | `ghost_within_100ms_goes_on` | of these, those after which more is typed on the line |
//! | `showable_within_100ms` | of these, those for which there was a ghost by then or no answer yet |
//! | `unanswered_after_100ms` | wanted keys with no edit in the 100 ms after them; an answer is a ghost, or that there is nothing to show |
//! | `requests_per_1000_keys`, `prefetches_per_1000_keys`, `tokens_per_key` | wanted keys |
//! | `discarded_token_share` | generated tokens; discarded are those that arrived after the last showing of a ghost of their generation |
//! | `prompt_tokens_computed_per_key` | wanted keys that go on on the same line; 0 where nothing was asked |
//! | `prompt_tokens_computed_per_request`, `first_token_ms` | requests, prefetches included |
//! | `after_jump_ms` | ghosts at wanted keys whose edit is not where the last one ended |
//! | `after_accept_ms`, `prefetch_hit_share` | in the accepting pass: the first wanted key after an accept, the accept itself included; a hit is an answer, a ghost or that there is nothing to show, without a request of its own before it |
//! | `stale_items` | both passes |

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::replay::{Came, ChatFigures, KeyRecord, Outcome};
use super::wall::WallFigures;
use crate::backend::Priority;
use crate::metrics::ms;

/// By when a ghost feels immediate.
const SOON: Duration = Duration::from_millis(100);

/// Quantiles by nearest rank; absent when there was nothing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many values.
    pub count: usize,
    /// The median.
    pub p50: Option<f64>,
    /// 95 in 100 are at most this.
    pub p95: Option<f64>,
    /// 99 in 100 are at most this.
    pub p99: Option<f64>,
}

impl Quantiles {
    /// Of values in any order.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied()
        };
        Self {
            count: values.len(),
            p50: at(50),
            p95: at(95),
            p99: at(99),
        }
    }
}

/// The figures of a policy; the module says what each is counted over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Ours is `engine`.
    pub name: &'static str,
    /// From a key to its ghost.
    pub key_to_ghost_ms: Quantiles,
    /// Share of keys with a ghost before the next edit.
    pub ghost_before_next_key: f64,
    /// The same, where more is typed on the line.
    pub ghost_before_next_key_goes_on: f64,
    /// Share of keys with a ghost before the next edit that begins as what was typed.
    pub right_ghost: f64,
    /// The same, where a completion was wanted.
    pub right_ghost_of_wanted: f64,
    /// Share of keys with a ghost within 100 ms.
    pub ghost_within_100ms: f64,
    /// The same, where more is typed on the line.
    pub ghost_within_100ms_goes_on: f64,
    /// The same, of the keys to which it was not answered by then that there is nothing to show: a model's text
    /// may be one that the engine never shows.
    pub showable_within_100ms: f64,
    /// Share of keys with no answer by then, neither a ghost nor that there is nothing to show.
    pub unanswered_after_100ms: f64,
    /// Share of keys with a ghost and no request of their own.
    pub no_new_request: f64,
    /// All requests, prefetches included.
    pub requests_per_1000_keys: f64,
    /// Prefetches alone.
    pub prefetches_per_1000_keys: f64,
    /// Generated tokens.
    pub tokens_per_key: f64,
    /// Tokens that were never part of a shown ghost.
    pub discarded_token_share: f64,
    /// Prompt tokens the KV cache did not hold.
    pub prompt_tokens_computed_per_key: Quantiles,
    /// The same per request.
    pub prompt_tokens_computed_per_request: Quantiles,
    /// From a request to its first token.
    pub first_token_ms: Quantiles,
    /// From the first key after a jump to its ghost.
    pub after_jump_ms: Quantiles,
    /// From accepting to the next ghost.
    pub after_accept_ms: Quantiles,
    /// Share of these that needed no request.
    pub prefetch_hit_share: f64,
    /// Ghosts accepted in the second pass.
    pub accepts: u64,
    /// Most generations that ran at once.
    pub most_generations_at_once: usize,
    /// Answers for another text or place. Must be 0.
    pub stale_items: u64,
    /// How the chat beside it fared, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatFigures>,
    /// What only real time tells.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub wall: Option<WallFigures>,
    /// Times to the ghost in milliseconds, ascending, with the number of wanted keys: for the plot.
    #[serde(skip)]
    pub latencies: (Vec<f64>, usize),
}

/// Figures from the pass of a person who types all and the pass of one who accepts.
pub fn of_policy(name: &'static str, typing: &Outcome, accepting: &Outcome) -> Figures {
    let wanted: Vec<&KeyRecord> = typing.keys.iter().filter(|k| k.wanted).collect();
    let of_wanted = |count: usize| ratio(count, wanted.len());
    let count = |is: &dyn Fn(&KeyRecord) -> bool| wanted.iter().filter(|k| is(k)).count();
    let asked = Asked::of(typing);
    let generations = &typing.ledger.generations;
    let tokens: u32 = generations.iter().map(|g| g.tokens).sum();
    let shown_tokens: u32 = generations.iter().map(|g| g.shown_tokens).sum();
    let prefetches = generations
        .iter()
        .filter(|g| g.priority != Priority::Completion)
        .count();
    let is_shown = |k: &KeyRecord| k.ghost_after.is_some();
    let has_time = |k: &KeyRecord| k.gap >= SOON;
    let is_soon = |k: &KeyRecord| has_time(k) && k.ghost_after.is_some_and(|t| t <= SOON);
    let of_going_on = |is: &dyn Fn(&KeyRecord) -> bool, of: &dyn Fn(&KeyRecord) -> bool| {
        ratio(
            count(&|k| k.goes_on && is(k)),
            count(&|k| k.goes_on && of(k)),
        )
    };
    let soon = count(&is_soon);
    let unanswered = count(&|k| {
        let answered = k.answered_after();
        has_time(k) && answered.is_none_or(|t| t > SOON)
    });
    let right = count(&|k| k.right);
    let after_accept = || accepting.keys.iter().filter(|k| k.after_accept);
    let asked_accepting = Asked::of(accepting);
    let hits = after_accept()
        .filter(|k| k.answered_after().is_some() && !asked_accepting.before_ghost(k))
        .count();
    let mut latencies = latencies(wanted.iter().copied());
    latencies.sort_by(f64::total_cmp);
    Figures {
        name,
        key_to_ghost_ms: Quantiles::of(latencies.clone()),
        ghost_before_next_key: of_wanted(count(&is_shown)),
        ghost_before_next_key_goes_on: of_going_on(&is_shown, &|_| true),
        right_ghost: ratio(right, typing.keys.len()),
        right_ghost_of_wanted: of_wanted(right),
        ghost_within_100ms: ratio(soon, count(&has_time)),
        ghost_within_100ms_goes_on: of_going_on(&is_soon, &has_time),
        showable_within_100ms: ratio(soon, soon + unanswered),
        unanswered_after_100ms: ratio(unanswered, count(&has_time)),
        no_new_request: of_wanted(count(&|k| is_shown(k) && !asked.before_ghost(k))),
        requests_per_1000_keys: of_wanted(generations.len() * 1_000),
        prefetches_per_1000_keys: of_wanted(prefetches * 1_000),
        tokens_per_key: of_wanted(tokens as usize),
        discarded_token_share: ratio(
            tokens.saturating_sub(shown_tokens) as usize,
            tokens as usize,
        ),
        prompt_tokens_computed_per_key: computed_per_key(&wanted, typing, |came| {
            came == Came::SameLine
        }),
        prompt_tokens_computed_per_request: Quantiles::of(
            generations
                .iter()
                .filter_map(|g| g.computed_tokens)
                .map(f64::from)
                .collect(),
        ),
        first_token_ms: Quantiles::of(
            generations
                .iter()
                .filter_map(|g| g.first_token)
                .map(ms)
                .collect(),
        ),
        after_jump_ms: Quantiles::of(self::latencies(
            wanted.iter().copied().filter(|k| k.came == Came::Jumped),
        )),
        after_accept_ms: Quantiles::of(self::latencies(after_accept())),
        prefetch_hit_share: ratio(hits, after_accept().count()),
        accepts: accepting.accepts,
        most_generations_at_once: typing
            .ledger
            .most_at_once
            .max(accepting.ledger.most_at_once),
        stale_items: typing.stale_items + accepting.stale_items,
        chat: typing.chat.clone(),
        wall: None,
        latencies: (latencies, wanted.len()),
    }
}

/// When, during each step, the first request for the key itself began; prefetches are none.
pub(in crate::eval) struct Asked(HashMap<usize, Option<Instant>>);

impl Asked {
    pub(in crate::eval) fn of(outcome: &Outcome) -> Self {
        let mut first = HashMap::new();
        for generated in &outcome.ledger.generations {
            if generated.priority == Priority::Completion {
                first.entry(generated.key).or_insert(generated.began);
            }
        }
        Self(first)
    }

    /// Whether the ghost of a key, or that there is none, came after a request of its own. One that began
    /// later only makes the ghost grow.
    pub(in crate::eval) fn before_ghost(&self, key: &KeyRecord) -> bool {
        let ghost = key.ghost_after.map(|after| key.at + after);
        let began = self.0.get(&key.step);
        began.is_some_and(|began| began.zip(ghost).is_none_or(|(began, ghost)| began < ghost))
    }
}

/// What was computed of prompts at each of the keys to which one `came` so. Keys with a generation of
/// which nobody told are left out.
pub(super) fn computed_per_key(
    wanted: &[&KeyRecord],
    typing: &Outcome,
    came: impl Fn(Came) -> bool,
) -> Quantiles {
    let mut by_step: HashMap<usize, Option<u32>> = HashMap::new();
    for generated in &typing.ledger.generations {
        let sum = by_step.entry(generated.key).or_insert(Some(0));
        *sum = sum.and_then(|sum| Some(sum + generated.computed_tokens?));
    }
    let keys = wanted.iter().filter(|k| came(k.came));
    let tokens = |k: &&KeyRecord| by_step.get(&k.step).copied().unwrap_or(Some(0));
    Quantiles::of(keys.filter_map(tokens).map(f64::from).collect())
}

fn latencies<'k>(keys: impl Iterator<Item = &'k KeyRecord>) -> Vec<f64> {
    keys.filter_map(|k| k.ghost_after).map(ms).collect()
}

/// Rounded to six digits, so that a report shows no noise of the machine's arithmetic.
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let ratio = part as f64 / whole as f64;
    (ratio * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let all = Quantiles::of(hundred);
        assert_eq!(
            (all.p50, all.p95, all.p99),
            (Some(50.0), Some(95.0), Some(99.0))
        );
        let one = Quantiles::of(vec![7.0]);
        assert_eq!((one.p50, one.p99), (Some(7.0), Some(7.0)));
        assert_eq!(Quantiles::of(Vec::new()).p50, None);
    }
}
