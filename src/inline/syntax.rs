//! What a grammar can tell about the place of a completion, and about the text that would stand there.
//!
//! Called by `inline` before a generation starts ([`Syntax::scene`]) and before a text is shown
//! ([`Syntax::mend`]).
//!
//! A text may not make the code parse worse than it did. It is judged as it would stand when what it
//! opens is closed: `for x in y {` is right although its body is yet to come. Where the code is broken
//! at the cursor already, as it is in the middle of most statements, the text that breaks it least is
//! taken.
//!
//! Invariants: work is proportional to a bounded window and, from one key to the next, to what changed
//! in it; a parse that takes longer than [`STEPS`] of the parser is given up and the text shown; languages without
//! a grammar are left alone.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::lines::{brackets, closer_of};
use super::place::Place;
use super::stop::opens_block;
use crate::document::Document;
use crate::grammar::Grammar;

mod scene;
mod tree;
mod window;

pub(super) use scene::{Indent, Scene};

use tree::{Faults, Trees};
use window::Window;

/// Steps of the parser that one look may take; one is about 38 µs (two cores, November 2026). A window
/// of usual code is parsed in 0.3 to 0.4 ms when it is new (`tests::cost`), half of what this allows;
/// one that begins in the middle of nested blocks took 60 steps, and is not worth them. Counted, not timed, so that a busy machine shows
/// the same as an idle one.
const STEPS: u32 = 20;
/// Verdicts kept, so that a text typed along is judged once: as many as the texts in the cache.
const VERDICTS: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// Closers at the end of a text that are taken away to see whether it parses then.
const MOST_EXCESS_CLOSERS: usize = 2;

/// Trees and verdicts of the places looked at last.
#[derive(Debug)]
pub(super) struct Syntax {
    /// A std mutex: held for the time of a parse, never across an await.
    trees: Mutex<Trees>,
    /// What may be shown, by the text that would stand in the window afterwards: the bytes of the text
    /// that remain, or nothing.
    verdicts: Mutex<LruCache<u64, Verdict>>,
}

/// What remains of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// All of it.
    Whole,
    /// All but so many bytes at its end.
    Without(usize),
    Nothing,
}

impl Default for Syntax {
    fn default() -> Self {
        Self {
            trees: Mutex::default(),
            verdicts: Mutex::new(LruCache::new(VERDICTS)),
        }
    }
}

impl Syntax {
    /// What stands at `place`, byte `offset` of the document. The tree is looked at only where it could
    /// matter: where a block may begin.
    pub(super) fn scene(&self, document: &Document, offset: usize, place: &Place) -> Scene {
        let mut scene = Scene::of_text(&document.text, offset, &document.language_id);
        let may_open = place.at_line_end()
            && (place.on_blank_start() || opens_block(&place.line_prefix, true));
        if let Some(grammar) = Grammar::of(&document.language_id)
            && may_open
        {
            let window = Window::cut(&document.text, offset);
            let mut trees = self.trees();
            trees.allow(STEPS);
            if let Some(tree) = trees.look(grammar, &window.text) {
                scene.look_at(&tree, grammar, &window);
            }
        }
        scene
    }

    /// Parses the window of byte `offset` ahead of [`Syntax::mend`].
    pub(super) fn prepare(&self, document: &Document, offset: usize) {
        if let Some(grammar) = Grammar::of(&document.language_id) {
            let window = Window::cut(&document.text, offset);
            let mut trees = self.trees();
            trees.allow(STEPS);
            trees.look(grammar, &window.text);
        }
    }

    fn trees(&self) -> MutexGuard<'_, Trees> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The longest beginning of `text` that may stand at byte `offset`; `None` when nothing of it may.
    pub(super) fn mend(
        &self,
        document: &Document,
        offset: usize,
        mut text: String,
    ) -> Option<String> {
        let Some(grammar) = Grammar::of(&document.language_id) else {
            return Some(text);
        };
        let window = Window::cut(&document.text, offset);
        let key = key_of(grammar, &window, &text);
        let known = {
            let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            verdicts.get(&key).copied()
        };
        let verdict = known.unwrap_or_else(|| {
            let verdict = self.judge(grammar, &window, &text);
            let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            verdicts.put(key, verdict);
            verdict
        });
        match verdict {
            Verdict::Whole => {}
            Verdict::Without(bytes) => text.truncate(text.len().saturating_sub(bytes)),
            Verdict::Nothing => return None,
        }
        (!text.trim().is_empty()).then_some(text)
    }

    fn judge(&self, grammar: &'static Grammar, window: &Window, text: &str) -> Verdict {
        let mut trees = self.trees();
        trees.allow(STEPS);
        // Without an answer in time the text is shown.
        judge(&mut trees, grammar, window, text).unwrap_or(Verdict::Whole)
    }
}

/// `None` when time ran out.
fn judge(
    trees: &mut Trees,
    grammar: &'static Grammar,
    window: &Window,
    text: &str,
) -> Option<Verdict> {
    let before = trees.look(grammar, &window.text)?;
    let before = Faults::of(&before, &window.near());
    let mut best = None;
    for kept in kept_lengths(text) {
        let candidate = text.get(..kept)?;
        let faults = least_faults(trees, grammar, window, candidate, before.count)?;
        if faults <= before.count {
            return Some(verdict(text, kept));
        }
        if best.is_none_or(|(least, _)| faults < least) {
            best = Some((faults, kept));
        }
    }
    let (_, kept) = best?;
    Some(if before.at_cursor {
        verdict(text, kept)
    } else {
        Verdict::Nothing
    })
}

fn verdict(text: &str, kept: usize) -> Verdict {
    match text.len() - kept {
        0 => Verdict::Whole,
        less => Verdict::Without(less),
    }
}

/// The beginnings of `text` that are tried, longest first: all of it, without the closers it never
/// opened, without its last line.
fn kept_lengths(text: &str) -> impl Iterator<Item = usize> {
    let closed = brackets(text, None).closed;
    let excess = closed.iter().rev().take(MOST_EXCESS_CLOSERS);
    let last_line = text.trim_end().rfind('\n');
    let mut lengths = vec![text.len()];
    for length in excess.map(|&(at, _)| at).chain(last_line) {
        let length = text.get(..length).map_or(0, |t| t.trim_end().len());
        if length > 0 && !lengths.contains(&length) {
            lengths.push(length);
        }
    }
    lengths.into_iter()
}

/// The faults of the window with `text` in it, under the most favourable of the ends it may still get.
/// `None` when time ran out.
fn least_faults(
    trees: &mut Trees,
    grammar: &'static Grammar,
    window: &Window,
    text: &str,
    enough: usize,
) -> Option<usize> {
    let closers: String = brackets(text, None)
        .open
        .iter()
        .rev()
        .map(|&c| closer_of(c))
        .collect();
    let own = [""].into_iter().chain(grammar.endings.iter().copied());
    let mut tried = Vec::new();
    let mut least = usize::MAX;
    // What follows on the line ends the statement itself.
    let room = rest_of_line(window).trim().is_empty();
    for closers in ["", closers.as_str()] {
        for ending in own.clone().take(if room { usize::MAX } else { 1 }) {
            let text = [text, closers, ending].concat();
            if tried.contains(&text) {
                continue;
            }
            let with = window.with(&text);
            let tree = trees.look(grammar, &with)?;
            let faults = Faults::of(&tree, &window.near()).count;
            if faults <= enough {
                return Some(faults);
            }
            least = least.min(faults);
            tried.push(text);
        }
    }
    Some(least)
}

fn rest_of_line(window: &Window) -> &str {
    let (_, after) = window.text.split_at(window.cursor);
    after.split('\n').next().unwrap_or_default()
}

/// The same for a text and for the rest of it after a part was typed.
fn key_of(grammar: &Grammar, window: &Window, text: &str) -> u64 {
    let (before, after) = window.text.split_at(window.cursor);
    let mut hasher = DefaultHasher::new();
    std::ptr::from_ref(grammar).hash(&mut hasher);
    for part in [before, text, after] {
        hasher.write(part.as_bytes());
    }
    (window.cursor + text.len()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
