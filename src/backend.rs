//! What can run a model: the trait, the request and what comes back.
//!
//! A backend turns a [`Request`] into a stream of [`Chunk`]s. Dropping the stream cancels: the
//! connection is closed, or the in-process engine stops at its next decode step. Wire formats stay
//! private to each backend's file. Called by the router only.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::BoxFuture;

use crate::prompt::Segment;

#[cfg(feature = "embedded")]
pub mod embedded;
pub mod ollama;
mod wire;

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

    /// Starts a generation. Nothing is sent before the first poll; dropping the stream cancels.
    fn stream(&self, request: Request) -> ChunkStream;

    /// How much prompt is worth sending, which depends on how fast it is computed.
    fn prompt_budget(&self) -> PromptBudget;
}

/// Token budgets of a prompt. Estimates of a text's length use
/// [`BYTES_PER_TOKEN`](crate::prompt::BYTES_PER_TOKEN), which is a low estimate for code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptBudget {
    /// For the lines above the cursor's line.
    pub prefix_tokens: usize,
    /// For the text after the cursor.
    pub suffix_tokens: usize,
}

/// A model a backend can run now.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// One generation. Decoding is greedy: the same prompt gives the same text.
#[derive(Debug, Clone)]
pub struct Request {
    /// As in [`Installed::name`].
    pub model: String,
    /// The prompt, sentinels apart from text.
    pub prompt: Vec<Segment>,
    /// At most this many generated tokens; at least 1.
    pub max_tokens: u32,
    /// Generation ends before the first of these strings. The text of a stop is not sent.
    pub stop: Vec<String>,
    /// Who waits.
    pub priority: Priority,
}

/// A piece of a generation.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// What the prompt costs, from backends that know before the first token: comes first, once.
    Prompt {
        /// Tokens of the prompt, cached ones included.
        prompt_tokens: u32,
        /// Tokens of the prompt that need not be computed again.
        cached_tokens: u32,
    },
    /// Generated text. Never splits a character.
    Text(String),
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
    #[error("cannot load {model}: {message}")]
    Load {
        /// The model or file.
        model: String,
        /// Why, ending in what to do.
        message: String,
    },
}
