//! Whether the settings say what they mean, and whether what `.env` names is installed.

use super::{Finding, Fix, Scene, Severity};
use crate::config::{Origin, Role, edit};

pub(super) fn check(scene: &Scene) -> Vec<Finding> {
    let problems = scene.resolved.problems.iter().map(|problem| {
        Finding::bad(
            "settings",
            Severity::Error,
            problem.to_string(),
            correct(scene, &problem.origin),
        )
    });
    let unbuilt = scene.problems.iter().map(|problem| {
        Finding::bad(
            "settings",
            Severity::Error,
            problem.clone(),
            Fix::Edit(scene.user_file()),
        )
    });
    let ignored = scene.resolved.ignored.iter().map(|ignored| {
        Finding::bad(
            "settings.trust",
            Severity::Info,
            format!("ignored, because the folder is not trusted: {ignored}"),
            Fix::Trust {
                file: scene.user_file(),
                folder: scene.folder().cloned().unwrap_or_default(),
            },
        )
    });
    let mut findings: Vec<Finding> = problems.chain(unbuilt).chain(ignored).collect();
    if findings.is_empty() {
        let place = scene.folder().map_or_else(
            || "all settings can be used".to_owned(),
            |folder| format!("all settings of {} can be used", folder.display()),
        );
        findings.push(Finding::good("settings", place));
    }
    findings.extend(Role::ALL.iter().filter_map(|&role| variable(scene, role)));
    findings
}

/// What changes a value where it was set.
pub(super) fn correct(scene: &Scene, origin: &Origin) -> Fix {
    match origin {
        Origin::File { path, .. } | Origin::EnvFile { path, .. } => Fix::Edit(path.clone()),
        Origin::Environment { name } => Fix::Unset(name.clone()),
        Origin::Editor => Fix::EditorSettings,
        Origin::Added { by, .. } => correct(scene, by),
        Origin::Default => Fix::Edit(scene.user_file()),
    }
}

/// The model that a variable puts in front of a role's candidates.
fn variable(scene: &Scene, role: Role) -> Option<Finding> {
    let path = format!("roles.{role}.candidates");
    let origin = scene.resolved.origins.get(&path)?;
    let by = match origin {
        Origin::Added { by, .. } => by,
        other => other,
    };
    if !matches!(by, Origin::EnvFile { .. } | Origin::Environment { .. }) {
        return None;
    }
    let first = scene.survey.roles.get(&role)?.first()?;
    let id = format!("env.{role}");
    let name = edit::variable_of(role);
    Some(if first.found.is_some() {
        Finding::good(
            id,
            format!("{name} names {}, which is there", first.candidate),
        )
    } else {
        Finding::bad(
            id,
            Severity::Error,
            format!("{by} names {}, which is not there", first.candidate),
            Fix::Pull(first.candidate.to_string()),
        )
    })
}
