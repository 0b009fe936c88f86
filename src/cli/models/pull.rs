//! `ghostline models pull ROLE|NAME`: through the Ollama that serves it, else from the catalogue.

use std::io::{self, Write as _};

use super::{Display, Exit, Failure, Usage};
use crate::config::{Role, Settings};
use crate::host::LocalHost;
use crate::models::ollama::{self, OllamaHere, OllamaModels};
use crate::models::wanted::{Offer, Wanted, offers};
use crate::models::{self, Model, ModelsError, Store};

pub(super) async fn run(store: &Store, name: &str, print_path: bool) -> Result<Exit, Failure> {
    let (settings, ..) = LocalHost::new().here()?;
    let wanted = wanted(name, &settings);
    let ollamas = ollama::of_settings(&settings).await;
    let offers = offers(&wanted, &settings, &ollamas);
    if print_path
        && !offers
            .iter()
            .any(|offer| matches!(offer, Offer::Catalogue(_)))
    {
        let message =
            format!("`{name}` is not kept in a file of ghostline's; leave out --print-path");
        return Err(Usage(message).into());
    }
    if offers.is_empty() {
        return Err(nothing(name, &wanted, ollamas));
    }
    let mut unknown = Vec::new();
    for offer in &offers {
        match offer {
            Offer::Catalogue(model) => return catalogue(store, model, print_path).await,
            Offer::Ollama { ollama, .. } if print_path => {
                unknown.push(ollama.url());
            }
            Offer::Ollama { ollama, model } => match from_ollama(ollama, model).await {
                // Some of the names of a role exist only where somebody made them.
                Err(Failure::Ollama(error)) if error.is_unknown_tag() && offers.len() > 1 => {
                    writeln!(io::stderr(), "{model}: the registry has no such model")?;
                    unknown.push(model.clone());
                }
                done => return done,
            },
        }
    }
    writeln!(
        io::stderr(),
        "none of {} can be had; choose another model with `ghostline models use {name} NAME`",
        unknown.join(", ")
    )?;
    Ok(Exit::Failed)
}

/// A role's name, or a model's, with or without its backend.
fn wanted(name: &str, settings: &Settings) -> Wanted {
    if let Some(role) = Role::from_name(name) {
        return Wanted::Role(role);
    }
    match name.split_once('/') {
        Some((backend, model)) if settings.backends.contains_key(backend) => Wanted::Model {
            backend: Some(backend.to_owned()),
            model: model.to_owned(),
        },
        _ => Wanted::Model {
            backend: None,
            model: name.to_owned(),
        },
    }
}

/// Why there is no offer.
fn nothing(name: &str, wanted: &Wanted, ollamas: Vec<OllamaHere>) -> Failure {
    let silent = ollamas.into_iter().find_map(|here| here.found.err());
    let unknown = match wanted {
        Wanted::Model { model, .. } => models::find(model).err(),
        Wanted::Role(_) => None,
    };
    // Nobody's Ollama runs: the name may be one of its models, or a slip of ours.
    let slip = matches!(
        &unknown,
        Some(ModelsError::Unknown {
            nearest: Some(_),
            ..
        })
    );
    match (unknown, silent) {
        (Some(error), silent) if slip || silent.is_none() => error.into(),
        (_, Some(error)) => error.into(),
        (_, None) => Usage(format!(
            "no candidate of `{name}` can be fetched from here; `ghostline models list` shows them"
        ))
        .into(),
    }
}

async fn from_ollama(ollama: &OllamaModels, model: &str) -> Result<Exit, Failure> {
    let display = Display::new(model);
    writeln!(
        io::stderr(),
        "asking the Ollama at {} for {model}",
        ollama.url()
    )?;
    let done = ollama.pull(model, &display).await;
    display.finish();
    done?;
    writeln!(io::stdout(), "{model} is in the Ollama at {}", ollama.url())?;
    Ok(Exit::Success)
}

async fn catalogue(store: &Store, model: &Model, print_path: bool) -> Result<Exit, Failure> {
    let display = Display::new(model.name);
    let path = models::pull(store, model, &display).await;
    display.finish();
    let path = path?;
    let mut out = io::stdout().lock();
    if print_path {
        writeln!(out, "{}", path.display())?;
    } else {
        writeln!(out, "{} is at {}", model.name, path.display())?;
    }
    Ok(Exit::Success)
}
