//! `ghostline models rm NAME`: from the store, or through the Ollama that has it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use indicatif::HumanBytes;

use super::{Exit, Failure};
use crate::backend::ollama::normalise;
use crate::config::BackendKind;
use crate::host::LocalHost;
use crate::models::ollama::{self, OllamaModels};
use crate::models::{self, Model, Named, Store};

enum Target {
    Catalogue(&'static Model),
    Named(Named),
    Ollama {
        ollama: OllamaModels,
        name: String,
        size_bytes: u64,
    },
}

pub(super) async fn run(store: &Store, name: &str, yes: bool) -> Result<Exit, Failure> {
    let target = find(store, name).await?;
    let question = match &target {
        Target::Catalogue(model) => format!("{} ({})", model.name, HumanBytes(model.size_bytes)),
        Target::Named(named) => format!("{} ({})", named.name, HumanBytes(named.size_bytes)),
        Target::Ollama {
            ollama,
            name,
            size_bytes,
        } => format!(
            "{name} ({}) from the Ollama at {}",
            HumanBytes(*size_bytes),
            ollama.url()
        ),
    };
    if !yes && io::stdin().is_terminal() && !agrees(&question)? {
        writeln!(io::stderr(), "nothing was removed")?;
        return Ok(Exit::Failed);
    }
    match target {
        Target::Catalogue(model) => {
            let freed_bytes = store.remove(model)?;
            removed(model.name, freed_bytes)
        }
        Target::Named(named) => {
            let freed_bytes = store.remove_named(&named)?;
            removed(&named.name, freed_bytes)
        }
        Target::Ollama { ollama, name, .. } => {
            ollama.delete(&name).await?;
            // Layers that another model has as well stay; Ollama does not say how much went.
            writeln!(
                io::stdout(),
                "{name} removed from the Ollama at {}",
                ollama.url()
            )?;
            Ok(Exit::Success)
        }
    }
}

/// What the name means: a model of the store, or one that an Ollama has. Nothing is guessed between
/// two: our own names come first, `ollama/NAME` names the Ollama's.
async fn find(store: &Store, name: &str) -> Result<Target, Failure> {
    let (settings, ..) = LocalHost::new().here()?;
    let (backend, model) = match name.split_once('/') {
        Some((backend, model)) if settings.backends.contains_key(backend) => (Some(backend), model),
        _ => (None, name),
    };
    let kind = backend.and_then(|name| Some(settings.backends.get(name)?.kind));
    if kind.is_none_or(|kind| kind == BackendKind::Embedded) {
        if let Some(named) = store.find_named(model) {
            return Ok(Target::Named(named));
        }
        match models::find(model) {
            Ok(model) => return Ok(Target::Catalogue(model)),
            Err(error) if kind.is_some() => return Err(error.into()),
            Err(_) => {}
        }
    }
    let mut silent = None;
    for here in ollama::of_settings(&settings).await {
        if backend.is_some_and(|name| name != here.backend) {
            continue;
        }
        let ollama = match here.found {
            Ok((ollama, _)) => ollama,
            Err(error) => {
                silent = Some(error);
                continue;
            }
        };
        let wanted = normalise(model);
        let listed = ollama.list().await?.into_iter();
        if let Some(found) = listed.into_iter().find(|listed| listed.name == wanted) {
            return Ok(Target::Ollama {
                ollama,
                name: found.name,
                size_bytes: found.size_bytes.unwrap_or_default(),
            });
        }
    }
    let unknown = models::find(model).err().map(Failure::from);
    Err(match (unknown, silent) {
        (Some(Failure::Models(error)), Some(silent)) => {
            writeln!(io::stderr(), "{silent}")?;
            error.into()
        }
        (Some(failure), _) => failure,
        (None, _) => models::ModelsError::Missing {
            model: models::find(model).map_or("it", |model| model.name),
        }
        .into(),
    })
}

fn agrees(what: &str) -> io::Result<bool> {
    write!(io::stderr(), "remove {what}? [y/N] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn removed(name: &str, freed_bytes: u64) -> Result<Exit, Failure> {
    writeln!(
        io::stdout(),
        "{name} removed, {} freed",
        HumanBytes(freed_bytes)
    )?;
    Ok(Exit::Success)
}
