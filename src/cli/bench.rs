//! `ghostline bench`: measurements, one file per kind.

use super::Exit;

pub mod latency;
pub mod replay;

/// Arguments of `ghostline bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to measure.
    #[command(subcommand)]
    pub bench: Bench,
}

/// The measurements.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Bench {
    /// What the server itself costs per key, over its pipes, without the model's time.
    Latency(latency::Args),
    /// Replay typing through the real completion engine, in virtual time, against an oracle.
    Replay(replay::Args),
}

/// Measures what was asked for.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.bench {
        Bench::Latency(args) => latency::run(args).await,
        Bench::Replay(args) => replay::run(args).await,
    }
}
