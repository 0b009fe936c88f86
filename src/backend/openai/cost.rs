//! What a completion's prompt costs and how fast it was computed, as far as the server tells.
//!
//! llama.cpp's server times itself; others count tokens with the last event, and an answer that is cut
//! has none. There the time to the first text has to do, and an estimate of the prompt's length.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::api::{AnswerEvent, Timings};
use crate::backend::Chunk;
use crate::backend::speed::{Says, Sent, Speeds};

/// The prompt of one completion. What is known of its speed counts when it is dropped: with the end of
/// the answer, or where that is cut.
#[derive(Debug)]
pub(super) struct Cost {
    speeds: Arc<Speeds>,
    model: String,
    sent: Sent,
    asked: Instant,
    /// From asking to the first text.
    first: Option<Duration>,
    /// Tokens of the prompt and how many of them were cached, as counted by the server.
    counted: Option<(u32, Option<u32>)>,
    /// Tokens that the server computed, and in what time.
    computed: Option<(u32, Duration)>,
}

impl Cost {
    /// `prompt` is about to be sent to `model`.
    pub(super) fn begin(speeds: &Arc<Speeds>, model: &str, prompt: &str) -> Self {
        Self {
            sent: speeds.send(model, prompt),
            speeds: Arc::clone(speeds),
            model: model.to_owned(),
            asked: Instant::now(),
            first: None,
            counted: None,
            computed: None,
        }
    }

    /// Takes in what an event says. The estimate of the cost, before the first text.
    pub(super) fn event(&mut self, event: &AnswerEvent) -> Option<Chunk> {
        if let Some(usage) = &event.usage {
            self.counted = Some((usage.prompt, usage.cached()));
        }
        if let Some(computed) = event.timings.and_then(Timings::prompt) {
            self.computed = Some(computed);
        }
        let has_text = event
            .choices
            .first()
            .is_some_and(|choice| !choice.text().is_empty());
        if !has_text || self.first.is_some() {
            return None;
        }
        self.first = Some(self.asked.elapsed());
        Some(Chunk::Prompt {
            prompt_tokens: self.sent.tokens(),
            cached_tokens: None,
            estimated: true,
        })
    }

    /// Tokens that were computed and the time that it took at most.
    fn by_clock(&self) -> Option<(u32, Duration)> {
        let tokens = match self.counted {
            Some((all, Some(cached))) => all.saturating_sub(cached),
            Some((all, None)) => self.sent.computed(all)?,
            None => self.sent.computed(self.sent.fewest_tokens())?,
        };
        Some((tokens, self.first?))
    }
}

impl Drop for Cost {
    fn drop(&mut self) {
        let said = self
            .computed
            .map(|(tokens, took)| (tokens, took, Says::Server));
        let by_clock = || {
            let (tokens, took) = self.by_clock()?;
            Some((tokens, took, Says::Clock))
        };
        if let Some((tokens, took, says)) = said.or_else(by_clock) {
            self.speeds.add(&self.model, tokens, took, says);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::PromptBudget;

    const TEXT: &str = r#"{"choices":[{"text":"a"}]}"#;
    const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":1000}}"#;
    const CACHED: &str = r#"{"choices":[],"usage":{"prompt_tokens":1000,"prompt_tokens_details":{"cached_tokens":900}}}"#;
    const TIMED: &str = r#"{"choices":[],"timings":{"prompt_n":500,"prompt_ms":100.0}}"#;
    const OTHER_TIMINGS: &str = r#"{"choices":[],"timings":{"seconds":1}}"#;

    /// The budget after three answers of these events to prompts of 4000 bytes, the first text of which
    /// comes after a tenth of a second.
    async fn learnt(prompts: [&str; 3], events: &[&str]) -> PromptBudget {
        let speeds = Arc::default();
        for prompt in prompts {
            let mut cost = Cost::begin(&speeds, "m", &prompt.repeat(4_000));
            tokio::time::advance(Duration::from_millis(100)).await;
            let told = events.iter().filter_map(|event| {
                let event = serde_json::from_str(event).expect("an event");
                cost.event(&event)
            });
            let estimate = Chunk::Prompt {
                prompt_tokens: 1_334,
                cached_tokens: None,
                estimated: true,
            };
            let expect = events.contains(&TEXT).then_some(estimate);
            assert!(told.eq(expect), "{events:?}");
        }
        speeds.budget()
    }

    #[tokio::test(start_paused = true)]
    async fn the_best_that_was_said_counts() {
        let at = PromptBudget::at_speed;
        let unknown = PromptBudget::UNMEASURED;
        // Prompts, events, budget.
        for (prompts, events, budget) in [
            // Cut: 4000 bytes are at least 1000 tokens.
            (["a", "b", "c"], &[TEXT][..], at(10_000.0)),
            (["a", "b", "c"], &[TEXT, TEXT, USAGE], at(10_000.0)),
            (["a", "b", "c"], &[TEXT, CACHED], at(1_000.0)),
            (["a", "b", "c"], &[TEXT, CACHED, TIMED], at(5_000.0)),
            (["a", "b", "c"], &[TEXT, OTHER_TIMINGS], at(10_000.0)),
            // What nobody says is cached may be.
            (["a", "a", "a"], &[TEXT, USAGE], unknown),
            (["a", "a", "a"], &[TEXT, CACHED], at(1_000.0)),
            // Nothing came.
            (["a", "b", "c"], &[], unknown),
        ] {
            let seen = learnt(prompts, events).await;
            assert_eq!(seen, budget, "{prompts:?} {events:?}");
        }
    }
}
