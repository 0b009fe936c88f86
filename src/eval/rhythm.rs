//! How long a person takes from one key to the next.

use std::time::Duration;

use super::chance::Chance;

/// Quantiles of the gaps between edits, in milliseconds; in between, gaps are even. p5 to p90 are those
/// of the millisecond-stamped traces of josephg/editing-traces. Both ends are assumptions: nobody
/// types below 15 ms, and one gap in a hundred is a thought of two to ten seconds.
pub const QUANTILES_MS: [(f64, f64); 8] = [
    (0.0, 15.0),
    (0.05, 34.0),
    (0.25, 89.0),
    (0.5, 138.0),
    (0.75, 214.0),
    (0.9, 426.0),
    (0.99, 2_000.0),
    (1.0, 10_000.0),
];

/// The time between the edits `index` and `index + 1`, in whole milliseconds: the runtime's timers
/// know nothing finer.
pub fn gap(seed: u64, index: usize) -> Duration {
    let share = Chance::new(seed, "gap", index as u64).share();
    let at = |((from, low), (to, high)): ((f64, f64), (f64, f64))| {
        low + (high - low) * (share - from) / (to - from)
    };
    let ms = QUANTILES_MS
        .iter()
        .copied()
        .zip(QUANTILES_MS.iter().copied().skip(1))
        .find(|(_, (to, _))| share < *to)
        .map_or(0.0, at);
    Duration::from_secs_f64(ms.round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_the_stated_quantiles() {
        let mut gaps: Vec<u128> = (0..20_000).map(|i| gap(1, i).as_millis()).collect();
        gaps.sort_unstable();
        for (at, expected) in [(1_000, 34), (5_000, 89), (10_000, 138), (15_000, 214)] {
            let found = gaps[at];
            assert!(found.abs_diff(expected) <= 4, "{at}: {found}");
        }
        assert!(gaps[18_000].abs_diff(426) <= 20);
        assert!(gaps[0] >= 15 && gaps[19_999] <= 10_000);
    }
}
