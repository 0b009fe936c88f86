//! Fix this diagnostic: code and what a compiler or linter says of it ⇒ an edit.
//!
//! ```text
//! let total: u32 = items.len();      // expected `u32`, found `usize`
//!     ⇒
//! let total: usize = items.len();
//! ```

use std::fmt::Write as _;

use super::{Action, Gives, Scene, keep_all, target::Target};
use crate::config::Role;

/// Longest part of a message that is shown in a title, in characters.
const MOST_SHOWN_CHARS: usize = 60;

pub(super) const ACTION: Action = Action {
    id: "fix",
    kind: "quickfix.ghostline",
    role: Role::Chat,
    gives: Gives::Edit,
    title,
    task,
    target: Target::AroundRemarks,
    keep: keep_all,
};

fn title(scene: &Scene) -> Option<String> {
    let first = scene.remarks.first()?.message.lines().next()?;
    let mut shown: String = first.chars().take(MOST_SHOWN_CHARS).collect();
    if shown.len() < first.len() {
        shown.push('…');
    }
    Some(format!("Fix: {shown}"))
}

fn task(scene: &Scene) -> String {
    let mut task = "Fix what the compiler or linter says of this code:\n".to_owned();
    for remark in &scene.remarks {
        let _ = writeln!(task, "- line {}: {}", remark.line + 1, remark.message);
    }
    task.push_str("Change as little as possible.");
    if let Some(words) = &scene.instruction {
        let _ = write!(task, " {words}");
    }
    task
}
