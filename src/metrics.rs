//! Counters and latency histograms of this process. Nothing leaves the machine.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::inline::{Completion, Nothing, Source, Trace};

/// Longest latency a histogram tells apart, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// What is counted.
#[derive(Debug)]
pub struct Metrics {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    requests: u64,
    shown: u64,
    from_cache: u64,
    joined: u64,
    generated: u64,
    skipped: u64,
    superseded: u64,
    empty: u64,
    failed: u64,
    accepted: u64,
    partly_accepted: u64,
    answer_us: Histogram<u64>,
    first_token_us: Histogram<u64>,
    last: Option<Last>,
}

/// The completion shown last.
#[derive(Debug)]
struct Last {
    trace: Trace,
    source: Source,
    whole: bool,
}

impl Last {
    fn of(completion: &Completion) -> Self {
        let Completion {
            trace,
            source,
            whole,
            ..
        } = completion;
        Self {
            trace: trace.clone(),
            source: *source,
            whole: *whole,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                requests: 0,
                shown: 0,
                from_cache: 0,
                joined: 0,
                generated: 0,
                skipped: 0,
                superseded: 0,
                empty: 0,
                failed: 0,
                accepted: 0,
                partly_accepted: 0,
                answer_us: histogram(),
                first_token_us: histogram(),
                last: None,
            }),
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_US, 2).unwrap_or_else(|_| unreachable!("the bounds are valid"))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros())
        .unwrap_or(LONGEST_US)
        .clamp(1, LONGEST_US)
}

impl Metrics {
    /// Counts an answer to a request for a completion, which took `elapsed`.
    pub fn completion_answered(&self, answer: &Result<Completion, Nothing>, elapsed: Duration) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        inner.requests += 1;
        let completion = match answer {
            Ok(completion) => completion,
            Err(why) => {
                *match why {
                    Nothing::Skipped(_) => &mut inner.skipped,
                    Nothing::Superseded => &mut inner.superseded,
                    Nothing::NoBackend | Nothing::Failed => &mut inner.failed,
                    Nothing::Empty | Nothing::HeldBack => &mut inner.empty,
                } += 1;
                return;
            }
        };
        inner.shown += 1;
        inner.answer_us.saturating_record(micros(elapsed));
        match completion.source {
            Source::Cache => inner.from_cache += 1,
            Source::Joined => inner.joined += 1,
            Source::Generated => {
                inner.generated += 1;
                if let Some(first) = completion.trace.first_token {
                    inner.first_token_us.saturating_record(micros(first));
                }
            }
        }
        inner.last = Some(Last::of(completion));
    }

    /// Notes that the completion answered last has grown to `completion`.
    pub fn completion_grown(&self, completion: &Completion) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.last = Some(Last::of(completion));
    }

    /// Counts an accepted completion.
    pub fn completion_accepted(&self) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .accepted += 1;
    }

    /// Counts a part of a completion that was accepted: a word or a line of it.
    pub fn completion_partly_accepted(&self) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .partly_accepted += 1;
    }

    /// Everything, as `ghostline/metrics` answers it. Times in milliseconds.
    pub fn to_json(&self) -> Value {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "completions": {
                "requests": inner.requests,
                "shown": inner.shown,
                "fromCache": inner.from_cache,
                "joined": inner.joined,
                "generated": inner.generated,
                "skipped": inner.skipped,
                "superseded": inner.superseded,
                "empty": inner.empty,
                "failed": inner.failed,
                "accepted": inner.accepted,
                "partlyAccepted": inner.partly_accepted,
                "answerMs": quantiles(&inner.answer_us),
                "firstTokenMs": quantiles(&inner.first_token_us),
                "last": inner.last.as_ref().map(|Last { trace, source, whole }| json!({
                    "whole": whole,
                    "source": source,
                    "model": &*trace.model,
                    "backend": &*trace.backend,
                    "promptTokens": trace.prompt_tokens,
                    "promptTokensEstimated": trace.prompt_estimated,
                    "cachedTokens": trace.cached_tokens,
                    "generatedTokens": trace.generated_tokens,
                    "firstTokenMs": trace.first_token.map(ms),
                    "totalMs": ms(trace.total),
                })),
            }
        })
    }
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let at = |q: f64| {
        Duration::from_micros(if histogram.is_empty() {
            0
        } else {
            histogram.value_at_quantile(q)
        })
    };
    json!({ "count": histogram.len(), "p50": ms(at(0.5)), "p95": ms(at(0.95)), "p99": ms(at(0.99)) })
}

/// A duration in milliseconds, to the microsecond.
pub(crate) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
