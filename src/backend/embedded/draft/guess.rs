//! What may come next: tokens that stood behind the same ones before, or that were typed.

use llama_cpp_2::token::LlamaToken;

use super::MOST_TOKENS;
use crate::backend::embedded::typed::Typed;

/// Tokens that are compared at most: more of them say nothing more.
const LONGEST_MATCH: usize = 16;

/// By how many tokens matched, drafts are told apart: 1, 2, 3 to 4, 5 to 8, more. The last kinds are of
/// what was typed: a letter alone, more of a word, a sign.
pub(super) const KINDS: usize = 8;
const LETTER: usize = 5;
const WORD: usize = 6;
const SIGN: usize = 7;

/// Tokens that may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend::embedded) struct Guess<'h> {
    /// As many as a draft may have.
    pub(super) tokens: &'h [LlamaToken],
    pub(super) origin: Origin,
}

/// Where a guess is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It stood behind so many tokens that stand at the end now.
    Seen(usize),
    /// It was typed, and may have to be spelled out as it was. Of that kind.
    Typed(usize),
}

/// What followed at the latest of the places before the end of `history` where most of its last tokens
/// stand too.
pub(in crate::backend::embedded) fn guess(history: &[LlamaToken]) -> Option<Guess<'_>> {
    let (_, before) = history.split_last()?;
    let mut best = (0, 0);
    for from in (1..=before.len()).rev() {
        let common = before.get(..from)?.iter().rev().zip(history.iter().rev());
        let matched = common
            .take(LONGEST_MATCH)
            .take_while(|(then, now)| then == now)
            .count();
        if matched > best.0 {
            best = (matched, from);
            if matched == LONGEST_MATCH {
                break;
            }
        }
    }
    let (matched, from) = best;
    let followed = history.get(from..)?;
    (matched > 0).then_some(Guess {
        tokens: followed.get(..MOST_TOKENS).unwrap_or(followed),
        origin: Origin::Seen(matched),
    })
}

impl<'h> Guess<'h> {
    /// The tokens that a typed part was, where it is to be spelled out.
    pub(in crate::backend::embedded) fn typed(typed: &'h Typed) -> Option<Self> {
        let tokens = typed.tokens();
        let is_of_word =
            |&&byte: &&u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        let kind = match typed.after(0).iter().rev().take_while(is_of_word).count() {
            0 => SIGN,
            1 => LETTER,
            _ => WORD,
        };
        (!tokens.is_empty()).then_some(Self {
            tokens,
            origin: Origin::Typed(kind),
        })
    }
}

impl Origin {
    /// The kind of the token behind `right` others of the guess.
    pub(super) fn kind(self, right: usize) -> usize {
        match self {
            Self::Seen(matched) => kind(matched + right),
            Self::Typed(kind) => kind,
        }
    }
}

fn kind(matched: usize) -> usize {
    match matched {
        0 | 1 => 0,
        2 => 1,
        3 | 4 => 2,
        5..=8 => 3,
        _ => 4,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One token for each character.
    pub(in super::super) fn tokens(text: &str) -> Vec<LlamaToken> {
        text.chars()
            .map(|c| LlamaToken(i32::try_from(u32::from(c)).expect("a character")))
            .collect()
    }

    #[test]
    fn the_longest_match_counts_and_of_equals_the_latest() {
        // (history, tokens that match, what stood behind them)
        let cases = [
            ("", None),
            ("a", None),
            ("ab", None),
            ("aba", Some((1, "ba"))),
            ("a1a2a", Some((1, "2a"))),
            ("xa1a2xa", Some((2, "1a2xa"))),
            ("aaaa", Some((3, "a"))),
            (
                "0123456789abcdefg!xbcdefg?0123456789abcdefg",
                Some((16, "!xbcdef")),
            ),
        ];
        for (history, expect) in cases {
            let history = tokens(history);
            let found = guess(&history).map(|guess| (guess.origin, guess.tokens.to_vec()));
            let expect = expect.map(|(len, text)| (Origin::Seen(len), tokens(text)));
            assert_eq!(found, expect);
        }
    }
}
