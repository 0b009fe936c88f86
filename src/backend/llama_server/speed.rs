//! How fast a server computes prompts, from what its answers say, and what follows for the next prompt.
//!
//! Told by every answer that computed enough to tell something, and before the first one by a short
//! measurement in the warm-up: without it the first prompt on a machine without a graphics device would
//! take half a minute.

use std::time::Duration;

use crate::backend::PromptBudget;

/// Answers that computed fewer tokens of their prompt say nothing: what a call costs is most of it.
const FEWEST_TOKENS: u32 = 64;

/// Tokens that the warm-up has computed to measure: 2 s at 50 tokens per second.
pub(super) const MEASURED_TOKENS: u32 = 96;

/// Longest measurement. What takes longer is as slow as can be.
pub(super) const LONGEST_MEASUREMENT: Duration = Duration::from_secs(10);

/// What is left of the weight of older answers when another one is told.
const MEMORY: f64 = 0.75;

/// The speed that the budget is made for is given up when what was seen since is so many times faster or
/// slower: another budget moves the prompt's window, which makes what the server has cached worthless.
const ANOTHER_SPEED: f64 = 1.5;

/// What is known of a server's speed.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Prompt tokens per second that the budget is made for.
    settled: Option<f64>,
    /// Tokens and seconds of the answers so far, older ones weighing less.
    tokens: f64,
    seconds: f64,
}

impl Measured {
    /// Whether anything is known.
    pub(super) fn is_known(&self) -> bool {
        self.settled.is_some()
    }

    /// An answer had `tokens` of its prompt computed in `took`.
    pub(super) fn add(&mut self, tokens: u32, took: Duration) {
        if tokens < FEWEST_TOKENS || took.is_zero() {
            return;
        }
        self.tokens = self.tokens * MEMORY + f64::from(tokens);
        self.seconds = self.seconds * MEMORY + took.as_secs_f64();
        let speed = self.tokens / self.seconds;
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

/// A prompt of [`MEASURED_TOKENS`] tokens that no cache holds, unless `nonce` comes again. Every
/// vocabulary has tokens of these numbers, and none of them is a sentinel.
pub(super) fn prompt(nonce: u32) -> Vec<u32> {
    let token = |at: u32| 1_000 + nonce.wrapping_add(at * 37) % 1_000;
    (0..MEASURED_TOKENS).map(token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_follows_the_speed_and_not_every_answer() {
        let mut measured = Measured::default();
        assert_eq!(measured.budget(), PromptBudget::UNMEASURED);
        let ms = Duration::from_millis;
        // Tokens and time of an answer, and the speed that the budget is made for then.
        for (tokens, took, speed) in [
            (63, ms(10_000), None),
            (100, ms(0), None),
            (100, ms(2_000), Some(50.0)),
            // Noise, either way, and what is too short.
            (100, ms(2_500), Some(50.0)),
            (100, ms(1_500), Some(50.0)),
            (3, ms(3_000), Some(50.0)),
        ] {
            measured.add(tokens, took);
            assert_eq!(measured.settled, speed, "{tokens} {took:?}");
        }
        assert_eq!(measured.budget(), PromptBudget::SMALLEST);
        // The server was moved to a graphics device.
        for _ in 0..20 {
            measured.add(900, ms(30));
        }
        assert_eq!(measured.budget(), PromptBudget::at_speed(30_000.0));
    }

    #[test]
    fn measurements_differ_in_their_first_token() {
        let (one, other) = (prompt(1), prompt(u32::MAX));
        assert_eq!(one.len(), MEASURED_TOKENS as usize);
        assert_ne!(one[0], other[0]);
        assert!(one.iter().chain(&other).all(|t| (1_000..2_000).contains(t)));
    }
}
