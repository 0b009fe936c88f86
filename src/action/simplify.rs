//! Simplify: code ⇒ shorter or clearer code that does the same.
//!
//! ```text
//! let mut out = Vec::new();
//! for x in xs { out.push(x * 2); }
//!     ⇒
//! let out: Vec<_> = xs.into_iter().map(|x| x * 2).collect();
//! ```

use super::{Action, Gives, Scene, keep_all, target::Target};
use crate::config::Role;

pub(super) const ACTION: Action = Action {
    id: "simplify",
    kind: "refactor.rewrite.ghostline.simplify",
    role: Role::Chat,
    gives: Gives::Edit,
    title: |scene| {
        let applies = scene.selected && scene.says_something() && !scene.is_prose();
        applies.then(|| "Simplify".to_owned())
    },
    task,
    target: Target::Item,
    keep: keep_all,
};

fn task(scene: &Scene) -> String {
    let words = scene.instruction.as_deref().unwrap_or_default();
    format!(
        "Simplify this code: less nesting, no repetition, the standard library where it helps. It must do \
         exactly the same; names that other code uses stay. {words}"
    )
}
