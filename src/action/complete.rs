//! Complete the todo: code with a gap ⇒ the gap filled.
//!
//! ```text
//! fn is_even(n: u32) -> bool {
//!     todo!()
//!     ⇒
//! fn is_even(n: u32) -> bool {
//!     n.is_multiple_of(2)
//! ```

use super::{Action, Gives, Scene, comment, keep_all, target::Target};
use crate::config::Role;

pub(super) const ACTION: Action = Action {
    id: "complete",
    kind: "quickfix.ghostline.complete",
    role: Role::Chat,
    gives: Gives::Edit,
    title: |scene| {
        let todo = scene.first_lines().any(|line| comment::holds_todo(&line));
        todo.then(|| "Complete the todo".to_owned())
    },
    task,
    target: Target::AroundTodo,
    keep: keep_all,
};

fn task(scene: &Scene) -> String {
    let words = scene.instruction.as_deref().unwrap_or_default();
    format!(
        "Complete this code: write what its `todo` or placeholder stands for, and take that comment or \
         placeholder away. Everything else stays as it is. {words}"
    )
}
