//! `/api/generate`, `/api/chat` and `/api/embed` as Ollama's scheduler does them: load or load again, wait
//! for a slot, prefill, answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::clock::{expires_at, keep_alive, nanoseconds};
use super::record::Ticket;
use super::{Answer, Body, Model, Shared, lock, refuse, reply, script};

/// Options that make the real one load the model again when they differ.
const LOAD_OPTIONS: &[&str] = &[
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "use_mmap",
    "num_thread",
];

/// What `num_ctx` means when it is left out.
const DEFAULT_NUM_CTX: u64 = 4096;

/// Bytes of a prompt that count as one token here.
const BYTES_PER_TOKEN: usize = 4;

/// The process that serves one model file.
pub(super) struct Runner {
    slots: Arc<Semaphore>,
    parallel: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: Option<Loaded>,
    /// What the prefix cache holds.
    cached: Vec<u8>,
    lost: Lost,
}

/// Whether the runner has lost a request, and never gives its turn to the next.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Lost {
    #[default]
    No,
    UntilUnloaded,
    Always,
}

impl State {
    /// As after unloading.
    fn forget(&mut self) {
        let always = self.lost == Lost::Always;
        *self = Self::default();
        if always {
            self.lost = Lost::Always;
        }
    }
}

struct Loaded {
    name: String,
    options: Vec<Value>,
    shift: Value,
    /// `None` for ever.
    keep_alive: Option<Duration>,
    used: Instant,
}

impl Loaded {
    fn expired(&self) -> bool {
        self.keep_alive
            .is_some_and(|keep| self.used.elapsed() >= keep)
    }
}

impl Runner {
    fn new(parallel: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(parallel)),
            parallel,
            state: Mutex::default(),
        }
    }

    fn is_idle(&self) -> bool {
        self.slots.available_permits() == self.parallel
    }

    /// Forgets the model unless it is at work; true if it is not loaded afterwards.
    pub(super) fn unload_if_idle(&self) -> bool {
        if self.is_idle() {
            lock(&self.state).forget();
        }
        lock(&self.state).loaded.is_none()
    }

    pub(super) fn lose(&self, lost: Lost) {
        lock(&self.state).lost = lost;
    }

    fn is_lost(&self) -> bool {
        lock(&self.state).lost != Lost::No
    }

    /// Whether it can serve these options as it is; if so its time starts anew.
    fn serves(&self, request: &Value, keep_alive: Option<Duration>) -> bool {
        let idle = self.is_idle();
        let mut state = lock(&self.state);
        let Some(loaded) = &mut state.loaded else {
            return false;
        };
        if loaded.options != load_options(request) || loaded.shift != request["shift"] {
            return false;
        }
        if idle && loaded.expired() {
            state.loaded = None;
            return false;
        }
        loaded.keep_alive = keep_alive;
        loaded.used = Instant::now();
        true
    }

    /// Tokens of `prompt` that are not cached; afterwards they are.
    fn uncached_tokens(&self, prompt: &str) -> usize {
        let mut state = lock(&self.state);
        let pairs = state.cached.iter().zip(prompt.as_bytes());
        let common = pairs.take_while(|(cached, byte)| cached == byte).count();
        state.cached = prompt.as_bytes().to_vec();
        tokens(prompt) - common / BYTES_PER_TOKEN
    }
}

fn tokens(prompt: &str) -> usize {
    prompt.len().div_ceil(BYTES_PER_TOKEN)
}

fn load_options(request: &Value) -> Vec<Value> {
    let options = &request["options"];
    let value = |name: &&str| match (*name, &options[*name]) {
        ("num_ctx", Value::Null) => DEFAULT_NUM_CTX.into(),
        (_, value) => value.clone(),
    };
    LOAD_OPTIONS.iter().map(value).collect()
}

/// What there is to compute of any of the three.
fn prompt_of(request: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = |values: &Value, text: &dyn Fn(&Value) -> String| {
        values.as_array().into_iter().flatten().map(text).collect()
    };
    if request["messages"].is_array() {
        all(&request["messages"], &|message| text(&message["content"]))
    } else if request["input"].is_array() {
        all(&request["input"], &text)
    } else {
        text(&request["prompt"])
    }
}

/// Vectors that differ by text, of length 5.
fn embed(request: &Value, statistics: Value) -> Value {
    let vector = |text: &Value| {
        let bytes = text.as_str().unwrap_or_default().len();
        if bytes.is_multiple_of(2) {
            json!([3.0, 4.0])
        } else {
            json!([-4.0, 3.0])
        }
    };
    let vectors: Vec<_> = request["input"]
        .as_array()
        .into_iter()
        .flatten()
        .map(vector)
        .collect();
    let mut answer = statistics;
    answer["embeddings"] = vectors.into();
    answer
}

/// Answers `POST` to the three paths. Dropped when the client leaves.
pub(super) async fn generate(
    shared: Arc<Shared>,
    request: &Value,
    ticket: Ticket,
) -> Response<Body> {
    let model = match check(&shared, request) {
        Ok(model) => model.clone(),
        Err((status, message)) => {
            ticket.finished();
            return refuse(status, &message);
        }
    };
    let prompt = prompt_of(request);
    let embeds = request["input"].is_array();
    let keep_alive = keep_alive(&request["keep_alive"]);
    if prompt.is_empty() {
        let scripted = lock(&shared.scripts).loads.pop_front();
        if let Some(answer) = scripted {
            return script::play(&shared, answer, request, &json!({}), ticket, ()).await;
        }
    }
    let runner = Arc::clone(
        lock(&shared.runners)
            .entry(model.digest.clone())
            .or_insert_with(|| Arc::new(Runner::new(shared.config.parallel))),
    );
    if prompt.is_empty() && keep_alive == Some(Duration::ZERO) {
        runner.unload_if_idle();
        ticket.finished();
        return reply(
            &json!({"model": model.name, "response": "", "done": true, "done_reason": "unload"}),
        );
    }
    let Some(load) = ready(&shared, &runner, &model, request, keep_alive).await else {
        ticket.finished();
        let message = "server busy, please try again.  maximum pending requests exceeded";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, message);
    };
    if prompt.is_empty() {
        ticket.finished();
        return reply(&json!({
            "model": model.name, "response": "", "done": true, "done_reason": "load",
            "load_duration": nanoseconds(load), "embeddings": [],
        }));
    }
    if runner.is_lost() {
        std::future::pending::<()>().await;
    }
    let Ok(permit) = Arc::clone(&runner.slots).acquire_owned().await else {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "the slots are closed");
    };
    let computed = runner.uncached_tokens(&prompt);
    ticket.computes(computed);
    let time = shared.config.prefill_per_token * u32::try_from(computed).unwrap_or(u32::MAX);
    let permit = prefill(permit, time, shared.config.cancel_poll).await;
    let answer = if embeds {
        Answer::text("")
    } else {
        next_answer(&shared, request)
    };
    let statistics = json!({
        "load_duration": nanoseconds(answer.load.unwrap_or(load)),
        "prompt_eval_count": tokens(&prompt),
        "prompt_eval_duration": nanoseconds(time),
    });
    if embeds {
        ticket.finished();
        return reply(&embed(request, statistics));
    }
    if request["stream"] == json!(false) && answer.refusal.is_none() {
        // The whole answer as one object; only short ones are asked for this way.
        ticket.finished();
        let mut object = statistics;
        for (key, value) in [
            ("response", json!("x")),
            ("done", json!(true)),
            ("done_reason", json!("length")),
        ] {
            object[key] = value;
        }
        return reply(&object);
    }
    script::play(&shared, answer, request, &statistics, ticket, permit).await
}

fn next_answer(shared: &Shared, request: &Value) -> Answer {
    let mut scripts = lock(&shared.scripts);
    // A request for one token in one piece heats the model; it takes no answer away.
    if request["stream"] != json!(false)
        && let Some(answer) = VecDeque::pop_front(&mut scripts.queue)
    {
        return answer;
    }
    match &scripts.otherwise {
        Some(otherwise) => otherwise(request),
        None => Answer::text("let answer = 42;"),
    }
}

/// The refusals that need no runner.
fn check<'a>(shared: &'a Shared, request: &Value) -> Result<&'a Model, (StatusCode, String)> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let Some(name) = request["model"].as_str() else {
        return Err(bad("missing request body".to_owned()));
    };
    let full = if name.contains(':') {
        name.to_owned()
    } else {
        format!("{name}:latest")
    };
    let Some(model) = shared.config.models.iter().find(|model| model.name == full) else {
        return Err((StatusCode::NOT_FOUND, format!("model '{name}' not found")));
    };
    let set = |field: &str| !matches!(&request[field], Value::Null) && request[field] != json!("");
    if request["raw"] == json!(true) && (set("template") || set("system") || set("context")) {
        return Err(bad(
            "raw mode does not support template, system, or context".to_owned(),
        ));
    }
    let can = |capability| {
        model
            .capabilities
            .as_ref()
            .is_none_or(|all| all.contains(&capability))
    };
    if set("suffix") && !can("insert") {
        return Err(bad(format!(
            "registry.ollama.ai/library/{full} does not support insert"
        )));
    }
    if request["think"] == json!(true) && !can("thinking") {
        return Err(bad(format!("\"{name}\" does not support thinking")));
    }
    if request["input"].is_array() {
        return Ok(model);
    }
    if !can("completion") {
        return Err(bad(format!("\"{name}\" does not support generate")));
    }
    Ok(model)
}

/// Makes sure that the model is loaded with these options. Returns the time that took, or `None` when
/// too many wait already.
async fn ready(
    shared: &Arc<Shared>,
    runner: &Runner,
    model: &Model,
    request: &Value,
    keep_alive: Option<Duration>,
) -> Option<Duration> {
    if runner.serves(request, keep_alive) {
        return Some(Duration::ZERO);
    }
    let _waiting = Waiting::enter(shared)?;
    let _loader = shared.loader.acquire().await.ok()?;
    if runner.serves(request, keep_alive) {
        return Some(Duration::ZERO);
    }
    let all = u32::try_from(runner.parallel).unwrap_or(u32::MAX);
    let _all_slots = runner.slots.acquire_many(all).await.ok()?;
    lock(&runner.state).forget();
    make_room(shared);
    let load = Load::start(shared);
    if let Some(gate) = &shared.config.load_gate {
        gate.acquire().await.ok()?.forget();
    }
    sleep(shared.config.load).await;
    load.finish();
    lock(&runner.state).loaded = Some(Loaded {
        name: model.name.clone(),
        options: load_options(request),
        shift: request["shift"].clone(),
        keep_alive,
        used: Instant::now(),
    });
    Some(shared.config.reported_load.unwrap_or(shared.config.load))
}

/// Unloads idle models, the shortest `keep_alive` first, until one more fits.
fn make_room(shared: &Shared) {
    let runners = lock(&shared.runners);
    let mut loaded: Vec<_> = runners
        .values()
        .filter_map(|runner| {
            let state = lock(&runner.state);
            let loaded = state.loaded.as_ref()?;
            Some((loaded.keep_alive.unwrap_or(Duration::MAX), runner))
        })
        .collect();
    loaded.sort_by_key(|(keep_alive, _)| *keep_alive);
    let excess = (loaded.len() + 1).saturating_sub(shared.config.max_loaded);
    let idle = loaded.into_iter().filter(|(_, runner)| runner.is_idle());
    for (_, runner) in idle.take(excess) {
        runner.unload_if_idle();
    }
}

/// A place in the queue for loads.
struct Waiting(Arc<Shared>);

impl Waiting {
    fn enter(shared: &Arc<Shared>) -> Option<Self> {
        shared.note(|log| {
            let room = log.waiting_for_load < shared.config.max_queue;
            log.waiting_for_load += usize::from(room);
            room.then(|| Self(Arc::clone(shared)))
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.note(|log| log.waiting_for_load -= 1);
    }
}

/// A load under way. Dropped before [`Load::finish`] it was given up.
struct Load {
    shared: Arc<Shared>,
    finished: bool,
}

impl Load {
    fn start(shared: &Arc<Shared>) -> Self {
        shared.note(|log| log.loads_started += 1);
        Self {
            shared: Arc::clone(shared),
            finished: false,
        }
    }

    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.note(|log| {
            if self.finished {
                log.loads_finished += 1;
            } else {
                log.loads_aborted += 1;
            }
        });
    }
}

/// Prefill. A client that leaves meanwhile is noticed by a slow poll: the slot stays busy for a while.
async fn prefill(
    permit: OwnedSemaphorePermit,
    time: Duration,
    poll: Duration,
) -> OwnedSemaphorePermit {
    struct Busy {
        permit: Option<OwnedSemaphorePermit>,
        end: Instant,
        poll: Duration,
    }
    impl Drop for Busy {
        fn drop(&mut self) {
            let left = self
                .end
                .saturating_duration_since(Instant::now())
                .min(self.poll);
            if let Some(permit) = self.permit.take().filter(|_| !left.is_zero()) {
                tokio::spawn(async move {
                    sleep(left).await;
                    drop(permit);
                });
            }
        }
    }
    if time.is_zero() {
        return permit;
    }
    let mut busy = Busy {
        permit: None,
        end: Instant::now() + time,
        poll,
    };
    busy.permit = Some(permit);
    sleep(time).await;
    match busy.permit.take() {
        Some(permit) => permit,
        None => unreachable!("put in above"),
    }
}

/// `/api/ps`.
pub(super) fn running(shared: &Shared) -> Value {
    let runners = lock(&shared.runners);
    let models: Vec<_> = runners
        .iter()
        .filter_map(|(digest, runner)| {
            let state = lock(&runner.state);
            let loaded = state.loaded.as_ref().filter(|loaded| !loaded.expired())?;
            let left = loaded
                .keep_alive
                .map(|keep| keep.saturating_sub(loaded.used.elapsed()));
            Some(json!({
                "name": loaded.name, "model": loaded.name, "digest": digest,
                "size": shared.config.memory_bytes, "size_vram": shared.config.gpu_bytes,
                "context_length": loaded.options[0],
                "expires_at": expires_at(left),
            }))
        })
        .collect();
    json!({"models": models})
}
