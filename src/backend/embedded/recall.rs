//! Logits computed lately, at the places that the next keys come back to.
//!
//! A healed prompt ends before the word that is being typed, and stays the same from key to key. Who types
//! along a completion and then another word comes back to a place in it. With the logits of that place at
//! hand, such a key computes nothing before its first choice. Called by [`super::cache`]. Invariant: the
//! logits belong to exactly the tokens they are stored under.

use std::collections::VecDeque;

use llama_cpp_2::token::LlamaToken;

/// Places remembered: of the last two or three completions, each of which has a place per token. Costs 600 KB
/// each for a vocabulary of 151,000 tokens.
const PLACES: usize = 32;

/// The places, the latest last.
#[derive(Debug, Default)]
pub(super) struct Recall(VecDeque<Place>);

#[derive(Debug, Default)]
struct Place {
    history: Vec<LlamaToken>,
    logits: Vec<f32>,
}

impl Recall {
    /// Remembers what comes after `history`, in the memory of the oldest place where there are enough.
    pub(super) fn remember(&mut self, history: &[LlamaToken], logits: &[f32]) {
        self.0.retain(|place| place.history != history);
        let oldest = if self.0.len() < PLACES {
            None
        } else {
            self.0.pop_front()
        };
        let mut place = oldest.unwrap_or_default();
        place.history.clear();
        place.history.extend_from_slice(history);
        place.logits.clear();
        place.logits.extend_from_slice(logits);
        self.0.push_back(place);
    }

    /// The logits after `history`.
    pub(super) fn after(&self, history: &[LlamaToken]) -> Option<&[f32]> {
        self.0
            .iter()
            .find(|place| place.history == history)
            .map(|place| place.logits.as_slice())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::token::LlamaToken;

    use super::{PLACES, Recall};

    #[test]
    fn the_latest_places_are_known() {
        let mut recall = Recall::default();
        for last in 0..=32_i16 {
            recall.remember(
                &[LlamaToken(7), LlamaToken(last.into())],
                &[f32::from(last)],
            );
        }
        assert_eq!(PLACES, 32, "the loop overfills it by one");
        assert_eq!(recall.after(&[LlamaToken(7), LlamaToken(0)]), None);
        assert_eq!(recall.after(&[LlamaToken(7)]), None);
        let second = [LlamaToken(7), LlamaToken(1)];
        assert_eq!(recall.after(&second), Some(&[1.0][..]));
        // Another sequence's cells were used, so the numbers differ a little: the newer ones count.
        recall.remember(&second, &[1.5]);
        recall.remember(&[LlamaToken(9)], &[9.0]);
        assert_eq!(recall.after(&second), Some(&[1.5][..]));
        recall.clear();
        assert_eq!(recall.after(&second), None);
    }
}
