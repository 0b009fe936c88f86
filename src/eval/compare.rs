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

/// What the comparison says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The benchmark.
    pub bench: &'static str,
    /// Candidates on the problems that both results have.
    pub pairs: Vec<Pair>,
    /// Figures that have no pairs.
    pub figures: Vec<Change>,
    /// Whether anything is worse, chance and tolerance aside.
    pub worse: bool,
}

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
        pairs,
        figures,
        worse,
    })
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
mod tests {
    use serde_json::json;

    use super::*;

    fn result(name: &str, passed: &[bool]) -> Value {
        let task = |(n, &passed): (usize, &bool)| {
            let outcome = if passed { "passed" } else { "wrong-answer" };
            json!({"task": format!("T/{n}"), "attempts": {name: {"outcome": outcome}}})
        };
        let tasks: Vec<Value> = passed.iter().enumerate().map(task).collect();
        json!({"bench": "infill", "tasks": tasks})
    }

    #[test]
    fn a_loss_of_six_tasks_is_one_and_of_five_is_chance() {
        let a = result("engine", &[true; 10]);
        for (lost, worse) in [(5, false), (6, true)] {
            let passed: Vec<bool> = (0..10).map(|n| n >= lost).collect();
            let compared = compare(&a, &result("engine", &passed), 0.1).unwrap();
            assert_eq!(compared.worse, worse, "{compared:?}");
            assert_eq!(compared.pairs[0].only_a, u32::try_from(lost).unwrap());
            let better = compare(&result("engine", &passed), &a, 0.1).unwrap();
            assert!(!better.worse, "{better:?}");
        }
    }

    #[test]
    fn only_common_tasks_count_and_single_candidates_meet_whatever_their_names() {
        let a = result("small", &[true, false, true]);
        let b = result("large", &[true, true]);
        let compared = compare(&a, &b, 0.1).unwrap();
        let pair = &compared.pairs[0];
        assert_eq!((pair.a.as_str(), pair.b.as_str()), ("A small", "B large"));
        assert_eq!((pair.only_a, pair.only_b), (0, 1));
        assert!((pair.difference - 0.5).abs() < 1e-9);
        let none = compare(&a, &result("large", &[]), 0.1);
        assert!(matches!(none, Err(CompareError::Disjoint { .. })));
    }

    #[test]
    fn a_figure_is_worse_beyond_the_tolerance_in_its_own_direction() {
        let latency = |p50: f64, rate: f64| json!({"server_added_ms": {"p50": p50}, "did_change_per_second": rate});
        for (b, worse) in [
            (latency(0.10, 100_000.0), false),
            (latency(0.11, 95_000.0), false),
            (latency(0.30, 100_000.0), true),
            (latency(0.05, 100_000.0), false),
            (latency(0.10, 80_000.0), true),
            (latency(0.10, 120_000.0), false),
        ] {
            let compared = compare(&latency(0.10, 100_000.0), &b, 0.1).unwrap();
            assert_eq!(compared.worse, worse, "{compared:?}");
        }
    }

    #[test]
    fn policies_are_compared_by_name() {
        let replay = |share: f64| {
            json!({"policies": [
                {"name": "engine", "right_ghost": share},
                {"name": "debounce-75", "right_ghost": 0.1},
            ]})
        };
        let compared = compare(&replay(0.44), &replay(0.30), 0.1).unwrap();
        let worse: Vec<&str> = compared
            .figures
            .iter()
            .filter(|change| change.worse)
            .map(|change| change.figure.as_str())
            .collect();
        assert_eq!(worse, ["engine right_ghost"]);
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let infill = result("engine", &[true]);
        let latency = json!({"server_added_ms": {"p50": 1.0}});
        assert!(matches!(
            compare(&infill, &latency, 0.1),
            Err(CompareError::Different { .. })
        ));
        assert!(matches!(
            compare(&json!({}), &latency, 0.1),
            Err(CompareError::Unknown { which: "A" })
        ));
    }
}
