//! `ghostline models quantize SRC --to KIND`: by the Ollama that has the source, else in this process.

use std::io::{self, Write as _};
use std::path::Path;

use indicatif::HumanBytes;

use super::{Display, Exit, Failure, Usage};
use crate::backend::ollama::normalise;
use crate::host::LocalHost;
use crate::models::ollama::{self, OllamaModels};
use crate::models::quantize::{self, Target};
use crate::models::{self, Store};

/// What the source means.
enum Source {
    /// A file, to be quantised here.
    File(std::path::PathBuf),
    /// A model of an Ollama, to be quantised there.
    Ollama(OllamaModels, String),
}

pub(super) async fn run(
    store: &Store,
    source: &str,
    target: Target,
    name: Option<String>,
) -> Result<Exit, Failure> {
    match find(store, source).await? {
        Source::File(path) => in_process(store, &path, target, name).await,
        Source::Ollama(ollama, model) => by_ollama(&ollama, &model, target, name).await,
    }
}

async fn find(store: &Store, source: &str) -> Result<Source, Failure> {
    if Path::new(source).is_file() {
        return Ok(Source::File(source.into()));
    }
    if let Some(named) = store.find_named(source) {
        return Ok(Source::File(named.path));
    }
    if let Ok(model) = models::find(source)
        && let Some(path) = store.path_of(model)
    {
        return Ok(Source::File(path));
    }
    let (settings, ..) = LocalHost::new().here()?;
    let mut silent = None;
    for here in ollama::of_settings(&settings).await {
        match here.found {
            Ok((ollama, _)) => {
                let prefix = format!("{}/", here.backend);
                let wanted = normalise(source.strip_prefix(&prefix).unwrap_or(source));
                if ollama
                    .list()
                    .await?
                    .iter()
                    .any(|listed| listed.name == wanted)
                {
                    return Ok(Source::Ollama(ollama, wanted));
                }
            }
            Err(error) => silent = Some(error),
        }
    }
    if let Some(error) = silent {
        writeln!(io::stderr(), "{error}")?;
    }
    let message = format!(
        "`{source}` is neither a GGUF file nor a model that is here; \
         `ghostline models list` shows those"
    );
    Err(Usage(message).into())
}

async fn in_process(
    store: &Store,
    source: &Path,
    target: Target,
    name: Option<String>,
) -> Result<Exit, Failure> {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.unwrap_or_else(|| quantize::default_name(&stem, target));
    let display = Display::new(&name);
    let made = quantize::quantize(store, source, target, &name, &display).await;
    display.finish();
    let made = made?;
    writeln!(
        io::stdout(),
        "{} ({}) is at {}; use it as `embedded/{}`",
        made.name,
        HumanBytes(made.size_bytes),
        made.path.display(),
        made.name
    )?;
    Ok(Exit::Success)
}

async fn by_ollama(
    ollama: &OllamaModels,
    model: &str,
    target: Target,
    name: Option<String>,
) -> Result<Exit, Failure> {
    if !target.is_ollamas() {
        let message = format!(
            "no Ollama makes {}; give the path of the model's F16, BF16 or F32 GGUF file instead of \
             `{model}`, or choose q4_K_M or q8_0",
            target.name()
        );
        return Err(Usage(message).into());
    }
    let name = name.unwrap_or_else(|| quantize::default_name(model, target));
    let display = Display::new(&name);
    let done = ollama.quantize(model, &name, target.name(), &display).await;
    display.finish();
    done?;
    writeln!(io::stdout(), "{name} is in the Ollama at {}", ollama.url())?;
    Ok(Exit::Success)
}
