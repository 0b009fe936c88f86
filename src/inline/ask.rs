//! What is asked of the engine and what it answers.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::live::Waited;
use super::trigger::Skip;
use crate::backend::StopReason;
use crate::document::Document;

/// A request for a completion.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The document as it was when the request came.
    pub document: Document,
    /// The cursor, in bytes.
    pub offset_bytes: usize,
    /// Whether a person asked, rather than the editor on a key.
    pub explicit: bool,
    /// The entry selected in the editor's completion list, which the completion must extend.
    pub selected: Option<Selected>,
}

/// An entry of the editor's completion list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// What it would replace, in bytes.
    pub range_bytes: Range<usize>,
    /// What it would insert.
    pub text: String,
}

/// A completion that belongs to the document it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Names it when the editor tells that it was accepted.
    pub id: u64,
    /// What is replaced, in bytes; on one line.
    pub range_bytes: Range<usize>,
    /// What stands there afterwards; begins with what is replaced. Line ends are the document's.
    pub insert_text: String,
    /// Whether no more of it will come.
    pub whole: bool,
    /// Where it came from.
    pub source: Source,
    /// The generation behind it.
    pub trace: Trace,
}

/// Where a completion came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A text generated before.
    Cache,
    /// A generation that was running already.
    Joined,
    /// A generation of its own.
    Generated,
}

/// What a generation was and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The model, as the backend names it.
    pub model: Arc<str>,
    /// The backend's name.
    pub backend: Arc<str>,
    /// Tokens of the prompt, where the backend told before we stopped listening.
    pub prompt_tokens: Option<u32>,
    /// Whether `prompt_tokens` is a guess from the prompt's length: the server counts with the end of an
    /// answer, and this one was cut before.
    pub prompt_estimated: bool,
    /// Tokens of the prompt that were not computed again.
    pub cached_tokens: Option<u32>,
    /// Tokens, or pieces of text, received.
    pub generated_tokens: u32,
    /// From asking the backend to its first text.
    pub first_token: Option<Duration>,
    /// From asking the backend to the last text received so far.
    pub total: Duration,
    /// Why it ended.
    pub stop: StopReason,
}

/// Why there is no completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// None is wanted here.
    Skipped(Skip),
    /// A newer request for the document came.
    Superseded,
    /// No backend serves the role.
    NoBackend,
    /// The backend failed; the router knows.
    Failed,
    /// The gate took it for one that this person would reject.
    HeldBack,
    /// The model had nothing to say that fits.
    Empty,
}

/// A ghost text that has grown since it was answered.
#[derive(Debug, Clone)]
pub struct Update {
    /// The document it belongs to, at the version it belongs to.
    pub document: Document,
    /// All of it, not the growth alone.
    pub completion: Completion,
}

impl From<Waited> for Nothing {
    fn from(why: Waited) -> Self {
        match why {
            Waited::Failed => Self::Failed,
            Waited::Diverged | Waited::Empty => Self::Empty,
        }
    }
}
