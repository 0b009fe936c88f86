//! Where a prompt goes: which sequence it continues, and what of it moves.
//!
//! A part of [`super::Slots`], called by [`super::super::cache`]. Decides only; changes nothing.

use llama_cpp_2::token::LlamaToken;

use super::{MOST_MOVES, Slots};
use crate::backend::embedded::splice::{self, Run, SHORTEST_RUN_TOKENS};
use crate::common_prefix::common_prefix;

/// When cached tokens are moved to where a prompt has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend::embedded) enum Moving {
    Never,
    /// Where at least half of the prompt is cached then. Else it is computed beside the other prompt, which
    /// may be asked for again before this one is ready.
    ForMost,
    /// Where it is quicker than computing them.
    Always,
}

/// Where a prompt goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backend::embedded) struct Choice {
    /// The sequence.
    pub(in crate::backend::embedded) slot: usize,
    /// The tokens from the start that need not be computed.
    pub(in crate::backend::embedded) keep: usize,
    pub(in crate::backend::embedded) rest: Rest,
}

/// What becomes of the cached tokens behind those that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backend::embedded) enum Rest {
    /// They are dropped.
    Dropped,
    /// They stay where they are, because another sequence holds the kept ones; those are copied.
    CopyFrom(usize),
    /// These runs of them move; the places count the parked tokens as if they were behind the others.
    Spliced(Vec<Run>),
    /// What is parked stands at the right places already.
    Resumed,
}

/// What a slot has of a prompt.
struct Fit {
    slot: usize,
    keep: usize,
    rest: Rest,
    /// Tokens that need not be computed, kept and moved ones.
    reused: usize,
}

impl Slots {
    /// Decides where `history` goes. Unless `known_end`, at most all but its last token are kept: the
    /// last one's logits are needed, and only a decode gives them. `stays` says of a token that its cell
    /// cannot move.
    ///
    /// The sequence that has most of it is continued in place when at least half of that sequence
    /// stays. Otherwise it belongs to other text, so the sequence unused for longest is given up
    /// instead, and the common prefix is copied into it, which costs nothing in a unified cache.
    pub(in crate::backend::embedded) fn choose(
        &self,
        history: &[LlamaToken],
        known_end: bool,
        moving: Moving,
        stays: &dyn Fn(LlamaToken) -> bool,
    ) -> Choice {
        let keepable = match history.split_last() {
            Some((_, rest)) if !known_end => rest,
            _ => history,
        };
        let fits: Vec<Fit> = (0..self.slots.len())
            .map(|slot| self.fit(slot, keepable, moving, stays))
            .collect();
        let oldest = self.oldest();
        let in_place = |fit: &&Fit| {
            fit.reused > 0 && (fit.slot == oldest || fit.reused * 2 >= self.held(fit.slot))
        };
        let most = fits
            .iter()
            .max_by_key(|fit| (fit.reused, self.used(fit.slot)));
        if let Some(fit) = most.filter(in_place) {
            return Choice {
                slot: fit.slot,
                keep: fit.keep,
                rest: fit.rest.clone(),
            };
        }
        let longest = fits
            .iter()
            .max_by_key(|fit| (fit.keep, self.used(fit.slot)));
        let (keep, rest) = match longest {
            Some(fit) if fit.keep > 0 && fit.slot != oldest => (fit.keep, Rest::CopyFrom(fit.slot)),
            Some(fit) if fit.slot == oldest => (fit.keep, Rest::Dropped),
            _ => (0, Rest::Dropped),
        };
        Choice {
            slot: oldest,
            keep,
            rest,
        }
    }

    fn fit(
        &self,
        at: usize,
        keepable: &[LlamaToken],
        moving: Moving,
        stays: &dyn Fn(LlamaToken) -> bool,
    ) -> Fit {
        let fit = |keep, rest, moved: usize| Fit {
            slot: at,
            keep,
            rest,
            reused: keep + moved,
        };
        let Some(slot) = self.slots.get(at) else {
            return fit(0, Rest::Dropped, 0);
        };
        let keep = common_prefix(&slot.tokens, keepable);
        if !slot.parked.is_empty()
            && slot
                .parked
                .iter()
                .all(|parked| parked.is_at_home(keep, keepable))
        {
            let moved = slot.parked.iter().map(|parked| parked.tokens.len()).sum();
            return fit(keep, Rest::Resumed, moved);
        }
        if moving == Moving::Never || keepable.len() < keep + SHORTEST_RUN_TOKENS {
            return fit(keep, Rest::Dropped, 0);
        }
        let (tokens, times_moved) = slot.unfolded();
        let stays = |at: usize| {
            times_moved.get(at).is_none_or(|&times| times >= MOST_MOVES)
                || tokens.get(at).is_none_or(|&token| stays(token))
        };
        let runs = splice::runs(&tokens, keepable, keep, stays);
        let moved: usize = runs.iter().map(|run| run.len).sum();
        let is_most = 2 * (keep + moved) >= keepable.len();
        if runs.is_empty() || moving == Moving::ForMost && !is_most {
            return fit(keep, Rest::Dropped, 0);
        }
        fit(keep, Rest::Spliced(runs), moved)
    }
}
