//! Who answers the replayed keys: our engine, and the policies people have today.
//!
//! A policy is told of each edit and asked after each key, as an editor does; it asks the oracle when
//! it likes. The others are state machines built from their documented constants, over the same oracle
//! and the same prompt budget, and are asked only where our trigger rules want a completion.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::oracle::{MODEL, Oracle};
use crate::config::Settings;
use crate::document::{Document, Edit};
use crate::inline::{Ask, Engine, Update};
use crate::metrics::Metrics;
use crate::router::Router;

mod debounced;

pub(super) use debounced::Debounced;

/// What a policy shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ghost {
    /// What it replaces, in bytes.
    pub range_bytes: Range<usize>,
    /// What stands there afterwards.
    pub text: String,
}

/// A ghost that has grown since it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grown {
    /// Of the document.
    pub version: i32,
    /// All of it.
    pub ghost: Ghost,
}

impl From<Update> for Grown {
    fn from(update: Update) -> Self {
        let Update {
            document,
            completion,
        } = update;
        Self {
            version: document.version,
            ghost: Ghost {
                range_bytes: completion.range_bytes,
                text: completion.insert_text,
            },
        }
    }
}

/// Something that answers keys.
pub trait Policy: Debug {
    /// `edits` were made, which ended at `offset_bytes` and led to `document`; a request that is open is
    /// for an older text.
    fn changed(&self, document: &Document, offset_bytes: usize, edits: &[Edit]);

    /// The cursor went to `offset_bytes` without an edit.
    fn cursor_moved(&self, _: &Document, _offset_bytes: usize) {}

    /// Asks for a ghost. Dropping the future cancels, as an editor does. Only where `wanted` do the
    /// trigger rules want one.
    fn complete(&self, ask: Ask, wanted: bool) -> BoxFuture<'static, Option<Ghost>>;
}

/// The policies that can be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Ours: the real [`Engine`].
    Engine,
    /// Waits, asks anew, shows the whole line.
    Debounced(&'static Constants),
}

/// What makes a debounced policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constants {
    /// As in reports.
    pub name: &'static str,
    /// From the last key to the request.
    pub debounce: Duration,
    /// Completions remembered by the exact text before the cursor; 0 remembers none.
    pub cache_entries: usize,
}

/// The debounced policies, each with who documents its constants.
pub const DEBOUNCED: &[Constants] = &[
    // cody asks 75 ms after the last key (`vscode/src/completions/get-inline-completions.ts`), as does
    // Zed for Copilot (`COPILOT_DEBOUNCE_TIMEOUT`).
    Constants {
        name: "debounce-75",
        debounce: Duration::from_millis(75),
        cache_entries: 0,
    },
    // llm.nvim before llm-ls: `debounce_ms = 150` (`lua/llm/config.lua`); no cache.
    Constants {
        name: "debounce-150",
        debounce: Duration::from_millis(150),
        cache_entries: 0,
    },
    // continue's cache: 1,000 entries, keyed by the pruned text before the cursor, looked up after the
    // debounce (`core/autocomplete/util/AutocompleteLruCache.ts`), with the shorter debounce.
    Constants {
        name: "debounce-75-prefix-cache",
        debounce: Duration::from_millis(75),
        cache_entries: 1_000,
    },
];

impl Name {
    /// Every policy, ours first.
    pub fn all() -> Vec<Self> {
        let others = DEBOUNCED.iter().map(Self::Debounced);
        std::iter::once(Self::Engine).chain(others).collect()
    }

    /// As in reports and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Debounced(constants) => constants.name,
        }
    }

    /// The policy of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|p| p.as_str() == name)
    }

    /// Builds it over `oracle`, which `router` leads to. What grows after it was answered comes out of the
    /// receiver.
    pub fn build(
        self,
        oracle: &Oracle,
        router: Arc<Router>,
        settings: &Arc<Settings>,
    ) -> (Box<dyn Policy>, UnboundedReceiver<Update>) {
        let (updates, grown) = unbounded_channel();
        let policy: Box<dyn Policy> = match self {
            Self::Engine => {
                let metrics = Arc::<Metrics>::default();
                // As for an editor that draws a ghost text as it grows.
                let engine = Engine::new(router, settings.clone(), metrics).with_updates(updates);
                Box::new(Ours(Arc::new(engine)))
            }
            Self::Debounced(constants) => Box::new(Debounced::new(
                constants,
                Arc::new(oracle.clone()),
                MODEL,
                settings.inline.max_tokens,
            )),
        };
        (policy, grown)
    }
}

/// The real engine, behind the same calls as in the server.
#[derive(Debug)]
struct Ours(Arc<Engine>);

impl Policy for Ours {
    fn changed(&self, document: &Document, offset_bytes: usize, _: &[Edit]) {
        self.0.document_changed(document, &[offset_bytes]);
    }

    fn cursor_moved(&self, document: &Document, offset_bytes: usize) {
        self.0.cursor_moved(document, offset_bytes);
    }

    fn complete(&self, ask: Ask, _: bool) -> BoxFuture<'static, Option<Ghost>> {
        let engine = self.0.clone();
        async move {
            let completion = engine.complete(ask).await.ok()?;
            Some(Ghost {
                range_bytes: completion.range_bytes,
                text: completion.insert_text,
            })
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_named_by_what_they_do() {
        let names: Vec<_> = Name::all().into_iter().map(Name::as_str).collect();
        let expected = [
            "engine",
            "debounce-75",
            "debounce-150",
            "debounce-75-prefix-cache",
        ];
        assert_eq!(names, expected);
        for name in names {
            assert_eq!(Name::from_name(name).map(Name::as_str), Some(name));
        }
        assert!(Name::from_name("naive").is_none());
        for constants in DEBOUNCED {
            let ms = constants.debounce.as_millis();
            assert!(constants.name.starts_with(&format!("debounce-{ms}")));
            assert_eq!(
                constants.name.ends_with("-prefix-cache"),
                constants.cache_entries > 0
            );
        }
    }
}
