//! What follows from how fast this machine computes prompts.
//!
//! Measured once per load, by the engine's thread, before the first prompt. Both results are kept as
//! they are until the next load: a chunk size that followed the load of the machine would change the
//! rounding of sums from run to run, and a budget that did would move the prompt's window and make
//! the cached prefix worthless.

use std::time::Duration;

use crate::backend::PromptBudget;

/// How long a cancel or a more important request waits at most for the running chunk, where the
/// machine is fast enough: a little more than a frame at 60 Hz, so a keystroke does not feel it.
const CHUNK_TIME: Duration = Duration::from_millis(20);

/// Chunks are not made smaller than this, in tokens, however slow the machine: below it the batched
/// matrix kernels lose what makes a prompt cheaper than as many generated tokens. Qwen2.5-Coder 0.5B,
/// one thread, tokens per second by batch: 1: 32, 4: 53, 8: 67, 16: 92, 64: 106 (November 2026). What
/// a cancelled prompt computed stays cached, so the next key of the same person loses nothing.
const SMALLEST_CHUNK_TOKENS: usize = 16;

/// Steps that may be broken off at any time grow to at most so many tokens. Qwen2.5-Coder 1.5B, `Q4_K_M`, two
/// threads, tokens per second by batch: 16: 50, 32: 56, 64: 60, 128: 59 (November 2026).
const LONGEST_CHUNK_TOKENS: usize = 128;

/// The most tokens of one decode call, llama.cpp's `n_batch` and `n_ubatch`. It sizes the compute
/// buffers; larger ones gain nothing on a CPU and a few percent on a GPU.
pub(super) const BATCH_TOKENS: usize = 512;

/// The most tokens of a draft on a processor. From four tokens on llama.cpp's kernels for processors round
/// what they multiply in another way: the logits differ by up to 0.4 (Qwen2.5-Coder 1.5B, `Q4_K_M`, AVX2,
/// November 2026), and an answer may be another one. Up to three tokens their products are
/// the same to the last bit.
const DRAFT_TOKENS: usize = 2;

/// The same with our own [`kernels`](super::kernels), if the model's weights are such that a step of so many
/// rounds like single ones. One of four tokens takes as long as one of three.
pub(super) const LONG_DRAFT_TOKENS: usize = 3;

/// How fast a loaded model computes prompts here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Prompt tokens computed per second, measured in one batch after the weights were touched.
    pub prompt_tokens_per_second: f64,
    /// Prompt tokens computed between two looks at the cancel flag and the queue.
    pub chunk_tokens: usize,
    /// The most tokens of a draft: longer steps round otherwise.
    pub draft_tokens: usize,
}

impl Speed {
    /// From one batch of `tokens` that took `elapsed`.
    pub(super) fn measured(tokens: usize, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64().max(1e-6);
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most 512 tokens")]
        let prompt_tokens_per_second = tokens as f64 / seconds;
        let in_time = prompt_tokens_per_second * CHUNK_TIME.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and clamped at once"
        )]
        let chunk_tokens = (in_time as usize).clamp(SMALLEST_CHUNK_TOKENS, BATCH_TOKENS);
        Self {
            prompt_tokens_per_second,
            chunk_tokens,
            draft_tokens: DRAFT_TOKENS,
        }
    }

    /// The budget of a prompt on this machine.
    pub(super) fn budget(&self) -> PromptBudget {
        PromptBudget::at_speed(self.prompt_tokens_per_second)
    }
}

/// Tokens of one step of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// As many as this.
    tokens: usize,
    /// All that is left, where it is no more than this.
    rest: usize,
}

impl Chunk {
    /// How many of the tokens that are `left`.
    pub(super) fn of(self, left: usize) -> usize {
        let tokens = if left <= self.rest { left } else { self.tokens };
        tokens.clamp(1, BATCH_TOKENS)
    }
}

/// How much of a prompt is computed at once. A step that is broken off gets half as long, so that work goes
/// on however often somebody comes in between. One that gets to its end gets twice as long where the next
/// may be broken off at any time: longer steps are quicker, and a broken one loses no more than what was
/// computed before it. For the same reason a step takes what would be left for one more.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// Doublings of the chunk; halvings below 0.
    doublings: i32,
}

impl Pace {
    /// The next chunk, in tokens.
    pub(super) fn chunk_tokens(self, speed: Speed) -> usize {
        let by = self.doublings.unsigned_abs();
        if self.doublings < 0 {
            (speed.chunk_tokens >> by).max(1)
        } else {
            let longest = LONGEST_CHUNK_TOKENS.max(speed.chunk_tokens);
            (speed.chunk_tokens << by).min(longest)
        }
    }

    /// The next chunk of a prompt; `breakable` when steps may be broken off at any time.
    pub(super) fn chunk(self, speed: Speed, breakable: bool) -> Chunk {
        let tokens = self.chunk_tokens(speed);
        let longest = LONGEST_CHUNK_TOKENS.max(tokens);
        let rest = if breakable && self.doublings >= 0 {
            (2 * tokens).min(longest)
        } else {
            tokens
        };
        Chunk { tokens, rest }
    }

    /// A step was broken off.
    pub(super) fn slow_down(&mut self) {
        // 2^9 is the largest batch.
        self.doublings = (self.doublings - 1).max(-9);
    }

    /// A step came to its end; `breakable` when it could have been broken off at any time.
    pub(super) fn speed_up(&mut self, breakable: bool) {
        let most = if breakable { 3 } else { 0 };
        self.doublings = (self.doublings + 1).min(most);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Chunk, Pace, Speed};

    #[test]
    fn a_chunk_gets_smaller_until_it_is_finished() {
        let speed = Speed::measured(32, Duration::from_secs(1));
        let mut pace = Pace::default();
        for expect in [16, 8, 4, 2, 1, 1] {
            assert_eq!(pace.chunk_tokens(speed), expect);
            pace.slow_down();
        }
        for expect in [1, 1, 2, 4, 8, 16, 16] {
            pace.speed_up(false);
            assert_eq!(pace.chunk_tokens(speed), expect);
        }
    }

    #[test]
    fn a_chunk_that_may_be_broken_off_gets_larger() {
        let (slow, fast) = (32, 20_000);
        for (tokens, chunks) in [(slow, [16, 32, 64, 128, 128]), (fast, [400; 5])] {
            let speed = Speed::measured(tokens, Duration::from_secs(1));
            let mut pace = Pace::default();
            for expect in chunks {
                assert_eq!(pace.chunk_tokens(speed), expect);
                pace.speed_up(true);
            }
            pace.slow_down();
            pace.slow_down();
            assert_eq!(pace.chunk_tokens(speed), chunks[1]);
            pace.speed_up(false);
            assert_eq!(pace.chunk_tokens(speed), chunks[0]);
        }
    }

    #[test]
    fn a_step_that_may_be_broken_off_takes_a_short_rest() {
        let speed = Speed::measured(32, Duration::from_secs(1));
        let mut pace = Pace::default();
        // (steps that ended before, tokens left, tokens where it is breakable, and where not)
        for (ended, left, breakable, whole) in [
            (0, 15, 15, 15),
            (0, 22, 22, 16),
            (0, 32, 32, 16),
            (0, 33, 16, 16),
            (1, 60, 60, 32),
            (1, 65, 32, 32),
            (3, 128, 128, 128),
            (3, 129, 128, 128),
        ] {
            let pace = (0..ended).fold(pace, |mut pace, _| {
                pace.speed_up(true);
                pace
            });
            assert_eq!(
                pace.chunk(speed, true).of(left),
                breakable,
                "{ended} {left}"
            );
            assert_eq!(pace.chunk(speed, false).of(left), whole, "{ended} {left}");
        }
        pace.slow_down();
        assert_eq!(pace.chunk(speed, true).of(10), 8, "it was broken off");
        let nothing = Chunk { tokens: 0, rest: 0 };
        assert_eq!(nothing.of(3), 1, "a step has a token");
    }

    #[test]
    fn chunk_and_budget_follow_the_speed() {
        // (tokens, milliseconds) → (chunk, prefix budget)
        let cases = [
            ((32, 800), (16, 320)),
            ((32, 320), (16, 320)),
            ((32, 64), (16, 384)),
            ((32, 25), (25, 384)),
            ((512, 100), (102, 384)),
            ((512, 25), (409, 768)),
            ((512, 13), (512, 1536)),
            ((512, 9), (512, 2048)),
            ((32, 0), (512, 2048)),
        ];
        for ((tokens, elapsed_ms), expect) in cases {
            let speed = Speed::measured(tokens, Duration::from_millis(elapsed_ms));
            let got = (speed.chunk_tokens, speed.budget().prefix_tokens);
            assert_eq!(got, expect, "{tokens} tokens in {elapsed_ms} ms");
        }
    }
}
