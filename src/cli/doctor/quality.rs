//! The share of HumanEval's functions that the chat model writes right, by `ghostline bench humaneval`.
//!
//! The benchmark runs as a process of its own: it executes what a model wrote, and its confinement is
//! its own matter.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::config::Role;
use crate::doctor::{Finding, Fix, Scene, Severity, larger};

/// The guide's limit: more than this share must pass.
const LEAST_RATE: f64 = 0.7;

/// Measures the model that serves chat, with at most `limit` problems.
pub(super) async fn check(scene: &Scene, data: &Path, limit: Option<usize>) -> Finding {
    let Some(model) = scene.chat_model() else {
        let fix = Fix::Pull(Role::Chat.to_string());
        return bad("nothing serves chat", fix);
    };
    if !data.is_file() {
        return bad(format!("{} is no file", data.display()), Fix::FetchProblems);
    }
    match measure(data, &model, limit).await {
        Ok(report) => judge(&model, &report, larger(scene, Role::Chat, &model)),
        Err(message) => bad(
            message,
            Fix::Benchmark {
                data: data.to_owned(),
                model,
            },
        ),
    }
}

fn bad(message: impl Into<String>, fix: Fix) -> Finding {
    Finding {
        id: "chat.quality".to_owned(),
        ok: false,
        severity: Severity::Error,
        message: message.into(),
        fix: Some(fix),
    }
}

async fn measure(data: &Path, model: &str, limit: Option<usize>) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = tokio::process::Command::new(program);
    command.args(["bench", "humaneval", "--json", "-", "--model", model]);
    command.arg("--data").arg(data);
    if let Some(limit) = limit {
        command.arg("--limit").arg(limit.to_string());
    }
    // Whoever looks on sees how far it is.
    let seen = io::stderr().is_terminal();
    let words = if seen {
        Stdio::inherit()
    } else {
        Stdio::piped()
    };
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(words)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| error.to_string())?
        .wait_with_output()
        .await
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("it says above why");
        return Err(format!("the benchmark failed: {last}"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the benchmark's JSON: {error}"))
}

/// `larger` takes a larger model.
fn judge(model: &str, report: &Value, larger: Option<Fix>) -> Finding {
    let candidate = &report["candidates"][0];
    let number = |key: &str| candidate[key].as_u64().unwrap_or_default();
    let percent = |value: &Value| value.as_f64().unwrap_or_default() * 100.0;
    let rate = candidate["rate"].as_f64().unwrap_or_default();
    let message = format!(
        "{model} writes {} of {} functions right ({:.0} %, in {:.0} to {:.0} % with a confidence of \
         95 %; more than {:.0} % are wanted)",
        number("passed"),
        number("problems"),
        rate * 100.0,
        percent(&candidate["interval"][0]),
        percent(&candidate["interval"][1]),
        LEAST_RATE * 100.0
    );
    if rate > LEAST_RATE {
        return Finding {
            ok: true,
            severity: Severity::Info,
            fix: None,
            ..bad(message, Fix::LargerMachine)
        };
    }
    bad(message, larger.unwrap_or(Fix::LargerMachine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_seventy_percent_pass() {
        for (rate, ok) in [(0.71, true), (0.7, false), (0.0, false)] {
            let report = serde_json::json!({
                "candidates": [{
                    "name": "m", "problems": 100, "passed": 71, "rate": rate,
                    "interval": [0.61, 0.79],
                }],
            });
            let finding = judge("m", &report, None);
            assert_eq!((finding.ok, finding.fix.is_none()), (ok, ok), "{rate}");
            assert!(finding.message.contains("61 to 79 %"), "{finding:?}");
        }
    }
}
