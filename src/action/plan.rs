//! Plan the change: code and a wish ⇒ Markdown.
//!
//! ```text
//! // todo: read the file in pieces
//!     ⇒
//! 1. `Reader::open` (src/reader.rs) takes a size of pieces; the callers pass what they pass now. …
//! ```

use super::{Action, Gives, Scene, comment, keep_all, target::Target};
use crate::config::Role;
use crate::prompt::instruct::Task;

pub(super) const ACTION: Action = Action {
    id: "plan",
    kind: "refactor.plan.ghostline",
    role: Role::Reasoning,
    gives: Gives::Text,
    title,
    task,
    target: Target::Item,
    keep: keep_all,
};

fn title(scene: &Scene) -> Option<String> {
    let wish = || scene.first_lines().any(|line| comment::holds_todo(&line));
    let applies = (scene.selected && scene.says_something()) || wish();
    applies.then(|| "Plan the change".to_owned())
}

fn task(scene: &Scene) -> String {
    let todo = scene.first_lines().find(|line| comment::holds_todo(line));
    let words = match (&scene.instruction, todo) {
        (Some(words), _) => format!("The change: {words}"),
        (None, Some(todo)) => format!("The change is what this line asks for: `{}`", todo.trim()),
        (None, None) => "The change is what this code seems to need most.".to_owned(),
    };
    Task::Plan.instruction(&words)
}
