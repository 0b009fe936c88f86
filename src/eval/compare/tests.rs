//! Results of benchmarks as their JSON has them, compared.

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
fn what_was_asked_differently_is_said() {
    let replay = |seed: u32, wrong: &str| {
        json!({
            "seed": seed,
            "oracle": {"wrong": wrong},
            "policies": [{"name": "engine", "right_ghost": 0.4}],
        })
    };
    let unlike = |b: &Value| {
        let compared = compare(&replay(1, "token"), b, 0.1).unwrap();
        assert_eq!(
            compared.table().matches("asked differently").count(),
            compared.unlike.len()
        );
        compared.unlike.iter().map(|c| c.what).collect::<Vec<_>>()
    };
    assert_eq!(unlike(&replay(1, "token")), [""; 0]);
    assert_eq!(unlike(&replay(2, "token")), ["seed"]);
    assert_eq!(unlike(&replay(1, "line")), ["oracle"]);
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
