//! Several endpoints of one backend, used as one.
//!
//! Made by the host from `urls` with more than one address; with one address it is that backend with a
//! circuit breaker. Knows nothing of HTTP: a member is any [`Backend`].
//!
//! - **Where a request goes.** To the endpoint that has seen the longest beginning of the prompt
//!   (`affinity`), so that a document keeps its warm cache, unless clearly more waits there than
//!   elsewhere; else to the one with the least outstanding work, and of equals to the one that has
//!   served least.
//! - **Sick endpoints.** Failures open an endpoint's breaker (`breaker`): it is left out until a single
//!   trial, a probe or a request, goes well. Then its models are warmed up again.
//! - **No request is lost** when an endpoint dies before or between tokens. A completion goes on
//!   elsewhere from what was said so far, without a word. A conversation goes on elsewhere when that
//!   endpoint can continue an answer ([`Capabilities::continues`]); where it cannot, the answer ends in an
//!   error that says so, with what was said kept.
//!
//! - **Who goes first** on a device that roles share (`device`): a completion never waits for a chat
//!   that has not begun, where the server itself cannot be told.
//!
//! # Several servers for one team
//!
//! ```toml
//! [backends.team]
//! kind = "openai"          # vLLM; `ollama` and `llama_server` work alike
//! urls = ["http://gpu-1:8000", "http://gpu-2:8000"]
//! api_key_env = "TEAM_KEY" # if the servers were started with --api-key
//!
//! [roles.completion]
//! candidates = ["team/Qwen/Qwen2.5-Coder-7B"]
//! ```
//!
//! On each host, for vLLM: `vllm serve Qwen/Qwen2.5-Coder-7B --enable-prefix-caching`. Without prefix
//! caching every key would compute the whole prompt. A base model fills in the middle; the name must be
//! one from which the family can be told, so with `--served-model-name` keep `qwen2.5-coder` in it. The
//! servers should serve the same weights: greedy decoding then goes on where the other broke off.
//!
//! What was tried: two of llama.cpp's real HTTP servers on one machine, of which one is killed in the
//! middle of an answer and started again (`tests/http_servers/pool.rs`), through the kinds
//! `llama_server` and `openai`. By hand also two of vLLM 0.32 on one machine without a GPU, with
//! Qwen2.5-Coder 0.5B in 16 bits, through `openai`: completions stayed with one server; the one that a
//! chat had begun on was killed in the middle of the answer, which went on from the other, and so did the
//! next completion. A first token took 3.2 s there, so this says nothing about speed. vLLM on a GPU was
//! not run.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{self, FuturesUnordered};
use tokio::time::timeout;

use self::affinity::{Blocks, Seen};
use self::breaker::{Breaker, Outcome};
pub use self::device::{Device, Devices};
pub(crate) use self::device::{Seat, in_turn};
use self::going::Going;
use super::{
    Backend, BackendError, Capabilities, ChunkStream, EmbedRequest, Embeddings, Installed,
    PromptBudget, Request, Standing,
};

mod affinity;
mod breaker;
mod device;
mod going;
#[cfg(test)]
mod tests;

/// How long one endpoint may take to say what it has: less than the router gives the whole pool, so
/// that one that hangs does not hide the others.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// By how many requests the endpoint with the warm cache may be ahead of the least busy one before the
/// cache counts less. A document has a completion and a guess at the next under way; a third request
/// is another person's or a chat.
const SLACK_REQUESTS: usize = 2;

/// Several endpoints that serve the same models.
#[derive(Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    /// Never empty.
    members: Vec<Member>,
    /// Models that were warmed up, for endpoints that come back.
    wanted: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct Member {
    backend: Arc<dyn Backend>,
    breaker: Breaker,
    seen: Seen,
    /// Requests on their way.
    outstanding: AtomicUsize,
    /// Requests ever sent.
    served: AtomicUsize,
    /// Where roles share a device and its servers cannot be told who goes first.
    seat: Option<Seat>,
    /// Models that the last good probe listed; `None` before it.
    models: Mutex<Option<BTreeSet<String>>>,
}

impl Member {
    fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            breaker: Breaker::default(),
            seen: Seen::new(),
            outstanding: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            seat: None,
            models: Mutex::default(),
        }
    }

    /// Whether it has the model, as far as is known.
    fn has(&self, model: &str) -> bool {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.as_ref().is_none_or(|models| models.contains(model))
    }

    fn list(&self, models: &[Installed]) {
        let names = models.iter().map(|model| model.name.clone()).collect();
        *self.models.lock().unwrap_or_else(PoisonError::into_inner) = Some(names);
    }

    fn nobody(&self) -> BackendError {
        BackendError::Unreachable {
            backend: self.backend.name().to_owned(),
            source: None,
        }
    }
}

/// What a failure says about the endpoint.
fn outcome(error: &BackendError) -> Outcome {
    match error {
        BackendError::Unreachable { .. } => Outcome::Gone,
        BackendError::Interrupted { .. } | BackendError::Protocol { .. } => Outcome::Failed,
        _ => Outcome::Works,
    }
}

impl Pool {
    /// A pool under the name of its backend in the settings. `None` without members.
    pub fn new(name: impl Into<String>, members: Vec<Arc<dyn Backend>>) -> Option<Self> {
        if members.is_empty() {
            return None;
        }
        Some(Self {
            inner: Arc::new(Inner {
                name: name.into(),
                members: members.into_iter().map(Member::new).collect(),
                wanted: Mutex::default(),
            }),
        })
    }

    /// Each member at its device, in their order: what nobody types for waits until no completion is
    /// under way there, whoever serves it, and one such prompt is computed at a time. With `batches` the
    /// members take in what comes while they compute, as vLLM does, and their own requests do not wait for
    /// each other; Ollama and llama.cpp's server compute in the order of arrival.
    #[must_use]
    pub fn on_devices(mut self, devices: Vec<Arc<Device>>, batches: bool) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            for (member, device) in inner.members.iter_mut().zip(devices) {
                member.seat = Some(Seat::new(device, batches));
            }
        }
        self
    }
}

impl Backend for Pool {
    fn name(&self) -> &str {
        &self.inner.name
    }

    /// What any endpoint has; each model once. An endpoint that is left alone is not asked.
    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        self.inner.probe().boxed()
    }

    /// Warms the model up everywhere, and is done when one endpoint is.
    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        let inner = Arc::clone(&self.inner);
        let model = model.to_owned();
        let mut wanted = self
            .inner
            .wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        wanted.insert(model.clone());
        drop(wanted);
        async move { inner.warm_up(&model).await }.boxed()
    }

    fn stream(&self, request: Request) -> ChunkStream {
        let going = Going::new(Arc::clone(&self.inner), request);
        stream::unfold(Some(going), |going| async {
            let mut going = going?;
            let chunk = going.next().await;
            let is_last = matches!(chunk, Err(_) | Ok(super::Chunk::Done(_)));
            Some((chunk, (!is_last).then_some(going)))
        })
        .boxed()
    }

    /// Of the endpoints that have the model, the first with something to tell.
    fn standing(&self, model: &str) -> Standing {
        let members = self.inner.members.iter().filter(|member| member.has(model));
        members
            .map(|member| member.backend.standing(model))
            .find(|standing| *standing != Standing::default())
            .unwrap_or_default()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.members[0].backend.capabilities()
    }

    /// The texts go to the least busy endpoint, and to the next one when that fails.
    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<Embeddings, BackendError>> {
        self.inner.embed(request).boxed()
    }

    /// The smallest, so that a prompt fits wherever it goes.
    fn prompt_budget(&self) -> PromptBudget {
        let budgets = self.inner.members.iter().map(|m| m.backend.prompt_budget());
        budgets
            .min_by_key(|budget| budget.prefix_tokens + budget.suffix_tokens)
            .unwrap_or_else(|| self.inner.members[0].backend.prompt_budget())
    }

    /// The smallest that is known.
    fn window_tokens(&self) -> Option<usize> {
        let members = self.inner.members.iter();
        members.filter_map(|m| m.backend.window_tokens()).min()
    }
}

impl Inner {
    async fn probe(self: &Arc<Self>) -> Result<Vec<Installed>, BackendError> {
        let probes = join_all(self.members.iter().map(|member| self.probe_one(member))).await;
        let mut all: Vec<Installed> = Vec::new();
        let mut first_error = None;
        let mut any = false;
        for probed in probes {
            match probed {
                Ok(models) => {
                    any = true;
                    for model in models {
                        if all.iter().all(|known| known.name != model.name) {
                            all.push(model);
                        }
                    }
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            Some(error) if !any => Err(error),
            _ => Ok(all),
        }
    }

    async fn probe_one(self: &Arc<Self>, member: &Member) -> Result<Vec<Installed>, BackendError> {
        let was_sick = !member.breaker.is_closed();
        let Some(mut pass) = member.breaker.enter() else {
            return Err(member.nobody());
        };
        let probed = timeout(PROBE_LIMIT, member.backend.probe()).await;
        let probed = probed.unwrap_or_else(|_| {
            Err(BackendError::Interrupted {
                backend: member.backend.name().to_owned(),
                message: format!("it did not say what it has within {PROBE_LIMIT:?}"),
            })
        });
        match &probed {
            Ok(models) => {
                pass.tell(Outcome::Works);
                member.list(models);
                if was_sick {
                    self.returned(member);
                }
            }
            Err(error) => pass.tell(outcome(error)),
        }
        probed
    }

    /// An endpoint is back: its cache is empty and its models may be cold.
    fn returned(&self, member: &Member) {
        tracing::info!(backend = member.backend.name(), "an endpoint is back");
        member.seen.clear();
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        for model in wanted.iter().filter(|model| member.has(model)) {
            // Nobody waits for it, and nobody may end it.
            tokio::spawn(member.backend.warm_up(model));
        }
    }

    async fn warm_up(&self, model: &str) -> Result<(), BackendError> {
        let members = self.members.iter();
        let able = members.filter(|member| member.breaker.admits() && member.has(model));
        let mut loads: FuturesUnordered<_> = able
            .map(|member| tokio::spawn(member.backend.warm_up(model)))
            .collect();
        let mut first_error = None;
        while let Some(loaded) = loads.next().await {
            match loaded {
                // The others go on by themselves.
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => first_error = first_error.or(Some(error)),
                Err(_) => {}
            }
        }
        Err(first_error.unwrap_or_else(|| self.members[0].nobody()))
    }

    /// The endpoint for a request, of those that were not tried yet.
    fn choose(&self, model: &str, prompt: &Blocks, tried: &[usize]) -> Option<usize> {
        let able = self.members.iter().enumerate().filter(|(index, member)| {
            !tried.contains(index) && member.has(model) && member.breaker.admits()
        });
        let load = |member: &Member| member.outstanding.load(Ordering::Relaxed);
        let able: Vec<_> = able.collect();
        let least = able.iter().map(|(_, member)| load(member)).min()?;
        let warmest = able
            .iter()
            .map(|&(index, member)| (member.seen.common(prompt), index, member))
            .filter(|(common, _, member)| *common > 0 && load(member) <= least + SLACK_REQUESTS)
            .max_by_key(|(common, index, _)| (*common, usize::MAX - index));
        if let Some((_, index, _)) = warmest {
            return Some(index);
        }
        able.into_iter()
            .min_by_key(|(_, member)| (load(member), member.served.load(Ordering::Relaxed)))
            .map(|(index, _)| index)
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, BackendError> {
        let mut order: Vec<&Member> = self.members.iter().collect();
        order.sort_by_key(|member| member.outstanding.load(Ordering::Relaxed));
        let mut first_error = None;
        for member in order.into_iter().filter(|m| m.has(&request.model)) {
            let Some(mut pass) = member.breaker.enter() else {
                continue;
            };
            let _load = Load::new(&member.outstanding);
            let _turn = match &member.seat {
                Some(seat) => Some(seat.turn(request.priority).await),
                None => None,
            };
            match member.backend.embed(request.clone()).await {
                Ok(embeddings) => {
                    pass.tell(Outcome::Works);
                    return Ok(embeddings);
                }
                Err(error) => {
                    pass.tell(outcome(&error));
                    first_error = first_error.or(Some(error));
                }
            }
        }
        Err(first_error.unwrap_or_else(|| self.members[0].nobody()))
    }
}

/// Counts a request for as long as it is under way.
#[derive(Debug)]
struct Load<'a>(&'a AtomicUsize);

impl<'a> Load<'a> {
    fn new(outstanding: &'a AtomicUsize) -> Self {
        outstanding.fetch_add(1, Ordering::Relaxed);
        Self(outstanding)
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
