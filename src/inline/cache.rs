//! Texts generated before, found again by place.
//!
//! Bounded in entries and bytes, least recently used first out. An edit elsewhere flushes nothing: an
//! entry simply fits no place any more.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::ask::Trace;
use super::place::{Fit, Place, fit};

/// Entries kept: as many as llama.vim, llama.vscode and cody keep.
const ENTRIES: NonZeroUsize = NonZeroUsize::new(250).expect("not zero");
/// Bytes of generated text kept. An entry of 64 tokens has about 200 bytes; this bounds odd ones.
const BYTES: usize = 1 << 20;

/// A generation that has ended.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) text: Arc<str>,
    pub(super) trace: Trace,
    /// Whether the person has been where it belongs. A text generated ahead of need belongs further on
    /// in the line, which looks as if the line had been shortened.
    pub(super) reached: bool,
    /// Whether it might have had several lines.
    pub(super) multi_line: bool,
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

    /// The entry that continues `now`, with the number of its bytes typed already; who wants lines is not
    /// given the rest of one. Entries for a line that was since shortened below their start are dropped:
    /// the person did not want them.
    pub(super) fn find(&mut self, now: &Place, wants_lines: bool) -> Option<(Entry, usize)> {
        let mut unwanted = None;
        let found =
            self.entries
                .iter()
                .find_map(|(origin, entry)| match fit(origin, &entry.text, now) {
                    Fit::Typed(bytes) if bytes < entry.text.len() => {
                        let answers = entry.multi_line || !wants_lines;
                        answers.then(|| (origin.clone(), bytes))
                    }
                    Fit::Correcting if entry.reached => {
                        unwanted = Some(origin.clone());
                        None
                    }
                    _ => None,
                });
        if let Some(old) = unwanted.and_then(|origin| self.entries.pop(&origin)) {
            self.bytes -= old.text.len();
        }
        let (origin, bytes) = found?;
        let entry = self.entries.get_mut(&origin)?;
        entry.reached = true;
        Some((entry.clone(), bytes))
    }

    /// Whether the model had nothing to say at `origin`.
    pub(super) fn is_barren(&self, origin: &Place) -> bool {
        let entry = self.entries.peek(origin);
        entry.is_some_and(|entry| entry.text.is_empty())
    }

    /// Whether something is known of `origin` or continues it: a text, or that there is none.
    pub(super) fn knows(&self, origin: &Place) -> bool {
        self.entries.contains(origin)
            || self.entries.iter().any(|(from, entry)| {
                matches!(fit(from, &entry.text, origin), Fit::Typed(bytes) if bytes < entry.text.len())
            })
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
                prompt_estimated: false,
                cached_tokens: None,
                generated_tokens: 0,
                first_token: None,
                total: Duration::ZERO,
                stop: StopReason::Stop,
            },
            reached: true,
            multi_line: false,
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
    #[test]
    fn what_lies_ahead_stays_and_what_was_taken_back_goes() {
        let (ahead, here) = (place("let abc|"), place("let ab|"));
        for (reached, kept) in [(false, true), (true, false)] {
            let mut cache = Cache::default();
            let entry = Entry {
                reached,
                ..entry(3)
            };
            cache.insert(ahead.clone(), entry);
            assert!(cache.find(&here, false).is_none());
            assert_eq!(cache.knows(&ahead), kept, "{reached}");
        }
    }

    #[test]
    fn who_wants_lines_is_not_given_the_rest_of_one() {
        let mut cache = Cache::default();
        let at = place("let a|");
        cache.insert(at.clone(), entry(3));
        assert!(cache.find(&at, true).is_none());
        assert!(cache.find(&at, false).is_some());
        let multi_line = true;
        cache.insert(
            at.clone(),
            Entry {
                multi_line,
                ..entry(3)
            },
        );
        assert!(cache.find(&at, true).is_some());
    }

    #[test]
    fn that_there_is_nothing_is_known_and_never_shown() {
        let mut cache = Cache::default();
        let at = place("let a|");
        assert!(!cache.knows(&at));
        cache.insert(at.clone(), entry(0));
        assert!(cache.knows(&at) && cache.is_barren(&at));
        assert!(cache.find(&at, false).is_none());
        assert!(!cache.is_barren(&place("let ab|")));
    }
}
