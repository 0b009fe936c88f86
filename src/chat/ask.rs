//! What is asked, what happens meanwhile, and what comes of it.

use std::sync::Arc;

use super::conversation::{Reference, TurnState};
use super::generation::Usage;
use crate::backend::BackendError;
use crate::config::Role;
use crate::prompt::Image;
use crate::prompt::instruct::Piece;
use crate::router::Router;

/// A question.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The conversation it belongs to; a new one when absent.
    pub conversation: Option<String>,
    /// The turn that is asked anew, counted from 0, or from the end when negative; later ones go. A new
    /// turn when absent.
    pub turn: Option<i64>,
    /// The person's words. Without them a turn that is asked anew keeps its own.
    pub message: Option<String>,
    /// Text that belongs to the question, most important first. Without any, a turn that is asked anew
    /// keeps its own.
    pub pieces: Vec<Piece>,
    /// Pictures, prepared by [`super::picture`].
    pub images: Vec<Image>,
    /// Whether secrets are left in what the model is shown.
    pub keeps_secrets: bool,
    /// Who answers; chosen by the words when absent.
    pub role: Option<Role>,
    /// Who is asked for a model: that of the folder that the question is about. The workspace's when absent.
    pub router: Option<Arc<Router>>,
}

/// What happens while an answer is written.
#[derive(Debug)]
pub enum Event<'e> {
    /// A model was found and is asked.
    Begun(&'e Begun),
    /// The answer goes on.
    Delta(&'e str),
    /// The model thinks.
    Thinking(&'e str),
}

/// Who answers what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The conversation.
    pub conversation: String,
    /// The turn's number, from 0.
    pub turn: usize,
    /// The role.
    pub role: Role,
    /// The model.
    pub model: String,
    /// Where it runs.
    pub backend: String,
    /// What it was given.
    pub references: Vec<Reference>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Who answered what. Model and backend are empty where none was needed.
    pub begun: Begun,
    /// The answer, Markdown.
    pub message: String,
    /// What the model thought.
    pub thinking: String,
    /// How it ended.
    pub state: TurnState,
    /// What it cost.
    pub usage: Usage,
    /// What the person should know about it, in sentences: what had no room.
    pub notes: Vec<String>,
}

/// Why there is no answer. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// Nothing serves the role.
    #[error("{0}")]
    NoModel(String),
    /// There is no such conversation.
    #[error("there is no conversation {0}; it may have been deleted, so begin a new one")]
    NoConversation(String),
    /// There is no such turn.
    #[error("the conversation has {turns} turns; there is no turn {turn}")]
    NoTurn {
        /// As asked for.
        turn: i64,
        /// How many there are.
        turns: usize,
    },
    /// Neither words nor anything to look at.
    #[error("the message is empty")]
    Empty,
    /// `/explain` and its kind without anything to work on.
    #[error("{0} needs code to work on; attach a file or a selection")]
    NothingAttached(&'static str),
    /// Another window went on with it.
    #[error(
        "the conversation went on in another window meanwhile, or was deleted there; nothing was asked. Open \
         it again"
    )]
    Moved,
    /// A role that does not converse, or pictures for one that does not see.
    #[error("{0}")]
    Role(&'static str),
    /// The words alone fill the model's context.
    #[error(
        "the message has about {tokens} tokens, and {model} has room for {room}; shorten it, or attach \
         the long part as a file"
    )]
    TooLong {
        /// Estimated.
        tokens: usize,
        /// What there is room for.
        room: usize,
        /// The model.
        model: String,
    },
    /// The search failed, or there is none.
    #[error("{0}")]
    Search(String),
    /// A conversation cannot be read or written.
    #[error("the conversation cannot be kept")]
    Disk(#[from] std::io::Error),
    /// The model failed. What came of the answer is kept.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Answer {
    pub(super) fn without_model(begun: Begun, message: String) -> Self {
        Self {
            begun,
            message,
            thinking: String::new(),
            state: TurnState::Answered,
            usage: Usage::default(),
            notes: Vec::new(),
        }
    }
}
