//! Document: code ⇒ the same code with a documentation comment. Code lines stay as they are, whatever the
//! model does with them.
//!
//! ```text
//! fn mid(lo: usize, hi: usize) -> usize {
//!     ⇒
//! /// The middle of `lo..hi`, rounded down.
//! fn mid(lo: usize, hi: usize) -> usize {
//! ```

use similar::DiffTag;

use super::{Action, Gives, Scene, comment, target::Target};
use crate::config::Role;

pub(super) const ACTION: Action = Action {
    id: "document",
    kind: "refactor.rewrite.ghostline.document",
    role: Role::Chat,
    gives: Gives::Edit,
    title: |scene| {
        let applies = scene.says_something() && !scene.is_prose();
        applies.then(|| "Document".to_owned())
    },
    task,
    target: Target::ItemWithComments,
    keep,
};

fn task(scene: &Scene) -> String {
    let form = match &*scene.document.language_id {
        "rust" => "with `///` lines above the item",
        "python" => "with a docstring under the `def` or `class` line",
        "go" => "with `//` lines above the item, beginning with its name",
        "java" => "with a Javadoc comment above the item",
        "c" | "cpp" | "javascript" | "javascriptreact" | "typescript" | "typescriptreact" => {
            "with a `/** … */` comment above the item"
        }
        _ => "in the form that its language uses",
    };
    let words = scene.instruction.as_deref().unwrap_or_default();
    format!(
        "Document this code {form}: what it does, what its inputs and results mean, which errors there \
         are; not how it is written. Change no code. {words}"
    )
}

/// Comments may come; a comment may be replaced by another.
fn keep(_: DiffTag, new: &[&str], old: &str) -> bool {
    comment::is_comment(&new.concat()) && (old.trim().is_empty() || comment::is_comment(old))
}
