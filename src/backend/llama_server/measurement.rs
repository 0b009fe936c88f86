//! The short measurement of a server's speed in its warm-up: without it the first prompt on a machine
//! without a graphics device would take half a minute.

use std::time::Duration;

/// Tokens that the warm-up has computed to measure: 2 s at 50 tokens per second.
pub(super) const MEASURED_TOKENS: u32 = 96;

/// Longest measurement. What takes longer is as slow as can be.
pub(super) const LONGEST_MEASUREMENT: Duration = Duration::from_secs(10);

/// A prompt of [`MEASURED_TOKENS`] tokens that no cache holds, unless `nonce` comes again. Every
/// vocabulary has tokens of these numbers, and none of them is a sentinel.
pub(super) fn prompt(nonce: u32) -> Vec<u32> {
    let token = |at: u32| 1_000 + nonce.wrapping_add(at * 37) % 1_000;
    (0..MEASURED_TOKENS).map(token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_differ_in_their_first_token() {
        let (one, other) = (prompt(1), prompt(u32::MAX));
        assert_eq!(one.len(), MEASURED_TOKENS as usize);
        assert_ne!(one[0], other[0]);
        assert!(one.iter().chain(&other).all(|t| (1_000..2_000).contains(t)));
    }
}
