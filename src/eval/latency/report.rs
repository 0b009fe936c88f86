//! The figures and their JSON, whose keys are a promise to whoever compares results over time.

use std::time::Duration;

use serde::Serialize;

use crate::eval::machine::Machine;
use crate::metrics::ms;

/// What was measured. Times are in milliseconds unless the name says otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where, with the load before the first sample.
    pub machine: Machine,
    /// The load after the last sample.
    pub load_1min_at_end: Option<f64>,
    /// Samples of each latency.
    pub samples: usize,
    /// From a key to its completion, less the backend's time.
    pub server_added_ms: Quantiles,
    /// The same for a program that only passes keys on: what the machine alone takes, which is in every
    /// figure of a generation.
    pub machine_alone_ms: Quantiles,
    /// What the machine takes to read memory that it has just read, in microseconds.
    pub memory_us: Memory,
    /// From a key to its completion where the text was there.
    pub type_through_ms: Quantiles,
    /// From a key that diverges to the backend's seeing its connection closed.
    pub divergence_to_close_ms: Quantiles,
    /// Changes read, parsed and applied over the pipe.
    pub did_change_per_second: f64,
    /// Changes applied and prompts built on one core, without pipe and protocol.
    pub did_change_and_prompt_per_second: f64,
    /// How long the gate takes to decide whether a completion is shown, in microseconds.
    pub gate_us: Quantiles,
    /// From asking for a role's route to the backend's being asked, and back with its first chunk, in
    /// microseconds: the router and a pool of four endpoints.
    pub router_us: Quantiles,
    /// A chat's first token through router, pool and backend, less the server's own time.
    pub chat_first_token_added_ms: Quantiles,
    /// Each further token of a chat, from its line's leaving the server.
    pub chat_delta_added_ms: Quantiles,
    /// From asking for the code actions of a selection to their list.
    pub action_list_ms: Quantiles,
    /// Median cost of a key in 100,000 lines over that in 1,000 lines.
    pub large_file_ratio: f64,
    /// From starting the process to its answer to `initialize`; the median.
    pub start_to_initialize_ms: f64,
    /// Memory of the server after everything, where the system tells.
    pub rss_bytes: Option<u64>,
}

/// The time to read 128 KiB, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Memory {
    /// Just after it was read.
    pub at_once: Quantiles,
    /// After the time that the scripted model takes.
    pub after_pause: Quantiles,
}

/// How a latency is spread, in the unit of its name. A shared machine's scheduler decides what lies beyond.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// 19 in 20 are at most this.
    pub p95: f64,
    /// 99 in 100 are at most this.
    pub p99: f64,
}

impl Quantiles {
    /// Nearest-rank quantiles in milliseconds; zeros for no samples.
    pub fn of(samples: Vec<Duration>) -> Self {
        Self::in_unit(samples, ms)
    }

    /// The same in microseconds, to the nanosecond.
    pub fn of_us(samples: Vec<Duration>) -> Self {
        Self::in_unit(samples, |sample| (sample.as_secs_f64() * 1e9).round() / 1e3)
    }

    fn in_unit(mut samples: Vec<Duration>, unit: impl Fn(Duration) -> f64) -> Self {
        samples.sort_unstable();
        let at = |percent: usize| {
            let rank = (samples.len() * percent).div_ceil(100).max(1);
            unit(samples.get(rank - 1).copied().unwrap_or_default())
        };
        Self {
            p50: at(50),
            p95: at(95),
            p99: at(99),
        }
    }
}

/// The median, in milliseconds.
pub(super) fn median(samples: Vec<Duration>) -> f64 {
    Quantiles::of(samples).p50
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let quantiles =
            |count: u64| Quantiles::of((1..=count).rev().map(Duration::from_millis).collect());
        for (count, [p50, p95, p99]) in [
            (0, [0.0, 0.0, 0.0]),
            (1, [1.0, 1.0, 1.0]),
            (4, [2.0, 4.0, 4.0]),
            (100, [50.0, 95.0, 99.0]),
            (1000, [500.0, 950.0, 990.0]),
        ] {
            let expected = Quantiles { p50, p95, p99 };
            assert_eq!(quantiles(count), expected, "{count}");
        }
        let nanos = Quantiles::of_us(vec![Duration::from_nanos(1500)]);
        assert!((nanos.p99 - 1.5).abs() < f64::EPSILON, "{nanos:?}");
    }
}
