//! Write tests: code ⇒ tests, in the module or file where its language keeps them.
//!
//! ```text
//! src/mid.py: def mid(lo, hi): …
//!     ⇒
//! src/test_mid.py (new): def test_mid_of_an_empty_interval(): …
//! ```

use super::{Action, Gives, Scene, keep_all, target::Target};
use crate::config::Role;

pub(super) const ACTION: Action = Action {
    id: "tests",
    kind: "refactor.ghostline.tests",
    role: Role::Chat,
    gives: Gives::Tests,
    title: |scene| {
        let applies = scene.says_something() && !scene.is_prose();
        applies.then(|| "Write tests".to_owned())
    },
    task,
    target: Target::Item,
    keep: keep_all,
};

fn task(scene: &Scene) -> String {
    let words = scene.instruction.as_deref().unwrap_or_default();
    format!(
        "Write tests for this code: the usual case, the edges, the errors. Each test says in its name what \
         holds. Test only what the code shows. {words}"
    )
}
