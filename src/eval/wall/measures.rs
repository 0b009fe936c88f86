//! What only real time tells of a policy.
//!
//! | figure | over |
//! |---|---|
//! | `busy_share` | the time from the first key to the last: an engine in the process tells how long it computed; of a server it is the time in which a request was open |
//! | `cores_used` | the same time; processor time of whatever runs the model |
//! | `first_token_same_line_ms` | requests, prefetches left out, at keys that go on on the same line |
//! | `after_line_ms` | Enters and jumps of at most 8 lines: until the first ghost on that line, whatever was typed there meanwhile |
//! | `lines_without_ghost` | the others of these |
//! | `ghost_within_100ms_of_wanted` | all wanted keys, those that were typed past sooner among them |
//! | `prompt_tokens_computed_without_jumps` | wanted keys, jumps left out |
//! | `unknown_costs` | generations whose backend was stopped before it told what the prompt cost |

use std::time::Duration;

use serde::Serialize;

use crate::backend::Priority;
use crate::eval::figures::{Asked, Figures, Quantiles, computed_per_key, ratio};
use crate::eval::replay::{Came, KeyRecord, Outcome};
use crate::eval::report::{Row, percent, three};
use crate::metrics::ms;

/// Jumps of at most so many lines stay in what a prompt shows.
const NEAR_LINES: usize = 8;
/// By when a ghost feels immediate.
const SOON: Duration = Duration::from_millis(100);
/// Characters in which two ghosts must agree to be the same.
const SAME_CHARS: usize = 8;

/// The figures; the module says what each is counted over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WallFigures {
    /// Share of the time in which the engine computed.
    pub busy_share: Option<f64>,
    /// Processor time per time.
    pub cores_used: Option<f64>,
    /// From the request to its first token.
    pub first_token_same_line_ms: Quantiles,
    /// From Enter or a near jump to the first ghost.
    pub after_line_ms: Quantiles,
    /// Enters and near jumps after which none came.
    pub lines_without_ghost: usize,
    /// Share of keys with a ghost within 100 ms.
    pub ghost_within_100ms_of_wanted: f64,
    /// Prompt tokens the KV cache did not hold.
    pub prompt_tokens_computed_without_jumps: Quantiles,
    /// Generations whose cost nobody told.
    pub unknown_costs: usize,
}

/// How the machine was used during a pass.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Use {
    pub(super) elapsed: Duration,
    pub(super) busy: Option<Duration>,
    pub(super) processor: Option<Duration>,
}

impl WallFigures {
    pub(super) fn of(pass: &Outcome, used: Use) -> Self {
        let wanted: Vec<&KeyRecord> = pass.keys.iter().filter(|k| k.wanted).collect();
        let share = |time: Duration| {
            let share = time.as_secs_f64() / used.elapsed.as_secs_f64().max(1e-9);
            (share * 1e4).round() / 1e4
        };
        let same_line: Vec<usize> = wanted
            .iter()
            .filter(|k| k.came == Came::SameLine)
            .map(|k| k.step)
            .collect();
        let asked = pass.ledger.generations.iter().filter(|g| {
            g.priority == Priority::Completion && same_line.binary_search(&g.key).is_ok()
        });
        let (after_line, lines_without_ghost) = after_line(&pass.keys);
        let soon = wanted
            .iter()
            .filter(|k| k.ghost_after.is_some_and(|t| t <= SOON));
        let unknown = pass.ledger.generations.iter();
        Self {
            busy_share: used.busy.map(share),
            cores_used: used.processor.map(share),
            first_token_same_line_ms: Quantiles::of(
                asked.filter_map(|g| g.first_token).map(ms).collect(),
            ),
            after_line_ms: Quantiles::of(after_line),
            lines_without_ghost,
            ghost_within_100ms_of_wanted: ratio(soon.count(), wanted.len()),
            prompt_tokens_computed_without_jumps: computed_per_key(&wanted, pass, |came| {
                came != Came::Jumped
            }),
            unknown_costs: unknown.filter(|g| g.computed_tokens.is_none()).count(),
        }
    }
}

/// Milliseconds from each Enter and near jump to the first ghost on its line, and after how many none
/// came.
fn after_line(keys: &[KeyRecord]) -> (Vec<f64>, usize) {
    let mut found = Vec::new();
    let mut without = 0;
    let starts = |key: &KeyRecord| match key.came {
        Came::SameLine => false,
        Came::NewLine => true,
        Came::Jumped => key.came_lines <= NEAR_LINES,
    };
    for (at, first) in keys.iter().enumerate() {
        if !starts(first) || !first.wanted {
            continue;
        }
        let mut rest = keys.iter().skip(at).enumerate();
        let ghost = rest.find_map(|(n, key)| {
            if n > 0 && key.came != Came::SameLine {
                return Some(None);
            }
            let after = key.ghost_after?;
            // Edits that are no keys take their time too.
            Some(Some(key.at - first.at + after))
        });
        match ghost.flatten() {
            Some(after) => found.push(ms(after)),
            None => without += 1,
        }
    }
    (found, without)
}

/// One policy over two ways to the same model, where both showed the same and at least one had to ask for
/// it. A way that had the text already, because it was quicker at the keys before, is quicker here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SameGhost {
    /// Keys at which that was so.
    pub pairs: usize,
    /// From the key to the ghost of the engine in the process, the median.
    pub engine_ms: f64,
    /// The same over HTTP.
    pub http_engine_ms: f64,
    /// The first by the second.
    pub ratio: f64,
}

impl SameGhost {
    pub(super) fn of(engine: &Outcome, http: &Outcome) -> Option<Self> {
        let (asked, asked_http) = (Asked::of(engine), Asked::of(http));
        let beginning = |key: &KeyRecord| -> Option<String> {
            Some(key.ghost.as_ref()?.chars().take(SAME_CHARS).collect())
        };
        let pairs: Vec<(f64, f64)> = engine
            .keys
            .iter()
            .zip(&http.keys)
            .filter(|(a, b)| a.step == b.step)
            .filter(|(a, b)| asked.before_ghost(a) || asked_http.before_ghost(b))
            .filter(|(a, b)| beginning(a).is_some() && beginning(a) == beginning(b))
            .filter_map(|(a, b)| Some((ms(a.ghost_after?), ms(b.ghost_after?))))
            .collect();
        let median =
            |of: &dyn Fn(&(f64, f64)) -> f64| Quantiles::of(pairs.iter().map(of).collect());
        let (engine_ms, http_engine_ms) = (median(&|p| p.0).p50?, median(&|p| p.1).p50?);
        Some(Self {
            pairs: pairs.len(),
            engine_ms,
            http_engine_ms,
            ratio: (engine_ms / http_engine_ms.max(1e-3) * 1e3).round() / 1e3,
        })
    }
}

/// Rows of the table that follow those of every replay.
pub(in crate::eval) const ROWS: &[Row] = &[
    ("first token on the same line, ms", |f| {
        of(f, |w| three(&w.first_token_same_line_ms))
    }),
    ("ghost within 100 ms, of all wanted", |f| {
        of(f, |w| percent(w.ghost_within_100ms_of_wanted))
    }),
    ("Enter or near jump to ghost, ms", |f| {
        of(f, |w| three(&w.after_line_ms))
    }),
    ("  with, without one", |f| {
        of(f, |w| {
            format!("{}, {}", w.after_line_ms.count, w.lines_without_ghost)
        })
    }),
    ("new prompt tokens per key, no jumps", |f| {
        of(f, |w| three(&w.prompt_tokens_computed_without_jumps))
    }),
    ("  generations of unknown cost", |f| {
        of(f, |w| w.unknown_costs.to_string())
    }),
    ("engine busy", |f| {
        of(f, |w| w.busy_share.map_or("–".to_owned(), percent))
    }),
    ("cores used", |f| {
        let cores = |w: &WallFigures| w.cores_used.map(|cores| format!("{cores:.2}"));
        of(f, |w| cores(w).unwrap_or_else(|| "–".to_owned()))
    }),
];

fn of(figures: &Figures, cell: impl Fn(&WallFigures) -> String) -> String {
    figures.wall.as_ref().map_or_else(String::new, cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(came: Came, gap_ms: u64, ghost_ms: Option<u64>) -> KeyRecord {
        KeyRecord {
            nothing_after: None,
            step: 0,
            wanted: true,
            goes_on: true,
            came,
            came_lines: 1,
            after_accept: false,
            gap: Duration::from_millis(gap_ms),
            at: tokio::time::Instant::now(),
            ghost_after: ghost_ms.map(Duration::from_millis),
            ghost: None,
            right: false,
        }
    }

    #[test]
    fn a_ghost_is_waited_for_to_the_end_of_the_line() {
        let far = KeyRecord {
            came_lines: NEAR_LINES + 1,
            ..key(Came::Jumped, 10, Some(1))
        };
        let mut keys = [
            key(Came::SameLine, 100, Some(3)),
            key(Came::NewLine, 100, None),
            key(Came::SameLine, 50, None),
            key(Came::SameLine, 50, Some(20)),
            key(Came::Jumped, 10, Some(5)),
            key(Came::NewLine, 10, None),
            far,
        ];
        // After the Enter comes an edit that is no key.
        for (at, gap) in [(1, 100), (2, 150), (3, 50), (4, 50), (5, 10), (6, 10)] {
            keys[at].at = keys[at - 1].at + Duration::from_millis(gap);
        }
        assert_eq!(after_line(&keys), (vec![220.0, 5.0], 1));
    }
}
