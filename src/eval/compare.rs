//! Whether a result is worse than an older one of the same benchmark.
//!
//! Called by `cli/bench/compare` with the JSON of both. Problems that were executed are compared in
//! pairs, with `McNemar`'s test; a single figure is worse when it is more than a tolerance away.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::passing::Pair;
use super::sandbox::Outcome;
use super::statistics::Paired;

/// Two results that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// One is of no benchmark that is known.
    #[error("{which} is no result of `ghostline bench infill`, `humaneval`, `replay` or `latency`")]
    Unknown {
        /// `A` or `B`.
        which: &'static str,
    },
    /// They are of different benchmarks.
    #[error("A is a result of `bench {a}` and B one of `bench {b}`")]
    Different {
        /// The first's.
        a: &'static str,
        /// The second's.
        b: &'static str,
    },
    /// They have nothing in common.
    #[error("A and B have no {what} in common")]
    Disjoint {
        /// What would be compared.
        what: &'static str,
    },
}

/// A figure of both results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Where it stands in the JSON.
    pub figure: String,
    /// In the first.
    pub a: f64,
    /// In the second.
    pub b: f64,
    /// Whether the second is worse by more than the tolerance.
    pub worse: bool,
}

/// Something that the two were not asked alike: then a figure may differ for that.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// Where it stands in the JSON.
    pub what: &'static str,
    /// In the first; null where it is not there.
    pub a: Value,
    /// In the second.
    pub b: Value,
}

/// What the comparison says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The benchmark.
    pub bench: &'static str,
    /// What they were not asked alike.
    pub unlike: Vec<Condition>,
    /// Candidates on the problems that both results have.
    pub pairs: Vec<Pair>,
    /// Figures that have no pairs.
    pub figures: Vec<Change>,
    /// Whether anything is worse, chance and tolerance aside.
    pub worse: bool,
}

/// What is asked of a benchmark, wherever it is in its JSON. The model is none: it may be what is compared.
const CONDITIONS: &[&str] = &[
    "trace",
    "data",
    "mode",
    "keys",
    "seed",
    "oracle",
    "moved_lines",
    "max_tokens",
    "threads",
];

/// A figure: where it stands, `*` for all of a list, and whether less is better.
type Figure = (&'static str, bool);

/// Below this difference, in the figure's own unit, a change is none: the clock of a latency, a request
/// more or less of a replay.
const LEAST_CHANGE: f64 = 0.02;

const LATENCY: &[Figure] = &[
    ("server_added_ms/p50", true),
    ("server_added_ms/p95", true),
    ("server_added_ms/p99", true),
    ("type_through_ms/p50", true),
    ("type_through_ms/p99", true),
    ("divergence_to_close_ms/p99", true),
    ("did_change_per_second", false),
    ("did_change_and_prompt_per_second", false),
    ("large_file_ratio", true),
];
const REPLAY: &[Figure] = &[
    ("right_ghost", false),
    ("ghost_before_next_key", false),
    ("ghost_before_next_key_goes_on", false),
    ("ghost_within_100ms", false),
    ("no_new_request", false),
    ("key_to_ghost_ms/p50", true),
    ("key_to_ghost_ms/p95", true),
    ("requests_per_1000_keys", true),
    ("tokens_per_key", true),
    ("discarded_token_share", true),
    ("stale_items", true),
];

/// Compares B with A. `tolerance` is the share by which a single figure may get worse.
///
/// # Errors
/// [`CompareError`] when there is nothing to compare.
pub fn compare(a: &Value, b: &Value, tolerance: f64) -> Result<Comparison, CompareError> {
    let kind = |value, which| bench_of(value).ok_or(CompareError::Unknown { which });
    let (bench, other) = (kind(a, "A")?, kind(b, "B")?);
    if bench != other {
        return Err(CompareError::Different { a: bench, b: other });
    }
    let (pairs, figures) = match bench {
        "latency" => (Vec::new(), changes("", LATENCY, a, b, tolerance)),
        "replay" => (Vec::new(), policy_changes(a, b, tolerance)?),
        _ => (pairs(a, b)?, Vec::new()),
    };
    let worse = pairs.iter().any(Pair::is_loss) || figures.iter().any(|change| change.worse);
    Ok(Comparison {
        bench,
        unlike: unlike(a, b),
        pairs,
        figures,
        worse,
    })
}

fn unlike(a: &Value, b: &Value) -> Vec<Condition> {
    let of = |result: &Value, what| result.get(what).cloned().unwrap_or_default();
    let (a, b) = (|what| of(a, what), |what| of(b, what));
    let conditions = CONDITIONS.iter().map(|&what| (what, a(what), b(what)));
    let unlike = conditions.filter(|(_, a, b)| a != b);
    unlike
        .map(|(what, a, b)| Condition { what, a, b })
        .collect()
}

fn bench_of(result: &Value) -> Option<&'static str> {
    let has = |key: &str| result.get(key).is_some();
    match result.get("bench").and_then(Value::as_str) {
        Some("infill") if has("tasks") => Some("infill"),
        Some("humaneval") if has("tasks") => Some("humaneval"),
        _ if has("policies") => Some("replay"),
        _ if has("server_added_ms") => Some("latency"),
        _ => None,
    }
}

/// What is read of a task.
#[derive(Debug, Deserialize)]
struct TaskOutcomes {
    task: String,
    attempts: BTreeMap<String, AttemptOutcome>,
}

#[derive(Debug, Deserialize)]
struct AttemptOutcome {
    outcome: Outcome,
}

/// Whether each task was solved, by candidate.
type Solved = BTreeMap<String, BTreeMap<String, bool>>;

fn solved(result: &Value, which: &'static str) -> Result<Solved, CompareError> {
    let tasks = result.get("tasks").cloned().unwrap_or_default();
    let tasks: Vec<TaskOutcomes> =
        serde_json::from_value(tasks).map_err(|_| CompareError::Unknown { which })?;
    let mut solved = Solved::new();
    for TaskOutcomes { task, attempts } in tasks {
        for (name, attempt) in attempts {
            let passed = attempt.outcome == Outcome::Passed;
            solved.entry(name).or_default().insert(task.clone(), passed);
        }
    }
    Ok(solved)
}

/// Candidates of one name in both; where each result has one candidate, these two.
fn pairs(a: &Value, b: &Value) -> Result<Vec<Pair>, CompareError> {
    let (a, b) = (solved(a, "A")?, solved(b, "B")?);
    let alone = a.len() == 1 && b.len() == 1;
    let mut pairs = Vec::new();
    for (name, tasks) in &a {
        let other = if alone {
            b.first_key_value()
        } else {
            b.get_key_value(name)
        };
        let Some((other_name, other)) = other else {
            continue;
        };
        let both = tasks
            .iter()
            .filter_map(|(task, &passed)| Some((passed, *other.get(task)?)));
        let paired = Paired::of(both);
        if paired.problems() > 0 {
            let named = |which: &str, name: &str| format!("{which} {name}");
            pairs.push(Pair::new(
                &named("A", name),
                &named("B", other_name),
                paired,
            ));
        }
    }
    if pairs.is_empty() {
        return Err(CompareError::Disjoint { what: "tasks" });
    }
    Ok(pairs)
}

fn policy_changes(a: &Value, b: &Value, tolerance: f64) -> Result<Vec<Change>, CompareError> {
    let policies = |result: &Value| -> BTreeMap<String, Value> {
        let list = result.get("policies").and_then(Value::as_array);
        let named =
            |policy: &Value| Some((policy.get("name")?.as_str()?.to_owned(), policy.clone()));
        list.into_iter().flatten().filter_map(named).collect()
    };
    let (a, b) = (policies(a), policies(b));
    let common = a
        .iter()
        .filter_map(|(name, a)| Some((name, a, b.get(name)?)));
    let changes: Vec<Change> = common
        .flat_map(|(name, a, b)| changes(&format!("{name} "), REPLAY, a, b, tolerance))
        .collect();
    if changes.is_empty() {
        return Err(CompareError::Disjoint { what: "policies" });
    }
    Ok(changes)
}

fn changes(prefix: &str, figures: &[Figure], a: &Value, b: &Value, tolerance: f64) -> Vec<Change> {
    let number = |result: &Value, at: &str| result.pointer(&format!("/{at}"))?.as_f64();
    figures
        .iter()
        .filter_map(|&(at, less_is_better)| {
            let (a, b) = (number(a, at)?, number(b, at)?);
            let loss = if less_is_better { b - a } else { a - b };
            Some(Change {
                figure: format!("{prefix}{at}"),
                a,
                b,
                worse: loss > LEAST_CHANGE && loss > a.abs() * tolerance,
            })
        })
        .collect()
}

impl Comparison {
    /// The comparison for people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        for Condition { what, a, b } in &self.unlike {
            let _ = writeln!(out, "asked differently: {what} is {a} in A and {b} in B");
        }
        for pair in &self.pairs {
            let mark = if pair.is_loss() { "   worse" } else { "" };
            let _ = writeln!(out, "{}{mark}", pair.sentence());
        }
        for change in &self.figures {
            let Change {
                figure,
                a,
                b,
                worse,
            } = change;
            let mark = if *worse { "   worse" } else { "" };
            let _ = writeln!(out, "{figure:<56}{a:>14.3}{b:>14.3}{mark}");
        }
        out
    }
}

#[cfg(test)]
mod tests;
