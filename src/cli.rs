//! The command line: one file per subcommand, each a function from its arguments to an [`Exit`].

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub mod bench;
pub mod complete;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod index;
pub mod models;
pub mod output;
pub mod search;
pub mod serve;

/// Exit codes; the README lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything worked.
    Success = 0,
    /// A check failed or nothing was found.
    Failed = 1,
    /// Usage or settings.
    Usage = 2,
    /// No backend could serve.
    NoBackend = 3,
    /// Interrupted from the keyboard.
    Interrupted = 130,
}

/// A mistake in how the program was called; ends in [`Exit::Usage`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// A language server that gives any editor ghost text, chat and code actions from local models.
#[derive(Debug, Parser)]
#[command(name = "ghostline", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// Serve over standard input and output, as `ghostline serve`.
    #[arg(long)]
    pub stdio: bool,
    /// Write logs to this file instead of standard error.
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The language server on standard input and output.
    Serve(serve::Args),
    /// One inline completion at a place in a file.
    Complete(complete::Args),
    /// The main job on this machine, now: real completions through the real server.
    Demo(demo::Args),
    /// What is installed where; fetch, verify and remove models.
    Models(models::Args),
    /// Checks the whole set-up; each failure ends in what mends it.
    Doctor(doctor::Args),
    /// Measurements of this program on this machine.
    Bench(bench::Args),
    /// Places of the workspace that answer a question.
    Search(search::Args),
    /// Builds or shows the workspace's search index.
    Index(index::Args),
    /// The resolved settings, with where each came from.
    Config(config::Args),
}

/// Runs what was asked for.
pub async fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        None => serve::run(serve::Args::default()).await,
        Some(Command::Serve(args)) => serve::run(args).await,
        Some(Command::Complete(args)) => complete::run(args).await,
        Some(Command::Demo(args)) => demo::run(args).await,
        Some(Command::Models(args)) => models::run(args).await,
        Some(Command::Doctor(args)) => doctor::run(args).await,
        Some(Command::Bench(args)) => bench::run(args).await,
        Some(Command::Search(args)) => search::run(args).await,
        Some(Command::Index(args)) => index::run(args).await,
        Some(Command::Config(args)) => config::run(args),
    }
}
