//! Counts, tables and JSON.

use super::*;

fn task(name: &str, a: Outcome, b: Outcome) -> Task {
    let attempt = |outcome| Attempt {
        outcome,
        stop: "stop".into(),
        lines: 1,
        computed_tokens: None,
        text: "text".into(),
    };
    Task {
        task: name.into(),
        solution_lines: 1,
        attempts: [("raw".into(), attempt(a)), ("engine".into(), attempt(b))].into(),
    }
}

fn report() -> Report {
    let setting = Setting {
        bench: "infill",
        data: "d.jsonl".into(),
        seed: 1,
        model: "m".into(),
        backend: "b".into(),
        max_tokens: 64,
        moved_lines: None,
        python: "3.11.7".into(),
        sandbox: "none",
    };
    let tasks = vec![
        task("T/2", Outcome::WrongAnswer, Outcome::Passed),
        task("T/1", Outcome::Passed, Outcome::Passed),
        task("T/3", Outcome::Timeout, Outcome::SyntaxError),
    ];
    Report::new(setting, &["raw", "engine"], tasks)
}

#[test]
fn shares_and_pairs_are_counted() {
    let report = report();
    let passed: Vec<u32> = report.candidates.iter().map(|c| c.passed).collect();
    assert_eq!(passed, [1, 2]);
    let [pair] = report.pairs.as_slice() else {
        panic!("{:?}", report.pairs)
    };
    assert_eq!((pair.only_a, pair.only_b), (0, 1));
    assert!(!pair.is_loss());
}

#[test]
fn computed_tokens_are_shown_where_they_were_measured() {
    assert!(!report().table().contains("computed"));
    let mut tasks = report().tasks;
    for (task, tokens) in tasks.iter_mut().zip([10, 15, 20]) {
        task.attempts.get_mut("raw").unwrap().computed_tokens = Some(tokens);
    }
    let report = Report::new(report().setting, &["raw", "engine"], tasks);
    let table = report.table();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].ends_with("15.0 prompt tokens computed"), "{table}");
    assert!(!lines[2].contains("computed"), "{table}");
}

#[test]
fn json_has_the_keys_that_results_are_compared_by() {
    let json = serde_json::to_value(report()).unwrap();
    for pointer in [
        "/machine/cores",
        "/candidates/0/name",
        "/candidates/1/problems",
        "/candidates/1/passed",
        "/candidates/1/rate",
        "/candidates/1/interval/1",
        "/pairs/0/a",
        "/pairs/0/b",
        "/pairs/0/only_a",
        "/pairs/0/only_b",
        "/pairs/0/p_value",
        "/pairs/0/difference",
        "/pairs/0/interval/0",
        "/tasks/0/attempts/raw/outcome",
        "/model",
    ] {
        assert!(json.pointer(pointer).is_some(), "{pointer} in {json}");
    }
    assert!(!json.to_string().contains("\"text\""), "{json}");
}

#[test]
fn the_task_table_is_sorted_by_name() {
    let table = report().task_table();
    let rows: Vec<&str> = table.lines().filter(|l| l.starts_with("T/")).collect();
    assert_eq!(
        rows,
        [
            "T/1\t1\tpassed\tstop\t1\tpassed\tstop\t1",
            "T/2\t1\twrong-answer\tstop\t1\tpassed\tstop\t1",
            "T/3\t1\ttimeout\tstop\t1\tsyntax-error\tstop\t1",
        ]
    );
}
