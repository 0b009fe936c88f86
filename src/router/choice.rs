//! Which of what is installed serves a role: the first candidate that is there. Pure.
//!
//! A candidate is there under its own name, or under any other name of the same content: names are
//! given and taken away, what a model is stays. Called by the router and by the survey.

use std::collections::HashMap;
use std::sync::Arc;

use super::Route;
use crate::backend::{Backend, Installed};
use crate::config::candidate::runs_in_cloud;
use crate::config::{Candidate, Role};
use crate::models::MODELS;
use crate::prompt::fim::{Evidence, Known, PREFIX_ONLY, family_of};

/// What each backend has.
pub(super) type All = [(Arc<dyn Backend>, Vec<Installed>)];

/// Digests of names in Ollama's library, as far as they begin; one model often has several names there.
/// Source: `ollama list` of several machines, read 2026-08.
const PUBLISHED: &[(&str, &str)] = &[
    ("qwen2.5-coder:1.5b-base", "02e0f2817a89"),
    ("qwen2.5-coder:1.5b-base-q4_K_M", "02e0f2817a89"),
    ("qwen3-coder:latest", "06c1097efce0"),
    ("qwen3-coder:30b", "06c1097efce0"),
    ("qwen3-coder:30b-a3b-q4_K_M", "06c1097efce0"),
    ("nomic-embed-text:latest", "0a109f422b47"),
    ("nomic-embed-text:v1.5", "0a109f422b47"),
];

/// Fewest hexadecimal digits by which two digests are compared: as many as Ollama shows.
const FEWEST_DIGITS: usize = 12;

/// Which content a name stands for, also when nobody lists that name any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    /// By name, as it was listed last.
    seen: HashMap<String, String>,
}

impl Contents {
    /// Remembers what the names of these models stand for.
    pub(super) fn learn(&mut self, all: &All) {
        for model in all.iter().flat_map(|(_, models)| models) {
            if let Some(digest) = &model.digest
                && self.seen.get(&model.name) != Some(digest)
            {
                self.seen.insert(model.name.clone(), digest.clone());
            }
        }
    }

    fn digest_of(&self, name: &str) -> Option<&str> {
        let tagged = || self.seen.get(&format!("{name}:latest"));
        let seen = self.seen.get(name).or_else(tagged).map(String::as_str);
        let ours = || MODELS.iter().find(|m| m.name == name).map(|m| m.sha256);
        let is_it = |listed: &&(&str, &str)| {
            listed.0 == name || listed.0.strip_suffix(":latest") == Some(name)
        };
        let published = || PUBLISHED.iter().find(is_it).map(|(_, digest)| *digest);
        seen.or_else(ours).or_else(published)
    }
}

/// Whether two digests are of one content; one may be cut short.
pub(super) fn same_content(one: &str, other: &str) -> bool {
    let digits = |digest: &str| digest.strip_prefix("sha256:").unwrap_or(digest).to_owned();
    let (one, other) = (digits(one), digits(other));
    one.len().min(other.len()) >= FEWEST_DIGITS
        && (one.starts_with(&other) || other.starts_with(&one))
}

/// The route to the first candidate that is there, `usable` and able to serve the role.
pub(super) fn choose(
    role: Role,
    candidates: &[Candidate],
    all: &All,
    contents: &Contents,
    usable: impl Fn(&dyn Backend, &Installed) -> bool,
) -> Option<Route> {
    let (rank, backend, model) = find(role, candidates, all, contents, usable)?;
    Some(route(
        backend,
        model,
        candidates.first().filter(|_| rank > 0),
    ))
}

/// The same, as the rank of the candidate and what it stands for.
pub(super) fn find<'a>(
    role: Role,
    candidates: &[Candidate],
    all: &'a All,
    contents: &Contents,
    usable: impl Fn(&dyn Backend, &Installed) -> bool,
) -> Option<(usize, &'a Arc<dyn Backend>, &'a Installed)> {
    candidates.iter().enumerate().find_map(|(rank, candidate)| {
        let named = |name: &str| candidate.backend.as_deref().is_none_or(|b| b == name);
        let of = all.iter().filter(|(backend, _)| named(backend.name()));
        let models = of.flat_map(|(backend, models)| models.iter().map(move |m| (backend, m)));
        let models = models.filter(|(backend, model)| {
            usable(backend.as_ref(), model) && can(role, candidate, model)
        });
        let by = |is_it: &dyn Fn(&Installed) -> bool| models.clone().find(|(_, m)| is_it(m));
        let (backend, model) = by(&|model| candidate.matches(&model.name))
            .or_else(|| by(&|model| is_same(candidate, model, contents)))?;
        Some((rank, backend, model))
    })
}

/// Whether `model` can serve the role as what the candidate names.
pub(super) fn can(role: Role, candidate: &Candidate, model: &Installed) -> bool {
    can_serve(role, model)
        // A pattern may match what cannot fill in the middle; a name was chosen.
        && !(role == Role::Completion && candidate.is_pattern() && model.fim == Some(false))
}

/// Whether `model` is what the candidate names, under another name.
pub(super) fn is_same(candidate: &Candidate, model: &Installed, contents: &Contents) -> bool {
    if candidate.is_pattern() || runs_in_cloud(&model.name) {
        return false;
    }
    let wanted = contents.digest_of(&candidate.model);
    if let (Some(wanted), Some(digest)) = (wanted, &model.digest) {
        return same_content(wanted, digest);
    }
    // Ollama lists one model as `1.5b-base` and as `1.5b-base-q4_K_M`.
    let quantization = model.quantization.as_deref().unwrap_or_default();
    !quantization.is_empty()
        && model.name.contains(':')
        && format!("{}-{quantization}", model.name).eq_ignore_ascii_case(&candidate.model)
}

/// The route to `model`; `first` is the first candidate where this is not the first choice.
pub(super) fn route(
    backend: &Arc<dyn Backend>,
    model: &Installed,
    first: Option<&Candidate>,
) -> Route {
    let known = model.family.or_else(|| {
        let family = family_of(&model.name, model.fim)?;
        let by = Evidence::Name;
        Some(Known { family, by })
    });
    Route {
        backend: Arc::clone(backend),
        model: model.name.clone(),
        digest: model.digest.clone(),
        family: known.map_or(&PREFIX_ONLY, |known| known.family),
        family_by: known.map(|known| known.by),
        fallback: first.is_some(),
        instead_of: first.map(Candidate::to_string),
        first_failed: false,
    }
}

/// Whether the model can do what the role needs, as far as its backend can tell.
fn can_serve(role: Role, model: &Installed) -> bool {
    match role {
        Role::Completion | Role::Embedding => true,
        Role::Chat | Role::Reasoning => model.chat != Some(false),
        Role::Vision => model.vision != Some(false),
    }
}

/// Why nothing serves a role, ending in what to do.
pub(super) fn unavailable(
    role: Role,
    candidates: &[Candidate],
    failure: Option<&String>,
) -> String {
    if let Some(failure) = failure {
        return format!("no model for {role}: {failure}");
    }
    let is_embedded = |c: &Candidate| c.backend.as_deref() == Some("embedded");
    // What an Ollama may fetch. A name with a quantization in it is not in its library for every model.
    let fetched = || {
        let of_ollama = |c: &Candidate| c.backend.as_deref().is_none_or(|name| name == "ollama");
        let may = |c: &&Candidate| of_ollama(c) && !c.is_pattern();
        let plain = |c: &&Candidate| !c.model.contains("-q");
        let mut all = candidates.iter().filter(may);
        all.clone().find(plain).or_else(|| all.next())
    };
    let next = if candidates.iter().any(is_embedded) {
        "run `ghostline models pull qwen2.5-coder-1.5b`".to_owned()
    } else if let Some(candidate) = fetched() {
        format!(
            "fetch one with `ghostline models pull {}`, or name another under [roles.{role}]",
            candidate.model
        )
    } else {
        "see `ghostline config`".to_owned()
    };
    format!("no model for {role}: no backend has one of its candidates; {next}")
}

#[cfg(test)]
mod tests;
