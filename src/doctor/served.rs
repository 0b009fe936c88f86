//! Whether every role has its model, and whether the completion's can fill in the middle.

use std::fmt::Write as _;

use super::{Finding, Fix, Scene, Severity, other_model, versions};
use crate::config::Role;
use crate::models::wanted::{Wanted, offers};
use crate::prompt::fim::Evidence;

pub(super) fn check(scene: &Scene) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Role::ALL.iter().map(|&role| served(scene, role)).collect();
    findings.extend(fim(scene));
    findings
}

fn served(scene: &Scene, role: Role) -> Finding {
    let id = format!("role.{role}");
    let Some(found) = scene.served(role) else {
        // Completion and chat are the product; the others are asked for now and then.
        let severity = match role {
            Role::Completion | Role::Chat => Severity::Error,
            Role::Reasoning | Role::Vision | Role::Embedding => Severity::Warning,
        };
        let candidates = scene.survey.roles.get(&role);
        let names: Vec<String> = candidates
            .into_iter()
            .flatten()
            .map(|standing| standing.candidate.to_string())
            .collect();
        let message = format!(
            "nothing serves {role}: none of {} is there",
            names.join(", ")
        );
        return Finding::bad(id, severity, message, fetch(scene, role));
    };
    let rank = scene
        .survey
        .roles
        .get(&role)
        .and_then(|standings| standings.iter().position(|standing| standing.chosen));
    let mut message = format!(
        "{role} is served by {} on {}",
        found.route.model,
        found.route.backend.name()
    );
    if let Some(rank) = rank.filter(|&rank| rank > 0) {
        let first = scene.survey.roles.get(&role).and_then(|all| all.first());
        let first = first
            .map(|standing| standing.candidate.to_string())
            .unwrap_or_default();
        let _ = write!(
            message,
            ", choice {} of the candidates, because {first} is not there",
            rank + 1
        );
    }
    Finding::good(id, message)
}

/// What gives the role a model, by who can fetch one.
fn fetch(scene: &Scene, role: Role) -> Fix {
    let settings = &scene.resolved.settings;
    let pull = Fix::Pull(role.to_string());
    if !offers(&Wanted::Role(role), settings, &scene.ollamas).is_empty() {
        return pull;
    }
    match scene.ollamas.iter().find(|here| here.found.is_err()) {
        Some(_) => Fix::OllamaThenPull {
            role,
            installed: versions::is_installed(),
        },
        None => versions::start_one_of(scene, role),
    }
}

/// Whether the completion's model was taught to fill in the middle, and we know how to ask it.
fn fim(scene: &Scene) -> Option<Finding> {
    let found = scene.served(Role::Completion)?;
    let model = &found.route.model;
    let fix = other_model::well_known(scene, Role::Completion);
    Some(if found.installed.fim == Some(false) {
        let message =
            format!("{model} has no fill-in-the-middle tokens; it sees no text after the cursor");
        Finding::bad("completion.fim", Severity::Error, message, fix)
    } else if found.route.family_by == Some(Evidence::Vocabulary) {
        let family = found.route.family.name;
        let message = format!(
            "{model} has the tokens of {family}, and nothing tells whether it was taught to fill in the \
             middle with them; it is asked as {family} is"
        );
        Finding::bad("completion.fim", Severity::Warning, message, fix)
    } else if found.route.family_by.is_none() {
        let message = format!(
            "nothing tells how {model} fills in the middle; it only sees the text before the cursor"
        );
        Finding::bad("completion.fim", Severity::Error, message, fix)
    } else {
        let family = found.route.family.name;
        Finding::good(
            "completion.fim",
            format!("{model} fills in the middle as {family} does"),
        )
    })
}
