//! Models behind a server that speaks the `OpenAI` dialect: vLLM, LM Studio, llama.cpp and their kin.
//!
//! Made by the host from the settings. What it keeps to:
//!
//! - Completions go to `/v1/completions` as one string of our own, sentinels included. The dialect's
//!   `suffix` is refused by vLLM and llama.cpp, and every server lays it out in its own way.
//! - The dialect knows at most four stop strings. More are enforced here, by ending the stream.
//! - Conversations go to `/v1/chat/completions`; the server lays them out. One whose last message is the
//!   model's own is continued, not answered.
//! - The key goes into the header of requests to this address and nowhere else.
//! - How much prompt is sent follows from how fast the server computed those before; see `cost`.
//! - The server batches what comes at once; a few requests at a time go out, completions first.
//!
//! Sources: vLLM's and LM Studio's pages on their servers, llama.cpp's `tools/server/README.md`, read
//! 2026-11; tried on llama.cpp's server (xllamacpp 2026.10).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;

use self::api::{Embed, Embedded, Models};
use self::cost::Cost;
use super::events::{self, Names};
use super::failure::{Asked, error_message};
use super::http::{Body, Endpoint, base_url};
use super::permits::{Permit, Permits};
use super::speed::Speeds;
use super::vectors::{cut, normalise_all};
use super::{
    AddressError, Backend, BackendError, Capabilities, ChunkStream, Conversation, EmbedRequest,
    Embeddings, Installed, Limits, Prompt, PromptBudget, Request,
};
use crate::prompt::render;

mod answer;
mod api;
mod cost;

/// Requests on their way at a time. An editor asks for one completion and guesses at a second; the
/// server's own batches hold dozens, which other people use too.
const REQUESTS_AT_A_TIME: usize = 8;

/// Longest text embedded, in bytes; models for it read 512 to 8192 tokens, and code may make a token
/// of two bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// Texts of one request for vectors, so that others get their turn in between.
const BATCH_TEXTS: usize = 16;

/// A server of that dialect, at one address.
pub struct OpenAi {
    inner: Arc<Inner>,
}

struct Inner {
    name: Arc<str>,
    endpoint: Endpoint,
    permits: Arc<Permits>,
    /// Tokens that a prompt and its answer may have, by model, where the server tells. Never held
    /// across an await.
    context_tokens: Mutex<HashMap<String, u32>>,
    /// Of completions' models.
    speeds: Arc<Speeds>,
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the address and the key.
        f.debug_struct("OpenAi")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl OpenAi {
    /// A server at `url`, with or without `/v1` at its end. `key` is sent with every request. Nothing is
    /// sent yet.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub fn new(
        name: &str,
        url: &str,
        key: Option<String>,
        limits: Limits,
    ) -> Result<Self, AddressError> {
        let url = url.trim_end_matches('/');
        let base = base_url(url.strip_suffix("/v1").unwrap_or(url))?;
        Ok(Self {
            inner: Arc::new(Inner {
                name: name.into(),
                endpoint: Endpoint::new(base, limits, key, refusal)?,
                permits: Permits::new(REQUESTS_AT_A_TIME),
                context_tokens: Mutex::default(),
                speeds: Arc::default(),
            }),
        })
    }

    /// Tokens that a prompt for `model` and its answer may have together, as the last probe heard it.
    pub fn context_tokens(&self, model: &str) -> Option<u32> {
        self.inner.contexts().get(model).copied()
    }
}

impl Backend for OpenAi {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        self.inner.probe().boxed()
    }

    /// The dialect has no word for loading; a server that loads on demand does so for the first request.
    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        let inner = Arc::clone(&self.inner);
        let model = model.to_owned();
        async move {
            let listed = inner.probe().await?.into_iter().any(|m| m.name == model);
            listed
                .then_some(())
                .ok_or_else(|| inner.asked(&model).missing())
        }
        .boxed()
    }

    fn stream(&self, request: Request) -> ChunkStream {
        let inner = Arc::clone(&self.inner);
        let opened = async move {
            let permit = inner.permits.acquire(request.priority).await;
            inner.open(request, permit).await
        };
        stream::once(opened).try_flatten().boxed()
    }

    fn prompt_budget(&self) -> PromptBudget {
        let least = self.inner.contexts().values().min().copied();
        self.inner
            .speeds
            .budget()
            .within(least.map(|tokens| tokens as usize))
    }

    fn window_tokens(&self) -> Option<usize> {
        let least = self.inner.contexts().values().min().copied();
        least.map(|tokens| tokens as usize)
    }

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
            let _permit = self.inner.permits.acquire(request.priority).await;
            embed(&self.inner.endpoint, &self.inner.name, &request).await
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

    fn contexts(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.context_tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a generation and waits for the first byte.
    async fn open(&self, request: Request, permit: Permit) -> Result<ChunkStream, BackendError> {
        let prompt = match &request.prompt {
            Prompt::Fim(segments) => render(segments),
            Prompt::Chat(conversation) => {
                return converse(&self.endpoint, &self.name, &request, conversation, permit).await;
            }
        };
        let limits = self.endpoint.limits();
        let names = Names {
            backend: Arc::clone(&self.name),
            model: request.model.clone(),
        };
        let body = api::completion(&request, &prompt);
        let cost = Cost::begin(&self.speeds, &request.model, &prompt);
        let sent = self
            .endpoint
            .post(names.asked(), "v1/completions", &body, limits.first_byte);
        let body = Body::new(sent.await?, limits.stall);
        let dialect = answer::Answer::new(request.stop, Some(cost));
        Ok(events::chunks(names, body, dialect, Some(permit)).boxed())
    }

    async fn probe(&self) -> Result<Vec<Installed>, BackendError> {
        let models: Models = self.endpoint.get(self.asked(""), "v1/models").await?;
        *self.contexts() = models.context_tokens().collect();
        let installed = models.data.into_iter().map(|model| Installed {
            name: model.id,
            ..Installed::default()
        });
        Ok(installed.collect())
    }
}

/// Asks a server of the dialect for its part in a conversation and waits for the first byte.
pub(super) async fn converse(
    endpoint: &Endpoint,
    backend: &Arc<str>,
    request: &Request,
    conversation: &Conversation,
    permit: Permit,
) -> Result<ChunkStream, BackendError> {
    let names = Names {
        backend: Arc::clone(backend),
        model: request.model.clone(),
    };
    let limits = endpoint.limits();
    let body = api::chat(request, conversation);
    let sent = endpoint.post(
        names.asked(),
        "v1/chat/completions",
        &body,
        limits.first_byte,
    );
    let body = Body::new(sent.await?, limits.stall);
    let dialect = answer::Answer::new(request.stop.clone(), None);
    Ok(events::chunks(names, body, dialect, Some(permit)).boxed())
}

/// Asks a server of the dialect for vectors.
pub(super) async fn embed(
    endpoint: &Endpoint,
    backend: &str,
    request: &EmbedRequest,
) -> Result<Embeddings, BackendError> {
    let asked = Asked {
        backend,
        model: &request.model,
    };
    let (texts, truncated) = cut(&request.texts, MAX_TEXT_BYTES);
    let mut embeddings = Embeddings {
        truncated,
        ..Embeddings::default()
    };
    for batch in texts.chunks(BATCH_TEXTS) {
        let body = Embed::new(&request.model, batch);
        let limit = endpoint.limits().first_byte;
        let call = endpoint.call::<Embedded>(asked, "v1/embeddings", &body, limit);
        let answer = call.await?;
        if answer.data.len() != batch.len() {
            let (got, sent) = (answer.data.len(), batch.len());
            return Err(asked.protocol(format!("{got} vectors for {sent} texts")));
        }
        embeddings.prompt_tokens += answer.prompt_tokens();
        embeddings.vectors.extend(answer.vectors());
    }
    normalise_all(&mut embeddings.vectors).map_err(|message| asked.protocol(message))?;
    Ok(embeddings)
}

/// An answer whose status is not 200.
pub(super) fn refusal(asked: Asked<'_>, status: StatusCode, body: &[u8]) -> BackendError {
    let Some(message) = error_message(body) else {
        return asked.protocol(format!("status {status} without an error of this dialect"));
    };
    match status {
        // llama.cpp while its model is read, and what limits a key's use.
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => asked.busy(),
        StatusCode::NOT_FOUND if message.contains("model") => asked.missing(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => asked.failed(&format!(
            "{message}; name the variable that holds the key in `api_key_env`"
        )),
        _ => asked.failed(&message),
    }
}
