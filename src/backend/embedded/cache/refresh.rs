//! Computing anew what was moved, when nobody waits.
//!
//! Called by the worker while the queue is empty, one chunk per call. The prompt is computed in a
//! sequence of its own, behind the part that is right already, and takes the place of the old cells when
//! it is whole: an interruption loses nothing, and a prompt that comes meanwhile finds the old ones.

use llama_cpp_2::token::LlamaToken;

use super::{Cache, Decoded, Failure, REFRESH_SEQUENCE, position, seq_id};
use crate::backend::embedded::Splicing;
use crate::common_prefix::common_prefix;

/// What one call of [`Cache::refresh`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend::embedded) enum Refreshed {
    /// Some tokens were computed.
    Chunk,
    /// Somebody came.
    Interrupted,
    /// There is nothing to do, or no room to do it in.
    Nothing,
}

/// What the sequence for refreshing holds.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    tokens: Vec<LlamaToken>,
}

impl Refresh {
    pub(super) fn is_begun(&self) -> bool {
        !self.tokens.is_empty()
    }

    pub(super) fn held_tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it may share cells with `tokens` from position `start` on.
    pub(super) fn shares(&self, tokens: &[LlamaToken], start: usize) -> bool {
        common_prefix(&self.tokens, tokens) > start
    }
}

impl Cache<'_> {
    /// Computes at most `chunk_tokens` tokens of the last used spliced prompt anew.
    pub(in crate::backend::embedded) fn refresh(
        &mut self,
        chunk_tokens: usize,
    ) -> Result<Refreshed, Failure> {
        let refreshed = self.try_refresh(chunk_tokens);
        self.or_forget(refreshed)
    }

    fn try_refresh(&mut self, chunk_tokens: usize) -> Result<Refreshed, Failure> {
        let refreshes = self.splicing == Splicing::Refreshed;
        let inexact = self.slots.inexact().filter(|_| refreshes);
        let Some((slot, exact)) = inexact else {
            self.drop_refresh(0)?;
            return Ok(Refreshed::Nothing);
        };
        let wanted = self.slots.prompt(slot).to_vec();
        let common = common_prefix(&self.refresh.tokens, &wanted);
        if common > exact {
            self.drop_refresh(common)?;
        } else {
            self.drop_refresh(0)?;
            self.context
                .kv_cache_seq_cp(
                    seq_id(slot),
                    seq_id(REFRESH_SEQUENCE),
                    Some(0),
                    Some(position(exact)),
                )
                .map_err(|error| error.to_string())?;
            self.refresh.tokens = wanted.iter().take(exact).copied().collect();
        }
        let held = self.refresh.tokens.len();
        let chunk: Vec<_> = wanted
            .iter()
            .skip(held)
            .take(chunk_tokens)
            .copied()
            .collect();
        if self.cells_in_use() + chunk.len() > self.capacity_tokens {
            self.drop_refresh(0)?;
            return Ok(Refreshed::Nothing);
        }
        if self.decode(REFRESH_SEQUENCE, held, &chunk, 0)? == Decoded::Interrupted {
            return Ok(Refreshed::Interrupted);
        }
        self.computed_tokens += chunk.len() as u64;
        self.refresh.tokens.extend(chunk);
        if self.refresh.tokens.len() == wanted.len() {
            self.swap_in(slot, wanted.len())?;
        }
        Ok(Refreshed::Chunk)
    }

    /// The new cells take the place of the old ones; what was generated behind them stays.
    fn swap_in(&mut self, slot: usize, len: usize) -> Result<(), Failure> {
        self.context
            .kv_cache_seq_rm(seq_id(slot), Some(0), Some(position(len)))
            .map_err(|error| error.to_string())?;
        self.merge(REFRESH_SEQUENCE, slot)?;
        self.refresh.tokens.clear();
        self.slots.refreshed(slot);
        // What is remembered was computed from the old cells.
        self.recall.clear();
        Ok(())
    }

    /// Leaves the first `keep` tokens of what is being computed anew.
    pub(super) fn drop_refresh(&mut self, keep: usize) -> Result<(), Failure> {
        if keep < self.refresh.tokens.len() {
            self.remove(REFRESH_SEQUENCE, keep)?;
            self.refresh.tokens.truncate(keep);
        }
        Ok(())
    }
}
