//! Search by words: an inverted index with Okapi BM25.
//!
//! Called by `corpus`. Our own, because a library would keep a second store beside the vectors', which can
//! disagree with it after a crash, in segments that are merged in the background; the numbers here are
//! those of the chunks, and a changed file costs no more than its own words. Postings of 50,000 chunks
//! take about 20 MB.
//!
//! Source of the formula: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond",
//! 2009; the smoothed logarithm is Lucene's, which is never negative.

use std::collections::HashMap;

use super::rank::{Ranked, best};
use super::words::Term;

/// How fast repeats of a word stop counting.
const K1: f32 = 1.2;
/// How much a long chunk is held against it.
const B: f32 = 0.75;
/// A posting is the chunk's number above and the count in the lowest byte.
const COUNT_BITS: u32 = 8;

/// Words of chunks.
#[derive(Debug, Default)]
pub(super) struct Words {
    postings: HashMap<Term, Vec<u32>>,
    /// Words by chunk; 0 for one that is gone.
    lengths: Vec<u16>,
    live: u32,
    total: u64,
}

impl Words {
    /// Adds chunk number `chunk`, which is larger than all before.
    pub(super) fn add(&mut self, chunk: u32, counts: impl Iterator<Item = (Term, u8)>) {
        let mut length = 0_u16;
        for (term, count) in counts {
            let posting = (chunk << COUNT_BITS) | u32::from(count);
            self.postings.entry(term).or_default().push(posting);
            length = length.saturating_add(u16::from(count));
        }
        let at = usize::try_from(chunk).unwrap_or(usize::MAX);
        if self.lengths.len() <= at {
            self.lengths.resize(at + 1, 0);
        }
        if let Some(slot) = self.lengths.get_mut(at) {
            // A chunk without words is there all the same.
            *slot = length.max(1);
            self.live += 1;
            self.total += u64::from(length.max(1));
        }
    }

    /// Takes a chunk out of every answer; its postings stay until the next load.
    pub(super) fn remove(&mut self, chunk: u32) {
        let at = usize::try_from(chunk).unwrap_or(usize::MAX);
        if let Some(slot) = self.lengths.get_mut(at).filter(|slot| **slot > 0) {
            self.live -= 1;
            self.total -= u64::from(*slot);
            *slot = 0;
        }
    }

    /// The `top` chunks for these terms.
    pub(super) fn search(&self, query: &[Term], top: usize) -> Vec<Ranked> {
        #[expect(clippy::cast_precision_loss, reason = "counts of chunks")]
        let (live, total) = (self.live as f32, self.total as f32);
        let mean = (total / live.max(1.0)).max(1.0);
        // Postings count what is gone, so the number of chunks does too.
        #[expect(clippy::cast_precision_loss, reason = "counts of chunks")]
        let all = self.lengths.len() as f32;
        let mut asked = query.to_vec();
        asked.sort_unstable();
        let mut scores = vec![0.0_f32; self.lengths.len()];
        for run in asked.chunk_by(|a, b| a == b) {
            let Some(postings) = run.first().and_then(|term| self.postings.get(term)) else {
                continue;
            };
            #[expect(clippy::cast_precision_loss, reason = "counts of chunks")]
            let (within, repeats) = (postings.len() as f32, run.len() as f32);
            let rarity = (1.0 + (all - within + 0.5) / (within + 0.5)).ln() * repeats;
            for &posting in postings {
                let at = usize::try_from(posting >> COUNT_BITS).unwrap_or(usize::MAX);
                let length = self.lengths.get(at).copied().unwrap_or_default();
                if let Some(score) = scores.get_mut(at).filter(|_| length > 0) {
                    #[expect(clippy::cast_possible_truncation, reason = "the lowest byte")]
                    let count = f32::from(posting as u8);
                    let norm = K1 * (1.0 - B + B * f32::from(length) / mean);
                    *score += rarity * count * (K1 + 1.0) / (count + norm);
                }
            }
        }
        best(&scores, top)
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::{counts, terms};
    use super::*;

    fn words(texts: &[&str]) -> Words {
        let mut words = Words::default();
        for (chunk, text) in (0..).zip(texts) {
            words.add(chunk, counts(text).into_iter());
        }
        words
    }

    fn found(words: &Words, query: &str) -> Vec<u32> {
        words
            .search(&terms(query), 9)
            .iter()
            .map(|r| r.chunk)
            .collect()
    }

    #[test]
    fn rare_words_and_short_chunks_win() {
        let long = "open file read file close file and more words that go on for a while here";
        let words = words(&["open file", long, "open socket", "unrelated"]);
        assert_eq!(found(&words, "socket"), [2]);
        assert_eq!(found(&words, "open file"), [0, 1, 2]);
        assert_eq!(found(&words, "socket file").first(), Some(&2));
        assert!(found(&words, "nowhere").is_empty());
        assert!(found(&words, "").is_empty());
        assert!(found(&Words::default(), "file").is_empty());
    }

    #[test]
    fn the_formula_is_the_books() {
        // Two chunks of 2 and 4 words, mean 3; "x" is in the first once: idf = ln(1 + 1.5/1.5) = ln 2.
        let words = words(&["xx yy", "yy zz zz zz"]);
        let got = words.search(&terms("xx"), 1)[0].score;
        let expected = 2.0_f32.ln() * 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * 2.0 / 3.0));
        assert!((got - expected).abs() < 1e-6, "{got} {expected}");
    }

    #[test]
    fn what_is_removed_is_not_found() {
        let mut words = words(&["open file", "open socket"]);
        words.remove(0);
        words.remove(0);
        words.remove(7);
        assert_eq!(found(&words, "open file"), [1]);
        assert_eq!((words.live, words.total), (1, 2));
    }
}
