//! Types a slice of a trace in real time, through the built program and a real model.
//!
//! Called by `cli/bench/replay`. One pass per policy, one after the other, with the same gaps:
//!
//! - `engine`: `ghostline serve` over its pipes, with the engine in its process; or with an oracle
//!   behind an HTTP server, so that the measurement itself can be tried without weights.
//! - `engine-beside-chat`: the same again, while the same process answers one question after the other
//!   by `ghostline/chat`.
//! - `debounce-75`: what plugins do today, straight to an HTTP server with the same weights.
//! - `http-engine`: `ghostline serve` again, with that HTTP server as its backend.
//!
//! Person, gaps and figures are those of [`replay`](super::replay); [`WallFigures`] adds what only real
//! time tells. The server runs with settings of its own and an empty cache: nothing of the person's
//! own set-up counts, and nothing is left behind.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::figures;
use super::keys::KeyList;
use super::machine::Machine;
use super::oracle::{MODEL, Oracle, OracleOptions};
use super::replay::{BESIDE_CHAT, Outcome, ReplayError, script_of};
use super::report::{Place, Report};
use super::script::Script;
use super::trace::Trace;
use crate::backend::{AddressError, BackendError};
use crate::client::ClientError;
use crate::config::Settings;

mod books;
mod editor;
mod measures;
mod pass;
mod served;
mod talking;

pub(super) use measures::ROWS;
pub use measures::{SameGhost, WallFigures};
use pass::{Served, debounced};
use served::{LlamaProcess, serve_oracle};

/// The policies, in the order in which they are measured.
pub const POLICIES: &[&str] = &["engine", "debounce-75", "http-engine"];

/// What answers.
#[derive(Debug, Clone)]
pub enum Model {
    /// Real weights.
    Weights {
        /// As in candidates, such as `qwen2.5-coder-1.5b`.
        name: String,
        /// The installed file.
        path: PathBuf,
    },
    /// An oracle, over HTTP.
    Oracle(OracleOptions),
}

/// Where llama.cpp's server with the same weights is.
#[derive(Debug, Clone)]
pub enum HttpServer {
    /// It runs already.
    Url(String),
    /// Started with this Python, which has `xllamacpp`.
    Python(PathBuf),
}

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the trace is called in the report.
    pub trace_name: String,
    /// Of the gaps, and the oracle.
    pub seed: u64,
    /// Keys of the trace that are left out in front.
    pub from_key: usize,
    /// Only so many keys.
    pub limit_keys: Option<usize>,
    /// Only these policies; all without any.
    pub policies: Vec<String>,
    /// The program to start.
    pub program: PathBuf,
    /// What answers.
    pub model: Model,
    /// Threads that compute, in the program and in the HTTP server; their own choice without it.
    pub threads: Option<usize>,
    /// Without one its policies are left out.
    pub server: Option<HttpServer>,
    /// The engine once more, beside a chat.
    pub chat: bool,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum WallError {
    /// A folder, a port or a process could not be had.
    #[error("cannot {what}")]
    Set {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The trace or the runtime.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The conversation with the server broke.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server does not serve completions with what is measured.
    #[error("the server does not serve completions from {expected}: {status}")]
    NotServed {
        /// The backend.
        expected: String,
        /// The server's status.
        status: String,
    },
    /// The Python is there, and llama.cpp's server is not.
    #[error("{python} does not start llama.cpp's server; install xllamacpp with its pip")]
    NoServer {
        /// As it was named.
        python: String,
    },
    /// The address of the HTTP server.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The HTTP server itself.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Nothing came of the chat beside which is typed.
    #[error("the chat does not answer: {0}")]
    Chat(String),
}

fn cannot(what: &'static str) -> impl FnOnce(std::io::Error) -> WallError {
    move |source| WallError::Set { what, source }
}

/// What the report tells of a measurement in real time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wall {
    /// The model.
    pub model: String,
    /// Threads that were asked for.
    pub threads: Option<usize>,
    /// Processes that wanted to run in the last minute, at the end.
    pub load_1min_at_end: Option<f64>,
    /// The engine in the process against the same policy over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_ghost: Option<SameGhost>,
}

impl Wall {
    pub(super) fn remarks(&self) -> String {
        let same = self.same_ghost.as_ref().map(|same| {
            format!(
                "the same ghost at {} keys: {:.0} ms in the process, {:.0} ms over HTTP, {:.2}x\n",
                same.pairs, same.engine_ms, same.http_engine_ms, same.ratio
            )
        });
        same.unwrap_or_default()
    }
}

/// Replays in real time: a quarter of a second a key and pass. Blocks; must not be called on a
/// runtime's worker.
///
/// # Errors
/// [`WallError`]
pub fn measure(trace: &Trace, options: &Options) -> Result<(Report, Vec<KeyList>), WallError> {
    let settings = Arc::<Settings>::default();
    let script = script_of(trace, (options.from_key, options.limit_keys), &settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(cannot("start a runtime"))?;
    runtime.block_on(passes(&script, options))
}

async fn passes(script: &Script, options: &Options) -> Result<(Report, Vec<KeyList>), WallError> {
    let machine = Machine::here();
    let mut found = Vec::new();
    let wants =
        |name: &str| options.policies.is_empty() || options.policies.iter().any(|p| p == name);
    let (model, oracle) = match &options.model {
        Model::Weights { name, .. } => (name.as_str(), None),
        Model::Oracle(oracle) if options.chat => {
            (MODEL, Some(Oracle::sharing(*oracle, options.seed)))
        }
        Model::Oracle(oracle) => (MODEL, Some(Oracle::new(*oracle, options.seed))),
    };
    let oracle_url = match &oracle {
        Some(oracle) => Some(serve_oracle(oracle.clone()).await?),
        None => None,
    };
    if wants("engine") {
        let served = match (&options.model, &oracle_url) {
            (Model::Weights { path, .. }, _) => Served {
                settings: embedded(options.threads),
                candidate: format!("embedded/{model}"),
                weights: Some(path.clone()),
                process_id: None,
            },
            (Model::Oracle(_), url) => {
                Served::over_http(url.as_deref().unwrap_or_default()).await?
            }
        };
        let alone = served.pass("engine", script, options, oracle.clone());
        found.push(alone.await?);
        if options.chat {
            let beside = served.pass(BESIDE_CHAT, script, options, oracle.clone());
            found.push(beside.await?);
        }
    }
    let wants_http = wants("debounce-75") || wants("http-engine");
    let (url, llama) = match (&oracle_url, &options.server, &options.model) {
        (Some(url), _, _) | (None, Some(HttpServer::Url(url)), _) => (Some(url.clone()), None),
        (None, Some(HttpServer::Python(python)), Model::Weights { path, .. }) if wants_http => {
            let threads = options.threads.unwrap_or(1);
            let llama = LlamaProcess::start(python, path, model, threads).await?;
            (Some(llama.url.clone()), Some(llama))
        }
        _ => (None, None),
    };
    if let Some(url) = &url {
        let process_id = llama.as_ref().and_then(LlamaProcess::process_id);
        if wants("debounce-75") {
            let of = (url.as_str(), process_id);
            found.push(debounced(script, options, of, oracle.clone()).await?);
        }
        if wants("http-engine") && oracle.is_none() {
            let served = Served {
                process_id,
                ..Served::over_http(url).await?
            };
            found.push(served.pass("http-engine", script, options, None).await?);
        }
    }
    let mut figures = Vec::new();
    let mut lists = Vec::new();
    for pass in &found {
        let mut all = figures::of_policy(pass.name, &pass.outcome, &Outcome::default());
        all.wall = Some(WallFigures::of(&pass.outcome, pass.used));
        figures.push(all);
        lists.push(KeyList::new(pass.name, script, &pass.outcome));
    }
    let outcome = |name: &str| found.iter().find(|p| p.name == name).map(|p| &p.outcome);
    let same_ghost = outcome("engine")
        .zip(outcome("http-engine"))
        .and_then(|(engine, http)| SameGhost::of(engine, http));
    let mut report = Report::new((&options.trace_name, options.seed), script, figures);
    report.machine = Place::Wall(machine);
    report.mode = "wall";
    report.oracle = match options.model {
        Model::Oracle(oracle) => Some(oracle),
        Model::Weights { .. } => None,
    };
    report.wall = Some(Wall {
        model: model.to_owned(),
        threads: options.threads,
        load_1min_at_end: Machine::here().load_1min,
        same_ghost,
    });
    Ok((report, lists))
}

fn embedded(threads: Option<usize>) -> String {
    let threads = threads.map_or(String::new(), |threads| format!("threads = {threads}\n"));
    format!("[backends.embedded]\nkind = \"embedded\"\n{threads}")
}
