//! Drafts: guesses at the next tokens, out of what the prompt and the answer have already.
//!
//! Code repeats itself: the arms of a match, the fields of a record, a line that an action leaves as it
//! is. So what followed the last tokens when they stood there before is computed together with the next
//! token, in one step that reads the weights once; where the model would have chosen the same, several
//! tokens come for the time of a step (prompt lookup decoding: speculation without a second model).
//! What was typed and taken back is a guess of the same kind: the model may spell it out as it was.
//! Called by the worker. [`super::cache`] computes and checks: a draft changes when a text comes, not
//! which.
//!
//! A step with a draft takes longer: with two tokens 1.3 times as long as one with one, with four 1.5 times
//! (Qwen2.5-Coder 1.5B, two cores with AVX-512, November 2026), and less where reading the weights takes the
//! time. So a draft is only as long as it pays, by what drafts of its kind came to and what steps of its length
//! took on this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use llama_cpp_2::token::LlamaToken;

use super::Drafting;
use super::speed::Speed;

mod guess;

pub(super) use guess::{Guess, guess};
use guess::{KINDS, Origin};

/// The longest draft of any machine, in tokens: llama.cpp's kernels for graphics devices multiply up to eight
/// tokens like one (`MMVQ_MAX_BATCH_SIZE`). They do not attend like it on every device: on an H100 a step with
/// two tokens rounds otherwise, so there none is drafted (Qwen2.5-Coder 1.5B, November 2026).
pub(super) const MOST_TOKENS: usize = 7;

/// Tokens of the step that a prompt's speed was measured with, about.
const PROMPT_STEP_TOKENS: f64 = 16.0;

/// How likely the next token of a draft is right before any was seen, by kind. A guess, which what is seen
/// soon outweighs.
const FIRST_SHARES: [f64; KINDS] = [0.2, 0.4, 0.6, 0.75, 0.85, 0.1, 0.5, 0.5];

/// The weight of those shares, in tokens seen, and how many tokens are remembered.
const FIRST_WEIGHT: f64 = 8.0;
const REMEMBERED: f64 = 64.0;

/// A draft has to promise so many times the tokens that its time gives without. Not one of what was typed:
/// nothing can be shown before that is spelled out.
const WORTH: f64 = 1.15;

/// How much one more step counts in what steps of its length take.
const WEIGHT: f64 = 0.2;

/// After so many steps without one of a length, what those took is forgotten: it may have been a
/// compiler's doing.
const FORGOTTEN: u64 = 400;

/// How many times as long as one with a single token a longer step takes, and when the last one was. Not
/// how long: a compiler beside it makes all of them longer.
#[derive(Debug, Clone, Copy)]
struct Taken {
    times: f64,
    at: u64,
}

/// What was learned of drafts and of steps, for one model.
#[derive(Debug)]
pub(super) struct Drafts {
    /// By kind: tokens of drafts that were right, and all that were looked at.
    seen: [(f64, f64); KINDS],
    /// What a step with one token takes, in seconds.
    single_s: Option<f64>,
    /// What it took when the machine was least busy.
    least_s: f64,
    /// By tokens in the step.
    taken: BTreeMap<usize, Taken>,
    /// What each token of a prompt takes, in seconds.
    prompt_token_s: f64,
    steps: u64,
    /// The longest draft here.
    most_tokens: usize,
}

impl Drafts {
    pub(super) fn new(speed: Speed) -> Self {
        Self {
            seen: FIRST_SHARES.map(|share| (share * FIRST_WEIGHT, FIRST_WEIGHT)),
            single_s: None,
            least_s: f64::INFINITY,
            taken: BTreeMap::new(),
            prompt_token_s: 1.0 / speed.prompt_tokens_per_second.max(1.0),
            steps: 0,
            most_tokens: speed.draft_tokens,
        }
    }

    /// The draft: as much of the guess as pays, mostly nothing, and at most so many tokens as `draftable`
    /// says of it. It is computed in one step with `beside` others, one or more.
    pub(super) fn of<'h>(
        &self,
        guess: Option<Guess<'h>>,
        drafting: Drafting,
        beside: usize,
        draftable: impl Fn(&[LlamaToken]) -> usize,
    ) -> &'h [LlamaToken] {
        let Some(guess) = guess else {
            return &[];
        };
        let room = (1 + self.most_tokens).saturating_sub(beside.max(1));
        let most = draftable(guess.tokens).min(room);
        let tokens = match drafting {
            Drafting::Off => 0,
            Drafting::Paying => self.worth(guess.origin, beside.max(1), most),
            Drafting::Always => most,
        };
        guess.tokens.get(..tokens).unwrap_or_default()
    }

    /// How many of the first `most` tokens of a guess pay in a step with `beside` others.
    fn worth(&self, origin: Origin, beside: usize, most: usize) -> usize {
        if self.single_s.is_none() {
            return 0;
        }
        let (mut likely, mut promised) = (1.0, 1.0);
        let least = match origin {
            Origin::Seen(_) => WORTH,
            Origin::Typed(_) => 1.0,
        };
        let mut best = (least, 0);
        let alone = self.times(beside);
        for tokens in 1..=most {
            likely *= self.share(origin.kind(tokens - 1));
            promised += likely;
            let worth = promised * alone / self.times(beside + tokens);
            if worth > best.0 {
                best = (worth, tokens);
            }
        }
        best.1
    }

    /// How likely a token of that kind is right when those before it are.
    fn share(&self, kind: usize) -> f64 {
        let (right, all) = self.seen.get(kind).copied().unwrap_or((0.0, 1.0));
        right / all
    }

    /// How many times as long as one with a single token a step with so many takes: as was seen, or between
    /// that and a prompt's.
    fn times(&self, tokens: usize) -> f64 {
        let known = self.taken.get(&tokens);
        let known = known.filter(|taken| self.steps - taken.at <= FORGOTTEN);
        if let Some(taken) = known {
            return taken.times;
        }
        #[expect(clippy::cast_precision_loss, reason = "a draft is short")]
        let share = tokens.saturating_sub(1) as f64 / (PROMPT_STEP_TOKENS - 1.0);
        let most = self.prompt_token_s * PROMPT_STEP_TOKENS / self.least_s.max(1e-6);
        1.0 + share * (most - 1.0).max(0.0)
    }

    /// A step with so many tokens took so long.
    pub(super) fn stepped(&mut self, tokens: usize, elapsed: Duration) {
        self.steps += 1;
        let seconds = elapsed.as_secs_f64();
        if tokens == 1 {
            let single_s = self.single_s.get_or_insert(seconds);
            *single_s += WEIGHT * (seconds - *single_s);
            self.least_s = self.least_s.min(*single_s);
            return;
        }
        let Some(single_s) = self.single_s else {
            return;
        };
        let (times, at) = (seconds / single_s.max(1e-6), self.steps);
        let taken = self.taken.entry(tokens).or_insert(Taken { times, at });
        if at - taken.at > FORGOTTEN {
            taken.times = times;
        }
        taken.times += WEIGHT * (times - taken.times);
        taken.at = at;
    }

    /// These tokens came where there was a guess, drafted or not.
    pub(super) fn learn(&mut self, guess: Option<Guess<'_>>, came: &[LlamaToken]) {
        let Some(Guess { tokens, origin }) = guess else {
            return;
        };
        for (at, (guess, token)) in tokens.iter().zip(came).enumerate() {
            let Some((right, all)) = self.seen.get_mut(origin.kind(at)) else {
                return;
            };
            let kept = 1.0 - 1.0 / REMEMBERED;
            *right = *right * kept + f64::from(guess == token);
            *all = *all * kept + 1.0;
            if guess != token {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::guess::tests::tokens;
    use super::{Drafting, Drafts, Guess, MOST_TOKENS, Origin};
    use crate::backend::embedded::speed::Speed;
    use crate::backend::embedded::typed::Typed;

    /// A machine with that prompt speed, where a step with one token takes so many milliseconds.
    fn machine(prompt_tokens_per_second: u32, single_ms: u64) -> Drafts {
        let second = Duration::from_secs(1);
        let mut drafts = Drafts::new(Speed::measured(prompt_tokens_per_second as usize, second));
        drafts.stepped(1, Duration::from_millis(single_ms));
        drafts
    }

    #[test]
    fn a_draft_is_as_long_as_it_pays() {
        // Tokens that match, prompt tokens a second, milliseconds for one; tokens drafted.
        let cases = [
            // Two cores: a step with 16 tokens takes as long as 7 with one.
            ((1, 50, 45), 0),
            ((3, 50, 45), 0),
            ((16, 50, 45), 3),
            // A graphics card: as long as one.
            ((1, 20_000, 4), 7),
        ];
        for ((len, speed, single_ms), expect) in cases {
            let drafts = machine(speed, single_ms);
            assert_eq!(
                drafts.worth(Origin::Seen(len), 1, MOST_TOKENS),
                expect,
                "{len} {speed}"
            );
        }
        let unknown = Drafts::new(Speed::measured(512, Duration::from_millis(9)));
        assert_eq!(
            unknown.worth(Origin::Seen(16), 1, MOST_TOKENS),
            0,
            "no step was seen"
        );
    }

    #[test]
    fn what_was_typed_is_a_draft_where_it_is_no_letter_of_a_word() {
        let drafts = machine(50, 45);
        // Typed, its tokens; drafted, alone and in a step with five others.
        for (typed, of, expect) in [
            ("", 0, 0),
            (" r", 1, 0),
            (".r", 1, 0),
            (" re", 1, 1),
            (" ret", 2, 1),
            (" =", 1, 1),
            ("(", 1, 1),
            (" \u{b5}", 1, 1),
        ] {
            let behind = tokens(&"x".repeat(of));
            let typed = Typed::new(typed.as_bytes().to_vec(), behind);
            let guess = Guess::typed(&typed);
            let drafted = |beside| drafts.of(guess, Drafting::Paying, beside, <[_]>::len).len();
            assert_eq!(drafted(1), expect, "{typed:?}");
            assert_eq!(drafted(6), 0, "{typed:?}");
        }
    }

    #[test]
    fn what_drafts_came_to_and_took_is_learned() {
        let behind = tokens("kl");
        let guess = Some(Guess {
            tokens: &behind,
            origin: Origin::Seen(10),
        });
        let mut drafts = machine(50, 45);
        assert_eq!(drafts.worth(Origin::Seen(10), 1, 2), 2);
        assert_eq!(drafts.worth(Origin::Seen(10), 1, 1), 1);

        for _ in 0..100 {
            drafts.learn(guess, &tokens("x"));
        }
        assert_eq!(drafts.worth(Origin::Seen(10), 1, 2), 0, "always wrong");
        for _ in 0..200 {
            drafts.learn(guess, &tokens("kl"));
        }
        assert_eq!(drafts.worth(Origin::Seen(10), 1, 2), 2, "always right");

        for _ in 0..20 {
            drafts.stepped(1, Duration::from_millis(450));
        }
        drafts.stepped(3, Duration::from_millis(900));
        assert_eq!(drafts.worth(Origin::Seen(10), 1, 2), 2, "a compiler runs");

        for _ in 0..20 {
            drafts.stepped(3, Duration::from_secs(10));
        }
        assert_eq!(drafts.worth(Origin::Seen(10), 1, 2), 1, "dear");
        for _ in 0..=super::FORGOTTEN {
            drafts.stepped(1, Duration::from_millis(45));
        }
        assert_eq!(drafts.worth(Origin::Seen(10), 1, 2), 2, "forgotten");
    }
}
