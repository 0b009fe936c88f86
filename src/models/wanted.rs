//! From what a person wants, a role or a model, to who can fetch it, in order.
//!
//! Called by `ghostline models pull` and by the server's `ghostline.pullModel`.

use std::path::PathBuf;

use super::ollama::{OllamaError, OllamaHere, OllamaModels};
use super::{Event, Model, ModelsError, Progress, Store, find, pull};
use crate::config::{BackendKind, Candidate, Role, Settings};

impl Wanted {
    /// A role's name, or a model's, with or without its backend.
    pub fn named(name: &str, settings: &Settings) -> Self {
        if let Some(role) = Role::from_name(name) {
            return Self::Role(role);
        }
        match name.split_once('/') {
            Some((backend, model)) if settings.backends.contains_key(backend) => Self::Model {
                backend: Some(backend.to_owned()),
                model: model.to_owned(),
            },
            _ => Self::Model {
                backend: None,
                model: name.to_owned(),
            },
        }
    }
}

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

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Into an Ollama.
    Ollama {
        /// Its address.
        url: String,
        /// The model.
        model: String,
    },
    /// Into the store.
    Stored {
        /// The model.
        model: &'static str,
        /// Its file.
        path: PathBuf,
    },
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The store's or the catalogue's.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// The Ollama's.
    #[error(transparent)]
    Ollama(#[from] OllamaError),
    /// None of the names exist.
    #[error("the registry has none of {}; choose a model with `ghostline models use`", names.join(", "))]
    Unknown {
        /// All that were tried.
        names: Vec<String>,
    },
}

/// Fetches the first of `offers` that can be had: some names of a role exist only where somebody made
/// them, and those are passed over.
///
/// # Errors
/// The first failure that is not about an unknown name.
pub async fn fetch(
    offers: &[Offer],
    store: &Store,
    progress: &dyn Progress,
) -> Result<Fetched, FetchError> {
    let mut names = Vec::new();
    for offer in offers {
        match offer {
            Offer::Catalogue(model) => {
                let path = pull(store, model, progress).await?;
                return Ok(Fetched::Stored {
                    model: model.name,
                    path,
                });
            }
            Offer::Ollama { ollama, model } => {
                let url = ollama.url();
                progress.on(Event::Doing {
                    what: &format!("asking the Ollama at {url} for {model}"),
                });
                match ollama.pull(model, progress).await {
                    Ok(()) => {
                        let model = model.clone();
                        return Ok(Fetched::Ollama { url, model });
                    }
                    Err(error) if error.is_unknown_tag() && offers.len() > 1 => {
                        progress.on(Event::Doing {
                            what: &format!("{model}: the registry has no such model"),
                        });
                        names.push(model.clone());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Err(FetchError::Unknown { names })
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
