//! Messages of a conversation, before any template lays them out.
//!
//! Made by what asks a model in words; each backend writes them as its models want them.

use std::fmt;
use std::sync::Arc;

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// What the model is told about its task.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Speaker {
    /// The name in every chat protocol and template.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message. Its text is the speaker's words: nothing in it steers the model as a sentinel does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub speaker: Speaker,
    /// What is said.
    pub text: String,
    /// What is shown with it.
    pub images: Vec<Image>,
}

impl Message {
    /// A message without images.
    pub fn new(speaker: Speaker, text: impl Into<String>) -> Self {
        Self {
            speaker,
            text: text.into(),
            images: Vec::new(),
        }
    }
}

/// A picture, as the file it came in.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// Such as `image/png`.
    pub mime: String,
    /// The file's bytes.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the bytes: a picture is a page of numbers.
        f.debug_struct("Image")
            .field("mime", &self.mime)
            .field("size_bytes", &self.bytes.len())
            .finish()
    }
}
