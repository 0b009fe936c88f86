//! Texts generated before, found again by place.
//!
//! Bounded in entries and bytes, least recently used first out. An edit elsewhere flushes nothing: an
//! entry simply fits no place any more. A look-up compares only texts of the same spot
//! ([`Place::spot`]), however many there are.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::ask::Trace;
use super::braces::closer_indent;
use super::live::Rest;
use super::place::{Fit, Place, fit, spots};

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
    entries: LruCache<Arc<Place>, Kept>,
    /// Where the entries come from that may fit a spot.
    origins: HashMap<u64, Vec<Arc<Place>>>,
    bytes: usize,
    /// Counts insertions and finds.
    uses: u64,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    /// The use that was its last.
    last_use: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            entries: LruCache::new(ENTRIES),
            origins: HashMap::new(),
            bytes: 0,
            uses: 0,
        }
    }
}

impl Cache {
    pub(super) fn insert(&mut self, origin: impl Into<Arc<Place>>, entry: Entry) {
        let origin = origin.into();
        let text = Arc::clone(&entry.text);
        self.bytes += text.len();
        self.uses += 1;
        let kept = Kept {
            entry,
            last_use: self.uses,
        };
        if let Some((at, old)) = self.entries.push(Arc::clone(&origin), kept) {
            self.let_go(&at, &old.entry);
        }
        for spot in spots(&origin, &text) {
            let origins = self.origins.entry(spot).or_default();
            origins.push(Arc::clone(&origin));
        }
        while self.bytes > BYTES {
            let Some((at, old)) = self.entries.pop_lru() else {
                break;
            };
            self.let_go(&at, &old.entry);
        }
    }

    /// Sees to what is left of an entry that has gone.
    fn let_go(&mut self, origin: &Place, entry: &Entry) {
        self.bytes -= entry.text.len();
        for spot in spots(origin, &entry.text) {
            if let Some(origins) = self.origins.get_mut(&spot) {
                origins.retain(|other| **other != *origin);
                if origins.is_empty() {
                    self.origins.remove(&spot);
                }
            }
        }
    }

    /// The entries that may fit `now`, and how they do.
    fn near(&self, now: &Place) -> impl Iterator<Item = (&Arc<Place>, &Kept, Fit)> {
        let origins = self.origins.get(&now.spot());
        origins.into_iter().flatten().filter_map(|origin| {
            let kept = self.entries.peek(&**origin)?;
            Some((origin, kept, fit(origin, &kept.entry.text, now)))
        })
    }

    /// What continues `now` of the entry that does; who wants lines is not given the rest of one. Entries for a
    /// line that was since shortened below their start are dropped: the person did not want them.
    pub(super) fn find(&mut self, now: &Place, wants_lines: bool) -> Option<Rest> {
        let mut near: Vec<_> = self.near(now).collect();
        near.sort_unstable_by_key(|(_, kept, _)| Reverse(kept.last_use));
        let mut unwanted = None;
        let found = near
            .into_iter()
            .find_map(|(origin, Kept { entry, .. }, fit)| match fit {
                Fit::Typed(bytes) if bytes < entry.text.len() => {
                    let answers = entry.multi_line || !wants_lines;
                    answers.then(|| (Arc::clone(origin), bytes))
                }
                Fit::Correcting if entry.reached => {
                    unwanted = Some(Arc::clone(origin));
                    None
                }
                _ => None,
            });
        if let Some((at, old)) = unwanted.and_then(|origin| self.entries.pop_entry(&*origin)) {
            self.let_go(&at, &old.entry);
        }
        let (origin, bytes) = found?;
        self.uses += 1;
        let kept = self.entries.get_mut(&*origin)?;
        kept.last_use = self.uses;
        kept.entry.reached = true;
        let Entry { text, trace, .. } = &kept.entry;
        Some(Rest {
            text: text.get(bytes..)?.to_owned(),
            whole: true,
            closer_indent: closer_indent(&origin, text, bytes, now),
            trace: trace.clone(),
        })
    }

    /// Whether the model had nothing to say at `origin`.
    pub(super) fn is_barren(&self, origin: &Place) -> bool {
        let kept = self.entries.peek(origin);
        kept.is_some_and(|kept| kept.entry.text.is_empty())
    }

    /// Whether something is known of `origin` or continues it: a text, or that there is none.
    pub(super) fn knows(&self, origin: &Place) -> bool {
        self.entries.contains(origin)
            || self.near(origin).any(
                |(_, kept, fit)| matches!(fit, Fit::Typed(bytes) if bytes < kept.entry.text.len()),
            )
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
            let held = cache.entries.iter().map(|(_, kept)| kept.entry.text.len());
            assert_eq!(cache.bytes, held.sum::<usize>());
            let origins: usize = cache.origins.values().map(Vec::len).sum();
            assert_eq!(origins, cache.entries.len());
        }
    }

    #[test]
    fn a_text_is_found_on_each_of_its_lines_and_then_on_none() {
        let mut cache = Cache::default();
        let lines = Entry {
            text: "{\n    b;\n}".into(),
            ..entry(0)
        };
        cache.insert(place("if a |\nz"), lines.clone());
        for (now, typed) in [
            ("if a |\nz", Some(0)),
            ("if a {\n    |\nz", Some(6)),
            ("if a {\n    b;\n|\nz", Some(9)),
            ("if a {\n    b;\n|\ny", None),
            ("if a {\n    c;\n|\nz", None),
        ] {
            let found = cache.find(&place(now), false);
            let left = typed.map(|typed| lines.text.len() - typed);
            assert_eq!(found.map(|rest| rest.text.len()), left, "{now:?}");
        }
        cache.insert(place("if a |\nz"), entry(0));
        assert!(cache.find(&place("if a {\n    |\nz"), false).is_none());
        assert_eq!(cache.origins.len(), 1);
    }

    #[test]
    fn of_texts_that_fit_the_one_used_last_is_found() {
        let mut cache = Cache::default();
        let text = |text: &str| Entry {
            text: text.into(),
            ..entry(0)
        };
        cache.insert(place("let |"), text("ab"));
        cache.insert(place("let a|"), text("c"));
        let mut found = |at: &str| {
            let rest = cache.find(&place(at), false);
            rest.map(|rest| rest.text)
        };
        assert_eq!(found("let a|").as_deref(), Some("c"));
        assert_eq!(found("let |").as_deref(), Some("ab"));
        assert_eq!(found("let a|").as_deref(), Some("b"));
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
