//! `ghostline bench`: measurements, one file per kind.

use super::Exit;

pub mod compare;
pub mod confined;
#[cfg(feature = "embedded")]
pub mod draft;
pub mod executing;
pub mod humaneval;
pub mod infill;
pub mod latency;
#[cfg(feature = "embedded")]
pub mod load;
pub mod relay;
pub mod replay;
pub mod search;
#[cfg(feature = "embedded")]
pub mod splice;

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
    /// What a chat, a cancel, and a compiler beside it cost the engine in this process.
    #[cfg(feature = "embedded")]
    Load(load::Args),
    /// Replay typing through the real completion engine, in virtual time, against an oracle.
    Replay(replay::Args),
    /// Fill holes in programs with the model alone and with the engine, and run the problems' tests.
    Infill(infill::Args),
    /// Let the model write functions and run the problems' tests.
    Humaneval(humaneval::Args),
    /// What search costs on a large index, and how well words, vectors and both find.
    Search(search::Args),
    /// Say whether a result is worse than an older one.
    Compare(compare::Args),
    /// Pass keys on to a scripted backend; started by `latency`.
    #[command(hide = true)]
    Relay(relay::Args),
    /// Become another program with few rights; started by `infill` and `humaneval`.
    #[command(hide = true)]
    Confined(confined::Args),
    /// Write source files line by line on real weights, with and without moving what is cached.
    #[cfg(feature = "embedded")]
    Splice(splice::Args),
    /// Complete lines of source files on real weights, with and without drafts of what comes next.
    #[cfg(feature = "embedded")]
    Draft(draft::Args),
}

impl Args {
    /// Whether the command must be alone in its process.
    pub const fn has_one_thread(&self) -> bool {
        matches!(self.bench, Bench::Confined(_))
    }
}

/// Measures what was asked for.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match args.bench {
        Bench::Latency(args) => latency::run(args).await,
        #[cfg(feature = "embedded")]
        Bench::Load(args) => load::run(args).await,
        Bench::Replay(args) => replay::run(args).await,
        Bench::Infill(args) => infill::run(args).await,
        Bench::Humaneval(args) => humaneval::run(args).await,
        Bench::Search(args) => search::run(args).await,
        Bench::Compare(args) => compare::run(&args),
        Bench::Confined(args) => confined::run(&args),
        Bench::Relay(args) => relay::run(&args),
        #[cfg(feature = "embedded")]
        Bench::Splice(args) => splice::run(args).await,
        #[cfg(feature = "embedded")]
        Bench::Draft(args) => draft::run(args).await,
    }
}
