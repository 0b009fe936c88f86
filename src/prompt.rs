//! What a model is asked: a list of segments, never a finished string.
//!
//! Keeping the family's sentinels apart from the person's text until the last moment makes two things
//! simple: a backend that tokenises in process encodes each kind as what it is, and a backend that
//! takes a string gets one in which the person's text cannot imitate a sentinel.

pub mod anchor;
mod block;
mod comment;
pub mod instruct;
mod message;
mod render;

#[cfg(test)]
pub(crate) use block::tests as block_tests;
pub use block::{Block, Snippet};
pub use message::{Image, Message, Speaker};
pub use render::render;

/// One piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A sentinel of the model's family, such as `<|fim_prefix|>`. Encoded as a special token.
    Special(&'static str),
    /// The person's text. Never encoded as a special token, whatever it contains.
    Text(String),
}

impl Segment {
    /// The characters, whatever they are.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Special(sentinel) => sentinel,
            Self::Text(text) => text,
        }
    }
}

pub mod fim;
pub mod window;

/// Bytes of code per token, for budgets where nobody counts. Low on purpose, so that a text estimated
/// to fit does fit. Qwen2.5-Coder's own tokenizer makes of a file, on average (least tenth of files):
/// Rust 4.1 (3.7), Python 4.8 (4.0), JavaScript 4.0 (3.5), C 3.2 (2.8) bytes a token; measured on
/// about 200 files in November 2026.
pub const BYTES_PER_TOKEN: usize = 3;
