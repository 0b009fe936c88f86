//! Whether the servers that editors run here use what the settings name.

use std::path::Path;

use super::{Finding, Fix, Scene, Severity};
use crate::config::Role;
use crate::router::survey::Found;
use crate::running::{Folder, Running, Serving};

const ID: &str = "running";

pub(super) fn check(scene: &Scene) -> Vec<Finding> {
    let Some(folder) = scene.folder() else {
        return Vec::new();
    };
    let running = crate::running::folder().map_or_else(Vec::new, |path| crate::running::all(&path));
    let wanted = |role: Role| {
        let place = |found: &Found| {
            let backend = found.route.backend.name().to_owned();
            (found.route.model.clone(), backend)
        };
        let serving = place(scene.served(role)?);
        // A server that has yet to go over to a quicker place has the right model.
        let places = scene.survey.options.get(&role).into_iter().flatten();
        let mut all = vec![serving];
        all.extend(places.map(|option| place(&option.found)));
        Some(all)
    };
    judge(folder, &running, wanted)
}

/// A model and its backend.
type Used = (String, String);

/// `wanted` tells what the settings mean for a role, the place that serves in front.
fn judge(
    folder: &Path,
    running: &[Running],
    wanted: impl Fn(Role) -> Option<Vec<Used>>,
) -> Vec<Finding> {
    let here = running
        .iter()
        .filter_map(|server| Some((server, server.folder(folder)?)));
    let here: Vec<_> = here.collect();
    if here.is_empty() {
        let message = format!(
            "no editor runs ghostline for {} now, so what a running server uses was not checked",
            folder.display()
        );
        return vec![Finding::good(ID, message)];
    }
    here.into_iter()
        .flat_map(|(server, own)| of_server(server, own, &wanted))
        .collect()
}

fn of_server(
    server: &Running,
    own: &Folder,
    wanted: &impl Fn(Role) -> Option<Vec<Used>>,
) -> Vec<Finding> {
    let editor = server.editor.as_deref().unwrap_or("an editor");
    let who = format!("the server of {editor} (process {})", server.pid);
    let restart = || Fix::RestartServer {
        editor: editor.to_owned(),
    };
    let mut findings = Vec::new();
    let ours = env!("CARGO_PKG_VERSION");
    if server.version != ours {
        let message = format!("{who} is ghostline {}, this is {ours}", server.version);
        findings.push(Finding::bad(ID, Severity::Warning, message, restart()));
    }
    let mut agreed = Vec::new();
    for role in Role::ALL {
        let id = format!("{ID}.{role}");
        let serving = own.roles.get(role.name());
        let used = serving.and_then(|s| Some((s.model.clone()?, s.backend.clone()?)));
        match (used, wanted(role)) {
            (Some(used), Some(wanted)) if wanted.contains(&used) => {
                let state = serving.map_or("", |serving| serving.state.as_str());
                let still = if state == "loading" {
                    " (still loading)"
                } else {
                    ""
                };
                agreed.push(format!("{role} by {} on {}{still}", used.0, used.1));
            }
            (used, Some(wanted)) => {
                let instead = match (&used, serving) {
                    (Some((model, backend)), _) => format!("uses {model} on {backend} for {role}"),
                    (None, Some(Serving { state, .. })) => {
                        format!("has no model for {role} ({state})")
                    }
                    (None, None) => format!("does not know the role {role}"),
                };
                let meant = wanted
                    .first()
                    .map(|(model, backend)| format!("{model} on {backend}"));
                let meant = meant.unwrap_or_default();
                let message = format!("{who} {instead}; the settings here mean {meant}");
                findings.push(Finding::bad(id, Severity::Error, message, restart()));
            }
            // What nothing serves here is said by the role's own check.
            (_, None) => {}
        }
    }
    if !agreed.is_empty() {
        let message = format!("{who} uses what the settings mean: {}", agreed.join(", "));
        findings.push(Finding::good(ID, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_held_against_the_settings() {
        let server = |version: &str, completion: Option<&str>| Running {
            pid: 7,
            version: version.to_owned(),
            editor: Some("Neovim".to_owned()),
            folders: vec![Folder {
                path: "/here".into(),
                roles: [(
                    "completion".to_owned(),
                    Serving {
                        state: "ready".to_owned(),
                        model: completion.map(str::to_owned),
                        backend: completion.map(|_| "ollama".to_owned()),
                    },
                )]
                .into(),
            }],
        };
        let now = env!("CARGO_PKG_VERSION");
        let wanted =
            |role| (role == Role::Completion).then(|| vec![("a".to_owned(), "ollama".to_owned())]);
        for (folder, servers, expect) in [
            ("/here", vec![], &[(true, "not checked")][..]),
            (
                "/there",
                vec![server(now, Some("a"))],
                &[(true, "not checked")],
            ),
            (
                "/here",
                vec![server(now, Some("a"))],
                &[(true, "completion by a on ollama")],
            ),
            (
                "/here",
                vec![server(now, Some("b"))],
                &[(
                    false,
                    "uses b on ollama for completion; the settings here mean a",
                )],
            ),
            (
                "/here",
                vec![server(now, None)],
                &[(false, "has no model for completion (ready)")],
            ),
            (
                "/here",
                vec![server("0.0.0", Some("a"))],
                &[(false, "is ghostline 0.0.0"), (true, "process 7")],
            ),
        ] {
            let findings = judge(Path::new(folder), &servers, wanted);
            assert_eq!(findings.len(), expect.len(), "{findings:?}");
            for (finding, (ok, words)) in findings.iter().zip(expect) {
                assert_eq!(finding.ok, *ok, "{finding:?}");
                assert!(finding.message.contains(words), "{finding:?}");
                assert_eq!(finding.fix.is_some(), !ok);
            }
        }
    }
}
