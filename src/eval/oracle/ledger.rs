//! What the oracle generated and what it cost: the KV cache and the books.

use std::time::Duration;

use tokio::time::Instant;

use super::tokens;
use crate::backend::Priority;

/// Newest generations in which a shown ghost is looked for: as many as the engine's cache has entries.
const LOOKED_BACK: usize = 250;
/// A prompt goes to the slot that holds this share of it, else to the one unused longest, as in
/// llama.cpp's server (`--slot-prompt-similarity`, 0.5 until 2025).
const SAME_PROMPT_SHARE: f64 = 0.5;

/// One generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The step during which it began.
    pub key: usize,
    /// Who waited.
    pub priority: Priority,
    /// Prompt tokens that were not cached, where the backend told before it was cancelled.
    pub computed_tokens: Option<u32>,
    /// From the request to its first token. The oracle tells it of cancelled ones too; of a real backend
    /// it is known once the token is there.
    pub first_token: Option<Duration>,
    /// Tokens generated until the end or the cancellation.
    pub tokens: u32,
    /// Of these, how many had arrived when a ghost of this generation was last shown. The others were
    /// generated for nobody.
    pub shown_tokens: u32,
    /// Its text.
    pub text: String,
    /// When it began, where that is known.
    pub began: Option<Instant>,
}

/// All generations of a run.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The step that was made last.
    pub(super) key: usize,
    /// In the order in which they began.
    pub generations: Vec<Generated>,
    running: usize,
    /// Most generations that ran at the same time.
    pub most_at_once: usize,
}

impl Ledger {
    /// Of generations that were written down elsewhere.
    pub(in crate::eval) fn of(generations: Vec<Generated>) -> Self {
        Self {
            generations,
            ..Self::default()
        }
    }

    pub(super) fn begin(&mut self, generated: Generated) -> usize {
        self.running += 1;
        self.most_at_once = self.most_at_once.max(self.running);
        self.generations.push(generated);
        self.generations.len() - 1
    }

    pub(super) fn token(&mut self, id: usize, text: &str) {
        if let Some(generated) = self.generations.get_mut(id) {
            generated.tokens += 1;
            generated.text.push_str(text);
        }
    }

    pub(super) fn first_token(&mut self, id: usize, elapsed: Duration) {
        if let Some(generated) = self.generations.get_mut(id) {
            generated.first_token = Some(elapsed);
        }
    }

    pub(super) fn ended(&mut self) {
        self.running -= 1;
    }

    /// Books a shown ghost to the newest generation that holds its first line.
    pub(super) fn shown(&mut self, ghost: &str) {
        let Some(line) = ghost.lines().map(str::trim).find(|l| !l.is_empty()) else {
            return;
        };
        let newest = self.generations.iter_mut().rev().take(LOOKED_BACK);
        if let Some(generated) = newest.into_iter().find(|g| g.text.contains(line)) {
            generated.shown_tokens = generated.tokens;
        }
    }
}

/// The KV cache: the tokens of the last prompt and its generation, per slot.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    clock: u64,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    tokens: Vec<u64>,
    used: u64,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self {
            slots: vec![Slot::default(); count.max(1)],
            clock: 0,
        }
    }

    /// Gives `prompt` a slot; returns it with the number of tokens it held already. At least one token
    /// is computed: a model needs one to say what comes next.
    pub(super) fn take(&mut self, prompt: &[u64]) -> (usize, usize) {
        self.clock += 1;
        let held = |slot: &Slot| {
            let pairs = slot.tokens.iter().zip(prompt);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let best = self.slots.iter().map(held).enumerate();
        let (mut chosen, mut cached) = best.max_by_key(|&(_, held)| held).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
        let share = cached as f64 / prompt.len().max(1) as f64;
        if share < SAME_PROMPT_SHARE {
            let oldest = self.slots.iter().enumerate().min_by_key(|(_, s)| s.used);
            if let Some((oldest, slot)) = oldest {
                (chosen, cached) = (oldest, held(slot));
            }
        }
        if let Some(slot) = self.slots.get_mut(chosen) {
            slot.used = self.clock;
            slot.tokens.clear();
            slot.tokens.extend_from_slice(prompt);
        }
        (chosen, cached.min(prompt.len().saturating_sub(1)))
    }

    /// The prompt of a slot was given up when `share` of the time to its first token was left; it holds
    /// the `cached` tokens of before and what was computed since.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a few thousand tokens"
    )]
    pub(super) fn given_up(&mut self, slot: usize, share: f64, cached: u32) {
        if let Some(slot) = self.slots.get_mut(slot) {
            let new = slot.tokens.len().saturating_sub(cached as usize);
            let computed = (new as f64 * (1.0 - share)) as usize;
            slot.tokens.truncate(cached as usize + computed);
        }
    }

    /// A generated token is in the cache too.
    pub(super) fn generated(&mut self, slot: usize, token: &str) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.tokens.push(tokens::of_token(token));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_prompt_shares_with_the_slot_is_not_computed() {
        let mut slots = Slots::new(1);
        assert_eq!(slots.take(&[1, 2, 3]), (0, 0));
        assert_eq!(slots.take(&[1, 2, 3, 4]), (0, 3));
        // The same again: one token is computed all the same.
        assert_eq!(slots.take(&[1, 2, 3, 4]), (0, 3));
        slots.generated(0, "x");
        assert_eq!(slots.take(&[1, 2, 3, 4, tokens::of_token("x"), 9]), (0, 5));
        assert_eq!(slots.take(&[7, 2, 3]), (0, 0));
    }

    #[test]
    fn a_prompt_that_is_given_up_leaves_what_was_computed() {
        let mut slots = Slots::new(1);
        slots.take(&[1, 2]);
        let (slot, cached) = slots.take(&[1, 2, 3, 4, 5, 6]);
        slots.given_up(slot, 0.75, 2);
        assert_eq!((slot, cached), (0, 2));
        assert_eq!(slots.take(&[1, 2, 3, 4, 5, 6]), (0, 3));
    }

    #[test]
    fn two_slots_keep_two_prompts_and_the_older_one_goes() {
        let mut slots = Slots::new(2);
        let (a, _) = slots.take(&[1, 2, 3]);
        let (b, _) = slots.take(&[5, 6, 7]);
        assert_ne!(a, b);
        assert_eq!(slots.take(&[1, 2, 3, 4]), (a, 3));
        assert_eq!(slots.take(&[8, 8, 8]), (b, 0));
    }

    fn generated() -> Generated {
        Generated {
            key: 0,
            priority: Priority::Completion,
            computed_tokens: Some(0),
            first_token: None,
            tokens: 0,
            shown_tokens: 0,
            text: String::new(),
            began: None,
        }
    }

    #[test]
    fn tokens_after_the_last_showing_were_for_nobody() {
        let mut ledger = Ledger::default();
        let id = ledger.begin(generated());
        ledger.token(id, "foo");
        ledger.shown("other");
        assert_eq!(ledger.generations[id].shown_tokens, 0);
        ledger.shown("  foo\n");
        ledger.token(id, "(bar)");
        assert_eq!(ledger.generations[id].shown_tokens, 1);
        assert_eq!(ledger.generations[id].tokens, 2);
    }
}
