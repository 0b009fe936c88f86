//! `ghostline bench replay`: how often, how soon and at what cost a ghost is there, in virtual time or,
//! with `--wall`, in real time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::cli::{Exit, Usage, output};
use crate::config::Settings;
use crate::eval::oracle::OracleOptions;
use crate::eval::policy::Name;
use crate::eval::replay::{Options, replay};
use crate::eval::trace::Trace;
use crate::eval::{keys, plot, typist, wall};
use crate::models::{self, Store};

/// Keys that are typed in real time where nobody says how many: two and a half minutes a policy.
const WALL_KEYS: usize = 600;

/// Arguments of `ghostline bench replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// An editing trace of josephg/editing-traces, plain or gzipped; without it a made-up person types
    /// this program's sources
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// The backend: how often a token is right, how fast it is, and with `wrong=line` that it stays wrong to the
    /// end of the line after a wrong token, with `wrong=end` that it stops there
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
    /// Only so many keys of the trace; 600 in real time without it
    #[arg(long, value_name = "N", alias = "limit")]
    pub keys: Option<usize>,
    /// Leave out so many keys of the trace in front
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: usize,
    /// Replay `engine` once more beside a chat that answers one question after the other: on the oracle's
    /// only device in virtual time, in the served process in real time
    #[arg(long)]
    pub chat: bool,
    /// Type in real time, through `ghostline serve` as a process of its own: `engine`, and with an HTTP
    /// server also `debounce-75` and `http-engine`
    #[arg(long)]
    pub wall: bool,
    /// What answers in real time: the oracle, over HTTP, or real weights
    #[arg(long, value_name = "NAME", default_value = "oracle", requires = "wall")]
    pub backend: WallBackend,
    /// The embedded model, as `models list` names it
    #[arg(long, value_name = "NAME", default_value = "1.5b", requires = "wall")]
    pub model: String,
    /// Threads that compute, in the program and in the server of `--server-python`; the program's own
    /// choice, and one, without it
    #[arg(long, value_name = "N", requires = "wall")]
    pub threads: Option<usize>,
    /// A running server of llama.cpp with the same weights
    #[arg(long, value_name = "URL", requires = "wall")]
    pub server_url: Option<String>,
    /// A Python with the package `xllamacpp`, which starts such a server
    #[arg(long, value_name = "FILE", requires = "wall")]
    pub server_python: Option<PathBuf>,
    /// Write one JSON object to this file, `-` for stdout alone
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a tab-separated line per key to this file: what was shown, when, and what was typed
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Write a page with plots to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// What answers in real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WallBackend {
    /// Knows what is typed next.
    Oracle,
    /// The engine in the program.
    Embedded,
}

/// What is run, in which time.
enum What {
    Virtual(Options),
    Wall(wall::Options),
}

/// Replays and reports.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    check_chat(&args)?;
    let what = if args.wall {
        What::Wall(wall_options(&args)?)
    } else {
        What::Virtual(options(&args)?)
    };
    let (path, seed) = (args.trace.clone(), args.seed);
    let started = std::time::Instant::now();
    // Off the runtime: a replay blocks its thread and brings its own clock.
    let replayed = tokio::task::spawn_blocking(move || {
        let trace = match path {
            Some(path) => Trace::read(&path)
                .map_err(|error| Usage(format!("--trace: {:#}", anyhow::Error::from(error))))?,
            None => typist::trace(seed),
        };
        anyhow::Ok(match what {
            What::Virtual(options) => replay(&trace, &options)?,
            What::Wall(options) => wall::measure(&trace, &options)?,
        })
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
    if let Some(path) = &args.list {
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

fn oracle(args: &Args) -> anyhow::Result<OracleOptions> {
    let parsed = args.oracle.parse();
    Ok(parsed.map_err(|error| Usage(format!("--oracle: {error}")))?)
}

fn trace_name(args: &Args) -> String {
    let name = args.trace.as_deref().and_then(Path::file_name);
    name.map_or("typist".into(), |name| name.to_string_lossy().into_owned())
}

fn wall_options(args: &Args) -> anyhow::Result<wall::Options> {
    let model = match args.backend {
        WallBackend::Oracle => wall::Model::Oracle(oracle(args)?),
        WallBackend::Embedded => {
            let model =
                models::find(&args.model).map_err(|error| Usage(format!("--model: {error}")))?;
            let path = Store::open_default()?.path_of(model);
            let name = model.name.to_owned();
            let path = path.with_context(|| {
                format!("{name} is not installed; fetch it with `ghostline models pull {name}`")
            })?;
            wall::Model::Weights { name, path }
        }
    };
    if let Some(name) = args
        .policy
        .iter()
        .find(|name| !wall::POLICIES.contains(&name.as_str()))
    {
        let known = wall::POLICIES.join(", ");
        bail!(Usage(format!(
            "--policy: there is no policy `{name}` in real time; there are {known}"
        )));
    }
    let server = match (&args.server_url, &args.server_python) {
        (Some(url), _) => Some(wall::HttpServer::Url(url.clone())),
        (None, Some(python)) => Some(wall::HttpServer::Python(python.clone())),
        (None, None) => None,
    };
    if server.is_none() && args.backend == WallBackend::Embedded {
        output::note(
            "SKIPPED: debounce-75 and http-engine. They need llama.cpp's HTTP server: name one with \
             --server-url, or with --server-python a Python that has the package xllamacpp.",
        );
    }
    Ok(wall::Options {
        trace_name: trace_name(args),
        seed: args.seed,
        from_key: args.from,
        limit_keys: Some(args.keys.unwrap_or(WALL_KEYS)),
        policies: args.policy.clone(),
        program: std::env::current_exe().context("cannot find the running program")?,
        model,
        threads: args.threads,
        server,
        chat: args.chat,
    })
}

/// A chat is only of use beside the policy that knows of chats.
fn check_chat(args: &Args) -> anyhow::Result<()> {
    let replays_engine = args.policy.is_empty() || args.policy.iter().any(|p| p == "engine");
    if args.chat && !replays_engine {
        bail!(Usage(
            "--chat: it goes on beside `engine`; leave out --policy, or name that too".to_owned()
        ));
    }
    Ok(())
}

fn options(args: &Args) -> anyhow::Result<Options> {
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
    Ok(Options {
        trace_name: trace_name(args),
        oracle: oracle(args)?,
        policies,
        seed: args.seed,
        from_key: args.from,
        limit_keys: args.keys,
        settings: Arc::new(Settings::default()),
        chat: args.chat,
    })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
