//! Models run by an Ollama, over its native API.
//!
//! Made by the router from the settings. What it keeps to:
//!
//! - Completions go to `/api/generate` with `raw`, so the prompt is ours to the last character and
//!   behaves alike in every version. `/v1` cannot set the context length and is never used.
//! - Every request to a model sends the same options and the same `keep_alive`: a difference would make
//!   Ollama load the model again.
//! - One request at a time per model; one that is dropped while it waits is never sent.
//! - A request that can be cancelled never causes a load; see `residency`.
//! - Three waits, three limits: connecting, the first byte (Ollama sends its headers with the first
//!   token, so this covers queue and prefill), and between two pieces.
//! - Text goes where the settings say and nowhere else: redirects are not followed, and addresses of
//!   this machine are never reached through a proxy. For other addresses `HTTP_PROXY`, `HTTPS_PROXY`,
//!   `ALL_PROXY` and `NO_PROXY` of this process count.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, Response, Url, header, redirect};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use self::address::is_loopback;
use self::answer::Answer;
use self::api::{Generate, GenerateLine, RunOptions, Tag, Tags, Version};
use self::failure::Asked;
use self::residency::{FirstByteWatch, Loading, Residency};
use crate::backend::{Backend, BackendError, ChunkStream, Installed, PromptBudget, Request};
use crate::prompt::render;

mod address;
mod answer;
mod api;
mod failure;
mod names;
mod residency;

pub use self::address::{AddressError, base_url};
pub use self::names::{find, normalise};

/// What a prompt may cost. With [`OllamaOptions::num_ctx`] of 4096 this leaves room for snippets, the
/// answer and a bad estimate; a prompt over the context length would be cut by Ollama without a word,
/// sentinels included. The suffix is short because plain FIM order computes it again at every key.
const PROMPT_BUDGET: PromptBudget = PromptBudget {
    prefix_tokens: 1024,
    suffix_tokens: 256,
};

/// Limit for what a probe asks, each. Both answers come from memory or a few small files.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Largest answer read that is not a stream, in bytes. A list of 1000 models is about half a megabyte.
const MAX_BODY_BYTES: usize = 4 << 20;

/// What is run once after a load: any single token will do.
const HEAT_PROMPT: &str = "#";

/// How an Ollama is used. One set per backend, the same for all its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OllamaOptions {
    /// Context length in tokens. Memory grows with it, and up to 4096 Ollama works in batches of 512
    /// tokens, which is how finely it notices a cancelled request.
    pub num_ctx: u32,
    /// How long a model stays loaded after a request.
    pub keep_alive: KeepAlive,
    /// Limit for making a connection.
    pub connect: Duration,
    /// Limit from sending a request to a loaded model to the first byte of the answer.
    pub first_byte: Duration,
    /// Limit between two pieces of an answer.
    pub stall: Duration,
    /// Limit for a whole load.
    pub load: Duration,
}

impl Default for OllamaOptions {
    fn default() -> Self {
        Self {
            num_ctx: 4096,
            keep_alive: KeepAlive::Forever,
            // A machine in the same network answers within milliseconds; a wrong address shows soon.
            connect: Duration::from_secs(2),
            // 4096 tokens at 35 tokens per second: a 7B model on a laptop's processor.
            first_byte: Duration::from_secs(120),
            // One token takes under 2 s even where memory swaps; a prompt cache move takes a few.
            stall: Duration::from_secs(30),
            // Ollama's own limit is 5 minutes without progress.
            load: Duration::from_secs(600),
        }
    }
}

/// How long Ollama keeps a model after its last request. It unloads the shortest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Until something else needs the memory.
    Forever,
    /// This long; whole seconds count.
    For(Duration),
}

/// An Ollama, at one of several addresses.
pub struct Ollama {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    options: OllamaOptions,
    /// Never empty.
    endpoints: Vec<Endpoint>,
    /// The endpoint that answered the last probe.
    active: AtomicUsize,
    /// By normalised name. Never held across an await.
    models: Mutex<HashMap<String, Arc<Residency>>>,
    /// As the last probe heard it.
    version: Mutex<Option<String>>,
}

/// An address and the client that keeps connections to it.
struct Endpoint {
    base: Url,
    client: Client,
}

impl fmt::Debug for Ollama {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the addresses: they may hold passwords.
        f.debug_struct("Ollama")
            .field("name", &self.inner.name)
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

impl Ollama {
    /// An Ollama at the first of `urls` that answers; [`base_url`] says how they may be written.
    /// Nothing is sent.
    ///
    /// # Errors
    /// An address that cannot be used, or none.
    pub fn new(
        name: impl Into<String>,
        urls: &[String],
        options: OllamaOptions,
    ) -> Result<Self, AddressError> {
        let name = name.into();
        if urls.is_empty() {
            return Err(AddressError::Missing { backend: name });
        }
        let endpoints = urls
            .iter()
            .map(|url| Endpoint::new(base_url(url)?, &options))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                options,
                endpoints,
                active: AtomicUsize::new(0),
                models: Mutex::default(),
                version: Mutex::default(),
            }),
        })
    }

    /// The version that the last [`probe`](Backend::probe) heard, such as `0.33.0`.
    pub fn version(&self) -> Option<String> {
        let version = self.inner.version.lock();
        version.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Backend for Ollama {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        self.inner.probe().boxed()
    }

    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        let inner = Arc::clone(&self.inner);
        let model = model.to_owned();
        async move { inner.load(&model).await }.boxed()
    }

    fn stream(&self, request: Request) -> ChunkStream {
        let inner = Arc::clone(&self.inner);
        let opened = async move { Ok(inner.open(request).await?.chunks()) };
        stream::once(opened).try_flatten().boxed()
    }

    fn prompt_budget(&self) -> PromptBudget {
        PROMPT_BUDGET
    }
}

impl Endpoint {
    fn new(base: Url, options: &OllamaOptions) -> Result<Self, AddressError> {
        let mut client = Client::builder()
            .connect_timeout(options.connect)
            .redirect(redirect::Policy::none())
            // A compressing proxy would collect tokens before it passes them on.
            .no_gzip()
            .http1_only();
        if is_loopback(&base) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(AddressError::Client)?;
        Ok(Self { base, client })
    }

    /// `path` below the base, whose path ends in `/`.
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }
}

impl Inner {
    fn asked<'a>(&'a self, model: &'a str) -> Asked<'a> {
        Asked {
            backend: &self.name,
            model,
        }
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoints[self.active.load(Ordering::Relaxed)]
    }

    fn residency(&self, model: &str) -> Arc<Residency> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let residency = models.entry(normalise(model));
        Arc::clone(residency.or_insert_with(|| Arc::new(Residency::new())))
    }

    /// Asks each address in turn and stays with the first that answers as an Ollama does.
    async fn probe(&self) -> Result<Vec<Installed>, BackendError> {
        let mut first_error = None;
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let (version, tags) = join(
                self.get::<Version>(endpoint, "api/version"),
                self.get::<Tags>(endpoint, "api/tags"),
            )
            .await;
            match tags {
                Ok(tags) => {
                    self.active.store(index, Ordering::Relaxed);
                    *self.version.lock().unwrap_or_else(PoisonError::into_inner) =
                        version.ok().map(|answer| answer.version);
                    let models = tags.models.unwrap_or_default();
                    return Ok(models.into_iter().map(installed).collect());
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| self.asked("").protocol("no address")))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        path: &str,
    ) -> Result<T, BackendError> {
        let asked = self.asked("");
        let answer = async {
            let sent = endpoint.client.get(endpoint.url(path)).send().await;
            let response = sent.map_err(|error| asked.transport(error))?;
            let status = response.status();
            if !status.is_success() {
                return Err(asked.protocol(format!("status {status} for /{path}")));
            }
            let body = self.body("", response).await?;
            serde_json::from_slice(&body)
                .map_err(|_| asked.protocol(format!("/{path} is not the JSON expected")))
        };
        match timeout(PROBE_LIMIT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(asked.interrupted(format!("/{path} took over {PROBE_LIMIT:?}"))),
        }
    }

    /// Loads `model`, or waits for the load that is under way. The load itself goes on when the caller
    /// leaves.
    async fn load(self: &Arc<Self>, model: &str) -> Result<(), BackendError> {
        let residency = self.residency(model);
        let loading = residency.join_or(|| self.start_load(model, &residency));
        loading.await.map_err(|error| failure::copy(&error))
    }

    fn start_load(self: &Arc<Self>, model: &str, residency: &Arc<Residency>) -> Loading {
        let inner = Arc::clone(self);
        let residency = Arc::clone(residency);
        let owned_model = model.to_owned();
        let task = tokio::spawn(async move {
            let outcome = inner.load_now(&owned_model, &residency).await;
            if let Err(error) = &outcome {
                residency.failed(error);
            }
            residency.load_ended();
            outcome.map_err(Arc::new)
        });
        let inner = Arc::clone(self);
        let model = model.to_owned();
        async move {
            task.await.unwrap_or_else(|_| {
                // Only when the runtime stops, or on a bug in the task; either way do not wait for it.
                inner.residency(&model).load_ended();
                Err(Arc::new(
                    inner.asked(&model).interrupted("the load was ended"),
                ))
            })
        }
        .boxed()
        .shared()
    }

    async fn load_now(&self, model: &str, residency: &Arc<Residency>) -> Result<(), BackendError> {
        let _permit = self.permit(model, residency).await?;
        let started = Instant::now();
        let reported = self.once(model, None).await?;
        let took = started.elapsed().max(reported.unwrap_or_default());
        if residency.needs_heat(took) {
            self.once(model, Some(HEAT_PROMPT)).await?;
            residency.heated();
        }
        residency.answered(self.options.keep_alive);
        tracing::debug!(
            backend = self.name,
            model,
            took_ms = took.as_millis(),
            "loaded"
        );
        Ok(())
    }

    /// One answer in one piece: a load without a prompt, one token with one. Returns the time Ollama
    /// says it spent loading.
    async fn once(
        &self,
        model: &str,
        prompt: Option<&str>,
    ) -> Result<Option<Duration>, BackendError> {
        let num_predict = prompt.map(|_| 1);
        let body = self.generate(model, prompt, num_predict, &[]);
        let body = Generate {
            stream: false,
            ..body
        };
        let asked = self.asked(model);
        let answer = async {
            let response = self.post(model, &body, self.options.load).await?;
            let body = self.body(model, response).await?;
            serde_json::from_slice::<GenerateLine>(&body)
                .map_err(|_| asked.protocol("the answer to a load is not JSON"))
        };
        let answer = timeout(self.options.load, answer)
            .await
            .unwrap_or_else(|_| {
                Err(asked.interrupted(format!("not loaded after {:?}", self.options.load)))
            })?;
        match answer.error() {
            Some(message) => Err(asked.error_line(&message)),
            None => Ok(answer.load()),
        }
    }

    async fn permit(
        &self,
        model: &str,
        residency: &Residency,
    ) -> Result<OwnedSemaphorePermit, BackendError> {
        let slot = Arc::clone(&residency.slot);
        let permit = slot.acquire_owned().await;
        // Nobody closes it.
        permit.map_err(|error| self.asked(model).interrupted(error))
    }

    /// Waits for the model and its turn, sends the request and waits for the first byte.
    async fn open(self: Arc<Self>, request: Request) -> Result<Answer, BackendError> {
        let residency = self.residency(&request.model);
        let was_warm = residency.is_warm();
        if !was_warm {
            self.load(&request.model).await?;
        }
        let permit = self.permit(&request.model, &residency).await?;
        let prompt = render(&request.prompt);
        let body = self.generate(
            &request.model,
            Some(&prompt),
            Some(request.max_tokens.max(1)),
            &request.stop,
        );
        let watch = FirstByteWatch::start(Arc::clone(&residency));
        let sent = self.post(&request.model, &body, self.options.first_byte);
        let response = sent.await.inspect_err(|error| residency.failed(error))?;
        watch.answered();
        Ok(Answer::new(
            self,
            request.model,
            residency,
            response,
            permit,
            was_warm,
        ))
    }

    /// The only place where a body is made, so that all agree.
    fn generate<'a>(
        &self,
        model: &'a str,
        prompt: Option<&'a str>,
        num_predict: Option<u32>,
        stop: &'a [String],
    ) -> Generate<'a> {
        Generate {
            model,
            prompt,
            raw: true,
            stream: true,
            keep_alive: self.options.keep_alive,
            options: RunOptions {
                num_ctx: self.options.num_ctx,
                temperature: 0.0,
                repeat_penalty: 1.0,
                num_predict,
                stop,
            },
        }
    }

    /// Sends `body` and waits up to `limit` for a status of 200 and something that may be Ollama's.
    async fn post(
        &self,
        model: &str,
        body: &Generate<'_>,
        limit: Duration,
    ) -> Result<Response, BackendError> {
        let asked = self.asked(model);
        let endpoint = self.endpoint();
        let request = endpoint.client.post(endpoint.url("api/generate"));
        let response = match timeout(limit, request.json(body).send()).await {
            Ok(sent) => sent.map_err(|error| asked.transport(error))?,
            Err(_) => return Err(asked.interrupted(format!("no answer within {limit:?}"))),
        };
        let status = response.status();
        if !status.is_success() {
            let body = self.body(model, response).await.unwrap_or_default();
            return Err(asked.refusal(status, &body));
        }
        let content_type = response.headers().get(header::CONTENT_TYPE);
        if content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/")) {
            return Err(asked.protocol("a page of text"));
        }
        Ok(response)
    }

    /// A body that is not a stream.
    async fn body(&self, model: &str, mut response: Response) -> Result<Vec<u8>, BackendError> {
        let asked = self.asked(model);
        let mut body = Vec::new();
        loop {
            let piece = timeout(self.options.stall, response.chunk()).await;
            match piece {
                Ok(Ok(Some(bytes))) if body.len() + bytes.len() <= MAX_BODY_BYTES => {
                    body.extend_from_slice(&bytes);
                }
                Ok(Ok(Some(_))) => {
                    return Err(asked.protocol(format!("over {MAX_BODY_BYTES} bytes")));
                }
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => return Err(asked.transport(error)),
                Err(_) => return Err(asked.interrupted("an answer stalled")),
            }
        }
    }
}

fn installed(tag: Tag) -> Installed {
    let details = tag.details.unwrap_or_default();
    let known = |text: Option<String>| text.filter(|text| !text.is_empty());
    // `insert` speaks of Ollama's own template; without it a model may well have the tokens.
    let inserts = tag
        .capabilities
        .is_some_and(|names| names.iter().any(|name| name == "insert"));
    Installed {
        name: normalise(&tag.name),
        digest: known(tag.digest),
        size_bytes: tag.size,
        quantization: known(details.quantization_level),
        architecture: known(details.family),
        fim: inserts.then_some(true),
    }
}
