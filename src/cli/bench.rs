//! `ghostline bench`: measurements, one file per bench.

use super::Exit;

pub mod replay;

/// Arguments of `ghostline bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to measure.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Replay typing through the real completion engine, in virtual time, against an oracle
    Replay(replay::Args),
}

/// Runs a bench.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.command {
        Command::Replay(args) => replay::run(args).await,
    }
}
