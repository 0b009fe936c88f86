//! A conversation between the moment a window reads it and the moment its question is put into it.
//!
//! Called by `chat` and `disk`. Another window, of this process or another, may go on with the same
//! conversation. Invariants: what it said stays; a turn is asked anew only by who has seen all that came
//! after it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::conversation::{Conversation, Turn};
use super::{Ask, ChatError, Chats};

/// How many turns of each conversation this process's person has seen. A std mutex: held for a look-up.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<String, usize>>);

impl Known {
    pub(super) fn saw(&self, conversation: &Conversation) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(conversation.id.clone(), conversation.turns.len());
    }

    /// Whether somebody else went on with it. One that was never seen here is not.
    fn is_behind(&self, conversation: &Conversation) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = known.get(&conversation.id);
        turns.is_some_and(|&turns| turns < conversation.turns.len())
    }
}

/// A conversation as a window found it, before a turn is put into it.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    /// Without the turns that are asked anew.
    pub(super) conversation: Conversation,
    /// The names of all turns that were there.
    pub(super) seen: Vec<String>,
    /// Whether it is new.
    pub(super) is_new: bool,
}

impl Opened {
    /// A conversation in which nothing was said.
    pub(super) fn new() -> Self {
        Self {
            conversation: Conversation::new(),
            seen: Vec::new(),
            is_new: true,
        }
    }

    /// What was found on the disk.
    pub(super) fn of(conversation: Conversation) -> Self {
        Self {
            seen: conversation.turns.iter().map(|t| t.id.clone()).collect(),
            conversation,
            is_new: false,
        }
    }

    /// With `turn` at its end, after what other windows said in it: `now` is what is on the disk.
    pub(super) fn with(self, turn: Turn, now: Option<Conversation>) -> Option<Conversation> {
        let Self {
            mut conversation,
            seen,
            is_new,
        } = self;
        if let Some(now) = now {
            let is_known = |turn: &Turn| seen.contains(&turn.id);
            if conversation.turns.len() == seen.len() {
                conversation = now;
            } else if !now.turns.iter().all(is_known) {
                // What is asked anew is not what the other window went on from.
                return None;
            }
        } else if !is_new {
            return None;
        }
        conversation.turns.push(turn);
        conversation.touch();
        Some(conversation)
    }
}

impl Chats {
    /// Keeps the question before it is asked. Where nothing can be kept, that is noted.
    pub(super) async fn begin(
        &self,
        opened: Opened,
        turn: Turn,
        notes: &mut Vec<String>,
    ) -> Result<Conversation, ChatError> {
        match self.disk.begin(opened.clone(), turn.clone()).await {
            Ok(begun) => {
                let begun = begun.ok_or(ChatError::Moved)?;
                self.known.saw(&begun);
                Ok(begun)
            }
            Err(error) => {
                notes.push(format!("the conversation cannot be kept: {error}"));
                let mut conversation = opened.conversation;
                conversation.turns.push(turn);
                Ok(conversation)
            }
        }
    }

    /// The conversation before the question, and the turn that is asked anew.
    pub(super) async fn open(&self, ask: &Ask) -> Result<(Opened, Option<Turn>), ChatError> {
        let Some(id) = &ask.conversation else {
            return match ask.turn {
                None => Ok((Opened::new(), None)),
                Some(turn) => Err(ChatError::NoTurn { turn, turns: 0 }),
            };
        };
        let mut opened = Opened::of(self.load(id).await?);
        let Some(asked) = ask.turn else {
            return Ok((opened, None));
        };
        if self.known.is_behind(&opened.conversation) {
            return Err(ChatError::Moved);
        }
        let conversation = &mut opened.conversation;
        let turns = conversation.turns.len();
        let count = i64::try_from(turns).unwrap_or(i64::MAX);
        let index = if asked < 0 { count + asked } else { asked };
        let index = usize::try_from(index).ok().filter(|&index| index < turns);
        let index = index.ok_or(ChatError::NoTurn { turn: asked, turns })?;
        conversation.turns.truncate(index + 1);
        let old = conversation.turns.pop();
        Ok((opened, old))
    }
}
