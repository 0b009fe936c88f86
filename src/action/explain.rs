//! Explain: code ⇒ Markdown.
//!
//! ```text
//! let mid = lo + (hi - lo) / 2;
//!     ⇒
//! Takes the middle of the interval. Written as `lo + (hi - lo) / 2` because `(lo + hi) / 2` may overflow.
//! ```

use super::{Action, Gives, Scene, keep_all, target::Target};
use crate::config::Role;
use crate::prompt::instruct::Task;

pub(super) const ACTION: Action = Action {
    id: "explain",
    kind: "refactor.explain.ghostline",
    role: Role::Chat,
    gives: Gives::Text,
    title: |scene| scene.says_something().then(|| "Explain".to_owned()),
    task,
    target: Target::Item,
    keep: keep_all,
};

fn task(scene: &Scene) -> String {
    Task::Explain.instruction(scene.instruction.as_deref().unwrap_or_default())
}
