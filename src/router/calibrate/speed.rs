//! How fast a model is at a backend, and which of several backends that makes the one to ask. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Role;

/// By how much another backend must be quicker than one before it, as the person's order stands between
/// equals: two measurements of one engine on a busy machine differ by less.
const CLEARLY_QUICKER: f64 = 1.2;

/// Tokens per second of one model at one backend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Prompt tokens computed per second.
    pub prefill_tokens_per_second: f64,
    /// Tokens generated per second.
    pub decode_tokens_per_second: f64,
}

impl Speed {
    /// Whether both numbers are speeds: a file may hold anything.
    pub(super) fn is_sound(&self) -> bool {
        [
            self.prefill_tokens_per_second,
            self.decode_tokens_per_second,
        ]
        .iter()
        .all(|speed| speed.is_finite() && *speed > 0.0)
    }

    /// How long a typical request of the role takes.
    pub fn typical_request(&self, role: Role) -> Duration {
        let (prompt_tokens, generated_tokens) = match role {
            // A key or two behind a cached prompt, and the ghost text that follows.
            Role::Completion => (8.0, 8.0),
            // A question about some lines, and an answer of a few paragraphs.
            _ => (1_000.0, 200.0),
        };
        let seconds = prompt_tokens / self.prefill_tokens_per_second
            + generated_tokens / self.decode_tokens_per_second;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// Which of the backends serves, given how long each takes, in the person's order: the first one, or one
/// that is clearly quicker than the one that would serve without it. What was not measured takes nobody's
/// place, and nothing takes the place of a first one that was not measured.
pub(super) fn quickest(times: &[Option<Duration>]) -> usize {
    let mut serving = 0;
    for (index, time) in times.iter().enumerate() {
        if let (Some(Some(now)), Some(time)) = (times.get(serving), time)
            && time.mul_f64(CLEARLY_QUICKER) <= *now
        {
            serving = index;
        }
    }
    serving
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_worth_a_clear_difference() {
        let ms = |ms: u64| Some(Duration::from_millis(ms));
        for (times, expect) in [
            (&[][..], 0),
            (&[ms(100)], 0),
            (&[ms(100), ms(100)], 0),
            (&[ms(100), ms(90)], 0),
            (&[ms(120), ms(100)], 1),
            (&[ms(100), ms(500)], 0),
            (&[ms(100), ms(80), ms(75)], 1),
            (&[ms(100), ms(80), ms(60)], 2),
            (&[None, ms(1)], 0),
            (&[ms(100), None], 0),
            (&[ms(100), None, ms(50)], 2),
        ] {
            assert_eq!(quickest(times), expect, "{times:?}");
        }
    }

    #[test]
    fn a_completion_is_short_and_an_answer_is_long() {
        let speed = |prefill, decode| Speed {
            prefill_tokens_per_second: prefill,
            decode_tokens_per_second: decode,
        };
        let seconds = Duration::from_secs;
        assert_eq!(
            speed(8.0, 4.0).typical_request(Role::Completion),
            seconds(3)
        );
        assert_eq!(speed(100.0, 20.0).typical_request(Role::Chat), seconds(20));
        for (prefill, decode, sound) in [
            (1.0, 1.0, true),
            (0.0, 1.0, false),
            (1.0, f64::NAN, false),
            (f64::INFINITY, 1.0, false),
            (-1.0, 1.0, false),
        ] {
            assert_eq!(speed(prefill, decode).is_sound(), sound);
        }
    }
}
