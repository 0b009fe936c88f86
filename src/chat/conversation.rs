//! A conversation as it is kept: turns, each a question and its answer.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::intent::{self, Command};
use crate::config::Role;

/// Longest title, in characters: a line of a narrow panel.
const LONGEST_TITLE_CHARS: usize = 60;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// Names it; safe as a file name.
    pub id: String,
    /// Its first words.
    pub title: String,
    /// When something was last said, in milliseconds of Unix time.
    pub updated_ms: u64,
    /// Oldest first.
    pub turns: Vec<Turn>,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// Names it, for another window that has the conversation too.
    #[serde(default)]
    pub(super) id: String,
    /// The person's own words.
    pub message: String,
    /// The pieces that the model was given before the words, as it was given them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub quoted: String,
    /// What was shown with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Picture>,
    /// The answer, as far as it came.
    pub answer: String,
    /// What the model thought before it answered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub thinking: String,
    /// How it ended.
    pub state: TurnState,
    /// What answered.
    pub role: Role,
    /// The model.
    pub model: String,
    /// Where it ran.
    pub backend: String,
    /// The pieces that were quoted.
    pub references: Vec<Reference>,
}

impl Turn {
    /// What the model is given: quoted pieces, then the words, a command spelled out.
    pub(super) fn sent(&self) -> String {
        let words = match intent::read(&self.message) {
            (Some(Command::Task(task)), words) => task.instruction(words),
            (Some(_), words) => words.to_owned(),
            (None, _) => self.message.clone(),
        };
        format!("{}{words}", self.quoted)
    }
}

/// A picture, as the model was shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Such as `image/png`.
    pub mime: String,
    /// The file.
    pub base64: String,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TurnState {
    /// It is being answered, or the program ended in the middle of it.
    Open,
    /// The model ended it.
    Answered,
    /// It ran into the limit of tokens.
    CutOff,
    /// The person stopped it.
    Stopped,
    /// The backend failed.
    Failed,
}

/// Lines that were quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The document.
    pub uri: String,
    /// Counted from 0.
    pub lines: Range<usize>,
}

impl Conversation {
    /// A conversation in which nothing was said.
    pub fn new() -> Self {
        Self {
            id: new_id(),
            title: String::new(),
            updated_ms: now_ms(),
            turns: Vec::new(),
        }
    }

    /// Notes that something was said just now.
    pub(super) fn touch(&mut self) {
        self.updated_ms = now_ms();
        if let Some(first) = self.turns.first() {
            let line = first.message.lines().find(|line| !line.trim().is_empty());
            let line = line.unwrap_or_default().trim();
            self.title = line.chars().take(LONGEST_TITLE_CHARS).collect();
        }
    }
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new()
    }
}

/// A name, unique among the processes of one machine, and sorted by time.
pub(super) fn new_id() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let (now, process) = (now_ms(), std::process::id());
    format!("{now:012x}-{process:x}-{number:x}")
}

/// Whether `id` may be a file name: what a client sends is never a path.
pub(super) fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_no_paths() {
        for (id, ok) in [
            ("019ab-1-0", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("a\\b", false),
            ("a.json", false),
            (&"a".repeat(65), false),
        ] {
            assert_eq!(is_id(id), ok, "{id}");
        }
        let (a, b) = (Conversation::new(), Conversation::new());
        assert_ne!(a.id, b.id);
        assert!(is_id(&a.id));
    }
}
