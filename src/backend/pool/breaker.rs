//! A circuit breaker: leaves a sick endpoint alone for a while, then tries it once.
//!
//! One for each member of a pool. Closed, everything goes through. Open, nothing does, for a wait that
//! doubles with each failure in a row, with jitter so that many editors do not come back at the same
//! moment. After the wait one request or probe is let through (half open): what becomes of it decides.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open it, unless one says that nobody is there at all.
const FAILURES: u32 = 3;

/// The first wait.
const SHORTEST: Duration = Duration::from_millis(250);

/// The longest wait: less than the time between two probes of the router, so that a server that is
/// back is found by the next one.
const LONGEST: Duration = Duration::from_secs(4);

/// What became of something let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The endpoint works, whatever it said.
    Works,
    /// It failed in a way that may be this request's.
    Failed,
    /// Nobody is there.
    Gone,
}

/// The breaker of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Never held across an await.
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        /// How often it opened in a row.
        times: u32,
    },
    HalfOpen {
        times: u32,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// Leave to go to the endpoint. Dropped without an outcome, as by a request that was given up, it
/// changes nothing.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    is_trial: bool,
    told: bool,
}

impl Breaker {
    fn state(&self) -> MutexGuard<'_, State> {
        // One value, replaced as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether [`enter`](Self::enter) would let something through now.
    pub(super) fn admits(&self) -> bool {
        match *self.state() {
            State::Closed { .. } => true,
            State::Open { until, .. } => Instant::now() >= until,
            State::HalfOpen { .. } => false,
        }
    }

    /// Whether nothing is known to be wrong.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state(), State::Closed { .. })
    }

    /// Lets something through, or not.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        let mut state = self.state();
        let is_trial = match *state {
            State::Closed { .. } => false,
            State::Open { until, times } if Instant::now() >= until => {
                *state = State::HalfOpen { times };
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => return None,
        };
        Some(Pass {
            breaker: self,
            is_trial,
            told: false,
        })
    }

    /// As [`enter`](Self::enter), for something that outlives the borrow: whether it is the trial. Its
    /// outcome goes to [`note`](Self::note), or to [`trial_given_up`](Self::trial_given_up).
    pub(super) fn enter_detached(&self) -> Option<bool> {
        let mut pass = self.enter()?;
        let is_trial = pass.is_trial;
        pass.told = true;
        Some(is_trial)
    }

    /// The trial came to nothing: the next one is it.
    pub(super) fn trial_given_up(&self) {
        let mut state = self.state();
        if let State::HalfOpen { times } = *state {
            *state = State::Open {
                until: Instant::now(),
                times,
            };
        }
    }

    /// Takes in what became of something let through.
    pub(super) fn note(&self, outcome: Outcome) {
        let mut state = self.state();
        *state = match (*state, outcome) {
            (_, Outcome::Works) => State::default(),
            (State::Closed { failures }, Outcome::Failed) if failures + 1 < FAILURES => {
                State::Closed {
                    failures: failures + 1,
                }
            }
            (State::Closed { .. }, _) => opened(1),
            (State::HalfOpen { times }, _) => opened(times + 1),
            // Something that was under way when it opened.
            (open @ State::Open { .. }, _) => open,
        };
    }
}

fn opened(times: u32) -> State {
    State::Open {
        until: Instant::now() + wait(times, RandomState::new().hash_one(())),
        times,
    }
}

/// The wait after opening so many times in a row: between half of a doubling time and all of it.
fn wait(times: u32, random: u64) -> Duration {
    let doubled = SHORTEST.saturating_mul(1 << times.saturating_sub(1).min(16));
    let whole = doubled.min(LONGEST);
    let share = u32::try_from(random % 1024).unwrap_or(0);
    whole / 2 + whole / 2 * share / 1024
}

impl Pass<'_> {
    /// Tells what became of it.
    pub(super) fn tell(&mut self, outcome: Outcome) {
        self.told = true;
        self.breaker.note(outcome);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_trial && !self.told {
            self.breaker.trial_given_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(breaker: &Breaker, outcome: Outcome) {
        breaker.enter().expect("it lets through").tell(outcome);
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_waits_longer_each_time_and_closes_on_success() {
        let breaker = Breaker::default();
        for _ in 0..2 {
            tell(&breaker, Outcome::Failed);
        }
        tell(&breaker, Outcome::Works);
        for _ in 0..3 {
            assert!(breaker.is_closed(), "failures in a row count");
            tell(&breaker, Outcome::Failed);
        }
        let mut last = Duration::ZERO;
        for times in 0..10 {
            assert!(!breaker.admits() && breaker.enter().is_none());
            let opened = Instant::now();
            while !breaker.admits() {
                tokio::time::advance(Duration::from_millis(1)).await;
            }
            let waited = opened.elapsed();
            assert!(waited <= LONGEST + Duration::from_millis(1), "{waited:?}");
            assert!(waited * 4 > last, "{times}: {waited:?} after {last:?}");
            last = waited;
            let mut trial = breaker.enter().expect("one trial");
            assert!(breaker.enter().is_none(), "one at a time");
            trial.tell(Outcome::Failed);
        }
        tokio::time::advance(LONGEST).await;
        tell(&breaker, Outcome::Works);
        assert!(breaker.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_there_opens_at_once_and_a_trial_given_up_is_none() {
        let breaker = Breaker::default();
        tell(&breaker, Outcome::Gone);
        assert!(breaker.enter().is_none());
        tokio::time::advance(LONGEST).await;
        drop(breaker.enter().expect("a trial"));
        let mut trial = breaker.enter().expect("another trial");
        // What was under way when it opened does not decide the trial's case twice.
        trial.tell(Outcome::Gone);
        breaker.note(Outcome::Failed);
        assert!(!breaker.is_closed());
    }

    #[test]
    fn waits_double_up_to_the_longest_and_differ() {
        for (times, least, most) in [
            (1, SHORTEST / 2, SHORTEST),
            (2, SHORTEST, SHORTEST * 2),
            (40, LONGEST / 2, LONGEST),
        ] {
            assert_eq!(wait(times, 0), least);
            let longest = wait(times, 1023);
            assert!(longest > least && longest < most, "{longest:?}");
        }
    }
}
