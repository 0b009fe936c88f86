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
//! - How much prompt is sent follows from how fast a completion's model computed those before, first of
//!   all one that is measured after a load; see `measurement`.
//! - A loaded model that answers nothing is examined and loaded anew; see `load`.
//! - What is loaded, and how, is looked at with each probe; what a person should know of it is a remark
//!   in the status.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use self::answer::{Answer, Talk};
use self::api::{Generate, RunOptions};
use self::probe::Described;
use self::residency::{FirstByteWatch, Needs, Residency};
use super::failure::Asked;
use super::http::{Body, Endpoint};
use super::speed::Speeds;
use crate::backend::{
    Backend, BackendError, Capabilities, ChunkStream, EmbedRequest, Embeddings, Installed, Prompt,
    PromptBudget, Request, Standing,
};
use crate::prompt::render;

mod address;
mod answer;
mod api;
mod chat;
mod embed;
mod failure;
mod load;
mod measurement;
mod names;
mod options;
mod probe;
mod remarks;
mod residency;
mod versions;

pub use self::address::base_url;
pub use self::names::normalise;
pub use self::options::{KeepAlive, OllamaOptions};
pub use self::versions::{Fault, faults, runs_mllama};
pub use super::http::{AddressError, is_loopback};

/// How long after a conversation a model that is missing is taken to have made room for it.
const AFTER_TALK: Duration = Duration::from_mins(1);

/// An Ollama, at one address.
pub struct Ollama {
    inner: Arc<Inner>,
}

struct Inner {
    name: Arc<str>,
    options: OllamaOptions,
    endpoint: Endpoint,
    /// By normalised name. Never held across an await, as none of these.
    models: Mutex<HashMap<String, Arc<Residency>>>,
    /// What models say about themselves, by content.
    described: Mutex<HashMap<String, Described>>,
    /// The content of each listed name.
    contents: Mutex<HashMap<String, String>>,
    /// Of completions' models.
    speeds: Speeds,
    /// As the last probe heard it.
    version: Mutex<Option<String>>,
    /// Conversations under way.
    conversations: AtomicUsize,
    /// When the last one ended.
    talked: Mutex<Option<Instant>>,
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
    /// An Ollama at `url`; [`base_url`] says how that may be written. Nothing is sent.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub fn new(
        name: impl Into<Arc<str>>,
        url: &str,
        options: OllamaOptions,
    ) -> Result<Self, AddressError> {
        let base = base_url(url)?;
        Ok(Self {
            inner: Arc::new(Inner {
                name: name.into(),
                options,
                endpoint: Endpoint::new(base, options.limits, None, failure::refusal)?,
                models: Mutex::default(),
                described: Mutex::default(),
                contents: Mutex::default(),
                speeds: Speeds::default(),
                version: Mutex::default(),
                conversations: AtomicUsize::new(0),
                talked: Mutex::default(),
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
    /// prompt over the context length would be cut by Ollama without a word, sentinels included. Less
    /// where a model that is used was trained for less, or where the context length is set to less.
    fn prompt_budget(&self) -> PromptBudget {
        let num_ctx = usize::try_from(self.inner.options.num_ctx).ok();
        let budget = self.inner.speeds.budget().within(num_ctx);
        budget.within(self.inner.least_trained_tokens())
    }

    fn standing(&self, model: &str) -> Standing {
        let residency = self.inner.residency(model);
        let slow = self.version().filter(|_| residency.is_pinned());
        let slow = slow.and_then(|version| {
            let fault = faults(&version).find(|fault| fault.slows_completions)?;
            Some(format!("Ollama {version} {}, update it", fault.says))
        });
        let remarks: Vec<_> = residency.remarks().into_iter().chain(slow).collect();
        Standing {
            loaded_percent: None,
            remark: (!remarks.is_empty()).then(|| remarks.join("; ")),
        }
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
            moves_cached: false,
            hands_over: false,
            heals: false,
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

    fn described(&self) -> MutexGuard<'_, HashMap<String, Described>> {
        self.described
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn contents(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn residency(&self, model: &str) -> Arc<Residency> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let residency = models.entry(normalise(model));
        Arc::clone(residency.or_insert_with(|| Arc::new(Residency::new())))
    }

    /// The fewest tokens that a model which completes was trained for.
    fn least_trained_tokens(&self) -> Option<usize> {
        let pinned: Vec<String> = {
            let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
            let pinned = models.iter().filter(|(_, residency)| residency.is_pinned());
            pinned.map(|(name, _)| name.clone()).collect()
        };
        let content = |name: &String| self.contents().get(name).cloned();
        let contents: Vec<String> = pinned.iter().filter_map(content).collect();
        let described = self.described();
        let trained = contents
            .iter()
            .filter_map(|content| described.get(content)?.trained_tokens);
        trained
            .filter_map(|tokens| usize::try_from(tokens).ok())
            .min()
    }

    /// A conversation has ended.
    fn talked(&self) {
        *self.talked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a conversation ended a moment ago and none is under way.
    fn has_just_talked(&self) -> bool {
        let talked = *self.talked.lock().unwrap_or_else(PoisonError::into_inner);
        self.conversations.load(Ordering::Relaxed) == 0
            && talked.is_some_and(|at| at.elapsed() < AFTER_TALK)
    }

    /// Waits for the model and its turn, sends the request and waits for the first byte.
    async fn open(self: Arc<Self>, request: Request) -> Result<Answer, BackendError> {
        let residency = self.residency(&request.model);
        let (needs, talk) = match &request.prompt {
            Prompt::Fim(_) => (self.completion_needs(), None),
            Prompt::Chat(_) => (self.chat_needs(), Some(Talk::begin(&self))),
        };
        let needs = residency.need(needs);
        let was_warm = residency.is_warm();
        if !was_warm {
            self.load(&request.model).await?;
        }
        let permit = residency.slot.acquire(request.priority).await;
        let num_predict = Some(request.max_tokens.max(1));
        let (model, limit) = (&request.model, self.options.limits.first_byte);
        let (asked, endpoint) = (self.asked(model), &self.endpoint);
        let watch = FirstByteWatch::start(Arc::clone(&residency));
        let mut prompt_sent = None;
        let sent = match &request.prompt {
            Prompt::Fim(segments) => {
                let prompt = render(segments);
                prompt_sent = Some(self.speeds.send(model, &prompt));
                let body = generate(model, needs, Some(&prompt), num_predict, &request.stop);
                endpoint.post(asked, "api/generate", &body, limit).await
            }
            Prompt::Chat(conversation) => {
                let body = chat::body(model, needs, conversation, num_predict, &request.stop);
                endpoint.post(asked, "api/chat", &body, limit).await
            }
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                residency.failed(&error);
                if !matches!(error, BackendError::Interrupted { .. }) {
                    watch.refused();
                }
                return Err(error);
            }
        };
        watch.answered();
        let body = Body::new(response, self.options.limits.stall);
        let answer = Answer::new(
            self,
            request.model,
            residency,
            body,
            permit,
            was_warm,
            needs.keep_alive,
        );
        Ok(match (talk, prompt_sent) {
            (Some(talk), _) => answer.of_conversation(talk),
            (None, Some(sent)) => answer.of_completion(sent),
            (None, None) => answer,
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
