//! Whether the Ollamas answer, and whether their versions are known to be slow or broken.

use super::{Finding, Scene, Severity};
use crate::config::Role;

/// A range of versions with a known fault: from the first, up to but not including the second.
struct Fault {
    from: [u32; 3],
    before: [u32; 3],
    says: &'static str,
    fix: &'static str,
}

/// Source: Ollama's issues and pull requests, read 2026-08 to 2026-11.
const FAULTS: &[Fault] = &[
    // Pull request 17752: 995 ms to 524 ms to the first token in its own benchmark.
    Fault {
        from: [0, 30, 0],
        before: [0, 32, 15],
        says: "reads the model's header for every request, about 300 ms each",
        fix: "update Ollama to 0.32.15 or newer: https://ollama.com/download",
    },
    // Its `server/sched.go`: requests to a loaded model queue behind another model's load.
    Fault {
        from: [0, 0, 0],
        before: [0, 11, 0],
        says: "lets a completion wait while another model loads, and tells little about models",
        fix: "update Ollama to 0.32.15 or newer: https://ollama.com/download",
    },
    // Issue 14186: `truncate` is ignored, long texts are refused.
    Fault {
        from: [0, 13, 5],
        before: [0, 15, 7],
        says: "refuses long texts to embed instead of cutting them",
        fix: "update Ollama to 0.32.15 or newer: https://ollama.com/download",
    },
];

/// From here on llama.cpp's server runs the models; it knows no `mllama` (Ollama's issue 16490).
const WITHOUT_MLLAMA: [u32; 3] = [0, 30, 0];

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

fn faults(backend: &str, version: &str) -> Vec<Finding> {
    let Some(number) = parse(version) else {
        return Vec::new();
    };
    FAULTS
        .iter()
        .filter(|fault| (fault.from..fault.before).contains(&number))
        .map(|fault| {
            let message = format!("Ollama {version} {}", fault.says);
            let id = format!("backend.{backend}.version");
            Finding::bad(id, Severity::Warning, message, fault.fix)
        })
        .collect()
}

fn vision(scene: &Scene) -> Option<Finding> {
    let found = scene.served(Role::Vision)?;
    let (_, version) = scene.ollama(found.route.backend.name())?;
    let broken = found.route.model.contains("llama3.2-vision")
        && parse(version).is_some_and(|number| number >= WITHOUT_MLLAMA);
    broken.then(|| {
        let message = format!("Ollama {version} cannot run {}", found.route.model);
        let fix = "ghostline models pull ollama/qwen2.5vl:7b && ghostline models use vision \
                   ollama/qwen2.5vl:7b";
        Finding::bad("vision.broken", Severity::Error, message, fix)
    })
}

/// The numbers of a version; what follows them (`-rc1`) does not matter here.
fn parse(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_faults_by_version() {
        for (version, faulty) in [
            ("0.9.6", 1),
            ("0.12.6", 0),
            ("0.14.0", 1),
            ("0.24.0", 0),
            ("0.30.0-rc1", 1),
            ("0.32.14", 1),
            ("0.32.15", 0),
            ("0.33.0", 0),
            ("v0.31.2", 1),
            ("0.0.0", 1),
            ("main", 0),
        ] {
            assert_eq!(faults("ollama", version).len(), faulty, "{version}");
        }
    }
}
