//! How long to wait before asking a model: as long as waiting pays, and no longer.
//!
//! Learned from two things only: how fast this person types, and how many generations were thrown
//! away unseen. Where few are wasted, nothing is gained by waiting; where most are, each is begun a
//! little later, less the time the backend takes anyway.

use std::time::Duration;

use tokio::time::Instant;

use super::place::Place;
use crate::config::Debounce;

/// The longest wait: half a typical gap more would be felt.
const LONGEST: Duration = Duration::from_millis(120);
/// A gap longer than this is a pause, not a rhythm; tabby's adaptive debounce uses the same.
const PAUSE: Duration = Duration::from_millis(400);
/// How much one more observation counts: about the last twenty.
const WEIGHT: f64 = 0.05;

/// What was learned.
#[derive(Debug)]
pub(super) struct Rhythm {
    last_key: Option<Instant>,
    /// Seconds between keys in a burst.
    gap_s: f64,
    /// Seconds from asking a backend to its first text.
    backend_s: f64,
    /// Share of generations that nobody saw anything of.
    wasted: f64,
}

impl Default for Rhythm {
    fn default() -> Self {
        // The median gap of a typist (editing traces, 138 ms); a backend nobody has measured yet is
        // taken for quick, and generations for useful, so the first ghost comes without a wait.
        Self {
            last_key: None,
            gap_s: 0.138,
            backend_s: 0.05,
            wasted: 0.0,
        }
    }
}

impl Rhythm {
    /// Notes a key now and returns how long to wait before asking.
    pub(super) fn key(&mut self, place: &Place, explicit: bool, setting: Debounce) -> Duration {
        let now = Instant::now();
        let gap = self.last_key.replace(now).map(|last| now - last);
        let in_burst = gap.is_some_and(|gap| gap < PAUSE);
        if let Some(gap) = gap.filter(|_| in_burst) {
            learn(&mut self.gap_s, gap.as_secs_f64());
        }
        match setting {
            _ if explicit => Duration::ZERO,
            Debounce::Fixed(wait) => wait,
            Debounce::Adaptive if !in_burst || place.on_blank_start() => Duration::ZERO,
            Debounce::Adaptive => {
                let wait_s = self.wasted * self.gap_s - self.backend_s;
                Duration::from_secs_f64(wait_s.clamp(0.0, LONGEST.as_secs_f64()))
            }
        }
    }

    /// Notes how long a backend took to its first text.
    pub(super) fn answered(&mut self, first_text: Duration) {
        learn(&mut self.backend_s, first_text.as_secs_f64());
    }

    /// Notes whether anything of a generation was shown.
    pub(super) fn generation_ended(&mut self, seen: bool) {
        learn(&mut self.wasted, if seen { 0.0 } else { 1.0 });
    }
}

fn learn(value: &mut f64, seen: f64) {
    *value += WEIGHT * (seen - *value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::place::tests::place;

    async fn typed(rhythm: &mut Rhythm, keys: usize, gap: Duration) -> Duration {
        let mut wait = Duration::ZERO;
        for _ in 0..keys {
            tokio::time::advance(gap).await;
            wait = rhythm.key(&place("let a|"), false, Debounce::Adaptive);
        }
        wait
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_while_generations_are_seen() {
        let mut rhythm = Rhythm::default();
        assert_eq!(
            typed(&mut rhythm, 50, Duration::from_millis(100)).await,
            Duration::ZERO
        );
    }

    #[tokio::test(start_paused = true)]
    async fn waste_makes_wait_at_most_the_limit_and_never_after_a_pause_or_on_a_new_line() {
        let mut rhythm = Rhythm::default();
        (0..100).for_each(|_| rhythm.generation_ended(false));
        (0..100).for_each(|_| rhythm.answered(Duration::from_millis(20)));
        let wait = typed(&mut rhythm, 200, Duration::from_millis(100)).await;
        assert!((70..=80).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(
            typed(&mut rhythm, 100, Duration::from_millis(399)).await,
            LONGEST
        );
        assert_eq!(
            typed(&mut rhythm, 1, Duration::from_millis(500)).await,
            Duration::ZERO
        );
        typed(&mut rhythm, 1, Duration::from_millis(100)).await;
        assert_eq!(
            rhythm.key(&place("  |"), false, Debounce::Adaptive),
            Duration::ZERO
        );
        assert_eq!(
            rhythm.key(&place("a|"), true, Debounce::Adaptive),
            Duration::ZERO
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_backend_is_asked_at_once() {
        let mut rhythm = Rhythm::default();
        (0..100).for_each(|_| rhythm.generation_ended(false));
        (0..100).for_each(|_| rhythm.answered(Duration::from_millis(300)));
        assert_eq!(
            typed(&mut rhythm, 50, Duration::from_millis(100)).await,
            Duration::ZERO
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_in_the_settings_is_the_number() {
        let fixed = Duration::from_millis(75);
        let mut rhythm = Rhythm::default();
        assert_eq!(
            rhythm.key(&place("a|"), false, Debounce::Fixed(fixed)),
            fixed
        );
        assert_eq!(
            rhythm.key(&place("a|"), true, Debounce::Fixed(fixed)),
            Duration::ZERO
        );
    }
}
