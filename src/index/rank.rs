//! Rankings and their fusion.
//!
//! Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
//! Learning Methods", SIGIR 2009: only ranks are added up, because scores of words and of vectors have no
//! common measure.

use std::collections::HashMap;

/// The constant of the paper: how much the first ranks are ahead of the later ones.
const K: f32 = 60.0;

/// A chunk with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranked {
    pub(super) chunk: u32,
    pub(super) score: f32,
}

/// The `top` highest scores above 0, the highest first; of equals the one with the lower number.
pub(super) fn best(scores: &[f32], top: usize) -> Vec<Ranked> {
    let mut found: Vec<Ranked> = (0_u32..)
        .zip(scores)
        .filter(|(_, score)| **score > 0.0)
        .map(|(chunk, &score)| Ranked { chunk, score })
        .collect();
    let order = |a: &Ranked, b: &Ranked| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk));
    if found.len() > top && top > 0 {
        found.select_nth_unstable_by(top - 1, order);
    }
    found.truncate(top);
    found.sort_unstable_by(order);
    found
}

/// One ranking of several, each with its weight. Scores go from 0 to 1: 1 is first in all of them.
pub(super) fn fuse(rankings: &[(&[Ranked], f32)]) -> Vec<Ranked> {
    let most: f32 = rankings.iter().map(|(_, weight)| weight / (K + 1.0)).sum();
    let mut sums: HashMap<u32, f32> = HashMap::new();
    for (ranking, weight) in rankings {
        let mut rank = 0.0;
        for ranked in *ranking {
            rank += 1.0;
            *sums.entry(ranked.chunk).or_default() += weight / (K + rank);
        }
    }
    let mut fused: Vec<Ranked> = sums
        .into_iter()
        .map(|(chunk, sum)| Ranked {
            chunk,
            score: sum / most,
        })
        .collect();
    fused.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(chunks: &[u32]) -> Vec<Ranked> {
        chunks
            .iter()
            .map(|&chunk| Ranked { chunk, score: 1.0 })
            .collect()
    }

    #[test]
    fn the_best_come_first_and_zeros_not_at_all() {
        let of = |top| {
            best(&[0.5, 0.0, 2.0, 0.5], top)
                .iter()
                .map(|r| r.chunk)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(9), [2, 0, 3]);
        assert_eq!(of(2), [2, 0]);
        assert!(of(0).is_empty());
    }

    #[test]
    fn what_both_find_comes_before_what_one_does() {
        let (a, b) = (ranking(&[1, 2, 3]), ranking(&[4, 2]));
        let order = |weights: [f32; 2]| {
            let fused = fuse(&[(&a, weights[0]), (&b, weights[1])]);
            fused.iter().map(|r| r.chunk).collect::<Vec<_>>()
        };
        assert_eq!(order([1.0, 1.0]), [2, 1, 4, 3]);
        assert_eq!(order([1.0, 0.0])[..3], [1, 2, 3]);
        let alone = fuse(&[(&a, 1.0)]);
        assert!((alone[0].score - 1.0).abs() < 1e-6);
        assert!(fuse(&[]).is_empty());
    }
}
