//! What a backend is asked: to go on with a prompt, to answer a conversation, to embed texts.

use super::Priority;
use crate::prompt::{Message, Segment};

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// Laid out by us, sentinels apart from text, and continued by the model as it stands. Decoding is
    /// greedy: the same prompt gives the same text.
    Fim(Vec<Segment>),
    /// A conversation; the model's own template lays it out, and it answers.
    Chat(Conversation),
}

impl Prompt {
    /// The segments of [`Prompt::Fim`]; nothing of a conversation.
    pub fn segments(&self) -> &[Segment] {
        match self {
            Self::Fim(segments) => segments,
            Self::Chat(_) => &[],
        }
    }

    /// The prompt that goes on behind `text`, which the model has said so far. A conversation stays as it is.
    #[must_use]
    pub fn continued(mut self, text: &str) -> Self {
        if let Self::Fim(segments) = &mut self {
            match segments.last_mut() {
                Some(Segment::Text(last)) => last.push_str(text),
                _ => segments.push(Segment::Text(text.to_owned())),
            }
        }
        self
    }
}

impl From<Vec<Segment>> for Prompt {
    fn from(segments: Vec<Segment>) -> Self {
        Self::Fim(segments)
    }
}

impl From<Conversation> for Prompt {
    fn from(conversation: Conversation) -> Self {
        Self::Chat(conversation)
    }
}

/// A conversation that waits for the next answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Oldest first. The last one is the user's. A backend whose context is too small drops the oldest
    /// turns, and keeps system messages and the last one.
    pub messages: Vec<Message>,
    /// `false` asks a model that thinks before it answers to answer at once, where it can.
    pub think: bool,
    /// How freely it is answered: 0 always takes the likeliest token; `None` leaves it to what the
    /// model comes with, and to greedy decoding where it comes with nothing.
    pub temperature: Option<f32>,
}

impl From<Vec<Message>> for Conversation {
    fn from(messages: Vec<Message>) -> Self {
        Self {
            messages,
            think: true,
            temperature: None,
        }
    }
}

/// Texts to embed.
#[derive(Debug, Clone)]
pub struct EmbedRequest {
    /// As in [`Installed::name`](super::Installed::name).
    pub model: String,
    /// Each text gives one vector. What is too long for the model is cut at its end.
    pub texts: Vec<String>,
    /// Who waits.
    pub priority: Priority,
}

/// What [`Backend::embed`](super::Backend::embed) gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embeddings {
    /// One vector of length 1 for each text, in the same order and all of one dimension.
    pub vectors: Vec<Vec<f32>>,
    /// The texts, by index, of which only the beginning was embedded, as far as is known.
    pub truncated: Vec<usize>,
    /// Tokens of all texts as they were embedded, where the backend tells.
    pub prompt_tokens: u32,
}

/// One generation.
#[derive(Debug, Clone)]
pub struct Request {
    /// As in [`Installed::name`](super::Installed::name).
    pub model: String,
    /// What it is asked.
    pub prompt: Prompt,
    /// At most this many generated tokens. 0 has the prompt computed and nothing generated; servers that know
    /// no such request are asked for 1.
    pub max_tokens: u32,
    /// Generation ends before the first of these strings. The text of a stop is not sent.
    pub stop: Vec<String>,
    /// Who waits.
    pub priority: Priority,
}
