//! What an Ollama says about the models it serves us with: templates, capabilities, context.

use super::{Finding, Fix, Scene, Severity, other_model};
use crate::backend::ollama::OllamaOptions;
use crate::config::Role;
use crate::models::ollama::Shown;

/// The template of a model that was imported without one: nothing tells the model who speaks.
const BARE: &str = "{{ .Prompt }}";

pub(super) async fn check(scene: &Scene) -> Vec<Finding> {
    let mut findings = Vec::new();
    for role in Role::ALL {
        let Some(found) = scene.served(role) else {
            continue;
        };
        let Some((ollama, _)) = scene.ollama(found.route.backend.name()) else {
            continue;
        };
        match ollama.show(&found.route.model).await {
            Ok(shown) => {
                let other = other_model::well_known(scene, role);
                findings.extend(of_model(role, &found.route.model, &shown, &other));
            }
            Err(error) => findings.push(Finding::bad(
                format!("{role}.model"),
                Severity::Warning,
                error.to_string(),
                Fix::Pull(format!(
                    "{}/{}",
                    found.route.backend.name(),
                    found.route.model
                )),
            )),
        }
    }
    findings
}

/// `other` takes a model of which all is known.
fn of_model(role: Role, model: &str, shown: &Shown, other: &Fix) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Completions bring their own layout (`raw`), and embeddings have none.
    let talks = matches!(role, Role::Chat | Role::Reasoning | Role::Vision);
    if talks && shown.template.trim() == BARE {
        findings.push(Finding::bad(
            format!("{role}.template"),
            Severity::Error,
            format!("{model} has no chat template, so it does not know who speaks"),
            other.clone(),
        ));
    }
    let needed = match role {
        Role::Vision => Some("vision"),
        Role::Embedding => Some("embedding"),
        _ => None,
    };
    if let (Some(needed), Some(has)) = (needed, &shown.capabilities)
        && !has.iter().any(|name| name == needed)
    {
        findings.push(Finding::bad(
            format!("{role}.capability"),
            Severity::Error,
            format!("{model} says it can {}, not {needed}", has.join(", ")),
            other.clone(),
        ));
    }
    let asked = u64::from(OllamaOptions::default().num_ctx);
    if let Some(trained) = shown.context_tokens
        && trained < asked
        && role != Role::Embedding
    {
        findings.push(Finding::bad(
            format!("{role}.context"),
            Severity::Warning,
            format!("{model} was trained for {trained} tokens and is given up to {asked}"),
            other.clone(),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_says_of_itself() {
        let shown = |template: &str, capabilities: &[&str], context| Shown {
            template: template.to_owned(),
            capabilities: Some(capabilities.iter().map(|&name| name.to_owned()).collect()),
            context_tokens: context,
            ..Shown::default()
        };
        let good = "{{ .Messages }}";
        for (role, shown, expect) in [
            (
                Role::Chat,
                shown(good, &["completion"], Some(32768)),
                &[][..],
            ),
            (
                Role::Chat,
                shown(BARE, &["completion"], None),
                &["chat.template"],
            ),
            (Role::Completion, shown(BARE, &["completion"], None), &[]),
            (
                Role::Completion,
                shown(good, &[], Some(2048)),
                &["completion.context"],
            ),
            (
                Role::Embedding,
                shown(BARE, &["embedding"], Some(2048)),
                &[],
            ),
            (
                Role::Embedding,
                shown(good, &["completion"], None),
                &["embedding.capability"],
            ),
            (
                Role::Vision,
                shown(good, &["completion"], None),
                &["vision.capability"],
            ),
        ] {
            let ids: Vec<String> = of_model(role, "m", &shown, &Fix::Verify)
                .into_iter()
                .map(|finding| finding.id)
                .collect();
            assert_eq!(ids, expect, "{role} {shown:?}");
        }
    }
}
