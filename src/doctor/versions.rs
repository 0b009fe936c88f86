//! Whether the Ollamas answer, and whether their versions are known to be slow or broken.

use super::settings::correct;
use super::{Finding, Fix, Scene, Severity, counted, other_model};
use crate::backend::ollama::{self, base_url, is_loopback};
use crate::config::{BackendKind, Origin, Role};
use crate::models::ollama::OllamaError;

/// The version from which on no fault is known.
const GOOD: &str = "0.32.15";

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
                findings.extend(faults(&here.backend, version, &url));
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
                let fix = start_server(scene, name);
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
        let key = format!("backends.{backend}.urls");
        let origin = scene.resolved.origins.get(&key);
        let fix = correct(scene, origin.unwrap_or(&Origin::Default));
        return Finding::bad(id, Severity::Error, error.to_string(), fix);
    };
    let message = format!("no Ollama answers at {url}");
    if base_url(url).is_ok_and(|url| !is_loopback(&url)) {
        let fix = Fix::StartOllamaThere {
            url: url.clone(),
            backend: backend.to_owned(),
            file: scene.file_of_backend(backend),
        };
        return Finding::bad(id, Severity::Error, message, fix);
    }
    let address = scene
        .resolved
        .origins
        .get(&format!("backends.{backend}.urls"));
    if !is_installed() && address.is_none_or(|origin| *origin == Origin::Default) {
        // Nobody asked for one: the engine in this process serves completion and chat.
        let message = format!("{message}, and there is none to start; pictures need one");
        return Finding::bad(id, Severity::Info, message, Fix::InstallOllama);
    }
    // Where the engine in this process serves what matters, it is no fault.
    let mut needed = [Role::Completion, Role::Chat].into_iter();
    let severity = if needed.any(|role| scene.served(role).is_none()) {
        Severity::Error
    } else {
        Severity::Warning
    };
    let fix = if is_installed() {
        Fix::StartOllama
    } else {
        Fix::InstallOllama
    };
    Finding::bad(id, severity, message, fix)
}

/// A server of another kind, or the engine in this process, that does not answer.
fn start_server(scene: &Scene, backend: &str) -> Fix {
    let settings = scene.resolved.settings.backends.get(backend);
    match settings {
        Some(settings) if settings.kind != BackendKind::Embedded => Fix::StartServer {
            backend: backend.to_owned(),
            urls: settings.urls.clone(),
            file: scene.file_of_backend(backend),
        },
        _ => Fix::Verify,
    }
}

/// What is left where nobody fetches a model of the role: the server that would have one does not run,
/// or other candidates have to be named.
pub(super) fn start_one_of(scene: &Scene, role: Role) -> Fix {
    let silent = |name: &str| {
        let mut asked = scene.survey.backends.iter();
        asked.any(|asked| asked.backend.name() == name && asked.installed.is_err())
    };
    let candidates = scene.survey.roles.get(&role).into_iter().flatten();
    let mut backends = candidates.filter_map(|standing| standing.candidate.backend.as_deref());
    let silent = backends.find(|name| silent(name));
    silent.map_or_else(
        || Fix::Edit(scene.user_file()),
        |backend| start_server(scene, backend),
    )
}

/// Whether there is an Ollama to start.
pub(super) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let name = format!("ollama{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).any(|folder| folder.join(&name).is_file())
}

fn faults(backend: &str, version: &str, url: &str) -> impl Iterator<Item = Finding> {
    ollama::faults(version).map(move |fault| {
        let message = format!(
            "Ollama {version} {}; {GOOD} and newer are better",
            fault.says
        );
        let id = format!("backend.{backend}.version");
        let url = url.to_owned();
        let fix = Fix::UpdateOllama { url };
        Finding::bad(id, Severity::Warning, message, fix)
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
