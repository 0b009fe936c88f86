//! What the time that a model takes costs on this machine: the same memory, read at once and after that time.
//!
//! While the model works the server sleeps, and a core that sleeps or is lent to others may lose what it had in
//! its caches. What that costs is in every figure of a generation, and in none of a text that is typed along.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::backend::FIRST_TEXT_AFTER;
use super::report::{Memory, Quantiles};

/// Cache lines that are read: 128 KiB, more than a core's first cache holds and less than its second.
const LINES: usize = 2048;
/// Enough of both for a median.
const MOST_SAMPLES: usize = 500;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(u8);

pub(super) async fn measure(samples: usize) -> Memory {
    let lines = vec![Line(1); LINES];
    let (mut at_once, mut after_pause) = (Vec::new(), Vec::new());
    for _ in 0..samples.min(MOST_SAMPLES) {
        tokio::time::sleep(FIRST_TEXT_AFTER).await;
        after_pause.push(time(&lines));
        at_once.push(time(&lines));
    }
    Memory {
        at_once: Quantiles::of_us(at_once),
        after_pause: Quantiles::of_us(after_pause),
    }
}

/// How long it takes to read every line once, not in their order.
fn time(lines: &[Line]) -> Duration {
    let started = Instant::now();
    black_box(read(black_box(lines)));
    started.elapsed()
}

fn read(lines: &[Line]) -> usize {
    let mut at = 0;
    let mut sum = 0;
    for _ in 0..LINES {
        at = next(at);
        sum += lines.get(at).map_or(0, |line| usize::from(line.0));
    }
    sum
}

/// Comes by every line, as their number is a power of two: Hull and Dobell's conditions for a congruential
/// generator.
const fn next(at: usize) -> usize {
    (at * 5 + 1) % LINES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_once() {
        let mut lines = vec![Line(0); LINES];
        let mut at = 0;
        for _ in 0..LINES {
            at = next(at);
            lines[at].0 += 1;
        }
        assert!(lines.iter().all(|line| line.0 == 1));
        assert_eq!(read(&lines), LINES);
        assert_eq!(size_of::<Line>(), 64);
    }
}
