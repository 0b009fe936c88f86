//! One model behind llama.cpp's own HTTP server, over its native API.
//!
//! Made by the host from the settings. What it keeps to:
//!
//! - Completions go to `/completion` with our own prompt. `/infill` would cut the prefix to three
//!   quarters and the suffix to one quarter of a batch without a word.
//! - Conversations and vectors go to its `OpenAI` dialect ([`openai`]).
//! - The person's text is never read as a sentinel: where it holds something that looks like one, it is
//!   tokenised apart, without special tokens, and sent as numbers.
//! - As many requests at a time as the server has slots; the rest wait here, completions first. The
//!   server would queue them in order of arrival.
//! - No progress is asked for, and no slot is polled: each such answer delays the moment at which the
//!   server notices that nobody waits for a prompt any more.
//! - How much prompt is sent follows from how fast the server computed those before; see `backend/speed`.
//!
//! Source: llama.cpp's `tools/server/README.md` and the server in xllamacpp 2026.10, read 2026-11.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use self::api::{Completion, CompletionEvent, Health, Measurement, Props, Tokenize, Tokens};
use super::events::{self, Names};
use super::failure::Asked;
use super::http::{Body, Endpoint, base_url};
use super::permits::Permits;
use super::speed::{Measured, Says};
use super::{
    AddressError, Backend, BackendError, Capabilities, ChunkStream, EmbedRequest, Embeddings,
    Installed, Limits, Priority, Prompt, PromptBudget, Request, openai,
};
use crate::prompt::fim::{FAMILIES, Family, Known as Told, Metadata, known};
use crate::prompt::{Segment, render};

mod answer;
mod api;
mod measurement;

/// Limit for turning a text into tokens: it takes milliseconds, but a slot in the middle of a batch
/// may hold the server's thread.
const TOKENIZE_LIMIT: Duration = Duration::from_secs(10);

/// A server of llama.cpp, at one address.
pub struct LlamaServer {
    inner: Arc<Inner>,
}

struct Inner {
    name: Arc<str>,
    endpoint: Endpoint,
    slots: Arc<Permits>,
    /// What the last probe heard. Never held across an await.
    known: Mutex<Option<Known>>,
    /// As `known`.
    speed: Mutex<Measured>,
}

/// What a server said about itself.
#[derive(Debug, Clone)]
struct Known {
    props: Props,
    installed: Installed,
}

impl fmt::Debug for LlamaServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the address and the key.
        f.debug_struct("LlamaServer")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl LlamaServer {
    /// A server at `url`. `key` is sent with every request. Nothing is sent yet.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub fn new(
        name: &str,
        url: &str,
        key: Option<String>,
        limits: Limits,
    ) -> Result<Self, AddressError> {
        let base = base_url(url)?;
        Ok(Self {
            inner: Arc::new(Inner {
                name: name.into(),
                endpoint: Endpoint::new(base, limits, key, openai::refusal)?,
                slots: Permits::new(1),
                known: Mutex::default(),
                speed: Mutex::default(),
            }),
        })
    }

    /// Tokens that one slot holds, prompt and answer together, as the last probe heard it.
    pub fn context_tokens(&self) -> Option<usize> {
        let known = self.inner.known();
        known
            .as_ref()
            .and_then(|known| known.props.context_tokens())
    }
}

impl Backend for LlamaServer {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        self.inner.probe().boxed()
    }

    /// The server loaded its model when it was started; it is asked whether that has ended, and once how
    /// fast it is.
    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        let inner = Arc::clone(&self.inner);
        let model = model.to_owned();
        async move {
            inner.healthy(&model).await?;
            if !inner.speed().is_known() {
                inner.measure(&model).await;
            }
            Ok(())
        }
        .boxed()
    }

    fn stream(&self, request: Request) -> ChunkStream {
        let inner = Arc::clone(&self.inner);
        let opened = async move { inner.open(request).await };
        stream::once(opened).try_flatten().boxed()
    }

    fn prompt_budget(&self) -> PromptBudget {
        let budget = self.inner.speed().budget();
        budget.within(self.context_tokens())
    }

    fn window_tokens(&self) -> Option<usize> {
        self.context_tokens()
    }

    /// Images and vectors need a server that was started for them.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fim: true,
            chat: true,
            vision: true,
            embedding: true,
            continues: true,
            counts_tokens: false,
            moves_cached: false,
            hands_over: false,
            heals: false,
        }
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<Embeddings, BackendError>> {
        async move {
            let _permit = self.inner.slots.acquire(request.priority).await;
            openai::embed(&self.inner.endpoint, &self.inner.name, &request).await
        }
        .boxed()
    }
}

impl Inner {
    fn asked<'a>(&'a self, model: &'a str) -> Asked<'a> {
        Asked {
            backend: &self.name,
            model,
        }
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn speed(&self) -> MutexGuard<'_, Measured> {
        self.speed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a short prompt computed. A server that cannot do that shows with the first request.
    async fn measure(&self, model: &str) {
        let _permit = self.slots.acquire(Priority::Completion).await;
        let since_1970 = UNIX_EPOCH.elapsed().unwrap_or_default();
        let body = Measurement {
            prompt: measurement::prompt(since_1970.subsec_nanos()),
            n_predict: 1,
            stream: false,
            cache_prompt: false,
        };
        let (asked, limit) = (self.asked(model), measurement::LONGEST_MEASUREMENT);
        let call = self
            .endpoint
            .call::<CompletionEvent>(asked, "completion", &body, limit);
        let (tokens, took) = match call.await {
            Ok(answer) => match answer.timings.and_then(|timings| timings.prompt()) {
                Some(seen) => seen,
                None => return,
            },
            Err(BackendError::Interrupted { .. }) => (measurement::MEASURED_TOKENS, limit),
            Err(error) => {
                tracing::debug!(%error, "the server's speed was not measured");
                return;
            }
        };
        self.speed().add(tokens, took, Says::Server);
    }

    async fn healthy(&self, model: &str) -> Result<(), BackendError> {
        let asked = self.asked(model);
        let health: Health = self.endpoint.get(asked, "health").await?;
        match health.status.as_str() {
            "ok" | "no slot available" => Ok(()),
            _ => Err(asked.busy()),
        }
    }

    async fn probe(&self) -> Result<Vec<Installed>, BackendError> {
        self.healthy("").await?;
        let props: Props = self.endpoint.get(self.asked(""), "props").await?;
        self.slots.resize(props.total_slots.unwrap_or(1));
        let known = self.known().clone();
        if let Some(known) = known
            && known.props == props
        {
            return Ok(vec![known.installed]);
        }
        let name = props.model_name();
        let family = self.family(&props).await?;
        let installed = Installed {
            fim: family.map(|known| known.fills_in()),
            family,
            name,
            quantization: props.model_ftype.clone(),
            chat: props.chat(),
            vision: props.vision(),
            ..Installed::default()
        };
        *self.known() = Some(Known {
            props,
            installed: installed.clone(),
        });
        Ok(vec![installed])
    }

    /// The family that the vocabulary, the file's name and the end token tell. Nothing in `/props` names
    /// the architecture; the tokeniser tells whether the model has a family's sentinels.
    async fn family(&self, props: &Props) -> Result<Option<Told>, BackendError> {
        let name = props.model_name();
        let mut metadata = Metadata {
            names: props.model_path.as_deref().into_iter().collect(),
            ends: props.eos_token.as_deref().into_iter().collect(),
            ..Metadata::default()
        };
        // What the name says needs a look at its own sentinels only.
        let mut families: Vec<&'static Family> = FAMILIES.iter().collect();
        let named = known(&name, &metadata).map(|known| known.family.name);
        families.sort_by_key(|family| Some(family.name) != named);
        let mut vocabulary = Vec::new();
        for family in families {
            if self.knows(family).await? {
                vocabulary.push(family);
                if Some(family.name) == named {
                    break;
                }
            }
        }
        metadata.vocabulary = Some(vocabulary);
        Ok(known(&name, &metadata))
    }

    /// Whether each sentinel is one token.
    async fn knows(&self, family: &Family) -> Result<bool, BackendError> {
        for sentinel in family.sentinels() {
            if self.tokens("", sentinel.trim(), true).await?.len() != 1 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn tokens(
        &self,
        model: &str,
        content: &str,
        parse_special: bool,
    ) -> Result<Vec<u32>, BackendError> {
        let body = Tokenize {
            content,
            add_special: false,
            parse_special,
        };
        let call =
            self.endpoint
                .call::<Tokens>(self.asked(model), "tokenize", &body, TOKENIZE_LIMIT);
        Ok(call.await?.tokens)
    }

    /// The prompt as the server takes it. A string, unless the person's text holds something that
    /// looks like a sentinel.
    async fn prompt(&self, model: &str, segments: &[Segment]) -> Result<Value, BackendError> {
        let rendered = render(segments);
        let plain_bytes: usize = segments.iter().map(|s| s.as_str().len()).sum();
        // Whatever `render` breaks up grows.
        if rendered.len() == plain_bytes {
            return Ok(Value::String(rendered));
        }
        let mut parts = Vec::new();
        for segment in segments {
            match segment {
                Segment::Special(sentinel) => parts.push(json!(sentinel)),
                Segment::Text(text) => {
                    let tokens = self.tokens(model, text, false).await?;
                    parts.extend(tokens.into_iter().map(Value::from));
                }
            }
        }
        Ok(Value::Array(parts))
    }

    /// Waits for a slot, sends the request and waits for the first byte.
    async fn open(self: Arc<Self>, request: Request) -> Result<ChunkStream, BackendError> {
        let asked = self.asked(&request.model);
        let permit = self.slots.acquire(request.priority).await;
        let segments = match &request.prompt {
            Prompt::Fim(segments) => segments,
            Prompt::Chat(talk) => {
                return openai::converse(&self.endpoint, &self.name, &request, talk, permit).await;
            }
        };
        let prompt = self.prompt(&request.model, segments).await?;
        let body = Completion::new(&prompt, &request);
        let limits = self.endpoint.limits();
        let sent = self
            .endpoint
            .post(asked, "completion", &body, limits.first_byte);
        let body = Body::new(sent.await?, limits.stall);
        let names = Names {
            backend: Arc::clone(&self.name),
            model: request.model,
        };
        let inner = Arc::clone(&self);
        let answer = answer::Completion::new(move |tokens, took| {
            inner.speed().add(tokens, took, Says::Server);
        });
        Ok(events::chunks(names, body, answer, Some(permit)).boxed())
    }
}
