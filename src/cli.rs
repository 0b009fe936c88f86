//! The command line: one file per subcommand, each a function from its arguments to an [`Exit`].

use clap::{Parser, Subcommand};

pub mod config;
pub mod models;

/// Exit codes; see the interface in the README.
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

/// A language server that gives any editor ghost text, chat and code actions from local models.
#[derive(Debug, Parser)]
#[command(name = "ghostline", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What is installed where; fetch and remove models.
    Models(models::Args),
    /// Show the resolved settings.
    Config(config::Args),
}
