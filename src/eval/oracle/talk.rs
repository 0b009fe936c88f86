//! What the oracle says in a conversation: words, so that there is something to stream.

use super::{Oracle, Piece, lock, tokens};
use crate::backend::{Conversation, StopReason};

use super::device::finish;

/// Tokens of an answer: a paragraph and a function.
const ANSWER_TOKENS: usize = 400;
/// What is said, again and again.
const WORDS: &[&str] = &[
    "The", " list", " is", " walked", " once", ",", " and", " each", " node", " keeps", " its",
    " place", ".\n",
];

/// An answer, at so many of its tokens.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) prompt_tokens: u32,
    pub(super) cached_tokens: u32,
    most: usize,
    next: usize,
}

impl Talk {
    pub(super) fn new(oracle: &Oracle, asked: &Conversation, max_tokens: u32) -> Self {
        let texts = asked.messages.iter().map(|message| &*message.text);
        let prompt: Vec<u64> = texts
            .flat_map(|text| tokens::of_text(text).map(tokens::of_token))
            .collect();
        let mut state = lock(&oracle.state);
        let pairs = state.talked.iter().zip(&prompt);
        let held = pairs.take_while(|(a, b)| a == b).count();
        let as_tokens = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let talk = Self {
            prompt_tokens: as_tokens(prompt.len()),
            cached_tokens: as_tokens(held.min(prompt.len().saturating_sub(1))),
            most: ANSWER_TOKENS.min(usize::try_from(max_tokens).unwrap_or(usize::MAX)),
            next: 0,
        };
        state.talked = prompt;
        talk
    }

    /// The next piece.
    pub(super) fn piece(&mut self, oracle: &Oracle) -> Piece {
        if self.next >= self.most {
            let cost = (self.prompt_tokens, self.cached_tokens);
            return Piece::End(finish(StopReason::Stop, cost, self.next));
        }
        let word = WORDS.get(self.next % WORDS.len()).copied();
        let word = word.unwrap_or_default();
        self.next += 1;
        lock(&oracle.state).talked.push(tokens::of_token(word));
        Piece::Text(word.to_owned())
    }
}
