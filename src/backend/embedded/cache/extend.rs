//! Computing a sequence further: the prompt in chunks, then token by token, or several at once where a
//! draft says what may come.
//!
//! A draft's tokens are computed behind the last one, all in one step, and each is kept only if the model
//! would have chosen it: what is chosen after the last right one is a token as well. Kernels may sum a step
//! with several tokens in another order than a step with one, so where two tokens are equally likely but
//! for that the choice is left to a step with one: a draft never changes an answer.

use std::ops::Range;

use llama_cpp_2::token::LlamaToken;

use super::{Cache, Decoded, Failure};
use crate::backend::embedded::speed::Chunk;

/// By how much, in logits, the chosen token must lead the next one for a step with several tokens to
/// decide: no two logits of a step that may be drafted are further off ([`measure`](super::measure)).
pub(super) const SURE_LEAD: f32 = 0.05;

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
    /// Once all are, `choose` picks from the logits. Where only one token is left to compute, `draft`
    /// is computed with it, and counts as far as `choose` picks the same.
    pub(in crate::backend::embedded) fn extend(
        &mut self,
        slot: usize,
        history: &[LlamaToken],
        draft: &[LlamaToken],
        tokens: Chunk,
        choose: impl Fn(&[f32]) -> Option<LlamaToken>,
    ) -> Result<Extended, Failure> {
        let joined = self.join_what_is_home(slot);
        self.or_forget(joined)?;
        let held = self.slots.tokens(slot).len();
        if held == history.len() {
            let known = self.recall.after(history).and_then(choose);
            return self.or_broken(known.map(Next::single));
        }
        debug_assert!(
            history.starts_with(self.slots.tokens(slot)),
            "the books are wrong"
        );
        let step = self.next_step(slot, history.len(), tokens);
        let mut chunk = history.get(step).unwrap_or_default().to_vec();
        let is_last = held + chunk.len() == history.len();
        let drafts = is_last && chunk.len() == 1 && self.divisible;
        let draft = if drafts { draft } else { &[] };
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
        let next = self.check(draft, choose);
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
    fn check(
        &self,
        draft: &[LlamaToken],
        choose: impl Fn(&[f32]) -> Option<LlamaToken>,
    ) -> Option<Next> {
        let last = self.batch.n_tokens() - 1;
        let mut next = Next {
            tokens: Vec::with_capacity(draft.len() + 1),
            undecided: false,
        };
        for (at, behind) in (0..).zip((0..=draft.len()).rev()) {
            let logits = self
                .context
                .get_logits_ith(last - i32::try_from(behind).ok()?);
            let token = choose(logits)?;
            if !draft.is_empty() && !leads(logits, token) {
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

    /// Remembers the logits after `history`, which [`extend`](Self::extend) has just chosen from without
    /// a draft.
    pub(in crate::backend::embedded) fn remember(&mut self, history: &[LlamaToken]) {
        if self.recall.after(history).is_none() {
            let logits = self.context.get_logits_ith(self.batch.n_tokens() - 1);
            self.recall.remember(history, logits);
        }
    }
}

impl Next {
    fn single(token: LlamaToken) -> Self {
        Self {
            tokens: vec![token],
            undecided: false,
        }
    }
}

/// Whether the chosen token leads all others clearly.
fn leads(logits: &[f32], token: LlamaToken) -> bool {
    let chosen = usize::try_from(token.0).unwrap_or(usize::MAX);
    let Some(&highest) = logits.get(chosen) else {
        return false;
    };
    let others = logits.iter().enumerate();
    let near = |(at, &logit): (usize, &f32)| at != chosen && logit > highest - SURE_LEAD;
    !others.into_iter().any(near)
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::token::LlamaToken;

    use super::leads;

    #[test]
    fn a_token_decides_where_no_other_is_near() {
        for (logits, token, expect) in [
            (&[0.0, 3.0, 2.9][..], 1, true),
            (&[0.0, 3.0, 2.96], 1, false),
            (&[0.0, 3.0, 3.0], 2, false),
            (&[1.0], 0, true),
            (&[0.0, f32::NAN, 3.0], 2, true),
            (&[1.0], 1, false),
            (&[1.0], -1, false),
        ] {
            assert_eq!(
                leads(logits, LlamaToken(token)),
                expect,
                "{logits:?} {token}"
            );
        }
    }
}
