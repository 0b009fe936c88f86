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
    "/type_through_ms/p50",
    "/type_through_ms/p95",
    "/type_through_ms/p99",
    "/divergence_to_close_ms/p50",
    "/divergence_to_close_ms/p95",
    "/divergence_to_close_ms/p99",
    "/did_change_per_second",
    "/router_us/p99",
    "/chat_first_token_added_ms/p99",
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
