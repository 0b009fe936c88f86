//! From what a person wants, a role or a model, to who can fetch it, in order.
//!
//! Called by `ghostline models pull` and by the server's `ghostline.pullModel`. Pure.

use super::ollama::{OllamaHere, OllamaModels};
use super::{Model, find};
use crate::config::{BackendKind, Candidate, Role, Settings};

/// What a person wants to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever serves this role first.
    Role(Role),
    /// This model.
    Model {
        /// The backend's name; any when absent.
        backend: Option<String>,
        /// Its name there.
        model: String,
    },
}

/// Who can fetch what.
#[derive(Debug, Clone)]
pub enum Offer {
    /// An Ollama, from its registry.
    Ollama {
        /// The Ollama.
        ollama: OllamaModels,
        /// The model's name there.
        model: String,
    },
    /// We, from the catalogue's sources.
    Catalogue(&'static Model),
}

/// The ways to fetch what is wanted, best first. Candidates that are patterns name nothing to fetch;
/// servers of other kinds fetch nothing.
pub fn offers(wanted: &Wanted, settings: &Settings, ollamas: &[OllamaHere]) -> Vec<Offer> {
    let one: Candidate;
    let candidates = match wanted {
        Wanted::Role(role) => match settings.roles.get(role) {
            Some(role) => role.candidates.as_slice(),
            None => &[],
        },
        Wanted::Model { backend, model } => {
            one = Candidate {
                backend: backend.clone(),
                model: model.clone(),
            };
            std::slice::from_ref(&one)
        }
    };
    candidates
        .iter()
        .filter(|candidate| !candidate.is_pattern())
        .filter_map(|candidate| of_candidate(candidate, settings, ollamas))
        .collect()
}

fn of_candidate(
    candidate: &Candidate,
    settings: &Settings,
    ollamas: &[OllamaHere],
) -> Option<Offer> {
    let model = &candidate.model;
    let kind = candidate
        .backend
        .as_ref()
        .and_then(|name| Some(settings.backends.get(name)?.kind));
    // A catalogue name is not an Ollama name: those have no size behind a dash.
    let ours = || Some(Offer::Catalogue(find(model).ok()?));
    let theirs = || {
        let may = |here: &&OllamaHere| {
            candidate
                .backend
                .as_ref()
                .is_none_or(|b| *b == here.backend)
        };
        ollamas.iter().filter(may).find_map(|here| {
            let (ollama, _) = here.found.as_ref().ok()?;
            Some(Offer::Ollama {
                ollama: ollama.clone(),
                model: model.clone(),
            })
        })
    };
    match kind {
        Some(BackendKind::Embedded) => ours(),
        Some(BackendKind::Ollama) => theirs(),
        Some(BackendKind::LlamaServer | BackendKind::Openai) => None,
        None => ours().or_else(theirs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ollama::OllamaError;

    fn here(answers: bool) -> Vec<OllamaHere> {
        let url = "http://127.0.0.1:11434".to_owned();
        let found = if answers {
            OllamaModels::at(&url).map(|ollama| (ollama, "0.33.0".to_owned()))
        } else {
            Err(OllamaError::Unreachable { url })
        };
        vec![OllamaHere {
            backend: "ollama".to_owned(),
            found,
        }]
    }

    fn said(wanted: &Wanted, answers: bool) -> Vec<String> {
        let offers = offers(wanted, &Settings::default(), &here(answers));
        let say = |offer: &Offer| match offer {
            Offer::Ollama { model, .. } => format!("ollama {model}"),
            Offer::Catalogue(model) => model.name.to_owned(),
        };
        offers.iter().map(say).collect()
    }

    #[test]
    fn offers_follow_the_candidates_and_who_is_there() {
        let model = |text: &str| match text.split_once('|') {
            Some((backend, model)) => Wanted::Model {
                backend: Some(backend.to_owned()),
                model: model.to_owned(),
            },
            None => Wanted::Model {
                backend: None,
                model: text.to_owned(),
            },
        };
        let ours = ["qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"];
        let cases: &[(Wanted, bool, &[&str])] = &[
            (
                Wanted::Role(Role::Completion),
                true,
                &[
                    "ollama qwen3-coder:1.5b-q4_K_M",
                    "ollama qwen2.5-coder:1.5b-base-q4_K_M",
                    "ollama qwen2.5-coder:1.5b",
                    ours[0],
                    ours[1],
                ],
            ),
            (Wanted::Role(Role::Completion), false, &ours),
            (Wanted::Role(Role::Vision), false, &[]),
            (model("0.5b"), true, &ours[1..]),
            (model("embedded|1.5b"), true, &ours[..1]),
            (model("embedded|llama3"), true, &[]),
            (model("llama3"), true, &["ollama llama3"]),
            (model("llama3"), false, &[]),
            (model("ollama|0.5b"), true, &["ollama 0.5b"]),
            (model("qwen2.5-coder:*"), true, &[]),
        ];
        for (wanted, answers, expect) in cases {
            assert_eq!(said(wanted, *answers), *expect, "{wanted:?} {answers}");
        }
    }
}
