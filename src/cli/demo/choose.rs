//! Which embedded model suits this machine.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::models::{Event, MODELS, Model, Store};

/// The model for machines with little memory or a slow connection.
pub(super) const SMALL: &str = "qwen2.5-coder-0.5b";
const LARGE: &str = "qwen2.5-coder-1.5b";

/// How long a connection is watched before its speed counts.
const WATCHED: Duration = Duration::from_secs(20);
/// The longest fetch a person is made to wait for in a demo.
const LONGEST_FETCH: Duration = Duration::from_mins(15);

/// The 1.5B model where memory allows, else the 0.5B; an installed one before one to fetch.
pub(super) fn model(store: &Store) -> &'static Model {
    let named = |name: &str| MODELS.iter().find(|m| m.name == name).unwrap_or(&MODELS[0]);
    let (large, small) = (named(LARGE), named(SMALL));
    if store.path_of(large).is_some() {
        return large;
    }
    match available_memory_bytes() {
        Some(available) if available < large.memory_bytes => {
            super::output::note(&format!(
                "{} needs {} MB of memory and {} MB are free; taking {}.",
                large.name,
                large.memory_bytes >> 20,
                available >> 20,
                small.name
            ));
            small
        }
        _ => large,
    }
}

/// Memory that programs can still get, where the system tells (Linux).
fn available_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Watches how fast a fetch goes.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When bytes began to arrive, how many were there then, how many now, how many in all.
    seen: Mutex<Option<(Instant, u64, u64, u64)>>,
}

impl Pace {
    pub(super) fn on(&self, event: Event<'_>) {
        if let Event::Fetched {
            done_bytes,
            total_bytes,
        } = event
        {
            let mut seen = self
                .seen
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let (since, first, ..) = seen.unwrap_or((Instant::now(), done_bytes, 0, 0));
            *seen = Some((since, first, done_bytes, total_bytes));
        }
    }

    /// Resolves once it is clear that the fetch would take too long; never if it would not.
    pub(super) async fn too_slow(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let seen = *self
                .seen
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let Some((since, first, done, total)) = seen else {
                continue;
            };
            let elapsed = since.elapsed();
            if elapsed >= WATCHED
                && left(elapsed, done - first.min(done), total - done) > LONGEST_FETCH
            {
                return;
            }
        }
    }
}

fn left(elapsed: Duration, fetched_bytes: u64, missing_bytes: u64) -> Duration {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of a download needs no precision"
    )]
    let share = missing_bytes as f64 / fetched_bytes.max(1) as f64;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * share).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_the_pace() {
        let second = Duration::from_secs(1);
        assert_eq!(left(second, 10, 100), Duration::from_secs(10));
        assert!(left(second, 0, u64::MAX) > LONGEST_FETCH);
    }
}
