//! `ghostline models`: what is installed where; fetch, check and remove.
//!
//! Results go to stdout, everything on the way to stderr.

use std::io::{self, Write as _};
use std::path::PathBuf;

use indicatif::HumanBytes;
use serde::Serialize;

use super::Exit;
use crate::models::{self, MODELS, Model, ModelsError, Store};

mod progress;

pub use progress::Display;

/// Arguments of `ghostline models`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the models ghostline can run by itself and which of them are installed
    List {
        /// One JSON object: `{directory, models: [{name, aliases, backend, installed, path,
        /// size_bytes, partial_bytes, memory_bytes, licence, sha256}]}`
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model; an interrupted fetch carries on where it stopped
    Pull {
        /// The model's name, such as `qwen2.5-coder-0.5b`, or `0.5b` for short
        name: String,
        /// Print the file's path alone on stdout
        #[arg(long)]
        print_path: bool,
    },
    /// Check an installed model's hash; all of them without a name
    Verify {
        /// The model's name
        name: Option<String>,
    },
    /// Remove a model and what an unfinished fetch left
    Rm {
        /// The model's name
        name: String,
    },
}

/// Runs `ghostline models`.
///
/// # Errors
///
/// Whatever ends in [`Exit::Failed`], for `main` to print. An unknown model is printed here and
/// ends in [`Exit::Usage`].
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match execute(args, &Store::open_default()?).await {
        Err(Failure::Models(error @ ModelsError::Unknown { .. })) => {
            writeln!(io::stderr(), "error: {error}")?;
            Ok(Exit::Usage)
        }
        Err(Failure::Models(error)) => Err(error.into()),
        // Whoever read our output has left, as `head` does.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Exit::Success)
        }
        Err(Failure::Output(error)) => Err(error.into()),
        Ok(exit) => Ok(exit),
    }
}

enum Failure {
    Models(ModelsError),
    Output(io::Error),
}

impl From<ModelsError> for Failure {
    fn from(error: ModelsError) -> Self {
        Self::Models(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

async fn execute(args: Args, store: &Store) -> Result<Exit, Failure> {
    match args.command {
        Command::List { json } => list(store, json),
        Command::Pull { name, print_path } => {
            let model = models::find(&name)?;
            tokio::select! {
                done = pull(store, model, print_path) => done,
                _ = tokio::signal::ctrl_c() => {
                    writeln!(io::stderr(), "interrupted; the same command carries on")?;
                    Ok(Exit::Interrupted)
                }
            }
        }
        Command::Verify { name } => verify(store, name.as_deref()).await,
        Command::Rm { name } => remove(store, models::find(&name)?),
    }
}

/// One line of `models list`. Backends other than the embedded engine add theirs.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    aliases: Vec<String>,
    backend: String,
    installed: bool,
    /// Where it is; absent when not installed.
    path: Option<PathBuf>,
    size_bytes: u64,
    /// What of it an unfinished fetch left.
    partial_bytes: u64,
    memory_bytes: u64,
    licence: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct Listing {
    directory: PathBuf,
    models: Vec<Row>,
}

fn list(store: &Store, json: bool) -> Result<Exit, Failure> {
    let listing = Listing {
        directory: store.dir().to_owned(),
        models: embedded_rows(store),
    };
    let mut out = io::stdout().lock();
    if json {
        let text = serde_json::to_string_pretty(&listing).map_err(io::Error::from)?;
        writeln!(out, "{text}")?;
        return Ok(Exit::Success);
    }
    let width = listing
        .models
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or_default();
    for row in &listing.models {
        let state = match &row.path {
            Some(path) => path.display().to_string(),
            None if row.partial_bytes > 0 => {
                format!(
                    "not installed, {} of it fetched",
                    HumanBytes(row.partial_bytes)
                )
            }
            None => "not installed".to_owned(),
        };
        writeln!(
            out,
            "{:width$}  {}  {:>10}  needs {} of memory  {}  {state}",
            row.name,
            row.backend,
            HumanBytes(row.size_bytes).to_string(),
            HumanBytes(row.memory_bytes),
            row.licence,
        )?;
    }
    Ok(Exit::Success)
}

fn embedded_rows(store: &Store) -> Vec<Row> {
    MODELS
        .iter()
        .map(|model| {
            let path = store.path_of(model);
            Row {
                name: model.name.to_owned(),
                aliases: model
                    .aliases
                    .iter()
                    .map(|&alias| alias.to_owned())
                    .collect(),
                backend: "embedded".to_owned(),
                installed: path.is_some(),
                path,
                size_bytes: model.size_bytes,
                partial_bytes: store.partial_bytes(model),
                memory_bytes: model.memory_bytes,
                licence: model.licence.to_owned(),
                sha256: model.sha256.to_owned(),
            }
        })
        .collect()
}

async fn pull(store: &Store, model: &Model, print_path: bool) -> Result<Exit, Failure> {
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

async fn verify(store: &Store, name: Option<&str>) -> Result<Exit, Failure> {
    let chosen = match name {
        Some(name) => vec![models::find(name)?],
        None => store
            .installed()
            .into_iter()
            .map(|(model, _)| model)
            .collect(),
    };
    if chosen.is_empty() {
        writeln!(
            io::stderr(),
            "no model is installed; fetch one with `ghostline models pull {}`",
            MODELS.first().map_or("NAME", |model| model.name)
        )?;
        return Ok(Exit::Failed);
    }
    let mut exit = Exit::Success;
    for model in chosen {
        let display = Display::new(model.name);
        let verified = models::verify(store, model, &display).await;
        display.finish();
        match verified {
            Ok(path) => writeln!(io::stdout(), "{} is sound: {}", model.name, path.display())?,
            // The others are still worth a look.
            Err(error) => {
                writeln!(io::stderr(), "error: {error}")?;
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

fn remove(store: &Store, model: &Model) -> Result<Exit, Failure> {
    let freed_bytes = store.remove(model)?;
    writeln!(
        io::stdout(),
        "{} removed, {} freed",
        model.name,
        HumanBytes(freed_bytes)
    )?;
    Ok(Exit::Success)
}
