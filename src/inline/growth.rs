//! A partial that was answered grows on in the editor.

use std::sync::Arc;

use super::ask::{Completion, Update};
use super::live::Watch;
use super::place::Place;
use super::syntax::Syntax;
use super::target::Target;

/// A partial that was answered and goes on growing.
#[derive(Debug)]
pub(super) struct Growth {
    pub(super) watch: Watch,
    pub(super) place: Place,
    pub(super) target: Target,
    pub(super) syntax: Arc<Syntax>,
}

impl Growth {
    /// Sends every longer text, and the last one in any case, which is given back.
    pub(super) async fn follow(
        mut self,
        mut shown: Completion,
        send: impl Fn(Update) -> bool,
    ) -> Option<(Self, Completion)> {
        let mut text = String::new();
        while !shown.whole {
            let rest = self.watch.more_at(&self.place, &text).await.ok()?;
            text.clone_from(&rest.text);
            let whole = rest.whole;
            let grown = self
                .target
                .complete(rest, &self.place, shown.source, &self.syntax);
            // What is shown stays until more of the text fits, or to the end.
            let mut grown = match grown {
                Some(grown) => grown,
                None if whole => Completion {
                    whole,
                    ..shown.clone()
                },
                None => continue,
            };
            let news = grown.whole || grown.insert_text != shown.insert_text;
            grown.id = shown.id;
            shown = grown;
            if news {
                let document = self.target.document.clone();
                let completion = shown.clone();
                if !send(Update {
                    document,
                    completion,
                }) {
                    return None;
                }
            }
        }
        Some((self, shown))
    }
}
