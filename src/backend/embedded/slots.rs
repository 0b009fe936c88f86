//! Which cached sequence a prompt continues, and what of it moves.
//!
//! The context holds a few sequences, so that a completion in another file does not throw the first
//! file's cache away. This file only decides and keeps the books; [`super::cache`] does the same to
//! the KV cache. Called by it alone. Invariants: `tokens` of a slot are exactly the tokens whose keys
//! and values the KV cache holds for that sequence, from position 0 without a gap; of a splice that is
//! not finished the rest is parked in sequences of its own, at the positions where it will stand.

mod choice;

use llama_cpp_2::token::LlamaToken;

pub(super) use self::choice::{Choice, Moving, Rest};
use super::splice::Run;
use crate::common_prefix::common_prefix;

/// How often the cells of a token are moved before it is computed again. The text in front of them is
/// by then another one than they have seen. The measured range: up to 17 moves in a row lost nothing
/// against full computation (Qwen2.5-Coder 1.5B and 0.5B, November 2026).
pub(super) const MOST_MOVES: u8 = 16;

/// The books of all sequences.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Counts uses; the slot with the lowest `used` is the one unused for longest.
    clock: u64,
}

/// The books of one sequence.
#[derive(Debug, Default, Clone)]
pub(super) struct Slot {
    pub(super) tokens: Vec<LlamaToken>,
    /// How often each of `tokens` was moved since it was computed.
    moves: Vec<u8>,
    /// So many of the first tokens are what a computation from the start would give.
    exact: usize,
    /// So many of the first tokens are a prompt; the others were generated.
    prompt: usize,
    /// Whether the prompt may be kept on disk.
    keepable: bool,
    /// The rest of a splice, in order. Behind the last of `tokens`, with gaps to be computed.
    pub(super) parked: Vec<Parked>,
    used: u64,
}

/// Cells that wait in a sequence of their own for what comes in front of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parked {
    /// The sequence that holds them.
    pub(super) sequence: usize,
    /// The position of the first.
    pub(super) at: usize,
    pub(super) tokens: Vec<LlamaToken>,
    moves: Vec<u8>,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self {
            slots: vec![Slot::default(); count],
            clock: 0,
        }
    }

    /// The sequence to give up for room: the one unused for longest, other than `busy`, that holds
    /// anything.
    pub(super) fn victim(&self, busy: usize) -> Option<usize> {
        (0..self.slots.len())
            .filter(|&slot| slot != busy && self.held(slot) > 0)
            .min_by_key(|&slot| self.used(slot))
    }

    /// What the sequence holds.
    pub(super) fn tokens(&self, slot: usize) -> &[LlamaToken] {
        self.slots.get(slot).map_or(&[], |slot| &slot.tokens)
    }

    /// What is parked for the sequence.
    pub(super) fn parked(&self, slot: usize) -> &[Parked] {
        self.slots.get(slot).map_or(&[], |slot| &slot.parked)
    }

    /// Cells in use, counting a cell that two sequences share twice: never too low.
    pub(super) fn total_tokens(&self) -> usize {
        (0..self.slots.len()).map(|slot| self.held(slot)).sum()
    }

    /// Slots other than `slot` that may share cells of it from position `start` on, with how many
    /// tokens they have in common: a shared cell has the same token in both.
    pub(super) fn sharing(&self, slot: usize, start: usize) -> Vec<usize> {
        (0..self.slots.len())
            .filter(|&other| other != slot)
            .filter(|&other| common_prefix(self.tokens(other), self.tokens(slot)) > start)
            .collect()
    }

    /// Notes that the sequence was just used, how many of its first tokens will be a prompt, and whether
    /// that may be kept.
    pub(super) fn touch(&mut self, slot: usize, prompt: usize, keepable: bool) {
        self.clock += 1;
        let used = self.clock;
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.used = used;
            slot.prompt = prompt;
            slot.keepable = keepable;
        }
    }

    /// Writes down that the sequence holds only its first `keep` tokens. What is parked stays.
    pub(super) fn truncate(&mut self, slot: usize, keep: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.tokens.truncate(keep);
            slot.moves.truncate(keep);
            slot.exact = slot.exact.min(keep);
        }
    }

    /// Writes down that the empty sequence `slot` holds the first `keep` tokens of another.
    pub(super) fn copy_from(&mut self, other: usize, slot: usize, keep: usize) {
        let mut copy = self.slots.get(other).cloned().unwrap_or_default();
        copy.parked.clear();
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = copy;
        }
        self.truncate(slot, keep);
    }

    /// Writes down that the parked tokens stand behind the others.
    pub(super) fn fold(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            (slot.tokens, slot.moves) = slot.unfolded();
            slot.parked.clear();
        }
    }

    /// Writes down that runs of the sequence were parked, each in a sequence of `sequences`, and the
    /// rest behind the first `keep` tokens dropped.
    pub(super) fn park(&mut self, slot: usize, keep: usize, runs: &[Run], sequences: &[usize]) {
        if let Some(slot) = self.slots.get_mut(slot) {
            let parked = runs.iter().zip(sequences).map(|(run, &sequence)| {
                let range = run.from..run.from + run.len;
                let moves = slot.moves.get(range.clone()).unwrap_or_default();
                Parked {
                    sequence,
                    at: run.to,
                    tokens: slot.tokens.get(range).unwrap_or_default().to_vec(),
                    moves: moves.iter().map(|moves| moves.saturating_add(1)).collect(),
                }
            });
            slot.parked = parked.collect();
        }
        self.truncate(slot, keep);
    }

    /// The first parked run, when its place is right behind what the sequence holds.
    pub(super) fn next_home(&self, slot: usize) -> Option<&Parked> {
        let slot = self.slots.get(slot)?;
        slot.parked
            .first()
            .filter(|parked| parked.at == slot.tokens.len())
    }

    /// Writes down that the first parked run joined the sequence.
    pub(super) fn join(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot)
            && !slot.parked.is_empty()
        {
            let parked = slot.parked.remove(0);
            slot.tokens.extend(parked.tokens);
            slot.moves.extend(parked.moves);
        }
    }

    /// Writes down that nothing is parked for the sequence any more.
    pub(super) fn unpark(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.parked.clear();
        }
    }

    /// Writes down that `tokens` were computed behind what the sequence holds.
    pub(super) fn extend(&mut self, slot: usize, tokens: &[LlamaToken]) {
        self.clock += 1;
        let used = self.clock;
        if let Some(slot) = self.slots.get_mut(slot) {
            if slot.exact == slot.tokens.len() {
                slot.exact += tokens.len();
            }
            slot.tokens.extend_from_slice(tokens);
            slot.moves.resize(slot.tokens.len(), 0);
            slot.used = used;
        }
    }

    /// The prompt to compute anew: the last used one of those that were spliced. Its slot, and how many
    /// tokens from the start are right already.
    pub(super) fn inexact(&self) -> Option<(usize, usize)> {
        let at = (0..self.slots.len())
            .filter(|&at| self.parked(at).is_empty() && self.exact(at) < self.prompt(at).len())
            .max_by_key(|&at| self.used(at))?;
        Some((at, self.exact(at)))
    }

    /// Tokens of prompts that have not seen what is in front of them. A splice that was not finished
    /// counts when it is: nothing is computed anew before.
    pub(super) fn stale_tokens(&self) -> usize {
        (0..self.slots.len())
            .filter(|&at| self.parked(at).is_empty())
            .map(|at| {
                self.held(at)
                    .min(self.prompt_len(at))
                    .saturating_sub(self.exact(at))
            })
            .sum()
    }

    /// Sequences that may be kept on disk, the last used first.
    pub(super) fn keepable(&self) -> Vec<usize> {
        let mut slots: Vec<usize> = (0..self.slots.len())
            .filter(|&at| self.slots.get(at).is_some_and(|slot| slot.keepable))
            .filter(|&at| self.exact_prompt(at) > 0)
            .collect();
        slots.sort_by_key(|&at| std::cmp::Reverse(self.used(at)));
        slots
    }

    /// Tokens from the start that are a prompt and what a computation from the start would give.
    pub(super) fn exact_prompt(&self, slot: usize) -> usize {
        self.exact(slot).min(self.prompt(slot).len())
    }

    /// The sequence unused for longest, an empty one first.
    pub(super) fn oldest(&self) -> usize {
        (0..self.slots.len())
            .min_by_key(|&slot| (self.held(slot) > 0, self.used(slot)))
            .unwrap_or(0)
    }

    /// The part of the sequence that is a prompt.
    pub(super) fn prompt(&self, slot: usize) -> &[LlamaToken] {
        let Some(slot) = self.slots.get(slot) else {
            return &[];
        };
        slot.tokens.get(..slot.prompt).unwrap_or(&slot.tokens)
    }

    /// Writes down that the prompt was computed anew.
    pub(super) fn refreshed(&mut self, slot: usize) {
        let len = self.prompt(slot).len();
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.exact = len;
            slot.moves.iter_mut().take(len).for_each(|moves| *moves = 0);
        }
    }

    /// Writes down that no sequence holds anything.
    pub(super) fn clear(&mut self) {
        self.slots.fill(Slot::default());
    }

    fn prompt_len(&self, slot: usize) -> usize {
        self.slots.get(slot).map_or(0, |slot| slot.prompt)
    }

    fn exact(&self, slot: usize) -> usize {
        self.slots.get(slot).map_or(0, |slot| slot.exact)
    }

    fn used(&self, slot: usize) -> u64 {
        self.slots.get(slot).map_or(0, |slot| slot.used)
    }

    /// Tokens of the sequence, parked ones included.
    fn held(&self, slot: usize) -> usize {
        self.slots.get(slot).map_or(0, |slot| {
            let parked = slot.parked.iter().map(|parked| parked.tokens.len());
            slot.tokens.len() + parked.sum::<usize>()
        })
    }
}

impl Slot {
    /// Tokens and moves as if what is parked stood behind the others.
    fn unfolded(&self) -> (Vec<LlamaToken>, Vec<u8>) {
        let (mut tokens, mut moves) = (self.tokens.clone(), self.moves.clone());
        for parked in &self.parked {
            tokens.extend_from_slice(&parked.tokens);
            moves.extend_from_slice(&parked.moves);
        }
        (tokens, moves)
    }
}

impl Parked {
    /// Whether the prompt has it at its place, behind the `keep` tokens that are kept.
    fn is_at_home(&self, keep: usize, prompt: &[LlamaToken]) -> bool {
        let place = self.at..self.at + self.tokens.len();
        self.at >= keep && prompt.get(place) == Some(&self.tokens)
    }
}

#[cfg(test)]
mod tests;
