//! Which endpoint has seen the beginning of a prompt before.
//!
//! A server keeps what it computed of a prompt and computes only what differs in the next one. So a
//! document's prompts belong on the server that had the last of them. Nobody tells which document a
//! prompt is of, and nobody needs to: the prompt's own beginning tells, and a chat's as well. It is
//! hashed in blocks, each hash covering all before it; what counts is how many blocks were seen.

use std::hash::{DefaultHasher, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use crate::backend::{Prompt, Request};

/// Bytes of a block: about 80 tokens of code, less than any server's batch.
const BLOCK_BYTES: usize = 256;

/// Blocks remembered for one endpoint: 2 MiB of text, several times what a server's cache holds for
/// one editor. 64 KiB of memory.
const BLOCKS: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");

/// The beginning of a prompt as hashes, one for each whole block.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<u64>);

impl Blocks {
    pub(super) fn of(request: &Request) -> Self {
        let mut chain = Chain::new(&request.model);
        match &request.prompt {
            Prompt::Fim(segments) => {
                for segment in segments {
                    chain.push(segment.as_str().as_bytes());
                }
            }
            Prompt::Chat(conversation) => {
                for message in &conversation.messages {
                    chain.push(message.speaker.name().as_bytes());
                    chain.push(message.text.as_bytes());
                }
            }
        }
        Self(chain.blocks)
    }
}

struct Chain {
    hasher: DefaultHasher,
    /// Bytes of the block under way.
    filled_bytes: usize,
    blocks: Vec<u64>,
}

impl Chain {
    fn new(model: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(model.as_bytes());
        Self {
            hasher,
            filled_bytes: 0,
            blocks: Vec::new(),
        }
    }

    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = BLOCK_BYTES - self.filled_bytes;
            let (block, rest) = bytes.split_at(room.min(bytes.len()));
            self.hasher.write(block);
            self.filled_bytes += block.len();
            bytes = rest;
            if self.filled_bytes == BLOCK_BYTES {
                self.blocks.push(self.hasher.finish());
                self.filled_bytes = 0;
            }
        }
    }
}

/// What one endpoint has seen lately.
#[derive(Debug)]
pub(super) struct Seen {
    /// Never held across an await.
    blocks: Mutex<LruCache<u64, ()>>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            blocks: Mutex::new(LruCache::new(BLOCKS)),
        }
    }

    /// How many blocks from the beginning it has seen.
    pub(super) fn common(&self, prompt: &Blocks) -> usize {
        let seen = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = prompt.0.iter().take_while(|block| seen.contains(block));
        known.count()
    }

    /// It is about to see them.
    pub(super) fn add(&self, prompt: &Blocks) {
        let mut seen = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        for &block in &prompt.0 {
            seen.put(block, ());
        }
    }

    /// A server that was away has lost its cache.
    pub(super) fn clear(&self) {
        let mut seen = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Priority;
    use crate::prompt::Segment;

    fn blocks(parts: &[&str]) -> Blocks {
        let segments = parts.iter().map(|&part| Segment::Text(part.to_owned()));
        Blocks::of(&Request {
            model: "m".to_owned(),
            prompt: Prompt::Fim(segments.collect()),
            max_tokens: 1,
            stop: Vec::new(),
            priority: Priority::Completion,
        })
    }

    #[test]
    fn a_prompt_is_known_by_its_beginning() {
        let (a, b) = ("a".repeat(1000), "b".repeat(1000));
        let of_a = |bytes: usize| "a".repeat(bytes);
        let seen = Seen::new();
        seen.add(&blocks(&[&a]));
        for (parts, expect) in [
            (&[a.as_str()] as &[&str], 3),
            // However it is cut into segments.
            (&[&of_a(100), &of_a(900), "typed"], 3),
            (&[&of_a(600), &b], 2),
            (&[&b], 0),
            // Too short to tell.
            (&[&of_a(200)], 0),
        ] {
            assert_eq!(seen.common(&blocks(parts)), expect);
        }
        seen.clear();
        assert_eq!(seen.common(&blocks(&[&a])), 0);
    }
}
