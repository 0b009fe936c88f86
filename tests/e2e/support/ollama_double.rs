//! A scripted Ollama: the protocol and the habits of the real one, without a model.
//!
//! Tests start it in process; `cargo run --example ollama-double` runs the same by hand. What it
//! reproduces, after Ollama's source around 0.33: headers come with the first token; a load ends when
//! the client that caused it leaves; other options mean another load; one request at a time per model,
//! the others wait without bound; `keep_alive`; a prefix cache; errors and broken streams as scripted.
//! It records every request, how each ended and how many were under way at once.
//!
//! Delays are tokio's. Nothing here waits longer than it was told to, except [`Step::Hang`].

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::record::Ticket;
pub(crate) use self::record::{End, Log};
pub(crate) use self::script::{Answer, Step};

#[path = "ollama_double/clock.rs"]
mod clock;
#[path = "ollama_double/library.rs"]
mod library;
#[path = "ollama_double/record.rs"]
mod record;
#[path = "ollama_double/runner.rs"]
mod runner;
#[path = "ollama_double/script.rs"]
mod script;

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Answerer = Box<dyn Fn(&Value) -> Answer + Send + Sync>;

/// How the double behaves. [`Config::default`] is quick and has one model.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// 0 for any free port.
    pub(crate) port: u16,
    /// What `/api/version` says.
    pub(crate) version: String,
    /// What is installed, newest first.
    pub(crate) models: Vec<Model>,
    /// `OLLAMA_NUM_PARALLEL`.
    pub(crate) parallel: usize,
    /// `OLLAMA_MAX_LOADED_MODELS`.
    pub(crate) max_loaded: usize,
    /// `OLLAMA_MAX_QUEUE`: how many requests may wait for a load.
    pub(crate) max_queue: usize,
    /// Time a load takes.
    pub(crate) load: Duration,
    /// What `load_duration` says after a load, where it should differ from `load`.
    pub(crate) reported_load: Option<Duration>,
    /// If set, a load also waits for one permit of this semaphore.
    pub(crate) load_gate: Option<Arc<Semaphore>>,
    /// Prefill time per prompt token that the prefix cache does not hold.
    pub(crate) prefill_per_token: Duration,
    /// Time between two generated tokens.
    pub(crate) per_token: Duration,
    /// How long the model stays busy after a cancel during prefill, at most.
    pub(crate) cancel_poll: Duration,
    /// `size` of each loaded model in `/api/ps`.
    pub(crate) memory_bytes: u64,
    /// `size_vram` of each.
    pub(crate) gpu_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            version: "0.33.0".to_owned(),
            models: vec![Model::new("qwen2.5-coder:1.5b")],
            parallel: 1,
            max_loaded: 3,
            max_queue: 512,
            load: Duration::ZERO,
            reported_load: None,
            load_gate: None,
            prefill_per_token: Duration::ZERO,
            per_token: Duration::ZERO,
            cancel_poll: Duration::ZERO,
            memory_bytes: 1_500_000_000,
            gpu_bytes: 1_500_000_000,
        }
    }
}

/// An installed model.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// With its tag.
    pub(crate) name: String,
    /// Models of one digest share one runner.
    pub(crate) digest: String,
    /// As `/api/tags` lists it; `null` leaves a field out.
    pub(crate) details: Value,
    /// As from 0.30; `None` leaves the field out.
    pub(crate) capabilities: Option<Vec<&'static str>>,
    /// Ollama's template, as `/api/show` tells it.
    pub(crate) template: &'static str,
    /// The file's header, as `/api/show` tells it.
    pub(crate) metadata: Value,
}

impl Model {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            digest: format!("sha256:{name}"),
            details: json!({
                "parent_model": "", "format": "gguf", "family": "qwen2", "families": null,
                "parameter_size": "1.5B", "quantization_level": "Q4_K_M",
            }),
            // As the real ones say of themselves: models of code fill gaps, the others see pictures.
            capabilities: Some(if name.contains("vision") {
                vec!["completion", "vision"]
            } else {
                vec!["completion", "insert"]
            }),
            template: "{{ .Prompt }}{{ .Suffix }}",
            metadata: json!({"general.architecture": "qwen2", "qwen2.context_length": 32768}),
        }
    }
}

/// A running double. Dropping it resets all its connections, as a killed server would.
pub(crate) struct OllamaDouble {
    address: SocketAddr,
    shared: Arc<Shared>,
    connections: JoinSet<()>,
}

pub(crate) struct Shared {
    config: Config,
    runners: Mutex<HashMap<String, Arc<runner::Runner>>>,
    /// One load at a time, first come first served.
    loader: Semaphore,
    scripts: Mutex<Scripts>,
    log: Mutex<Log>,
    /// Goes up with every change of the log.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Scripts {
    queue: VecDeque<Answer>,
    loads: VecDeque<Answer>,
    paths: HashMap<String, VecDeque<Answer>>,
    otherwise: Option<Answerer>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OllamaDouble {
    /// Starts it on 127.0.0.1.
    pub(crate) async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            config,
            runners: Mutex::default(),
            loader: Semaphore::new(1),
            scripts: Mutex::default(),
            log: Mutex::default(),
            changes: watch::Sender::new(0),
        });
        let mut connections = JoinSet::new();
        connections.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            connections,
        })
    }

    /// Its address, such as `http://127.0.0.1:40123`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The next generation without an answer gets this one.
    pub(crate) fn answer(&self, answer: Answer) {
        lock(&self.shared.scripts).queue.push_back(answer);
    }

    /// The next load, that is, the next `/api/generate` without a prompt, gets this answer.
    pub(crate) fn answer_load(&self, answer: Answer) {
        lock(&self.shared.scripts).loads.push_back(answer);
    }

    /// The next request for `path` gets this answer, whatever it asks. For `/api/pull` and the like.
    pub(crate) fn answer_path(&self, path: &str, answer: Answer) {
        let mut scripts = lock(&self.shared.scripts);
        scripts
            .paths
            .entry(path.to_owned())
            .or_default()
            .push_back(answer);
    }

    /// Generations for which no answer is queued get what `answer` makes of the request's body.
    pub(crate) fn answer_with(&self, answer: impl Fn(&Value) -> Answer + Send + Sync + 'static) {
        lock(&self.shared.scripts).otherwise = Some(Box::new(answer));
    }

    /// A copy of everything recorded so far.
    pub(crate) fn log(&self) -> Log {
        lock(&self.shared.log).clone()
    }

    /// Waits until `predicate` holds for the log, and returns that log.
    pub(crate) async fn wait_for(&self, predicate: impl Fn(&Log) -> bool) -> Log {
        let mut changes = self.shared.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let log = self.log();
            if predicate(&log) {
                return log;
            }
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// Unloads every idle model, as another client's larger model would.
    pub(crate) fn evict(&self) {
        lock(&self.shared.runners).retain(|_, runner| !runner.unload_if_idle());
    }

    /// The runner of `model` loses a request: it answers nothing until the model is unloaded.
    pub(crate) fn lose_turns(&self, model: &str) {
        self.lose(model, runner::Lost::UntilUnloaded);
    }

    /// The same, and unloading is no help.
    pub(crate) fn lose_turns_for_ever(&self, model: &str) {
        self.lose(model, runner::Lost::Always);
    }

    fn lose(&self, model: &str, lost: runner::Lost) {
        let models = &self.shared.config.models;
        let digest = models.iter().find(|m| m.name == model).map(|m| &m.digest);
        let runners = lock(&self.shared.runners);
        if let Some(runner) = digest.and_then(|digest| runners.get(digest)) {
            runner.lose(lost);
        }
    }

    /// Stops it; its connections are reset. The port is free again when this returns.
    pub(crate) async fn stop(mut self) {
        self.connections.shutdown().await;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // A connection dropped in the middle of an answer is reset, not closed.
        let _ = stream.set_zero_linger();
        let _ = stream.set_nodelay(true);
        shared.note(|log| log.connections += 1);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(respond(shared, request).await) }
            });
            // An error is a client that left or a scripted reset.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let host = parts
        .headers
        .get("host")
        .and_then(|host| host.to_str().ok());
    let Ok(body) = body.collect().await else {
        return refuse(StatusCode::BAD_REQUEST, "unexpected EOF");
    };
    let parsed: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
    let ticket = Ticket::new(&shared, &parts.method, &path, &parsed);
    if !host.is_none_or(is_local) {
        ticket.finished();
        return whole(StatusCode::FORBIDDEN, "", "");
    }
    let scripted = lock(&shared.scripts)
        .paths
        .get_mut(&path)
        .and_then(VecDeque::pop_front);
    if let Some(answer) = scripted {
        return script::play(&shared, answer, &parsed, &json!({}), ticket, ()).await;
    }
    let response = match (&parts.method, path.as_str()) {
        (&Method::POST, "/api/generate" | "/api/chat" | "/api/embed") => {
            return runner::generate(shared, &parsed, ticket).await;
        }
        (&Method::POST, "/api/pull" | "/api/create") => {
            return library::pull(shared, &parsed, ticket).await;
        }
        (&Method::POST, "/api/show") => library::show(&shared, &parsed),
        (&Method::DELETE, "/api/delete") => library::delete(&shared, &parsed),
        (&Method::GET | &Method::HEAD, "/") => whole(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            "Ollama is running",
        ),
        (&Method::GET, "/api/version") => reply(&json!({"version": shared.config.version})),
        (&Method::GET, "/api/tags") => reply(&tags(&shared.config)),
        (&Method::GET, "/api/ps") => reply(&runner::running(&shared)),
        (_, "/api/generate" | "/" | "/api/version" | "/api/tags" | "/api/ps") => whole(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "405 method not allowed",
        ),
        _ => whole(StatusCode::NOT_FOUND, "text/plain", "404 page not found"),
    };
    ticket.finished();
    response
}

/// The rule that guards a real Ollama against web pages.
fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok()
        || [".localhost", ".local", ".internal"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn tags(config: &Config) -> Value {
    let models: Vec<_> = config
        .models
        .iter()
        .map(|model| {
            let mut tag = json!({
                "name": model.name, "model": model.name, "digest": model.digest,
                "size": 986_000_000_u64, "modified_at": "2026-06-01T00:00:00Z",
            });
            if !model.details.is_null() {
                tag["details"] = model.details.clone();
            }
            if let Some(capabilities) = &model.capabilities {
                tag["capabilities"] = json!(capabilities);
            }
            tag
        })
        .collect();
    json!({"models": models})
}

/// One JSON object.
fn reply(body: &Value) -> Response<Body> {
    whole(
        StatusCode::OK,
        "application/json; charset=utf-8",
        &script::go_json(body),
    )
}

/// An error as it looks before the first byte.
fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let body = script::go_json(&json!({"error": message}));
    whole(status, "application/json; charset=utf-8", &body)
}

fn whole(status: StatusCode, content_type: &str, body: &str) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    if let Ok(content_type) = content_type.parse() {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}
