//! Models run by an Ollama, over its native API.
//!
//! Made by the router from the settings. What it keeps to:
//!
//! - Completions go to `/api/generate` with `raw`, so the prompt is ours to the last character and
//!   behaves alike in every version. `/v1` cannot set the context length and is never used.
//! - Conversations go to `/api/chat`, where Ollama lays them out with the model's own template and drops
//!   the oldest turns when they are too long; texts to embed go to `/api/embed`.
//! - Every request to a model sends the same `num_ctx` and `keep_alive`, the largest that any use of it
//!   needs: a difference would make Ollama load the model again.
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

use futures_util::future::{BoxFuture, FutureExt, join};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;

use self::answer::Answer;
use self::api::{Generate, RunOptions, Tag, Tags, Version};
use self::failure::Asked;
use self::residency::{FirstByteWatch, Needs, Residency};
use self::transport::Endpoint;
use crate::backend::{
    Backend, BackendError, Capabilities, ChunkStream, EmbedRequest, Embeddings, Installed, Prompt,
    PromptBudget, Request,
};
use crate::prompt::render;

mod address;
mod answer;
mod api;
mod chat;
mod embed;
mod failure;
mod load;
mod names;
mod options;
mod residency;
mod transport;

pub use self::address::{AddressError, base_url, is_loopback};
pub use self::names::{find, normalise};
pub use self::options::{KeepAlive, OllamaOptions};

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

    /// With [`OllamaOptions::num_ctx`] of 4096 this leaves room for the answer and a bad estimate: a
    /// prompt over the context length would be cut by Ollama without a word, sentinels included.
    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget::UNMEASURED
    }

    fn window_tokens(&self) -> Option<usize> {
        Some(self.inner.options.chat_num_ctx as usize)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fim: true,
            chat: true,
            vision: true,
            embedding: true,
            continues: false,
            counts_tokens: false,
        }
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<Embeddings, BackendError>> {
        self.inner.embed(request).boxed()
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

    async fn permit(
        &self,
        model: &str,
        residency: &Residency,
    ) -> Result<OwnedSemaphorePermit, BackendError> {
        let slot = Arc::clone(&residency.slot);
        let permit = slot.acquire_owned().await;
        // Nobody closes it.
        permit.map_err(|error| self.asked(model).interrupted(error.to_string()))
    }

    /// Waits for the model and its turn, sends the request and waits for the first byte.
    async fn open(self: Arc<Self>, request: Request) -> Result<Answer, BackendError> {
        let residency = self.residency(&request.model);
        let needs = residency.need(match &request.prompt {
            Prompt::Fim(_) => self.completion_needs(),
            Prompt::Chat(_) => self.chat_needs(),
        });
        let was_warm = residency.is_warm();
        if !was_warm {
            self.load(&request.model).await?;
        }
        let permit = self.permit(&request.model, &residency).await?;
        let num_predict = Some(request.max_tokens.max(1));
        let (model, limit) = (&request.model, self.options.first_byte);
        let watch = FirstByteWatch::start(Arc::clone(&residency));
        let sent = match &request.prompt {
            Prompt::Fim(segments) => {
                let prompt = render(segments);
                let body = generate(model, needs, Some(&prompt), num_predict, &request.stop);
                self.post(model, "api/generate", &body, limit).await
            }
            Prompt::Chat(conversation) => {
                let body = chat::body(model, needs, conversation, num_predict, &request.stop);
                self.post(model, "api/chat", &body, limit).await
            }
        };
        let response = sent.inspect_err(|error| residency.failed(error))?;
        watch.answered();
        let is_conversation = matches!(request.prompt, Prompt::Chat(_));
        let answer = Answer::new(
            self,
            request.model,
            residency,
            response,
            permit,
            was_warm,
            needs.keep_alive,
        );
        Ok(if is_conversation {
            answer.of_conversation()
        } else {
            answer
        })
    }

    fn completion_needs(&self) -> Needs {
        Needs {
            num_ctx: self.options.num_ctx,
            keep_alive: self.options.keep_alive,
            generates: true,
        }
    }
}

/// A generation; without a prompt a load.
fn generate<'a>(
    model: &'a str,
    needs: Needs,
    prompt: Option<&'a str>,
    num_predict: Option<u32>,
    stop: &'a [String],
) -> Generate<'a> {
    Generate {
        model,
        prompt,
        raw: true,
        stream: true,
        keep_alive: needs.keep_alive,
        options: RunOptions {
            num_ctx: needs.num_ctx,
            temperature: Some(0.0),
            repeat_penalty: 1.0,
            num_predict,
            stop,
        },
    }
}

fn installed(tag: Tag) -> Installed {
    let details = tag.details.unwrap_or_default();
    let known = |text: Option<String>| text.filter(|text| !text.is_empty());
    // `insert` speaks of Ollama's own template; without it a model may well have the tokens.
    let can = |capability: &str| {
        let names = tag.capabilities.as_ref()?;
        Some(names.iter().any(|name| name == capability))
    };
    Installed {
        name: normalise(&tag.name),
        digest: known(tag.digest),
        size_bytes: tag.size,
        quantization: known(details.quantization_level),
        architecture: known(details.family),
        fim: can("insert").filter(|inserts| *inserts),
        // A base model completes as well.
        chat: can("completion").filter(|completes| !completes),
        vision: can("vision"),
        embedding: can("embedding"),
    }
}
