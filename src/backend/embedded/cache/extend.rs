//! Computing a sequence further: the prompt in chunks, then token by token, or several at once where a
//! draft says what may come.
//!
//! A draft's tokens are computed behind the last one, all in one step, and each is kept only if the model
//! would have chosen it: what is chosen after the last right one is a token as well. Kernels may sum a step
//! with several tokens in another order than a step with one, so where two tokens are equally likely but
//! for that the choice is left to a step with one: a draft never changes an answer.

use std::ops::Range;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::{Cache, Decoded, Failure};
use crate::backend::embedded::choice::Choosing;
use crate::backend::embedded::speed::Chunk;

/// What one call of [`Cache::extend`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backend::embedded) enum Extended {
    /// There is more to compute.
    Partly,
    /// The step was broken off; nothing of it stays.
    Interrupted,
    /// All is computed, and this is what comes next.
    Next(Next),
    /// The context is full: not even this sequence alone fits with more.
    Full,
}

/// The chosen tokens: one, or more where a draft was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backend::embedded) struct Next {
    pub(in crate::backend::embedded) tokens: Vec<LlamaToken>,
    /// Whether the choice after them is left to a step without a draft.
    pub(in crate::backend::embedded) undecided: bool,
}

impl Cache<'_> {
    /// Computes so many more tokens of `history`, of which the sequence holds a beginning, as
    /// [`place`](Self::place) left it. What was moved joins the sequence on the way.
    /// Once all are, `choosing` picks from the logits; at once where they are remembered. With the last of
    /// the tokens `draft` is computed, and counts as far as the same is picked.
    pub(in crate::backend::embedded) fn extend(
        &mut self,
        slot: usize,
        history: &[LlamaToken],
        draft: &[LlamaToken],
        tokens: Chunk,
        choosing: Choosing<'_>,
    ) -> Result<Extended, Failure> {
        let joined = self.join_what_is_home(slot);
        self.or_forget(joined)?;
        // Chosen before anything is computed: what is left is computed with what comes.
        let recalled = self.recall.after(history).filter(|_| choosing.recalls);
        if let Some(logits) = recalled {
            let next = choosing.choose(&[], logits).map(Next::single);
            return self.or_broken(next);
        }
        let held = self.slots.tokens(slot).len();
        if held == history.len() {
            return self.or_broken(None);
        }
        debug_assert!(
            history.starts_with(self.slots.tokens(slot)),
            "the books are wrong"
        );
        let step = self.next_step(slot, history.len(), tokens);
        let mut chunk = history.get(step).unwrap_or_default().to_vec();
        let is_last = held + chunk.len() == history.len();
        let draft = if is_last && self.divisible {
            draft
        } else {
            &[]
        };
        if !self.make_room(slot, chunk.len())? {
            return Ok(Extended::Full);
        }
        // Nothing gives way to a guess.
        let free = self.capacity_tokens.saturating_sub(self.cells_in_use());
        let draft = if chunk.len() + draft.len() <= free {
            draft
        } else {
            &[]
        };
        chunk.extend(draft);
        let with_logits = if is_last { 1 + draft.len() } else { 0 };
        let decoded = self.decode(slot, held, &chunk, with_logits);
        if self.or_forget(decoded)? == Decoded::Interrupted {
            return Ok(Extended::Interrupted);
        }
        self.computed_tokens += chunk.len() as u64;
        if !is_last {
            self.slots.extend(slot, &chunk);
            return Ok(Extended::Partly);
        }
        let next = self.check(draft, choosing);
        if let Some(next) = next.as_ref().filter(|_| choosing.remembers) {
            self.remember(history, draft.len(), &next.tokens);
        }
        // The last of the next tokens is not computed yet; nor is, where the one after them is undecided,
        // the token it is to be chosen after.
        let tokens = next.as_ref().map_or(0, |next| next.tokens.len());
        let right = chunk.len() - draft.len() + tokens - 1;
        if right < chunk.len() {
            let removed = self.remove(slot, held + right);
            self.or_forget(removed)?;
        }
        self.slots
            .extend(slot, chunk.get(..right).unwrap_or_default());
        self.or_broken(next)
    }

    /// Which tokens of a history of that length [`extend`](Self::extend) computes.
    pub(in crate::backend::embedded) fn next_step(
        &self,
        slot: usize,
        history_tokens: usize,
        tokens: Chunk,
    ) -> Range<usize> {
        let held = self.slots.tokens(slot).len();
        let parked = self.slots.parked(slot).first();
        let until = parked.map_or(history_tokens, |next| next.at);
        let left = until.saturating_sub(held);
        held..held + tokens.of(left).min(left)
    }

    /// The tokens that the model chooses after the last token and after each of the `draft`, as far as
    /// that is right. `None` when it gives no numbers.
    fn check(&self, draft: &[LlamaToken], choosing: Choosing<'_>) -> Option<Next> {
        let mut next = Next {
            tokens: Vec::with_capacity(draft.len() + 1),
            undecided: false,
        };
        for at in 0..=draft.len() {
            let logits = logits(&self.context, &self.batch, draft.len(), at)?;
            let token = choosing.choose(&next.tokens, logits)?;
            if !draft.is_empty() && !choosing.is_sure(&next.tokens, logits, token) {
                next.undecided = true;
                break;
            }
            next.tokens.push(token);
            if draft.get(at) != Some(&token) {
                break;
            }
        }
        Some(next)
    }

    fn or_broken(&mut self, next: Option<Next>) -> Result<Extended, Failure> {
        match next {
            Some(next) => Ok(Extended::Next(next)),
            None => self.or_forget(Err("the model gives no numbers; verify its file".into())),
        }
    }

    /// Remembers what the `chosen` tokens behind `history` were chosen from, in a step with so many drafted.
    fn remember(&mut self, history: &[LlamaToken], drafted: usize, chosen: &[LlamaToken]) {
        let mut history = history.to_vec();
        for (at, &token) in chosen.iter().enumerate() {
            if let Some(logits) = logits(&self.context, &self.batch, drafted, at) {
                self.recall.remember(&history, logits);
            }
            history.push(token);
        }
    }
}

/// The logits behind the history and `at` tokens of the draft, in a step with so many `drafted`.
fn logits<'c>(
    context: &'c LlamaContext<'_>,
    batch: &LlamaBatch<'_>,
    drafted: usize,
    at: usize,
) -> Option<&'c [f32]> {
    let behind = i32::try_from(drafted.checked_sub(at)?).ok()?;
    let at = batch.n_tokens() - 1 - behind;
    (at >= 0).then(|| context.get_logits_ith(at))
}

impl Next {
    fn single(token: LlamaToken) -> Self {
        Self {
            tokens: vec![token],
            undecided: false,
        }
    }
}
