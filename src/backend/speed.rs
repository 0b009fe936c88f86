//! How fast servers compute prompts, from what their answers say, and what follows for the next prompt.
//!
//! Used by the backends whose servers are asked over HTTP. A budget must not follow every answer:
//! another budget moves the prompt's window, which makes what the server has cached worthless.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::PromptBudget;
use crate::common_prefix::common_prefix;
use crate::prompt::BYTES_PER_TOKEN;

/// Answers that computed fewer tokens of their prompt say nothing: what a call costs is most of it.
const FEWEST_TOKENS: u32 = 64;

/// The last answers that count. Odd: their median is one of them, and one strange answer, or two, do
/// not move it.
const ANSWERS: usize = 5;

/// Answers before anything is made of them where nobody measures and the time to the first token has to
/// do: the first one may have waited for a load.
const FEWEST_GUESSES: usize = 3;

/// The speed that the budget is made for is given up when the median is so many times faster or slower.
const ANOTHER_SPEED: f64 = 1.5;

/// The last prompts of a model that its server may have cached: the places between which somebody jumps.
const CACHED_PROMPTS: usize = 8;

/// The share of a prompt, in percent, that must be new for its answer to count: what is cached is known
/// to this process's own prompts only.
const LEAST_NEW_PERCENT: usize = 50;

/// Prompts of other models after which a model is no longer in use.
const OTHER_PROMPTS: u64 = 200;

/// Bytes of code per token where a speed must not come out too high; see [`BYTES_PER_TOKEN`].
const MOST_BYTES_PER_TOKEN: usize = 4;

/// Who says how long a prompt took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// The server, of the computing alone.
    Server,
    /// The clock here, from sending to the first text: network and queue count too, so the speed is a
    /// low estimate. No longer heeded once the server has said something itself.
    Clock,
}

/// What is known of a model's speed on a server.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Prompt tokens per second that the budget is made for.
    settled: Option<f64>,
    /// Of the last answers that say something.
    recent: VecDeque<f64>,
    /// Whether these are what a server said.
    exact: bool,
}

impl Measured {
    /// Whether anything is known.
    pub(super) fn is_known(&self) -> bool {
        self.settled.is_some()
    }

    /// An answer had `tokens` of its prompt computed in `took`.
    pub(super) fn add(&mut self, tokens: u32, took: Duration, says: Says) {
        if tokens < FEWEST_TOKENS || took.is_zero() {
            return;
        }
        match (says, self.exact) {
            (Says::Clock, true) => return,
            (Says::Server, false) => {
                self.exact = true;
                self.recent.clear();
            }
            _ => {}
        }
        if self.recent.len() == ANSWERS {
            self.recent.pop_front();
        }
        self.recent
            .push_back(f64::from(tokens) / took.as_secs_f64());
        if !self.exact && self.recent.len() < FEWEST_GUESSES {
            return;
        }
        let speed = median(&self.recent);
        let holds =
            |settled: f64| (settled / ANOTHER_SPEED..=settled * ANOTHER_SPEED).contains(&speed);
        if !self.settled.is_some_and(holds) {
            self.settled = Some(speed);
        }
    }

    /// The budget of the next prompt.
    pub(super) fn budget(&self) -> PromptBudget {
        self.settled
            .map_or(PromptBudget::UNMEASURED, PromptBudget::at_speed)
    }
}

/// The middle one; of an even number the slower of the two, so that one answer does not outweigh
/// another that says less.
fn median(speeds: &VecDeque<f64>) -> f64 {
    let mut sorted: Vec<f64> = speeds.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0.0)
}

/// The speeds of the models of one server.
#[derive(Debug, Default)]
pub(super) struct Speeds {
    /// By name. Never held across an await.
    models: Mutex<HashMap<String, Model>>,
}

#[derive(Debug, Default)]
struct Model {
    measured: Measured,
    /// The prompts sent last, newest at the end.
    sent: VecDeque<String>,
    /// Prompts sent to other models since.
    idle: u64,
}

/// A prompt that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    bytes: usize,
    /// Of these, not at the beginning of any of the last prompts.
    new_bytes: usize,
}

impl Sent {
    /// Tokens of the prompt, estimated as budgets are.
    pub(super) fn tokens(self) -> u32 {
        saturated(self.bytes.div_ceil(BYTES_PER_TOKEN))
    }

    /// At most so many tokens, where nobody counts.
    pub(super) fn fewest_tokens(self) -> u32 {
        saturated(self.bytes / MOST_BYTES_PER_TOKEN)
    }

    /// What of `tokens`, which the prompt has, had to be computed; `None` where too much may be cached
    /// to tell.
    pub(super) fn computed(self, tokens: u32) -> Option<u32> {
        if self.new_bytes * 100 < self.bytes * LEAST_NEW_PERCENT || self.bytes == 0 {
            return None;
        }
        let of_all = u128::from(tokens) * self.new_bytes as u128 / self.bytes as u128;
        u32::try_from(of_all).ok()
    }
}

fn saturated(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

impl Speeds {
    fn models(&self) -> MutexGuard<'_, HashMap<String, Model>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `prompt` goes to `model`.
    pub(super) fn send(&self, model: &str, prompt: &str) -> Sent {
        let mut models = self.models();
        models.retain(|name, other| {
            other.idle = if name == model { 0 } else { other.idle + 1 };
            other.idle < OTHER_PROMPTS
        });
        let sent = &mut models.entry(model.to_owned()).or_default().sent;
        let in_common = |old: &String| common_prefix(old.as_bytes(), prompt.as_bytes());
        let cached = sent.iter().map(in_common).max();
        if sent.len() == CACHED_PROMPTS {
            sent.pop_front();
        }
        sent.push_back(prompt.to_owned());
        Sent {
            bytes: prompt.len(),
            new_bytes: prompt.len() - cached.unwrap_or(0),
        }
    }

    /// `model` computed `tokens` of a prompt in `took`.
    pub(super) fn add(&self, model: &str, tokens: u32, took: Duration, says: Says) {
        let mut models = self.models();
        let model = models.entry(model.to_owned()).or_default();
        model.measured.add(tokens, took, says);
    }

    /// The budget of the next prompt: that of the slowest model in use, as nobody says which one it is
    /// for.
    pub(super) fn budget(&self) -> PromptBudget {
        let models = self.models();
        let known = models.values().map(|model| &model.measured);
        known
            .filter(|measured| measured.is_known())
            .map(Measured::budget)
            .min_by_key(|budget| (budget.prefix_tokens, budget.context_tokens))
            .unwrap_or(PromptBudget::UNMEASURED)
    }
}

#[cfg(test)]
mod tests;
