//! What the machine can do, found out once per load.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use llama_cpp_2::token::LlamaToken;

use super::{BATCH_TOKENS, Cache, Failure};
use crate::backend::embedded::choice::SURE_LEAD;
use crate::backend::embedded::draft::MOST_TOKENS;
use crate::backend::embedded::kernels;
use crate::backend::embedded::speed::{LONG_DRAFT_TOKENS, Speed};

/// Tokens of the batch that is timed. Enough for the batched kernels, and little enough that a slow
/// CPU (52 tokens per second: 1.5B, one thread) spends well under a second on it.
const TIMED_TOKENS: usize = 16;

/// A timed batch under this is mostly overhead: a GPU. Then a full batch is timed.
const FAST: Duration = Duration::from_millis(20);

/// A full batch that takes longer, and is no slower a token than the small one, is not timed again: setting
/// up kernels is a small part of it.
const SET_UP: Duration = Duration::from_millis(250);

impl Cache<'_> {
    /// Times batches of prompt, and leaves nothing behind. The first batch reads the weights from disk, and on
    /// a graphics device the first of its size sets up kernels, so those are not the ones that count.
    pub(in crate::backend::embedded) fn measure(&mut self) -> Result<Speed, Failure> {
        self.timed(1)?;
        let small = self.timed(TIMED_TOKENS)?.min(self.timed(TIMED_TOKENS)?);
        let full_tokens = BATCH_TOKENS.min(self.capacity_tokens);
        if small > FAST || full_tokens <= TIMED_TOKENS {
            let speed = Speed::measured(TIMED_TOKENS, small);
            let longest = 1 + LONG_DRAFT_TOKENS;
            let draft_tokens = if self.divisible
                && kernels::instructions().is_some()
                && self.draftable_tokens(longest..=longest)? > 0
            {
                LONG_DRAFT_TOKENS
            } else {
                speed.draft_tokens
            };
            return Ok(Speed {
                draft_tokens,
                ..speed
            });
        }
        let mut full = self.timed(full_tokens)?;
        if full <= SET_UP || is_slower(full, full_tokens, small) {
            full = full.min(self.timed(full_tokens)?);
        }
        let speed = Speed::measured(full_tokens, full);
        let draft_tokens = if self.capacity_tokens > MOST_TOKENS {
            self.draftable_tokens(2..=1 + MOST_TOKENS)?
        } else {
            speed.draft_tokens
        };
        Ok(Speed {
            draft_tokens,
            ..speed
        })
    }

    /// How long a batch of so many tokens takes.
    fn timed(&mut self, tokens: usize) -> Result<Duration, Failure> {
        let started = Instant::now();
        let decoded = self.decode(0, 0, &vec![LlamaToken::new(0); tokens], 1);
        self.or_forget(decoded)?;
        self.context.synchronize();
        let elapsed = started.elapsed();
        self.remove(0, 0)?;
        Ok(elapsed)
    }

    /// Of steps with so many tokens, in this order, the last whose logits are those of single steps, but for so
    /// little that it decides nothing; less its first token. 0 where the first is not. Leaves nothing behind.
    fn draftable_tokens(&mut self, steps: RangeInclusive<usize>) -> Result<usize, Failure> {
        let vocabulary = self.model.n_vocab().max(1);
        let tokens: Vec<_> = (0..)
            .take(*steps.end())
            .map(|at| LlamaToken::new(at * 37 % vocabulary))
            .collect();
        let mut single = Vec::with_capacity(tokens.len());
        for (at, &token) in tokens.iter().enumerate() {
            let decoded = self.decode(0, at, &[token], 1);
            self.or_forget(decoded)?;
            single.push(self.context.get_logits_ith(0).to_vec());
        }
        self.remove(0, 0)?;
        let mut draftable = 0;
        for len in steps {
            let step = tokens.get(..len).unwrap_or_default();
            let decoded = self.decode(0, 0, step, len);
            self.or_forget(decoded)?;
            let differ = (0..).zip(single.iter().take(len)).flat_map(|(at, single)| {
                let together = self.context.get_logits_ith(at).iter();
                together.zip(single).map(|(a, b)| (a - b).abs())
            });
            // Not a number is no agreement either.
            let agrees = differ.into_iter().all(|differ| differ <= SURE_LEAD / 2.0);
            self.remove(0, 0)?;
            if !agrees {
                tracing::debug!(tokens = len, "a longer step rounds otherwise");
                break;
            }
            draftable = len - 1;
        }
        Ok(draftable)
    }

    /// Counts how often the context asks while it turns keys: by so many questions a step that does has
    /// more than one that does not. Each layer has as many of them; where that is not so, as on a graphics
    /// device, nothing is known. Leaves nothing behind.
    pub(super) fn count_asks(&mut self) -> Result<(), Failure> {
        let mut asks = [0; 2];
        for (at, asks) in asks.iter_mut().enumerate() {
            if at == 1 {
                let moved = self.context.kv_cache_seq_add(0, None, None, 1);
                self.or_forget(moved.map_err(|error| error.to_string()))?;
            }
            let before = self.interrupt.times_asked();
            let decoded = self.decode(0, 2 * at, &[LlamaToken::new(0)], 1);
            self.or_forget(decoded)?;
            self.context.synchronize();
            *asks = self.interrupt.times_asked() - before;
        }
        self.remove(0, 0)?;
        let [without, with] = asks;
        let layers = u64::from(self.model.n_layer());
        let more = with.checked_sub(without);
        self.asks_while_turning = more.filter(|&more| more > 0 && more % layers.max(1) == 0);
        tracing::debug!(without, with, layers, "questions of a step");
        Ok(())
    }
}

/// Whether a token of the full batch took longer than one of the small batch.
fn is_slower(full: Duration, full_tokens: usize, small: Duration) -> bool {
    let each = |batch: Duration, tokens: usize| batch.as_nanos() / tokens.max(1) as u128;
    each(full, full_tokens) > each(small, TIMED_TOKENS)
}
