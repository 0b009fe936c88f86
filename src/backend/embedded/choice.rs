//! Picks the next token from the logits: the likeliest, of those that agree with what was typed.

use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use super::healing::Pieces;
use super::tokens;
use super::typed::Typed;

/// By how much, in logits, the chosen token must lead the next one for a step with several tokens to
/// decide: no two logits of a step that may be drafted are further off (`cache::measure` sees to it).
pub(super) const SURE_LEAD: f32 = 0.05;

/// Logits looked at together, and in how many lanes.
const BLOCK: usize = 1024;
const LANES: usize = 16;

/// What decides at one place of an answer.
#[derive(Clone, Copy)]
pub(super) struct Choosing<'a> {
    pub(super) vocab: &'a LlamaVocab<'a>,
    /// `None` when nothing is healed.
    pub(super) pieces: Option<&'a Pieces>,
    pub(super) typed: &'a Typed,
    /// Whether what is chosen from is remembered, because keys may come back to it.
    pub(super) remembers: bool,
    /// Whether what is remembered may be chosen from, with the tokens before it not computed.
    pub(super) recalls: bool,
}

impl Choosing<'_> {
    /// The next token once those of `came` have come. `None` when the model gives no numbers.
    pub(super) fn choose(self, came: &[LlamaToken], logits: &[f32]) -> Option<LlamaToken> {
        match self.left_to_spell(came) {
            Some((pieces, typed)) => pieces.likeliest(logits, typed),
            None => likeliest(logits),
        }
    }

    /// Whether the `chosen` token leads all others clearly.
    pub(super) fn is_sure(self, came: &[LlamaToken], logits: &[f32], chosen: LlamaToken) -> bool {
        match self.left_to_spell(came) {
            Some((pieces, typed)) => pieces.leads(logits, typed, chosen, SURE_LEAD),
            None => leads(logits, chosen),
        }
    }

    fn left_to_spell(&self, came: &[LlamaToken]) -> Option<(&Pieces, &[u8])> {
        let pieces = self.pieces.filter(|_| !self.typed.is_empty())?;
        let bytes = |&token: &LlamaToken| tokens::bytes_of(self.vocab, token).len();
        let typed = self.typed.after(came.iter().map(bytes).sum());
        (!typed.is_empty()).then_some((pieces, typed))
    }
}

/// Greedy choice; of equals the lowest token, so that one prompt gives one text. `None` when there is
/// no number among them, as broken weights give.
fn likeliest(logits: &[f32]) -> Option<LlamaToken> {
    // The highest of a block is found with vector instructions; most blocks have none that is higher than
    // those before.
    let mut best = (f32::NEG_INFINITY, None);
    for (at, block) in (0..).step_by(BLOCK).zip(logits.chunks(BLOCK)) {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        let (rows, rest) = block.as_chunks::<LANES>();
        for row in rows {
            for (highest, &logit) in lanes.iter_mut().zip(row) {
                *highest = if logit > *highest { logit } else { *highest };
            }
        }
        if lanes.iter().chain(rest).any(|&logit| logit > best.0) {
            for (token, &logit) in (at..).zip(block) {
                if logit > best.0 {
                    best = (logit, Some(LlamaToken::new(token)));
                }
            }
        }
    }
    best.1
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

    use super::{leads, likeliest};

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

    #[test]
    fn the_likeliest_token_is_the_lowest_of_the_highest() {
        let cases: &[(&[f32], Option<i32>)] = &[
            (&[], None),
            (&[f32::NAN, f32::NAN], None),
            (&[0.0, 2.0, 2.0, 1.0], Some(1)),
            (&[f32::NAN, -3.0], Some(1)),
        ];
        for (logits, expect) in cases {
            assert_eq!(likeliest(logits), expect.map(LlamaToken::new), "{logits:?}");
        }
    }

    #[test]
    fn the_likeliest_of_many_is_found_wherever_it_stands() {
        for len in [1, 15, 16, 1023, 1024, 1025, 5000] {
            for at in [0, 1, 16, 1000, 1023, 1024, 2047, 4999] {
                let mut logits = vec![f32::NAN; len];
                for (n, logit) in logits.iter_mut().enumerate().skip(1).step_by(3) {
                    *logit = if n % 2 == 0 { -7.0 } else { 1.0 };
                }
                if let Some(logit) = logits.get_mut(at) {
                    *logit = 2.0;
                }
                if let Some(later) = logits.get_mut(at + 1) {
                    *later = 2.0;
                }
                let one_by_one = logits.iter().fold(f32::NAN, |a, &b| a.max(b));
                let expect = logits.iter().position(|&logit| logit >= one_by_one);
                let got = likeliest(&logits).map(|token| usize::try_from(token.0).unwrap());
                assert_eq!(got, expect, "{at} of {len}");
            }
        }
    }
}
