//! What is written down of a pass, key by key.

use std::time::Duration;

use tokio::time::Instant;

use super::talk::ChatFigures;
use crate::eval::oracle::Ledger;
use crate::eval::script::{Kind, Step};

/// What one pass found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One per key, in order.
    pub keys: Vec<KeyRecord>,
    /// What the oracle generated.
    pub ledger: Ledger,
    /// Answers for another text than the one on the screen, or for another place than the cursor.
    pub stale_items: u64,
    /// Ghosts that were accepted.
    pub accepts: u64,
    /// How a chat fared meanwhile, where there was one.
    pub chat: Option<ChatFigures>,
}

/// From where the cursor came to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Just left of it.
    SameLine,
    /// The line above.
    NewLine,
    /// Elsewhere: the step before did not end here.
    Jumped,
}

impl Came {
    pub(super) fn to(step: &Step) -> Self {
        match (step.continues, step.same_line && step.kind != Kind::Enter) {
            (false, _) => Self::Jumped,
            (true, true) => Self::SameLine,
            (true, false) => Self::NewLine,
        }
    }
}

/// What happened at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and figures count any of them"
)]
pub struct KeyRecord {
    /// The step of the script.
    pub step: usize,
    /// Whether the trigger rules want a completion.
    pub wanted: bool,
    /// Whether more is typed there, on that line; else it is right to show nothing.
    pub goes_on: bool,
    /// Where the cursor was before.
    pub came: Came,
    /// How many lines away.
    pub came_lines: usize,
    /// Whether it is the first at which a completion is wanted after accepting one.
    pub after_accept: bool,
    /// Until the next edit.
    pub gap: Duration,
    /// When it was.
    pub at: Instant,
    /// From the key to its ghost, if one was there before the next edit.
    pub ghost_after: Option<Duration>,
    /// From the key to the answer that there is none, if that came before the next edit.
    pub nothing_after: Option<Duration>,
    /// The ghost.
    pub ghost: Option<String>,
    /// Whether the ghost's beginning is what was typed next.
    pub right: bool,
}

impl KeyRecord {
    /// From the key to its answer, a ghost or that there is none, if that came before the next edit.
    pub fn answered_after(&self) -> Option<Duration> {
        self.ghost_after.or(self.nothing_after)
    }
}
