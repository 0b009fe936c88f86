//! Debounce, cancel on each edit, wait for the whole line.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use lru::LruCache;
use tokio_util::sync::CancellationToken;

use super::{Constants, Ghost, Policy};
use crate::backend::{Backend, Chunk, Priority, Request};
use crate::document::{Document, Edit};
use crate::inline::Ask;
use crate::prompt::fim::{PREFIX_ONLY, family_of};
use crate::prompt::{BYTES_PER_TOKEN, window};

/// A policy that waits `debounce` after the last key and then asks anew.
#[derive(Debug)]
pub(in crate::eval) struct Debounced {
    constants: &'static Constants,
    backend: Arc<dyn Backend>,
    model: Arc<str>,
    max_tokens: u32,
    /// The open request; an edit cancels it and its generation.
    turn: Mutex<CancellationToken>,
    cache: Option<Arc<Mutex<PrefixCache>>>,
}

impl Debounced {
    pub(in crate::eval) fn new(
        constants: &'static Constants,
        backend: Arc<dyn Backend>,
        model: &str,
        max_tokens: u32,
    ) -> Self {
        let cache = NonZeroUsize::new(constants.cache_entries)
            .map(|entries| Arc::new(Mutex::new(PrefixCache(LruCache::new(entries)))));
        Self {
            constants,
            backend,
            model: model.into(),
            max_tokens,
            turn: Mutex::default(),
            cache,
        }
    }

    fn next_turn(&self) -> CancellationToken {
        let next = CancellationToken::new();
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *turn, next.clone()).cancel();
        next
    }
}

impl Policy for Debounced {
    fn changed(&self, _: &Document, _: usize, _: &[Edit]) {
        self.next_turn();
    }

    fn complete(&self, ask: Ask, wanted: bool) -> BoxFuture<'static, Option<Ghost>> {
        let turn = self.next_turn();
        if !wanted {
            return std::future::ready(None).boxed();
        }
        let (constants, backend, cache) =
            (self.constants, self.backend.clone(), self.cache.clone());
        let (model, max_tokens) = (self.model.clone(), self.max_tokens);
        let work = async move {
            tokio::time::sleep(constants.debounce).await;
            let prefix = prefix(&ask, backend.as_ref());
            let remembered = cache.as_ref().and_then(|cache| {
                let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                cache.find(&prefix)
            });
            let text = match remembered {
                Some(text) => text,
                None => line(&ask, &prefix, backend.as_ref(), (&model, max_tokens)).await?,
            };
            if let Some(cache) = cache {
                let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                cache.0.put(prefix, text.clone());
            }
            Some(Ghost {
                range_bytes: ask.offset_bytes..ask.offset_bytes,
                text,
            })
        };
        async move {
            tokio::select! {
                biased;
                () = turn.cancelled() => None,
                ghost = work => ghost,
            }
        }
        .boxed()
    }
}

/// The text before the cursor: as many whole lines as fit the budget, so its start moves on with the
/// cursor's line.
fn prefix(ask: &Ask, backend: &dyn Backend) -> String {
    let text = &ask.document.text;
    let end = text.byte_to_char(ask.offset_bytes.min(text.len_bytes()));
    let budget_bytes = backend.prompt_budget().prefix_tokens * BYTES_PER_TOKEN;
    let from = ask.offset_bytes.saturating_sub(budget_bytes);
    let mut line = text.byte_to_line(from);
    if from > text.line_to_byte(line) && line < text.char_to_line(end) {
        line += 1;
    }
    text.slice(text.line_to_char(line)..end).to_string()
}

/// Asks for the rest of the line, with all that was typed before the suffix: the suffix is computed
/// anew for each key.
async fn line(
    ask: &Ask,
    prefix: &str,
    backend: &dyn Backend,
    (model, max_tokens): (&str, u32),
) -> Option<String> {
    let suffix_tokens = backend.prompt_budget().suffix_tokens;
    let window = window::cut(&ask.document.text, ask.offset_bytes, 0, suffix_tokens);
    let family = family_of(model, None).unwrap_or(&PREFIX_ONLY);
    let request = Request {
        model: model.to_owned(),
        prompt: family
            .lay_out(prefix.to_owned(), String::new(), window.after)
            .into(),
        max_tokens,
        stop: vec!["\n".to_owned()],
        priority: Priority::Completion,
    };
    let mut stream = backend.stream(request);
    let mut text = String::new();
    while let Some(chunk) = stream.next().await {
        match chunk.ok()? {
            Chunk::Text(more) => text.push_str(&more),
            Chunk::Prompt { .. } | Chunk::Thinking(_) => {}
            Chunk::Done(_) => break,
        }
    }
    (!text.trim().is_empty()).then_some(text)
}

/// Completions by the text before the cursor, whatever stands after it.
#[derive(Debug)]
struct PrefixCache(LruCache<String, String>);

impl PrefixCache {
    /// What is left of the completion for the longest remembered prefix of `prefix`, when what was
    /// typed since is what that completion said.
    fn find(&mut self, prefix: &str) -> Option<String> {
        let keys = self.0.iter().map(|(key, _)| key);
        let key = keys
            .filter(|key| prefix.starts_with(key.as_str()))
            .max_by_key(|key| key.len())?
            .clone();
        let typed = prefix.get(key.len()..)?;
        let rest = self.0.get(&key)?.strip_prefix(typed)?;
        (!rest.is_empty()).then(|| rest.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_longest_remembered_prefix_counts() {
        let mut cache = PrefixCache(LruCache::new(NonZeroUsize::MIN.saturating_add(9)));
        cache.0.put("let a".to_owned(), "bc = 1;".to_owned());
        assert_eq!(cache.find("let ab").as_deref(), Some("c = 1;"));
        assert_eq!(cache.find("let ax"), None);
        assert_eq!(cache.find("xlet ab"), None);
        assert_eq!(cache.find("let abc = 1;"), None);
        cache.0.put("let ab".to_owned(), "x".to_owned());
        assert_eq!(cache.find("let abc"), None);
    }
}
