//! `ghostline bench latency` as a person runs it: the built program measures itself, and its JSON has
//! the keys that results are compared by.

use serde_json::Value;
use tokio::process::Command;

/// Every figure of the published format, by where it stands.
const FIGURES: &[&str] = &[
    "/samples",
    "/server_added_ms/p50",
    "/server_added_ms/p95",
    "/server_added_ms/p99",
    "/machine_alone_ms/p50",
    "/memory_us/after_pause/p50",
    "/type_through_ms/p50",
    "/type_through_ms/p95",
    "/type_through_ms/p99",
    "/divergence_to_close_ms/p50",
    "/divergence_to_close_ms/p95",
    "/divergence_to_close_ms/p99",
    "/did_change_per_second",
    "/router_us/p99",
    "/chat_first_token_added_ms/p99",
    "/action_list_ms/p99",
    "/chat_delta_added_ms/p99",
    "/gate_us/p50",
    "/gate_us/p95",
    "/gate_us/p99",
    "/large_file_ratio",
    "/start_to_initialize_ms",
    "/machine/cores",
];

#[tokio::test]
async fn latency_measures_every_figure_of_its_format() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("latency.json");
    let output = Command::new(env!("CARGO_BIN_EXE_ghostline"))
        .args(["bench", "latency", "--samples", "5", "--json"])
        .arg(&json)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    for figure in FIGURES {
        let value = report.pointer(figure).and_then(Value::as_f64);
        assert!(value.is_some_and(|v| v > 0.0), "{figure} in {report}");
    }
    if cfg!(target_os = "linux") {
        assert!(
            report["rss_bytes"].as_u64().is_some_and(|rss| rss > 0),
            "{report}"
        );
    }
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("server added, p50"), "{table}");
}

/// Every figure of the published format that a pass in real time has, whatever the machine's speed.
const WALL_FIGURES: &[&str] = &[
    "key_to_ghost_ms",
    "ghost_before_next_key",
    "right_ghost",
    "ghost_within_100ms",
    "showable_within_100ms",
    "unanswered_after_100ms",
    "no_new_request",
    "requests_per_1000_keys",
    "tokens_per_key",
    "discarded_token_share",
    "prompt_tokens_computed_per_key",
    "first_token_ms",
    "after_jump_ms",
    "stale_items",
    "busy_share",
    "first_token_same_line_ms",
    "after_line_ms",
];

#[tokio::test]
async fn replay_in_real_time_goes_through_the_built_program() {
    let folder = tempfile::tempdir().unwrap();
    let (json, html) = (
        folder.path().join("wall.json"),
        folder.path().join("wall.html"),
    );
    let output = Command::new(env!("CARGO_BIN_EXE_ghostline"))
        .args(["bench", "replay", "--wall", "--keys", "12", "--from", "40"])
        .args(["--chat", "--oracle", "q=1,first_ms=1,token_ms=1", "--json"])
        .arg(&json)
        .arg("--html")
        .arg(&html)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(
        (&report["mode"], &report["keys"]),
        (&"wall".into(), &12.into())
    );
    let policies = report["policies"].as_array().unwrap();
    let names: Vec<_> = policies
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["engine", "engine-beside-chat", "debounce-75"]);
    let chat = &policies[1]["chat"];
    assert!(chat["tokens"].as_u64() > Some(0), "{chat}");
    assert!(chat["tokens_per_second"].as_f64() > Some(0.0), "{chat}");
    assert_eq!(chat["failed"], 0, "{chat}");
    for policy in policies {
        for figure in WALL_FIGURES {
            assert!(
                policy.get(figure).is_some_and(|f| !f.is_null()),
                "{figure} in {policy}"
            );
        }
        assert_eq!(policy["stale_items"], 0, "{policy}");
    }
    // The server told what it asked for.
    assert!(
        policies[0]["first_token_ms"]["count"].as_u64() > Some(0),
        "{report}"
    );
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("engine busy"), "{page}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("cores used"), "{table}");
}

#[tokio::test]
async fn a_policy_that_is_not_measured_in_real_time_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_ghostline"))
        .args(["bench", "replay", "--wall", "--policy", "debounce-150"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("debounce-75"), "{errors}");
}

#[tokio::test]
async fn a_chat_without_the_engine_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_ghostline"))
        .args(["bench", "replay", "--chat", "--policy", "debounce-75"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("beside `engine`"), "{errors}");
}
