//! The prompt that a completion's model computes once after a load: it tells how fast prompts are computed
//! before the first real one is made.

use std::fmt::Write as _;
use std::time::Duration;

/// Words of the prompt, about a token each: under 3 s at 50 tokens per second, and enough to tell.
pub(super) const WORDS: u32 = 128;

/// Longest measurement. What takes longer is as slow as can be.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// A prompt that no cache holds, unless `nonce` comes again: single letters, each with its space a token
/// in every vocabulary.
pub(super) fn prompt(nonce: Duration) -> String {
    // A linear congruential generator, constants of Knuth's MMIX: the high bits are what is random.
    let mut state = u64::try_from(nonce.as_nanos()).unwrap_or(u64::MAX);
    let mut prompt = String::new();
    for _ in 0..WORDS {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let letter = char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap_or(0));
        // Writing to a string cannot fail.
        let _ = write!(prompt, " {letter}");
    }
    prompt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_differ_from_the_beginning_on() {
        let (one, other) = (
            prompt(Duration::from_nanos(1)),
            prompt(Duration::from_secs(9)),
        );
        assert_eq!(one.split_whitespace().count(), WORDS as usize);
        let alike = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
        assert!(alike.count() < 16, "{one} {other}");
    }
}
