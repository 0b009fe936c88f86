//! Seeded draws that do not depend on the order in which they are asked for.
//!
//! Each use names itself and a key, so that two policies meet the same luck at the same place.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

/// A stream of draws. PCG because its values are the same in every release and on every machine.
#[derive(Debug)]
pub(super) struct Chance(Pcg64Mcg);

impl Chance {
    /// The draws of `seed` for one `purpose` at one `key`.
    pub(super) fn new(seed: u64, purpose: &str, key: u64) -> Self {
        let mixed = fingerprint(purpose.as_bytes()) ^ key.rotate_left(17);
        // Two rounds: neighbouring keys must not give neighbouring states.
        let mut first = Pcg64Mcg::seed_from_u64(seed ^ mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self(Pcg64Mcg::seed_from_u64(first.next_u64()))
    }

    /// From 0 up to, not including, 1.
    pub(super) fn share(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let share = (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        share
    }

    /// True with this probability.
    pub(super) fn hits(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// One of `choices`; `None` when there are none.
    pub(super) fn pick<'c, T>(&mut self, choices: &'c [T]) -> Option<&'c T> {
        let count = u64::try_from(choices.len()).ok().filter(|&n| n > 0)?;
        choices.get(usize::try_from(self.0.next_u64() % count).ok()?)
    }
}

/// FNV-1a, whose values, unlike those of the standard library's hasher, never change.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_belongs_to_its_seed_purpose_and_key() {
        let draw = |seed, purpose, key| Chance::new(seed, purpose, key).share().to_bits();
        assert_eq!(draw(1, "gap", 5), draw(1, "gap", 5));
        assert_ne!(draw(1, "gap", 5), draw(2, "gap", 5));
        assert_ne!(draw(1, "gap", 5), draw(1, "oracle", 5));
        assert_ne!(draw(1, "gap", 5), draw(1, "gap", 6));
    }

    #[test]
    fn hits_are_as_frequent_as_asked_for() {
        let hits = (0..10_000)
            .filter(|&key| Chance::new(7, "test", key).hits(0.85))
            .count();
        assert!((8_400..8_600).contains(&hits), "{hits}");
    }

    #[test]
    fn a_fingerprint_is_the_published_one() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
