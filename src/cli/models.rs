//! `ghostline models`: what is installed where; fetch, check, make, choose and remove.
//!
//! Results go to stdout, everything on the way to stderr.

use std::io;
use std::path::PathBuf;

use super::{Exit, Usage};
use crate::config::edit::EditError;
use crate::models::ollama::OllamaError;
use crate::models::quantize::Target;
use crate::models::wanted::FetchError;
use crate::models::{ModelsError, Store};

mod choose;
mod list;
mod progress;
mod pull;
mod quantize;
mod remove;
mod verify;

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
    /// Show every role's candidates, which of them serve, and the models ghostline runs by itself
    List {
        /// One JSON object: `{directory, models: [{name, aliases, backend, installed, path,
        /// size_bytes, partial_bytes, memory_bytes, licence, sha256}], backends: [{name, answers,
        /// version, message, models}], roles: [{role, candidates: [{candidate, installed, chosen, why,
        /// backend, model, size_bytes, quantization, digest, loaded, loaded_bytes, gpu_bytes,
        /// context_tokens}]}]}`
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model; an interrupted fetch carries on where it stopped
    Pull {
        /// A role, for the first of its candidates that can be had, or a model's name, such as
        /// `qwen2.5-coder:7b` for an Ollama or `0.5b` for the engine in ghostline
        #[arg(value_name = "ROLE|NAME")]
        name: String,
        /// Print the file's path alone on stdout, where ghostline keeps it
        #[arg(long)]
        print_path: bool,
    },
    /// Make a smaller model of one with full numbers (F16, BF16, F32)
    Quantize {
        /// A GGUF file, or a model of an Ollama
        #[arg(value_name = "SRC")]
        source: String,
        /// `q4_K_M`, `q5_K_M` or `q8_0`
        #[arg(long, value_name = "KIND")]
        to: Target,
        /// What to call it; after the source when absent
        #[arg(long)]
        name: Option<String>,
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
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Make a model the first choice of a role, in the user's settings or in a `.env`
    Use {
        /// completion, chat, reasoning, vision or embedding
        role: String,
        /// `[backend/]model`
        name: String,
        /// Write `OLLAMA_ROLE_MODEL` to this file instead of the user's settings
        #[arg(long, value_name = "FILE")]
        env: Option<PathBuf>,
    },
}

/// Runs `ghostline models`.
///
/// # Errors
///
/// Whatever ends in [`Exit::Failed`] or [`Exit::Usage`], for `main` to print.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match execute(args, &Store::open_default()?).await {
        Err(Failure::Models(error @ (ModelsError::Unknown { .. } | ModelsError::Name { .. }))) => {
            Err(Usage(error.to_string()).into())
        }
        Err(Failure::Models(error)) => Err(error.into()),
        Err(Failure::Ollama(error)) => Err(error.into()),
        Err(Failure::Unknown(error)) => Err(error.into()),
        Err(Failure::Edit(error)) => Err(error.into()),
        Err(Failure::Usage(usage)) => Err(usage.into()),
        // Whoever read our output has left, as `head` does.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Exit::Success)
        }
        Err(Failure::Output(error)) => Err(error.into()),
        Ok(exit) => Ok(exit),
    }
}

/// Why a subcommand stopped.
enum Failure {
    Models(ModelsError),
    Ollama(OllamaError),
    Edit(EditError),
    Unknown(FetchError),
    Usage(Usage),
    Output(io::Error),
}

impl From<ModelsError> for Failure {
    fn from(error: ModelsError) -> Self {
        Self::Models(error)
    }
}

impl From<OllamaError> for Failure {
    fn from(error: OllamaError) -> Self {
        Self::Ollama(error)
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

impl From<Usage> for Failure {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

async fn execute(args: Args, store: &Store) -> Result<Exit, Failure> {
    match args.command {
        Command::List { json } => list::run(store, json).await,
        Command::Pull { name, print_path } => pull::run(store, &name, print_path).await,
        Command::Quantize { source, to, name } => quantize::run(store, &source, to, name).await,
        Command::Verify { name } => verify::run(store, name.as_deref()).await,
        Command::Rm { name, yes } => remove::run(store, &name, yes).await,
        Command::Use { role, name, env } => choose::run(&role, &name, env.as_deref()).await,
    }
}
