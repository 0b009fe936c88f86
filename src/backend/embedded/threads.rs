//! How many threads compute, by what becomes of the steps.
//!
//! The threads of a step wait for each other after each node of the graph, some hundred times, and spin
//! while they wait: one that loses its core to a compiler stops all, and the others burn theirs. So when
//! steps take much longer than they did, fewer threads are tried, and later more again. Only the steps'
//! own times are looked at, which every system tells. Called by the engine after each generated token;
//! decides only. One thread waits for nobody, and is left alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_sys_2::{llama_context, llama_n_threads, llama_set_n_threads};

/// A step that takes so many times as long as in quiet times is in somebody's way. A longer context makes
/// steps longer too, by a fifth from 500 to 4,000 tokens (Qwen2.5-Coder 1.5B, November 2026).
const TOO_LONG: f64 = 1.6;

/// Fewer threads are as good when steps take so much longer at most: they leave cores to others.
const AS_GOOD: f64 = 1.1;

/// Steps whose mean is judged: enough to even out a scheduler's time slices of some milliseconds.
const JUDGED_STEPS: u32 = 4;

/// Steps of a try with more threads. They may take ten times as long, so the first may be the last.
const TRIED_STEPS: u32 = 2;

/// The pause before more threads are tried. It doubles each time that it was for nothing, up to the longest
/// for which somebody may wait whose compiler has just ended: one that needed a core of its own left a single
/// thread as quick as in quiet times, so nothing but a try tells. Where tries cost much it is longer.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_DOUBLED: Duration = Duration::from_secs(16);

/// A pause is at least so many times as long as what a step of the try before it has lost, up to the longest:
/// with one or two steps, tries cost a twentieth of the time at most.
const PAUSE_FOR_LOSS: f64 = 40.0;
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

/// Chooses the number of threads.
#[derive(Debug)]
pub(super) struct Threads {
    most: usize,
    now: usize,
    /// The mean seconds of a step in the best of times, by number of threads.
    quiet: BTreeMap<usize, f64>,
    /// Seconds of the steps since the last judgement, and how many.
    sum: f64,
    steps: u32,
    /// What is tried: the number before, and the mean seconds of a step with it.
    trial: Option<(usize, f64)>,
    /// The mean seconds of a step when fewer threads were found better.
    beside_load: Option<f64>,
    pause: Duration,
    next_trial: Instant,
}

impl Threads {
    /// `most` is what the settings say.
    pub(super) fn new(most: usize, now: Instant) -> Self {
        Self {
            most,
            now: most,
            quiet: BTreeMap::new(),
            sum: 0.0,
            steps: 0,
            trial: None,
            beside_load: None,
            pause: FIRST_PAUSE,
            next_trial: now,
        }
    }

    /// The step of one token took `elapsed` until `now`. Gives another number of threads for the next.
    pub(super) fn stepped(&mut self, elapsed: Duration, now: Instant) -> Option<usize> {
        if self.most < 2 {
            return None;
        }
        self.sum += elapsed.as_secs_f64();
        self.steps += 1;
        let enough = match self.trial {
            Some((before, with_before)) if before < self.now => {
                let is_worse = elapsed.as_secs_f64() > with_before * TOO_LONG;
                if is_worse { 1 } else { TRIED_STEPS }
            }
            _ => JUDGED_STEPS,
        };
        if self.steps < enough {
            return None;
        }
        let mean = self.sum / f64::from(self.steps);
        (self.sum, self.steps) = (0.0, 0);
        let before = self.now;
        self.judge(mean, now);
        (self.now != before).then_some(self.now)
    }

    fn judge(&mut self, mean: f64, now: Instant) {
        let best = self.quiet.entry(self.now).or_insert(mean);
        *best = best.min(mean);
        let quiet = self.quiet_step();
        if let Some((before, with_before)) = self.trial.take() {
            let tried_fewer = self.now < before;
            if tried_fewer && mean < with_before * AS_GOOD {
                // Fewer yet may be better yet.
                self.pause = FIRST_PAUSE;
                self.next_trial = now;
                self.beside_load = Some(mean);
            } else if !tried_fewer && mean < with_before {
                self.pause = FIRST_PAUSE;
                self.next_trial = now + self.pause;
            } else {
                self.now = before;
                let lost = (mean - with_before).max(0.0);
                let for_loss = Duration::from_secs_f64((lost * PAUSE_FOR_LOSS).min(1e6));
                let doubled = (self.pause * 2).min(LONGEST_DOUBLED);
                self.pause = doubled.max(for_loss).min(LONGEST_PAUSE);
                self.next_trial = now + self.pause;
                self.beside_load = (!tried_fewer).then_some(with_before);
            }
            return;
        }
        let is_lighter = (self.beside_load).is_some_and(|beside| mean * TOO_LONG < beside);
        if now < self.next_trial && !is_lighter {
            return;
        }
        let fewer = self.now / 2;
        if mean > quiet * TOO_LONG && fewer > 0 {
            self.trial = Some((self.now, mean));
            self.now = fewer;
        } else if self.now < self.most {
            self.trial = Some((self.now, mean));
            self.now = (self.now * 2).min(self.most);
        }
    }

    /// Seconds of a step with this number of threads if nobody were in the way: as measured, or as it
    /// would be if twice the threads took half as long, which they never do.
    fn quiet_step(&self) -> f64 {
        let scaled = self.quiet.range(self.now..).map(|(&threads, &seconds)| {
            #[expect(clippy::cast_precision_loss, reason = "a number of threads")]
            let times = threads as f64 / self.now as f64;
            seconds * times
        });
        scaled.fold(f64::INFINITY, f64::min)
    }
}

/// Sets how many threads compute the next steps of a context.
#[expect(
    unsafe_code,
    reason = "llama-cpp-2 0.1.160 has no other way to change it after the context was made"
)]
pub(super) fn set(context: &mut LlamaContext<'_>, threads: usize) {
    let Some(raw) = address(&format!("{context:?}")) else {
        return;
    };
    let raw = std::ptr::with_exposed_provenance_mut::<llama_context>(raw);
    let threads = i32::try_from(threads).unwrap_or(i32::MAX);
    // SAFETY: the address is the one that the wrapper prints of the context that it owns, whose format is
    // pinned with the crate's version and held by a test; the reference to it is unique.
    unsafe { llama_set_n_threads(raw, threads, threads) };
    // SAFETY: as above.
    debug_assert_eq!(unsafe { llama_n_threads(raw) }, threads, "another address");
}

/// The address in what `LlamaContext` prints of itself.
fn address(printed: &str) -> Option<usize> {
    let digits = printed
        .strip_prefix("LlamaContext { context: 0x")?
        .strip_suffix(" }")?;
    usize::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Threads, address};

    /// A machine: seconds of a step by threads.
    type Steps<'a> = &'a dyn Fn(usize) -> f64;

    /// Lets `seconds` go by. Gives the share of the tokens that the best number of threads would have had.
    fn run(threads: &mut Threads, clock: &mut Instant, seconds: u64, steps: Steps<'_>) -> f64 {
        let end = *clock + Duration::from_secs(seconds);
        let mut tokens = 0.0;
        while *clock < end {
            let step = Duration::from_secs_f64(steps(threads.now));
            *clock += step;
            tokens += 1.0;
            threads.stepped(step, *clock);
        }
        let best = (1..=threads.most).map(steps).fold(f64::INFINITY, f64::min);
        #[expect(clippy::cast_precision_loss, reason = "some seconds")]
        let possible = seconds as f64 / best;
        tokens / possible
    }

    #[test]
    fn they_follow_the_load() {
        for most in [2, 3, 8, 15] {
            let count = |threads: usize| f64::from(u32::try_from(threads).expect("few"));
            let quiet = |threads: usize| 0.06 / count(threads);
            // Spinning: ten times as long but for one thread, which gets a third of a core.
            let busy = |threads: usize| if threads == 1 { 0.18 } else { 0.6 };
            let mut clock = Instant::now();
            let mut threads = Threads::new(most, clock);
            assert!(run(&mut threads, &mut clock, 10, &quiet) > 0.99, "{most}");
            run(&mut threads, &mut clock, 15, &busy);
            let kept = run(&mut threads, &mut clock, 120, &busy);
            assert!(
                kept > 0.9,
                "{most}: {kept} of what is possible beside a load"
            );
            run(&mut threads, &mut clock, 5, &quiet);
            let again = run(&mut threads, &mut clock, 10, &quiet);
            assert!(again > 0.99, "{most}: {again} after the load");
        }
    }

    #[test]
    fn they_are_back_soon_after_a_load_that_left_one_thread_alone() {
        let quiet = |threads: usize| if threads == 1 { 0.06 } else { 0.03 };
        // One core is taken, so two threads wait for each other and one does not.
        let busy = |threads: usize| if threads == 1 { 0.06 } else { 0.1 };
        for minutes in [1, 2, 4, 7, 11] {
            let mut clock = Instant::now();
            let mut threads = Threads::new(2, clock);
            run(&mut threads, &mut clock, 10, &quiet);
            run(&mut threads, &mut clock, 10, &busy);
            let kept = run(&mut threads, &mut clock, minutes * 60, &busy);
            assert!(kept > 0.98, "{minutes} minutes: {kept}");
            run(&mut threads, &mut clock, 17, &quiet);
            let again = run(&mut threads, &mut clock, 10, &quiet);
            assert!(again > 0.99, "{minutes} minutes: {again} after the load");
        }
    }

    #[test]
    fn one_thread_is_left_alone() {
        let now = Instant::now();
        let mut threads = Threads::new(1, now);
        for second in 1..100 {
            let step = Duration::from_millis(10 * second);
            assert_eq!(
                threads.stepped(step, now + Duration::from_secs(second)),
                None
            );
        }
    }

    #[test]
    fn the_address_is_read() {
        let cases = [
            ("LlamaContext { context: 0x7f12ab00 }", Some(0x7f12_ab00)),
            ("LlamaContext { context: 0x7f12ab00, model: 0x1 }", None),
            ("LlamaContext(0x7f)", None),
        ];
        for (printed, expect) in cases {
            assert_eq!(address(printed), expect, "{printed}");
        }
    }
}
