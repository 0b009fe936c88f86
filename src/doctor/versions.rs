//! Whether the Ollamas answer, and whether their versions are known to be slow or broken.

use super::{Finding, Scene, Severity};
use crate::backend::ollama;
use crate::config::Role;

/// What mends all known faults.
const UPDATE: &str = "update Ollama to 0.32.15 or newer: https://ollama.com/download";

pub(super) fn check(scene: &Scene) -> Vec<Finding> {
    let mut findings = Vec::new();
    for here in &scene.ollamas {
        let id = format!("backend.{}", here.backend);
        match &here.found {
            Ok((ollama, version)) => {
                let url = ollama.url();
                findings.push(Finding::good(
                    id,
                    format!("the Ollama at {url} answers, version {version}"),
                ));
                findings.extend(faults(&here.backend, version));
            }
            Err(error) => {
                // Where the engine in this process serves what matters, it is no fault.
                let needed = [Role::Completion, Role::Chat]
                    .iter()
                    .any(|&role| scene.served(role).is_none());
                let severity = if needed {
                    Severity::Error
                } else {
                    Severity::Warning
                };
                findings.push(Finding::bad(
                    id,
                    severity,
                    error.to_string(),
                    "ollama serve",
                ));
            }
        }
    }
    for asked in &scene.survey.backends {
        let name = asked.backend.name();
        if scene.ollamas.iter().any(|here| here.backend == name) {
            continue;
        }
        let id = format!("backend.{name}");
        findings.push(match &asked.installed {
            Ok(models) => {
                let count = models.len();
                Finding::good(id, format!("{name} is ready and has {count} models"))
            }
            Err(message) => {
                let fix = format!("start it, or change `backends.{name}` in the settings");
                Finding::bad(id, Severity::Error, message.clone(), fix)
            }
        });
    }
    findings.extend(vision(scene));
    findings
}

fn faults(backend: &str, version: &str) -> impl Iterator<Item = Finding> {
    ollama::faults(version).map(move |fault| {
        let message = format!("Ollama {version} {}", fault.says);
        let id = format!("backend.{backend}.version");
        Finding::bad(id, Severity::Warning, message, UPDATE)
    })
}

fn vision(scene: &Scene) -> Option<Finding> {
    let found = scene.served(Role::Vision)?;
    let (_, version) = scene.ollama(found.route.backend.name())?;
    let broken = found.route.model.contains("llama3.2-vision") && !ollama::runs_mllama(version);
    broken.then(|| {
        let message = format!("Ollama {version} cannot run {}", found.route.model);
        let fix = "ghostline models pull ollama/qwen2.5vl:7b && ghostline models use vision \
                   ollama/qwen2.5vl:7b";
        Finding::bad("vision.broken", Severity::Error, message, fix)
    })
}
