//! Which parts of a cached sequence a new prompt has at other places.
//!
//! After Enter, an edit above the cursor or a step of the window, most of a prompt is text that is
//! cached a few positions further up or down. [`runs`] finds those parts; [`super::cache`] moves their
//! cells. Called by [`super::slots`] alone. Invariants: runs are in order in both sequences, but for what was
//! typed, and do not overlap; none holds a token that must not move, such as a sentinel, which is worthless
//! behind other text: with the old middle sentinel 8 % of the next line was reproduced instead of 42 %, with a new
//! one as much as by computing everything (Qwen2.5-Coder 1.5B, November 2026).

use std::collections::HashMap;
use std::ops::Range;

use llama_cpp_2::token::LlamaToken;

/// Shorter runs are computed again, in tokens. What stands between two runs is a decode call of its own,
/// which takes as long as five tokens of prompt (Qwen2.5-Coder 1.5B, two threads: 35 ms and 7.2 ms a token,
/// November 2026). Where llama.cpp turns the keys, of the whole cache whatever is moved, that takes as long as
/// 8 tokens (196 ms of one thread's time for 8,192 cells). Longer than what repeats by chance, such as a line
/// of closing braces with its indentation.
pub(super) const SHORTEST_RUN_TOKENS: usize = 12;

/// Shorter lines are computed again: three tokens are as quick.
const SHORTEST_LINE_TOKENS: usize = 4;

/// The most runs of one prompt. An edit cuts each of the two texts around the cursor once, and the
/// window loses lines at its ends; more pieces are another text.
pub(super) const MOST_RUNS: usize = 4;

/// Tokens that are in both sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Where they begin in the cached sequence.
    pub(super) from: usize,
    /// Where they begin in the wanted one.
    pub(super) to: usize,
    /// How many there are.
    pub(super) len: usize,
}

/// The longest runs behind the first `start` tokens, which both have in common, in the order of the wanted
/// sequence. A run holds no cached token of which `stays` is true.
pub(super) fn runs(
    cached: &[LlamaToken],
    wanted: &[LlamaToken],
    start: usize,
    stays: impl Fn(usize) -> bool,
) -> Vec<Run> {
    let stays: Vec<bool> = (0..cached.len()).map(stays).collect();
    let last = stays.iter().skip(start).rposition(|&stays| stays);
    let texts = Texts {
        cached,
        wanted,
        stays,
    };
    let in_order = texts.in_order(start..cached.len(), start);
    let Some(last) = last.map(|at| start + at) else {
        return in_order;
    };
    let mut around = texts.in_order(start..last, start);
    if let Some((at, typed)) = texts.typed(last + 1, start, &around) {
        around.insert(at, typed);
    }
    let tokens = |runs: &[Run]| runs.iter().map(|run| run.len).sum::<usize>();
    if tokens(&around) > tokens(&in_order) {
        around
    } else {
        in_order
    }
}

struct Texts<'a> {
    cached: &'a [LlamaToken],
    wanted: &'a [LlamaToken],
    stays: Vec<bool>,
}

impl Texts<'_> {
    /// The longest runs of these cached tokens behind the first `start` wanted ones, as they stand.
    fn in_order(&self, cached: Range<usize>, start: usize) -> Vec<Run> {
        let mut found = Vec::new();
        self.find(cached, start..self.wanted.len(), &mut found);
        found.sort_by_key(|run| std::cmp::Reverse(run.len));
        found.truncate(MOST_RUNS);
        found.sort_by_key(|run| run.to);
        found
    }

    /// What was typed, from cached token `from` on, where the wanted sequence has it in front of one of
    /// `runs`: lines that are finished are like those above. Its cells have seen the text below, which now
    /// comes after it. With which of `runs` that is.
    fn typed(&self, from: usize, start: usize, runs: &[Run]) -> Option<(usize, Run)> {
        if runs.len() >= MOST_RUNS {
            return None;
        }
        let ends = runs.iter().map(|run| run.to + run.len);
        let gaps = std::iter::once(start).chain(ends).zip(runs);
        let typed = gaps.enumerate().map(|(at, (to, next))| {
            let len = self.matching(from..self.cached.len(), to..next.to);
            (at, Run { from, to, len })
        });
        typed
            .max_by_key(|(_, run)| run.len)
            .filter(|(_, run)| run.len >= SHORTEST_LINE_TOKENS)
    }

    /// The longest run of two ranges, then those of what is left and right of it.
    fn find(&self, cached: Range<usize>, wanted: Range<usize>, found: &mut Vec<Run>) {
        let Some(run) = self.longest(&cached, &wanted) else {
            return;
        };
        found.push(run);
        if found.len() < 2 * MOST_RUNS {
            self.find(cached.start..run.from, wanted.start..run.to, found);
            self.find(
                run.from + run.len..cached.end,
                run.to + run.len..wanted.end,
                found,
            );
        }
    }

    fn longest(&self, cached: &Range<usize>, wanted: &Range<usize>) -> Option<Run> {
        let mut places: HashMap<&[LlamaToken], Vec<usize>> = HashMap::new();
        for (from, window) in windows(self.cached, cached) {
            if !self.any_stays(from..from + SHORTEST_RUN_TOKENS) {
                places.entry(window).or_default().push(from);
            }
        }
        let mut best: Option<Run> = None;
        for (to, window) in windows(self.wanted, wanted) {
            for &from in places.get(window).map_or(&[][..], Vec::as_slice) {
                // Looked at when its first token was.
                let continues = from > cached.start
                    && to > wanted.start
                    && self.cached.get(from - 1) == self.wanted.get(to - 1)
                    && !self.any_stays(from - 1..from);
                if continues {
                    continue;
                }
                let len = self.matching(from..cached.end, to..wanted.end);
                if best.is_none_or(|best| len > best.len) {
                    best = Some(Run { from, to, len });
                }
            }
        }
        best
    }

    fn matching(&self, cached: Range<usize>, wanted: Range<usize>) -> usize {
        cached
            .zip(wanted)
            .take_while(|&(from, to)| {
                self.cached.get(from) == self.wanted.get(to) && !self.any_stays(from..from + 1)
            })
            .count()
    }

    fn any_stays(&self, range: Range<usize>) -> bool {
        self.stays
            .get(range)
            .is_none_or(|stays| stays.contains(&true))
    }
}

/// All windows of the shortest run's length in the range, with where they begin.
fn windows<'a>(
    tokens: &'a [LlamaToken],
    range: &Range<usize>,
) -> impl Iterator<Item = (usize, &'a [LlamaToken])> {
    let part = tokens.get(range.clone()).unwrap_or_default();
    (range.start..).zip(part.windows(SHORTEST_RUN_TOKENS))
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::token::LlamaToken;
    use proptest::prelude::*;

    use super::{MOST_RUNS, Run, SHORTEST_LINE_TOKENS, SHORTEST_RUN_TOKENS, runs};

    /// One letter is one token; `^` never moves.
    fn tokens(text: &str) -> Vec<LlamaToken> {
        text.bytes()
            .map(|byte| LlamaToken(i32::from(byte)))
            .collect()
    }

    #[test]
    fn what_was_typed_is_found_in_front() {
        let abc = "abcdefghijklmnopqrstuvwxyz";
        let digits = "0123456789ABCDEFGHIJ";
        let written = "KLMNOPQRSTUVWXYZ,;.:-_#'+*~!";
        let run = |from, to, len| Run { from, to, len };
        // (cached, wanted, runs)
        let cases: &[(String, String, &[Run])] = &[
            (
                format!("^above^{abc}^let a = 1;"),
                format!("^above|let a = 1;|^{abc}^"),
                &[run(7, 19, 26)],
            ),
            (
                format!("^above^{abc}^let a = 1;"),
                format!("^abovelet a = 1;|^{abc}^"),
                &[run(34, 6, 10), run(7, 18, 26)],
            ),
            // What was generated behind it is not what was typed.
            (
                format!("^above^{abc}^let a = 1;"),
                format!("^abovelet a = 23;|^{abc}^"),
                &[run(34, 6, 8), run(7, 19, 26)],
            ),
            (
                format!("^above^{abc}^let"),
                format!("^abovelet|^{abc}^"),
                &[run(7, 11, 26)],
            ),
            // The window's first line goes, and what was typed is longer than the text below.
            (
                format!("^x{digits}^{abc}^{written}"),
                format!("^{digits}{written}|^{abc}^"),
                &[run(2, 1, 20), run(50, 21, 28), run(23, 51, 26)],
            ),
        ];
        for (cached, wanted, expect) in cases {
            assert_eq!(found(cached, wanted), *expect, "{cached} {wanted}");
        }
    }

    fn found(cached: &str, wanted: &str) -> Vec<Run> {
        let (cached, wanted) = (tokens(cached), tokens(wanted));
        let start = cached
            .iter()
            .zip(&wanted)
            .take_while(|(a, b)| a == b)
            .count();
        let stays = |at: usize| cached[at] == LlamaToken(i32::from(b'^'));
        runs(&cached, &wanted, start, stays)
    }

    #[test]
    fn what_moved_is_found() {
        let run = |from, to, len| Run { from, to, len };
        let abc = "abcdefghijklmnopqrstuvwxyz";
        let digits = "0123456789ABCDEFGHIJ";
        // (cached, wanted, runs)
        let cases: &[(String, String, &[Run])] = &[
            // Enter: the text below stands further down. The sentinels do not move.
            (
                format!("^above^{abc}^typed"),
                format!("^above, more^{abc}^"),
                &[run(7, 13, 26)],
            ),
            // A line was deleted: it stands further up.
            (
                format!("^above, more^{abc}^"),
                format!("^above^{abc}^"),
                &[run(13, 7, 26)],
            ),
            // The window's first lines are dropped, and the text below begins a bit later.
            (
                format!("^xyz{abc}^{digits}^"),
                format!("^{abc}new^23456789ABCDEFGHIJ^"),
                &[run(4, 1, 26), run(33, 31, 18)],
            ),
            // A sentinel parts a run in two.
            (
                format!("^1{abc}^{digits}"),
                format!("^{abc}^{digits}"),
                &[run(2, 1, 26), run(29, 28, 20)],
            ),
            // An edit that changes no count moves nothing, and what follows is found all the same.
            (format!("^a{abc}"), format!("^b{abc}"), &[run(2, 2, 26)]),
            // Too short.
            ("^0123456789^x".into(), "^y0123456789^x".into(), &[]),
            // Nothing behind the common prefix.
            (abc.into(), abc.into(), &[]),
            (String::new(), abc.into(), &[]),
        ];
        for (cached, wanted, expect) in cases {
            assert_eq!(found(cached, wanted), *expect, "{cached} {wanted}");
        }
    }

    proptest! {
        #[test]
        fn runs_hold_equal_tokens_in_order(
            cached in "[ab^]{0,120}",
            cut in 0_usize..120,
            inserted in "[ab^]{0,30}",
            dropped in 0_usize..40,
        ) {
            let (above, rest) = cached.split_at(cut.min(cached.len()));
            let (_, below) = rest.split_at(dropped.min(rest.len()));
            let wanted = format!("{above}{inserted}{below}");
            let found = found(&cached, &wanted);
            prop_assert!(found.len() <= MOST_RUNS);
            let mut to_end = 0;
            for run in &found {
                prop_assert!(run.to >= to_end);
                to_end = run.to + run.len;
                let moved = cached.get(run.from..run.from + run.len);
                prop_assert_eq!(moved, wanted.get(run.to..to_end));
                prop_assert!(!moved.unwrap().contains('^'));
            }
            let typed_from = cached.rfind('^').map(|at| at + 1);
            let mut from = found.clone();
            from.sort_by_key(|run| run.from);
            let mut from_end = 0;
            for (run, in_order) in from.iter().zip(&found) {
                let is_typed = typed_from == Some(run.from);
                prop_assert!(run.from >= from_end);
                prop_assert!(run.len >= SHORTEST_RUN_TOKENS || is_typed && run.len >= SHORTEST_LINE_TOKENS);
                prop_assert!(run == in_order || from.iter().any(|run| typed_from == Some(run.from)));
                from_end = run.from + run.len;
            }
        }
    }
}
