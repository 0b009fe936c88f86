//! `ghostline bench replay`: how often, how soon and at what cost a ghost is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::cli::{Exit, Usage, output};
use crate::config::Settings;
use crate::eval::oracle::OracleOptions;
use crate::eval::policy::Name;
use crate::eval::replay::{Options, replay};
use crate::eval::trace::Trace;
use crate::eval::{keys, plot, typist};

/// Arguments of `ghostline bench replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// An editing trace of josephg/editing-traces, plain or gzipped; without it a made-up person types
    /// this program's sources
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// The backend: how often a token is right, and how fast it is
    #[arg(
        long,
        value_name = "SPEC",
        default_value = "q=0.85,first_ms=20,token_ms=3"
    )]
    pub oracle: String,
    /// Replay this policy; may be repeated. All without it: `engine`, `debounce-75`, `debounce-150`,
    /// `debounce-75-prefix-cache`
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<String>,
    /// Of the gaps between keys, the oracle and the made-up person
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only the first keys of the trace
    #[arg(long, value_name = "KEYS")]
    pub limit: Option<usize>,
    /// Write one JSON object to this file, `-` for stdout alone
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a tab-separated line per key to this file: what was shown, when, and what was typed
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Write a page with plots to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Replays and reports.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let options = options(&args)?;
    let (path, seed) = (args.trace.clone(), args.seed);
    let started = std::time::Instant::now();
    // Off the runtime: a replay blocks its thread and brings its own clock.
    let replayed = tokio::task::spawn_blocking(move || {
        let trace = match path {
            Some(path) => Trace::read(&path)
                .map_err(|error| Usage(format!("--trace: {:#}", anyhow::Error::from(error))))?,
            None => typist::trace(seed),
        };
        anyhow::Ok(replay(&trace, &options)?)
    });
    let (report, lists) = replayed.await.context("the replay broke off")??;
    output::note(&format!(
        "replayed in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &args.html {
        write(path, &plot::html(&report)?)?;
    }
    if let Some(path) = &args.keys {
        let lines = lists.iter().map(|list| list.0.as_str());
        let all: String = std::iter::once(keys::HEADING).chain(lines).collect();
        write(path, &all)?;
    }
    match &args.json {
        Some(path) if path == Path::new("-") => {
            output::line(&json);
            return Ok(Exit::Success);
        }
        Some(path) => write(path, &(json + "\n"))?,
        None => {}
    }
    output::line(report.table().trim_end());
    Ok(Exit::Success)
}

fn options(args: &Args) -> anyhow::Result<Options> {
    let oracle: OracleOptions = args
        .oracle
        .parse()
        .map_err(|error| Usage(format!("--oracle: {error}")))?;
    let mut policies = Vec::new();
    for name in &args.policy {
        let Some(policy) = Name::from_name(name) else {
            let known: Vec<_> = Name::all().into_iter().map(Name::as_str).collect();
            bail!(Usage(format!(
                "--policy: there is no policy `{name}`; there are {}",
                known.join(", ")
            )));
        };
        policies.push(policy);
    }
    if policies.is_empty() {
        policies = Name::all();
    }
    let trace_name = args.trace.as_deref().and_then(Path::file_name);
    Ok(Options {
        trace_name: trace_name.map_or("typist".into(), |name| name.to_string_lossy().into_owned()),
        oracle,
        policies,
        seed: args.seed,
        limit_keys: args.limit,
        settings: Arc::new(Settings::default()),
    })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
