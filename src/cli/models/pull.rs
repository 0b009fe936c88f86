//! `ghostline models pull ROLE|NAME`: through the Ollama that serves it, else from the catalogue.

use std::io::{self, Write as _};

use super::{Display, Exit, Failure, Usage};
use crate::host::LocalHost;
use crate::models::ollama::{self, OllamaHere};
use crate::models::wanted::{FetchError, Fetched, Offer, Wanted, fetch, offers};
use crate::models::{self, ModelsError, Store};

pub(super) async fn run(store: &Store, name: &str, print_path: bool) -> Result<Exit, Failure> {
    let (settings, ..) = LocalHost::new().here()?;
    let wanted = Wanted::named(name, &settings);
    let ollamas = ollama::of_settings(&settings).await;
    let mut offers = offers(&wanted, &settings, &ollamas);
    if print_path {
        // An Ollama's files are its own.
        offers.retain(|offer| matches!(offer, Offer::Catalogue(_)));
    }
    if offers.is_empty() {
        return Err(nothing(name, &wanted, ollamas));
    }
    // A role's name or a short one says little beside a count of bytes.
    let shown = match offers.first() {
        Some(Offer::Catalogue(model)) => model.name,
        _ => name,
    };
    let display = Display::new(shown);
    let fetched = fetch(&offers, store, &display).await;
    display.finish();
    let mut out = io::stdout().lock();
    match fetched? {
        Fetched::Stored { path, .. } if print_path => writeln!(out, "{}", path.display())?,
        Fetched::Stored { model, path } => writeln!(out, "{model} is at {}", path.display())?,
        Fetched::Ollama { url, model } => writeln!(out, "{model} is in the Ollama at {url}")?,
    }
    Ok(Exit::Success)
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Models(error) => error.into(),
            FetchError::Ollama(error) => error.into(),
            error @ FetchError::Unknown { .. } => Self::Unknown(error),
        }
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
