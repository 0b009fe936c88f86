//! Whether the GPU is really used, and whether what is loaded fits into it.
//!
//! What an Ollama says about placement is held against how fast it generates: where it cannot read its
//! engine's log, it reports the file's size for both numbers, which looks like "all on the GPU".

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use super::{Finding, Fix, Scene, Severity, counted, other_model};
use crate::config::Role;
use crate::models::ollama::Running;

/// The guide's limit for the chat model's memory.
const CHAT_MEMORY_LIMIT_BYTES: u64 = 20_000_000_000;

/// A dense model reads all its weights for each token. Slower than this many bytes per second is no
/// GPU at work: a laptop's own memory gives 50 GB/s, the slowest discrete GPU of the last ten years 80
/// and more. A mixture of experts reads a part only and passes too easily.
const SLOWEST_GPU_BYTES_PER_SECOND: f64 = 20e9;

/// Longest wait for `nvidia-smi`, which takes a second while the driver wakes.
const DEVICE_PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn check(scene: &Scene, speeds: &BTreeMap<Role, f64>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for here in &scene.ollamas {
        let Ok((ollama, _)) = &here.found else {
            continue;
        };
        let Ok(running) = ollama.running().await else {
            continue;
        };
        for role in [Role::Completion, Role::Chat] {
            let Some(found) = scene.served(role) else {
                continue;
            };
            let same = |model: &&Running| {
                let digest = &found.installed.digest;
                model.name == found.route.model || (digest.is_some() && *digest == model.digest)
            };
            if found.route.backend.name() == here.backend
                && let Some(model) = running.iter().find(same)
            {
                let url = ollama.url();
                let smaller = other_model::smaller(scene, role, &model.name);
                let smaller = || smaller.clone();
                let known = || other_model::well_known(scene, role);
                let others = running.iter().filter(|other| other.name != model.name);
                let room = smaller()
                    .or_else(|| unload(&url, others))
                    .unwrap_or_else(known);
                let speed = speeds.get(&role).copied();
                findings.push(placed(role, model, speed, &url, room));
                if role == Role::Chat {
                    findings.push(chat_memory(model, smaller().unwrap_or_else(known)));
                }
            }
        }
        if ollama.is_local()
            && let Some(device_bytes) = device_bytes().await
        {
            let chat = scene.served(Role::Chat);
            let smaller =
                chat.and_then(|found| other_model::smaller(scene, Role::Chat, &found.route.model));
            let room = smaller
                .or_else(|| unload(&ollama.url(), running.iter()))
                .unwrap_or_else(|| other_model::well_known(scene, Role::Chat));
            findings.push(fits(&running, device_bytes, room));
        }
    }
    findings
}

/// Frees the memory of `models`, if there are any.
fn unload<'a>(url: &str, models: impl Iterator<Item = &'a Running>) -> Option<Fix> {
    let models: Vec<String> = models.map(|model| model.name.clone()).collect();
    let url = url.to_owned();
    (!models.is_empty()).then_some(Fix::Unload { url, models })
}

fn gigabytes(bytes: u64) -> String {
    format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10)
}

/// `room` leaves more of the GPU to it.
fn placed(role: Role, model: &Running, speed: Option<f64>, url: &str, room: Fix) -> Finding {
    let restart = Fix::RestartOllama {
        url: url.to_owned(),
    };
    let id = format!("{role}.gpu");
    let name = &model.name;
    let percent = model.gpu_bytes.min(model.size_bytes) * 100 / model.size_bytes.max(1);
    let at = speed.map_or_else(String::new, |speed| {
        format!(", {speed:.0} tokens per second")
    });
    if percent == 0 {
        return Finding::bad(
            id,
            Severity::Warning,
            format!("{name} runs on the processor alone{at}"),
            restart,
        );
    }
    if percent < 100 {
        return Finding::bad(
            id,
            Severity::Warning,
            format!("{name} is split: {percent} % on the GPU{at}"),
            room,
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "compared with a rough limit")]
    let bytes_per_second = speed.map(|speed| speed * model.size_bytes as f64);
    if bytes_per_second.is_some_and(|rate| rate < SLOWEST_GPU_BYTES_PER_SECOND) {
        return Finding::bad(
            id,
            Severity::Warning,
            format!("{name} is said to be on the GPU, and runs as on a processor{at}"),
            restart,
        );
    }
    Finding::good(id, format!("{name} is on the GPU{at}"))
}

fn chat_memory(model: &Running, smaller: Fix) -> Finding {
    let message = format!(
        "{} takes {} of memory",
        model.name,
        gigabytes(model.size_bytes)
    );
    if model.size_bytes < CHAT_MEMORY_LIMIT_BYTES {
        return Finding::good("chat.memory", format!("{message}, under 20 GB"));
    }
    Finding::bad(
        "chat.memory",
        Severity::Error,
        format!("{message}; the limit is 20 GB"),
        smaller,
    )
}

fn fits(running: &[Running], device_bytes: u64, room: Fix) -> Finding {
    let loaded_bytes: u64 = running.iter().map(|model| model.size_bytes).sum();
    let message = format!(
        "{} loaded, {} in all; the GPU has {}",
        counted(running.len(), "model"),
        gigabytes(loaded_bytes),
        gigabytes(device_bytes)
    );
    if loaded_bytes <= device_bytes {
        return Finding::good("gpu.memory", message);
    }
    Finding::bad("gpu.memory", Severity::Warning, message, room)
}

/// Memory of all GPUs, where NVIDIA's tool tells.
async fn device_bytes() -> Option<u64> {
    let tool = tokio::process::Command::new("nvidia-smi")
        .args(["--query-gpu=memory.total", "--format=csv,noheader,nounits"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEVICE_PATIENCE, tool)
        .await
        .ok()?
        .ok()?;
    total_bytes(&String::from_utf8(output.stdout).ok()?)
}

/// A line for each device, in mebibytes.
fn total_bytes(text: &str) -> Option<u64> {
    let devices = text.lines().map(|line| line.trim().parse::<u64>());
    let mebibytes: u64 = devices.collect::<Result<Vec<u64>, _>>().ok()?.iter().sum();
    (mebibytes > 0).then_some(mebibytes << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placement_is_held_against_speed() {
        let model = |size_bytes, gpu_bytes| Running {
            name: "m:1".to_owned(),
            digest: None,
            size_bytes,
            gpu_bytes,
            context_tokens: None,
        };
        let gb = 1_000_000_000;
        for (model, speed, ok, says) in [
            (
                model(gb, gb),
                Some(100.0),
                true,
                "is on the GPU, 100 tokens",
            ),
            (model(gb, gb), Some(8.0), false, "runs as on a processor"),
            (model(gb, gb), None, true, "is on the GPU"),
            (model(gb, gb / 4), Some(8.0), false, "25 % on the GPU"),
            (model(gb, 0), Some(8.0), false, "processor alone"),
            (model(0, 0), None, false, "processor alone"),
        ] {
            let finding = placed(Role::Chat, &model, speed, "http://127.0.0.1:1", Fix::Verify);
            assert_eq!(finding.ok, ok, "{finding:?}");
            assert!(finding.message.contains(says), "{finding:?}");
        }
        assert!(chat_memory(&model(19 * gb, 0), Fix::Verify).ok);
        assert!(!chat_memory(&model(20 * gb, 0), Fix::Verify).ok);
        let both = [model(19 * gb, 0), model(8 * gb, 0)];
        assert!(!fits(&both, 24 * gb, Fix::Verify).ok);
        assert!(fits(&[model(19 * gb, 0)], 24 * gb, Fix::Verify).ok);
    }

    #[test]
    fn devices_add_up() {
        for (text, expect) in [
            ("24576\n", Some(24_576 << 20)),
            ("24576\n 8192\n", Some(32_768 << 20)),
            ("", None),
            ("No devices were found\n", None),
        ] {
            assert_eq!(total_bytes(text), expect, "{text:?}");
        }
    }
}
