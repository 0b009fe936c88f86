//! Which cached sequence a prompt continues.
//!
//! The context holds a few sequences, so that a completion in another file does not throw the first
//! file's cache away. This file only decides and keeps the books; [`super::cache`] does the same to
//! the KV cache. Called by it alone. Invariant: `tokens` of a slot are exactly the tokens whose keys
//! and values the KV cache holds for that sequence, from position 0 without a gap.

use llama_cpp_2::token::LlamaToken;

/// The books of all sequences.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Counts uses; the slot with the lowest `used` is the one unused for longest.
    clock: u64,
}

#[derive(Debug, Default, Clone)]
struct Slot {
    tokens: Vec<LlamaToken>,
    used: u64,
}

/// Where a prompt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// The sequence.
    pub(super) slot: usize,
    /// The tokens from the start that need not be computed.
    pub(super) keep: usize,
    /// Another sequence that holds those tokens; `None` when `slot` itself does.
    pub(super) copy_from: Option<usize>,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self {
            slots: vec![Slot::default(); count],
            clock: 0,
        }
    }

    /// Decides where `history` goes. Unless `known_end`, at most all but its last token are kept: the
    /// last one's logits are needed, and only a decode gives them.
    ///
    /// The sequence with the longest common prefix is continued in place when at least half of it
    /// stays. Otherwise it belongs to other text, so the sequence unused for longest is given up
    /// instead, and the common prefix is copied into it, which costs nothing in a unified cache.
    pub(super) fn choose(&self, history: &[LlamaToken], known_end: bool) -> Choice {
        let keepable = match history.split_last() {
            Some((_, rest)) if !known_end => rest,
            _ => history,
        };
        let best = self
            .slots
            .iter()
            .enumerate()
            .map(|(slot, cached)| (common_prefix(&cached.tokens, keepable), slot))
            .max_by_key(|&(common, slot)| (common, self.used(slot)));
        let oldest = (0..self.slots.len())
            .min_by_key(|&slot| (!self.tokens(slot).is_empty(), self.used(slot)))
            .unwrap_or(0);
        match best {
            Some((keep, slot))
                if keep > 0 && (slot == oldest || keep * 2 >= self.tokens(slot).len()) =>
            {
                Choice {
                    slot,
                    keep,
                    copy_from: None,
                }
            }
            Some((keep, other)) if keep > 0 => Choice {
                slot: oldest,
                keep,
                copy_from: Some(other),
            },
            _ => Choice {
                slot: oldest,
                keep: 0,
                copy_from: None,
            },
        }
    }

    /// The sequence to give up for room: the one unused for longest, other than `busy`, that holds
    /// anything.
    pub(super) fn victim(&self, busy: usize) -> Option<usize> {
        (0..self.slots.len())
            .filter(|&slot| slot != busy && !self.tokens(slot).is_empty())
            .min_by_key(|&slot| self.used(slot))
    }

    /// What the sequence holds.
    pub(super) fn tokens(&self, slot: usize) -> &[LlamaToken] {
        self.slots.get(slot).map_or(&[], |slot| &slot.tokens)
    }

    /// Cells in use, counting a cell that two sequences share twice: never too low.
    pub(super) fn total_tokens(&self) -> usize {
        self.slots.iter().map(|slot| slot.tokens.len()).sum()
    }

    /// Writes down that the sequence holds `tokens` and nothing else, and was used just now.
    pub(super) fn set(&mut self, slot: usize, tokens: Vec<LlamaToken>) {
        self.clock += 1;
        let used = self.clock;
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = Slot { tokens, used };
        }
    }

    /// Writes down that `tokens` were computed behind what the sequence holds.
    pub(super) fn extend(&mut self, slot: usize, tokens: &[LlamaToken]) {
        self.clock += 1;
        let used = self.clock;
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.tokens.extend_from_slice(tokens);
            slot.used = used;
        }
    }

    /// Writes down that no sequence holds anything.
    pub(super) fn clear(&mut self) {
        self.slots.fill(Slot::default());
    }

    fn used(&self, slot: usize) -> u64 {
        self.slots.get(slot).map_or(0, |slot| slot.used)
    }
}

/// The number of tokens at the start that both have.
fn common_prefix(a: &[LlamaToken], b: &[LlamaToken]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::token::LlamaToken;

    use super::{Choice, Slots};

    /// One letter is one token.
    fn tokens(text: &str) -> Vec<LlamaToken> {
        text.bytes()
            .map(|byte| LlamaToken(i32::from(byte)))
            .collect()
    }

    /// Three slots, the given ones filled from slot 0 on, the first being the oldest.
    fn slots(held: &[&str]) -> Slots {
        let mut slots = Slots::new(3);
        for (slot, held) in held.iter().enumerate() {
            slots.set(slot, tokens(held));
        }
        slots
    }

    #[test]
    fn a_prompt_goes_where_most_of_it_is() {
        let here = |slot, keep| Choice {
            slot,
            keep,
            copy_from: None,
        };
        let copy = |slot, keep, from| Choice {
            slot,
            keep,
            copy_from: Some(from),
        };
        let cases: &[(&[&str], &str, Choice)] = &[
            (&[], "abc", here(0, 0)),
            (&[], "a", here(0, 0)),
            // The last token is computed again, even when it is cached.
            (&["abc"], "abc", here(0, 2)),
            (&["abc"], "abcd", here(0, 3)),
            (&["abc"], "ab", copy(1, 1, 0)),
            // Another text takes an empty slot, then the oldest.
            (&["abcdef"], "xyz", here(1, 0)),
            (&["abc", "def", "ghi"], "xyz", here(0, 0)),
            // The longest common prefix wins over the latest use.
            (&["abcdef", "abxxxx", "qqq"], "abcdxx", here(0, 4)),
            // Little in common: the other text stays, and what is common is copied.
            (&["abcdef"], "axyz", copy(1, 1, 0)),
            (&["qqq", "abcdef", "rrr"], "axyz", copy(0, 1, 1)),
            // Unless it is the one to be given up anyway.
            (&["abcdef", "qqq", "rrr"], "axyz", here(0, 1)),
        ];
        for (held, prompt, expect) in cases {
            assert_eq!(
                slots(held).choose(&tokens(prompt), false),
                *expect,
                "{held:?} {prompt}"
            );
        }
    }

    #[test]
    fn a_prompt_whose_end_is_known_is_kept_whole() {
        let choice = slots(&["abcd"]).choose(&tokens("abc"), true);
        assert_eq!((choice.slot, choice.keep), (0, 3));
    }

    #[test]
    fn the_one_unused_for_longest_makes_room() {
        let mut slots = slots(&["a", "b"]);
        assert_eq!(slots.victim(0), Some(1));
        assert_eq!(slots.victim(1), Some(0));
        assert_eq!(slots.victim(2), Some(0));
        slots.extend(0, &tokens("a"));
        assert_eq!(slots.victim(2), Some(1));
        slots.set(1, Vec::new());
        assert_eq!(slots.victim(0), None);
        assert_eq!(slots.total_tokens(), 2);
        slots.clear();
        assert_eq!((slots.victim(1), slots.total_tokens()), (None, 0));
    }
}
