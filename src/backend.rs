//! What can run a model: the trait, the request and what comes back.
//!
//! A backend turns a [`Request`] into a stream of [`Chunk`]s. Dropping the stream cancels: the
//! connection is closed, or the in-process engine stops at its next decode step. Wire formats stay
//! private to each backend's file. Called by the router only.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::watch;

use crate::prompt::fim::Known;

mod budget;
#[cfg(feature = "embedded")]
pub mod embedded;
mod events;
mod failure;
mod http;
pub mod llama_server;
#[cfg(test)]
pub(crate) mod named;
pub mod ollama;
pub mod openai;
mod permits;
pub mod pool;
#[cfg_attr(
    not(feature = "embedded"),
    allow(
        dead_code,
        reason = "the engine uses all of it, the bench's device a part"
    )
)]
pub(crate) mod queue;
mod request;
mod speed;
mod text;
mod thinking;
mod urgency;
mod vectors;
pub(crate) mod wire;

pub use self::budget::PromptBudget;
pub use self::http::{AddressError, Limits};
pub use self::request::{Conversation, EmbedRequest, Embeddings, Prompt, Request};
pub use self::urgency::Urgency;

/// A stream of chunks; the last item is [`Chunk::Done`] or an error.
pub type ChunkStream = Pin<Box<dyn Stream<Item = Result<Chunk, BackendError>> + Send>>;

/// Runs models of one place: an Ollama, a server, or this process.
pub trait Backend: Send + Sync + Debug {
    /// The name from the settings, such as `ollama`.
    fn name(&self) -> &str;

    /// Asks what is installed. Cheap enough to be repeated every few seconds.
    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>>;

    /// Loads `model` so that a later request starts at once. The future is `'static` and is never
    /// cancelled by a request that gives up: a cancelled load would start from zero each time.
    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>>;

    /// Puts the prompt of `request` into the backend's cache while nobody waits, so that a request that
    /// begins like it starts sooner; generates nothing, and whatever else is asked goes first. Dropping
    /// the future gives it up; what was computed stays. Backends that have no cache of their own do
    /// nothing.
    fn prefill(&self, _request: Request) -> BoxFuture<'static, Result<(), BackendError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Starts a generation. Nothing is sent before the first poll; dropping the stream cancels. What
    /// the backend cannot do is an error of the kind [`BackendError::Unsupported`].
    fn stream(&self, request: Request) -> ChunkStream;

    /// [`stream`](Self::stream), of a generation whose priority may rise later. Backends that know no
    /// priorities do not listen.
    fn stream_raisable(&self, request: Request, _urgency: &Arc<Urgency>) -> ChunkStream {
        self.stream(request)
    }

    /// Tells whenever [`standing`](Self::standing) may have changed, where it changes by itself.
    fn standing_changes(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// What the backend can do with a model that can. What one model can, [`Installed`] says.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fim: true,
            ..Capabilities::default()
        }
    }

    /// What a person should know about `model` while it is loaded or used. Cheap: it is asked at each
    /// change of the status.
    fn standing(&self, _model: &str) -> Standing {
        Standing::default()
    }

    /// How long this backend has computed since it was made, whoever it was for; `None` where it cannot
    /// tell.
    fn busy(&self) -> Option<Duration> {
        None
    }

    /// Turns texts into vectors of length 1, all in one space. Dropping the future cancels.
    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<Embeddings, BackendError>> {
        let error = BackendError::Unsupported {
            backend: self.name().to_owned(),
            model: request.model,
            what: "embed texts",
        };
        std::future::ready(Err(error)).boxed()
    }

    /// How much prompt is worth sending, which depends on how fast it is computed.
    fn prompt_budget(&self) -> PromptBudget;

    /// Tokens of a conversation, question and answer together, that a model of this backend may be
    /// given, where the backend knows.
    fn window_tokens(&self) -> Option<usize> {
        None
    }
}

/// What a backend can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent of each other")]
pub struct Capabilities {
    /// Takes [`Prompt::Fim`].
    pub fim: bool,
    /// Takes [`Prompt::Chat`].
    pub chat: bool,
    /// Takes images in a chat.
    pub vision: bool,
    /// Has [`Backend::embed`].
    pub embedding: bool,
    /// Goes on with a conversation whose last message is the model's own.
    pub continues: bool,
    /// Tells exactly what a prompt costs ([`Chunk::Prompt`]) before its first token.
    pub counts_tokens: bool,
    /// Does not compute cached text again where it stands at another place of the prompt.
    pub moves_cached: bool,
    /// Goes on with what it computes of a prompt when that is given up for one that begins like it.
    pub hands_over: bool,
    /// Goes on with a typed part, behind the middle sentinel, that ends inside a token, such as with the
    /// blank that one begins with.
    pub heals: bool,
}

/// What is worth telling about a model beside that it serves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// How much of it is loaded, while it is being loaded.
    pub loaded_percent: Option<u8>,
    /// A remark on how it serves, as the end of a sentence about it.
    pub remark: Option<String>,
}

/// A model a backend can run now. `None` where the backend cannot tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Installed {
    /// The name to put into [`Request::model`].
    pub name: String,
    /// Content hash, where the backend tells one. Two names with one digest are one model.
    pub digest: Option<String>,
    /// Weights on disk, in bytes.
    pub size_bytes: Option<u64>,
    /// Such as `Q4_K_M`.
    pub quantization: Option<String>,
    /// `general.architecture` or the backend's family, such as `qwen2`.
    pub architecture: Option<String>,
    /// Whether the model has fill-in-the-middle tokens, where the backend can tell.
    pub fim: Option<bool>,
    /// The family by which it does, as far as the model's metadata or its name tell.
    pub family: Option<Known>,
    /// Whether it was taught to hold a conversation.
    pub chat: Option<bool>,
    /// Whether it sees images.
    pub vision: Option<bool>,
    /// Whether it was made to embed texts.
    pub embedding: Option<bool>,
}

/// Who waits for the answer. Order is the scheduler's: a lower variant goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A person typing.
    Completion,
    /// A person waiting for an answer.
    Chat,
    /// A guess at the next completion.
    Prefetch,
    /// Background indexing.
    Embedding,
    /// Filling caches while nobody waits.
    WarmUp,
}

/// A piece of a generation.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// What the prompt costs, before the first token: comes once. The end says it again, and better,
    /// where there is one.
    Prompt {
        /// Tokens of the prompt, cached ones included.
        prompt_tokens: u32,
        /// Tokens of the prompt that need not be computed again, where the backend knows.
        cached_tokens: Option<u32>,
        /// Whether this is a guess from the prompt's length, as the backend's server counts with the end
        /// only.
        estimated: bool,
    },
    /// Generated text. Never splits a character.
    Text(String),
    /// What a model thinks before it answers a conversation; never a part of the answer.
    Thinking(String),
    /// The end; nothing follows.
    Done(Finish),
}

/// How a generation ended and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Finish {
    /// Why it ended.
    pub stop: StopReason,
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u32,
    /// Tokens of the prompt that were not computed again, where the backend tells.
    pub cached_tokens: Option<u32>,
    /// Tokens generated.
    pub generated_tokens: u32,
    /// Time the backend spent loading the model for this request, where it tells.
    pub load: Option<Duration>,
}

impl Finish {
    /// The end of a generation of which nothing more is known: we cut it off.
    pub fn cut() -> Self {
        Self {
            stop: StopReason::Cut,
            ..Self::default()
        }
    }
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model's end token or a stop string.
    #[default]
    Stop,
    /// [`Request::max_tokens`] was reached.
    Length,
    /// We ended it: the rest is not wanted.
    Cut,
}

/// What can go wrong between us and a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// Nobody answers at the backend's address.
    #[error("{backend} does not answer; start it, or name another backend in the settings")]
    Unreachable {
        /// The backend's name.
        backend: String,
        /// What the connection said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The backend is there and has no such model.
    #[error("{backend} has no model {model}; fetch it with `ghostline models pull {model}`")]
    ModelMissing {
        /// The backend's name.
        backend: String,
        /// The model asked for.
        model: String,
    },
    /// The backend or the model cannot do what was asked of it.
    #[error("{model} on {backend} cannot {what}; choose another model in the settings")]
    Unsupported {
        /// The backend's name.
        backend: String,
        /// The model asked for.
        model: String,
        /// What it cannot, as in "cannot embed texts".
        what: &'static str,
    },
    /// The backend's queue is full.
    #[error("{backend} is busy; the request was not queued")]
    Busy {
        /// The backend's name.
        backend: String,
    },
    /// The backend answered with an error of its own.
    #[error("{backend} failed: {message}")]
    Failed {
        /// The backend's name.
        backend: String,
        /// Its own words, shortened.
        message: String,
    },
    /// The answer is not what the protocol says.
    #[error("{backend} sent something that is not its protocol: {message}; is a proxy in between?")]
    Protocol {
        /// The backend's name.
        backend: String,
        /// What was wrong.
        message: String,
    },
    /// The stream ended without its closing line, or stalled.
    #[error("{backend} broke off in the middle of an answer: {message}")]
    Interrupted {
        /// The backend's name.
        backend: String,
        /// What was seen.
        message: String,
    },
    /// Weights that cannot be loaded.
    #[error("{backend} cannot load {model}: {message}")]
    Load {
        /// The backend's name.
        backend: String,
        /// The model or file.
        model: String,
        /// Why, ending in what to do.
        message: String,
    },
}
