//! Putting a prompt where most of it is cached.
//!
//! Called by the worker before a job's first step, and again after it was put aside. The order of the
//! calls to llama.cpp matters: the runs are copied to sequences of their own, cut from the first and
//! from whoever shares them, and only then moved; they come back, one after the other, when what
//! stands in front of them is computed, because llama.cpp computes no position below a sequence's last.
//! Source: trials with llama-cpp-2 0.1, November 2026.

use llama_cpp_2::token::LlamaToken;

use super::{Cache, Failure, SEQUENCES, SPARE_SEQUENCES, position, seq_id};
use crate::backend::embedded::Splicing;
use crate::backend::embedded::slots::{Choice, Moving, Rest};
use crate::backend::embedded::splice::Run;
use crate::backend::embedded::tokens;

/// Where a prompt was put, and what need not be computed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend::embedded) struct Placed {
    /// The sequence.
    pub(in crate::backend::embedded) slot: usize,
    /// Tokens that the cache has, moved ones included; below the prompt's length, unless the logits
    /// after the prompt are remembered.
    pub(in crate::backend::embedded) cached_tokens: usize,
    /// Tokens of these that were moved or wait to be.
    pub(in crate::backend::embedded) moved_tokens: usize,
}

impl Cache<'_> {
    /// Makes a sequence ready to be extended to `history`, whose first `prompt_tokens` are the prompt,
    /// with as much of it as is cached anywhere; where `moving` says so, also at other positions. Only
    /// prompts that may have moved tokens are kept on disk.
    pub(in crate::backend::embedded) fn place(
        &mut self,
        history: &[LlamaToken],
        prompt_tokens: usize,
        moving: Moving,
    ) -> Result<Placed, Failure> {
        let placed = self.try_place(history, moving);
        let placed = self.or_forget(placed)?;
        let keepable = moving != Moving::Never;
        self.slots.touch(placed.slot, prompt_tokens, keepable);
        Ok(placed)
    }

    fn try_place(&mut self, history: &[LlamaToken], moving: Moving) -> Result<Placed, Failure> {
        let Choice {
            slot,
            mut keep,
            rest,
        } = self.choose(history, moving);
        match rest {
            Rest::Dropped if keep == self.slots.tokens(slot).len() => self.cut(slot, keep)?,
            Rest::Dropped if self.divisible => self.cut(slot, keep)?,
            Rest::CopyFrom(other) if self.divisible => {
                self.cut(slot, 0)?;
                self.context
                    .kv_cache_seq_cp(seq_id(other), seq_id(slot), Some(0), Some(position(keep)))
                    .map_err(|error| error.to_string())?;
                self.slots.copy_from(other, slot, keep);
            }
            Rest::Dropped | Rest::CopyFrom(_) => {
                self.cut(slot, 0)?;
                keep = 0;
            }
            Rest::Resumed => {
                self.remove(slot, keep)?;
                self.slots.truncate(slot, keep);
            }
            Rest::Spliced(runs) => self.splice(slot, keep, &runs)?,
        }
        let parked = self.slots.parked(slot).iter();
        let moved_tokens = parked.map(|parked| parked.tokens.len()).sum();
        Ok(Placed {
            slot,
            cached_tokens: keep + moved_tokens,
            moved_tokens,
        })
    }

    fn choose(&self, history: &[LlamaToken], moving: Moving) -> Choice {
        let vocab = self.model.vocab();
        // A sentinel, or another token that steers the model.
        let stays = |token| tokens::ends_generation(&vocab, token);
        let moving = match self.splicing {
            Splicing::Off => Moving::Never,
            _ => moving,
        };
        let known_end = self.recall.after(history).is_some();
        self.slots.choose(history, known_end, moving, &stays)
    }

    /// Leaves the first `keep` tokens in the sequence, and the runs of the rest in sequences of their
    /// own, at their new places.
    fn splice(&mut self, slot: usize, keep: usize, runs: &[Run]) -> Result<(), Failure> {
        self.fold(slot)?;
        let spare = self.spare_sequences(slot, runs.len())?;
        for (run, &spare) in runs.iter().zip(&spare) {
            let range = (position(run.from), position(run.from + run.len));
            self.context
                .kv_cache_seq_cp(seq_id(slot), seq_id(spare), Some(range.0), Some(range.1))
                .map_err(|error| error.to_string())?;
        }
        let first = runs.iter().map(|run| run.from).min().unwrap_or(keep);
        for other in self.slots.sharing(slot, first) {
            self.cut(other, first)?;
        }
        if self.refresh.shares(self.slots.tokens(slot), first) {
            self.drop_refresh(first)?;
        }
        self.remove(slot, keep)?;
        self.slots.park(slot, keep, runs, &spare);
        for (run, &spare) in runs.iter().zip(&spare) {
            self.shift(spare, run.from, run.to)?;
        }
        Ok(())
    }

    /// Puts what is parked right behind what the sequence holds: the places count from there.
    fn fold(&mut self, slot: usize) -> Result<(), Failure> {
        let mut end = self.slots.tokens(slot).len();
        for parked in self.slots.parked(slot).to_vec() {
            self.shift(parked.sequence, parked.at, end)?;
            self.merge(parked.sequence, slot)?;
            end += parked.tokens.len();
        }
        self.slots.fold(slot);
        Ok(())
    }

    /// Lets the runs join the sequence in front of which nothing is missing any more.
    pub(super) fn join_what_is_home(&mut self, slot: usize) -> Result<(), Failure> {
        while let Some(sequence) = self.slots.next_home(slot).map(|parked| parked.sequence) {
            self.merge(sequence, slot)?;
            self.slots.join(slot);
        }
        Ok(())
    }

    /// Leaves the sequence with its first `keep` tokens and nothing parked, in cache and books.
    pub(super) fn cut(&mut self, slot: usize, keep: usize) -> Result<(), Failure> {
        for parked in self.slots.parked(slot).to_vec() {
            self.remove(parked.sequence, 0)?;
        }
        self.slots.unpark(slot);
        if keep < self.slots.tokens(slot).len() {
            self.remove(slot, keep)?;
            self.slots.truncate(slot, keep);
        }
        Ok(())
    }

    /// Sequences that nothing is parked in. Takes them from other prompts where too few are left.
    fn spare_sequences(&mut self, slot: usize, count: usize) -> Result<Vec<usize>, Failure> {
        let free = |cache: &Self| -> Vec<usize> {
            let taken: Vec<usize> = (0..SEQUENCES)
                .flat_map(|slot| cache.slots.parked(slot))
                .map(|parked| parked.sequence)
                .collect();
            (SEQUENCES..SEQUENCES + SPARE_SEQUENCES)
                .filter(|sequence| !taken.contains(sequence))
                .collect()
        };
        for other in (0..SEQUENCES).filter(|&other| other != slot) {
            if free(self).len() >= count {
                break;
            }
            self.cut(other, self.slots.tokens(other).len())?;
        }
        Ok(free(self))
    }

    /// Adds the cells of a sequence to another and empties it.
    pub(super) fn merge(&mut self, sequence: usize, into: usize) -> Result<(), Failure> {
        self.context
            .kv_cache_seq_cp(seq_id(sequence), seq_id(into), None, None)
            .map_err(|error| error.to_string())?;
        self.remove(sequence, 0)
    }
}
