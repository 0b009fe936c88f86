//! How much prompt is worth sending, which depends on how fast it is computed.

use std::time::Duration;

/// Token budgets of a prompt. Estimates of a text's length use
/// [`BYTES_PER_TOKEN`](crate::prompt::BYTES_PER_TOKEN), which is a low estimate for code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptBudget {
    /// For the lines above the cursor's line.
    pub prefix_tokens: usize,
    /// For the text after the cursor.
    pub suffix_tokens: usize,
    /// For text of elsewhere, in front of the lines above; 0 where it would cost too much. It stays the
    /// same while somebody types, so only a change of it, which waits for an idle moment, is computed.
    pub context_tokens: usize,
}

/// One part in so many of a model's context that a prompt may fill: the rest is for the answer and for
/// an estimate of the length that is too low.
const CONTEXT_SHARE: usize = 2;

/// One part in so many of a prompt that is suffix, where the model's context is small.
const SUFFIX_SHARE: usize = 5;

/// How long the text of elsewhere may take to compute, in an idle moment.
const CONTEXT_TIME: Duration = Duration::from_millis(250);
/// Most tokens of text of elsewhere. More takes a small model's eye off the code at the cursor.
const MOST_CONTEXT_TOKENS: usize = 512;
/// Fewer are not worth a changed prompt: a snippet or two.
const FEWEST_CONTEXT_TOKENS: usize = 128;

/// How long a prompt of which nothing is cached may take before its first token: half of the time in
/// which a ghost text feels immediate.
const COLD_PROMPT_TIME: Duration = Duration::from_millis(50);

/// Below this a cold prompt of the first step takes more than a second, and every jump of the cursor
/// makes one: processors without a graphics device.
const SLOW_TOKENS_PER_SECOND: f64 = 400.0;

impl PromptBudget {
    /// The prefixes to choose from, ascending, in tokens; a quarter more is suffix. Steps and not a
    /// formula, so that two measurements of one machine mostly give one budget: another budget moves
    /// the prompt's window, which makes what a backend has cached worthless.
    const PREFIX_STEPS_TOKENS: [usize; 4] = [384, 768, 1536, 2048];

    /// The budget of the slowest machine: what a model needs to see at least, and not much more to compute
    /// after each jump. With prefixes of 192, 320 and 512 tokens 19, 23 and 21 % of 600 keys had a right
    /// ghost, and 74, 77 and 76 % one before the next key (Qwen2.5-Coder 1.5B, two threads, 50 prompt
    /// tokens per second, one run each, November 2026).
    pub const SMALLEST: Self = Self::of_prefix(320, 0);

    /// The budget while a backend's speed is unknown. All of it cold takes 0.1 s at 12,000 tokens per
    /// second, a small accelerator with a model of 1.5 billion parameters.
    pub const UNMEASURED: Self = Self::of_prefix(Self::PREFIX_STEPS_TOKENS[1], 384);

    const fn of_prefix(prefix_tokens: usize, context_tokens: usize) -> Self {
        Self {
            prefix_tokens,
            suffix_tokens: prefix_tokens / 4,
            context_tokens,
        }
    }

    /// The largest budget of which a cold prompt takes at most 50 ms; else the first step, or the
    /// smallest budget where even that would take seconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and saturating is right"
    )]
    pub fn at_speed(prompt_tokens_per_second: f64) -> Self {
        let within = |time: Duration| (prompt_tokens_per_second * time.as_secs_f64()) as usize;
        let cold_tokens = within(COLD_PROMPT_TIME);
        let prefix_tokens = Self::PREFIX_STEPS_TOKENS
            .into_iter()
            .rfind(|prefix| prefix + prefix / 4 <= cold_tokens)
            .unwrap_or(if prompt_tokens_per_second < SLOW_TOKENS_PER_SECOND {
                Self::SMALLEST.prefix_tokens
            } else {
                Self::PREFIX_STEPS_TOKENS[0]
            });
        let context_tokens = match within(CONTEXT_TIME).min(MOST_CONTEXT_TOKENS) {
            few if few < FEWEST_CONTEXT_TOKENS => 0,
            enough => enough,
        };
        Self::of_prefix(prefix_tokens, context_tokens)
    }

    /// This, or less where half of what a model can read at once, `window_tokens`, is less: first a shorter
    /// text of elsewhere, then a smaller step, and none of the text of elsewhere where that is too large.
    #[must_use]
    pub fn within(self, window_tokens: Option<usize>) -> Self {
        let most = window_tokens.map_or(usize::MAX, |tokens| tokens / CONTEXT_SHARE);
        if let Some(fits) = self.with_context_of(most) {
            return fits;
        }
        let smaller = Self::PREFIX_STEPS_TOKENS
            .into_iter()
            .filter(|step| (Self::UNMEASURED.prefix_tokens..self.prefix_tokens).contains(step));
        let smaller = smaller.rev().find_map(|step| {
            let smaller = Self::of_prefix(step, self.context_tokens).with_context_of(most)?;
            (smaller.context_tokens > 0).then_some(smaller)
        });
        smaller.unwrap_or(Self {
            prefix_tokens: most - most / SUFFIX_SHARE,
            suffix_tokens: most / SUFFIX_SHARE,
            context_tokens: 0,
        })
    }

    /// With as much text of elsewhere as fits into `most`; `None` where the rest does not.
    fn with_context_of(self, most: usize) -> Option<Self> {
        let room = most.checked_sub(self.prefix_tokens + self.suffix_tokens)?;
        let context_tokens = match self.context_tokens.min(room) {
            few if few < FEWEST_CONTEXT_TOKENS => 0,
            enough => enough,
        };
        Some(Self {
            context_tokens,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::PromptBudget;

    #[test]
    fn a_cold_prompt_is_as_long_as_50_ms_allow_and_context_as_250_ms() {
        for (tokens_per_second, expected) in [
            (0.0, (320, 80, 0)),
            (99.0, (320, 80, 0)),
            (400.0, (384, 96, 0)),
            (1_000.0, (384, 96, 250)),
            (11_900.0, (384, 96, 512)),
            (20_000.0, (768, 192, 512)),
            (37_700.0, (768, 192, 512)),
            (60_000.0, (2048, 512, 512)),
            (f64::INFINITY, (2048, 512, 512)),
        ] {
            let budget = PromptBudget::at_speed(tokens_per_second);
            let tokens = (
                budget.prefix_tokens,
                budget.suffix_tokens,
                budget.context_tokens,
            );
            assert_eq!(tokens, expected, "{tokens_per_second}");
        }
    }

    #[test]
    fn a_small_window_makes_a_small_budget() {
        for (window, expected) in [
            (None, (768, 192, 384)),
            (Some(4096), (768, 192, 384)),
            (Some(2560), (768, 192, 320)),
            (Some(2048), (768, 192, 0)),
            (Some(1000), (400, 100, 0)),
            (Some(0), (0, 0, 0)),
        ] {
            let budget = PromptBudget::UNMEASURED.within(window);
            let tokens = (
                budget.prefix_tokens,
                budget.suffix_tokens,
                budget.context_tokens,
            );
            assert_eq!(tokens, expected, "{window:?}");
        }
    }

    #[test]
    fn a_fast_server_keeps_text_of_elsewhere_in_a_common_window() {
        for (tokens_per_second, window, expected) in [
            (1e9, 8192, (2048, 512, 512)),
            (1e9, 4096, (1536, 384, 128)),
            (50_000.0, 4096, (1536, 384, 128)),
            (20_000.0, 4096, (768, 192, 512)),
            (1e9, 2048, (820, 204, 0)),
        ] {
            let budget = PromptBudget::at_speed(tokens_per_second).within(Some(window));
            let tokens = (
                budget.prefix_tokens,
                budget.suffix_tokens,
                budget.context_tokens,
            );
            assert_eq!(tokens, expected, "{tokens_per_second} {window}");
        }
    }
}
