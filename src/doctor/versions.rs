//! Whether the Ollamas answer, and whether their versions are known to be slow or broken.

use super::{Finding, Scene, Severity, counted, other_model};
use crate::backend::ollama::{self, base_url, is_loopback};
use crate::config::{Origin, Role};
use crate::models::ollama::OllamaError;

/// What starts an Ollama on this machine.
const START: &str = "ollama serve";

/// What installs one, and starts it. The installer is Ollama's own; elsewhere it is a page.
const INSTALL: &str = if cfg!(target_os = "linux") {
    "curl -fsSL https://ollama.com/install.sh | sh"
} else {
    "install it from https://ollama.com/download"
};

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
                findings.push(silent(scene, &here.backend, error));
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
                let count = counted(models.len(), "model");
                Finding::good(id, format!("{name} is ready and has {count}"))
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

/// An Ollama that does not answer.
fn silent(scene: &Scene, backend: &str, error: &OllamaError) -> Finding {
    let id = format!("backend.{backend}");
    let OllamaError::Unreachable { url } = error else {
        let fix = format!("change `backends.{backend}` in the settings");
        return Finding::bad(id, Severity::Error, error.to_string(), fix);
    };
    let message = format!("no Ollama answers at {url}");
    if base_url(url).is_ok_and(|url| !is_loopback(&url)) {
        let fix = format!("start it there, or change `backends.{backend}.urls` in the settings");
        return Finding::bad(id, Severity::Error, message, fix);
    }
    let address = scene
        .resolved
        .origins
        .get(&format!("backends.{backend}.urls"));
    if !is_installed() && address.is_none_or(|origin| *origin == Origin::Default) {
        // Nobody asked for one: the engine in this process serves completion and chat.
        let message = format!("{message}, and there is none to start; pictures need one");
        return Finding::bad(id, Severity::Info, message, INSTALL);
    }
    // Where the engine in this process serves what matters, it is no fault.
    let mut needed = [Role::Completion, Role::Chat].into_iter();
    let severity = if needed.any(|role| scene.served(role).is_none()) {
        Severity::Error
    } else {
        Severity::Warning
    };
    let fix = if is_installed() { START } else { INSTALL };
    Finding::bad(id, severity, message, fix)
}

/// What starts an Ollama here, and then `command`, which needs it.
pub(super) fn started(command: &str) -> String {
    if is_installed() {
        format!("{START}, and beside it: {command}")
    } else {
        format!("{INSTALL} && {command}")
    }
}

/// Whether there is an Ollama to start.
fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let name = format!("ollama{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).any(|folder| folder.join(&name).is_file())
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
        let name = format!("{}/qwen2.5vl:7b", found.route.backend.name());
        let fix = other_model::switch(Role::Vision, &name);
        Finding::bad("vision.broken", Severity::Error, message, fix)
    })
}
