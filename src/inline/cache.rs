//! Texts generated before, found again by place.
//!
//! Bounded in entries and bytes, least recently used first out. An edit elsewhere flushes nothing: an
//! entry simply fits no place any more.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::live::Trace;
use super::place::{Fit, Place, fit};

/// Entries kept: as many as llama.vim, llama.vscode and cody keep.
const ENTRIES: NonZeroUsize = NonZeroUsize::new(250).expect("not zero");
/// Bytes of generated text kept. An entry of 64 tokens has about 200 bytes; this bounds odd ones.
const BYTES: usize = 1 << 20;

/// A finished generation.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) text: Arc<str>,
    pub(super) trace: Trace,
}

#[derive(Debug)]
pub(super) struct Cache {
    entries: LruCache<Place, Entry>,
    bytes: usize,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            entries: LruCache::new(ENTRIES),
            bytes: 0,
        }
    }
}

impl Cache {
    pub(super) fn insert(&mut self, origin: Place, entry: Entry) {
        self.bytes += entry.text.len();
        if let Some((_, old)) = self.entries.push(origin, entry) {
            self.bytes -= old.text.len();
        }
        while self.bytes > BYTES {
            let Some((_, old)) = self.entries.pop_lru() else {
                break;
            };
            self.bytes -= old.text.len();
        }
    }

    /// The entry that continues `now`, with the number of its bytes typed already. Entries for a line
    /// that was since shortened below their start are dropped: the person did not want them.
    pub(super) fn find(&mut self, now: &Place) -> Option<(Entry, usize)> {
        let mut unwanted = None;
        let found =
            self.entries
                .iter()
                .find_map(|(origin, entry)| match fit(origin, &entry.text, now) {
                    Fit::Typed(bytes) if bytes < entry.text.len() => Some((origin.clone(), bytes)),
                    Fit::Correcting if origin.line_prefix.starts_with(&now.line_prefix) => {
                        unwanted = Some(origin.clone());
                        None
                    }
                    _ => None,
                });
        if let Some(old) = unwanted.and_then(|origin| self.entries.pop(&origin)) {
            self.bytes -= old.text.len();
        }
        let (origin, bytes) = found?;
        self.entries
            .get(&origin)
            .map(|entry| (entry.clone(), bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::StopReason;
    use crate::inline::place::tests::place;

    fn entry(bytes: usize) -> Entry {
        Entry {
            text: "x".repeat(bytes).into(),
            trace: Trace {
                model: "m".into(),
                backend: "b".into(),
                prompt_tokens: None,
                cached_tokens: None,
                generated_tokens: 0,
                first_token: None,
                total: Duration::ZERO,
                stop: StopReason::Stop,
            },
        }
    }

    #[test]
    fn it_stays_within_its_bounds_and_counts_what_it_holds() {
        for bytes in [10, BYTES / 8, BYTES + 1] {
            let mut cache = Cache::default();
            for n in 0..10_000 {
                // Some places come again.
                let at = place(&format!("let a{} = |", n % 900));
                cache.insert(at, entry(bytes));
                assert!(cache.entries.len() <= ENTRIES.get());
                assert!(cache.bytes <= BYTES);
            }
            let held: usize = cache.entries.iter().map(|(_, e)| e.text.len()).sum();
            assert_eq!(cache.bytes, held);
        }
    }
}
