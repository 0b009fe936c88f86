//! The share of HumanEval's functions that the chat model writes right, by `ghostline bench humaneval`.
//!
//! The benchmark runs as a process of its own: it executes what a model wrote, and its confinement is
//! its own matter.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::doctor::{Finding, Severity};

/// The guide's limit: more than this share must pass.
const LEAST_RATE: f64 = 0.7;

const ID: &str = "chat.quality";

/// Measures `model`, as `backend/model`.
pub(super) async fn check(data: &Path, model: &str) -> Finding {
    match measure(data, model).await {
        Ok(report) => judge(model, &report),
        Err(message) => Finding {
            id: ID.to_owned(),
            ok: false,
            severity: Severity::Error,
            message,
            fix: Some(format!(
                "ghostline bench humaneval --data {} --model {model}",
                data.display()
            )),
        },
    }
}

async fn measure(data: &Path, model: &str) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = tokio::process::Command::new(program)
        .args([
            "bench",
            "humaneval",
            "--json",
            "-",
            "--model",
            model,
            "--data",
        ])
        .arg(data)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("it did not say why");
        return Err(format!("the benchmark failed: {last}"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the benchmark's JSON: {error}"))
}

fn judge(model: &str, report: &Value) -> Finding {
    let candidate = &report["candidates"][0];
    let number = |key: &str| candidate[key].as_u64().unwrap_or_default();
    let rate = candidate["rate"].as_f64().unwrap_or_default();
    let message = format!(
        "{model} writes {} of {} functions right ({:.0} %; more than {:.0} % are wanted)",
        number("passed"),
        number("problems"),
        rate * 100.0,
        LEAST_RATE * 100.0
    );
    let ok = rate > LEAST_RATE;
    Finding {
        id: ID.to_owned(),
        ok,
        severity: if ok { Severity::Info } else { Severity::Error },
        message,
        fix: (!ok).then(|| "ghostline models use chat NAME, with a larger model".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_seventy_percent_pass() {
        for (rate, ok) in [(0.71, true), (0.7, false), (0.0, false)] {
            let report = serde_json::json!({
                "candidates": [{"name": "m", "problems": 100, "passed": 71, "rate": rate}],
            });
            assert_eq!(judge("m", &report).ok, ok, "{rate}");
        }
    }
}
