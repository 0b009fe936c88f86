//! What a grammar can tell about the place of a completion, and about the text that would stand there.
//!
//! Called by `inline` before a generation starts ([`Syntax::scene`]) and before a text is shown
//! ([`Syntax::mend`]).
//!
//! A text may not make the code parse worse than it did. It is judged as it would stand when what it
//! opens is closed: `for x in y {` is right although its body is yet to come; and one that still grows, as it
//! may go on: `let mut` is right although the name is yet to come. Where the code is broken
//! at the cursor already, as it is in the middle of most statements, the text that breaks it least is
//! taken.
//!
//! The window around the cursor is parsed while the model thinks ([`Syntax::prepare`]); what a text
//! makes of it is read on top of that, and what was judged is not judged again, the rest of a text after
//! a part of it was typed included.
//!
//! Invariants: work is proportional to a bounded window and, from one key to the next, to what changed
//! in it; a parse that takes too many steps of the parser is given up and the text shown;
//! languages without a grammar are left alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ropey::Rope;
use tree_sitter::Tree;

use super::braces::are_empty_at;
use super::lines::{begins_with_end, brackets, closer_of};
use super::place::Place;
use super::stop::opens_block;
use crate::document::Document;
use crate::grammar::Grammar;

mod judged;
mod scene;
mod tree;
mod window;

pub(super) use scene::{Indent, Scene};

use judged::{Judged, Verdict};
use tree::{Faults, Trees};
use window::Window;

/// Steps of the parser that one look may take; one is about 38 µs (two cores, November 2026). Most
/// windows are parsed in a few when they are new (`tests::cost`). Counted, not timed, so that a busy
/// machine shows the same as an idle one. A text that grows is tried with more ends, and gets twice as many.
const STEPS: u32 = 20;

/// More faults than any window has: of a text that is wrong whatever else is.
const NEVER: usize = usize::MAX;

/// Closers at the end of a text that are taken away to see whether it parses then.
const MOST_EXCESS_CLOSERS: usize = 2;

/// Trees and verdicts of the places looked at last.
#[derive(Debug, Default)]
pub(super) struct Syntax {
    /// A std mutex: held for the time of a parse, never across an await.
    looking: Mutex<Looking>,
    /// The same, held for a comparison.
    judged: Mutex<Judged>,
}

/// The parser, and the window cut last.
#[derive(Debug, Default)]
struct Looking {
    trees: Trees,
    cut: Option<Cut>,
}

/// A window and what it was cut from.
#[derive(Debug)]
struct Cut {
    text: Rope,
    offset: usize,
    window: Window,
}

impl Looking {
    /// The parser and the window around byte `offset`, with steps for a look.
    fn at(&mut self, document: &Document, offset: usize) -> (&mut Trees, &Window) {
        self.trees.allow(STEPS);
        let known = |cut: &Cut| cut.offset == offset && cut.text.is_instance(&document.text);
        if !self.cut.as_ref().is_some_and(known) {
            self.cut = None;
        }
        let cut = self.cut.get_or_insert_with(|| Cut {
            text: document.text.clone(),
            offset,
            window: Window::cut(&document.text, offset),
        });
        (&mut self.trees, &cut.window)
    }
}

impl Syntax {
    /// What stands at `place`, byte `offset` of the document. The tree is looked at only where it could
    /// matter: where a block may begin.
    pub(super) fn scene(&self, document: &Document, offset: usize, place: &Place) -> Scene {
        let mut scene = Scene::of_language(&document.language_id);
        let may_open = are_empty_at(place)
            || place.at_line_end()
                && (place.on_blank_start() || opens_block(&place.line_prefix, true));
        if let Some(grammar) = Grammar::of(&document.language_id)
            && may_open
        {
            let mut looking = self.looking();
            let (trees, window) = looking.at(document, offset);
            if let Some(tree) = trees.look(grammar, window) {
                scene.look_at(&tree, grammar, window);
            }
        }
        scene
    }

    /// Parses the window of byte `offset` ahead of [`Syntax::mend`]. True when there is more to do: a
    /// caller lets others have their turn in between.
    pub(super) fn prepare(&self, document: &Document, offset: usize) -> bool {
        let Some(grammar) = Grammar::of(&document.language_id) else {
            return false;
        };
        self.judged().make_room();
        let mut looking = self.looking();
        let (trees, window) = looking.at(document, offset);
        trees.look(grammar, window).is_none() && trees.has_more(window)
    }

    /// A document was closed: its text is not held any longer.
    pub(super) fn closed(&self, uri: &str) {
        self.judged().forget(uri);
        self.looking().cut = None;
    }

    /// The longest beginning of `text` that may stand at byte `offset`; `None` when nothing of it may. More of
    /// it is to come, unless it is `whole`.
    pub(super) fn mend(
        &self,
        document: &Document,
        offset: usize,
        mut text: String,
        whole: bool,
    ) -> Option<String> {
        let Some(grammar) = Grammar::of(&document.language_id) else {
            return Some(text);
        };
        let known = self.judged().find(document, offset, &text, whole);
        let verdict = known.unwrap_or_else(|| {
            let verdict = self.judge(grammar, document, offset, &text, whole);
            self.judged().add(document, offset, &text, whole, verdict);
            verdict
        });
        match verdict {
            Verdict::Whole => {}
            Verdict::Without(bytes) => text.truncate(text.len().saturating_sub(bytes)),
            Verdict::Nothing => return None,
        }
        (!text.trim().is_empty()).then_some(text)
    }

    fn judge(
        &self,
        grammar: &'static Grammar,
        document: &Document,
        offset: usize,
        text: &str,
        whole: bool,
    ) -> Verdict {
        let mut looking = self.looking();
        let (trees, window) = looking.at(document, offset);
        // Without an answer in time the text is shown.
        judge(trees, grammar, window, text, whole).unwrap_or(Verdict::Whole)
    }

    fn looking(&self) -> MutexGuard<'_, Looking> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` when time ran out.
fn judge(
    trees: &mut Trees,
    grammar: &'static Grammar,
    window: &Window,
    text: &str,
    whole: bool,
) -> Option<Verdict> {
    // Mostly it was parsed while the model thought.
    let tree = loop {
        match trees.look(grammar, window) {
            Some(tree) => break tree,
            None if trees.has_more(window) => trees.allow(STEPS),
            None => return None,
        }
    };
    trees.allow(if whole { STEPS } else { 2 * STEPS });
    let before = Faults::of(&tree, &window.near());
    let mut ends = Ends {
        trees,
        grammar,
        window,
        tree,
        rests: if whole { &[] } else { grammar.rests },
    };
    let mut best = None;
    for kept in kept_lengths(text) {
        let candidate = text.get(..kept)?;
        let faults = ends.least_faults(candidate, before.count)?;
        if faults == NEVER {
            continue;
        }
        if faults <= before.count {
            let kept = if faults > 0 && before.at_cursor {
                ends.without_false_end(candidate, faults)
            } else {
                kept
            };
            return Some(verdict(text, kept));
        }
        if best.is_none_or(|(least, _)| faults < least) {
            best = Some((faults, kept));
        }
    }
    Some(match best {
        Some((_, kept)) if before.at_cursor => verdict(text, kept),
        _ => Verdict::Nothing,
    })
}

fn verdict(text: &str, kept: usize) -> Verdict {
    match text.len() - kept {
        0 => Verdict::Whole,
        less => Verdict::Without(less),
    }
}

/// The beginnings of `text` that are tried: all of it, without the last closers it never opened, without its
/// last line, without any closer it never opened.
fn kept_lengths(text: &str) -> impl Iterator<Item = usize> {
    let closed = brackets(text, None).closed;
    let excess = closed.iter().rev().take(MOST_EXCESS_CLOSERS);
    let last_line = text.trim_end().rfind('\n');
    let mut lengths = vec![text.len()];
    let first = closed.first();
    let all = excess.map(|&(at, _)| at).chain(last_line);
    for length in all.chain(first.map(|&(at, _)| at)) {
        let length = text.get(..length).map_or(0, |t| t.trim_end().len());
        if length > 0 && !lengths.contains(&length) {
            lengths.push(length);
        }
    }
    lengths.into_iter()
}

/// `text` without what ends a statement.
fn unended(text: &str) -> &str {
    text.trim_end().trim_end_matches([';', ',', ':'])
}

/// A window in which texts are tried with the ends they may still get.
struct Ends<'a> {
    trees: &'a mut Trees,
    grammar: &'static Grammar,
    window: &'a Window,
    /// Of the window.
    tree: Tree,
    /// How a text may go on that is not whole.
    rests: &'static [&'static str],
}

impl Ends<'_> {
    /// How much of `text`, which leaves so many faults in code that is broken where it stands, to keep: not
    /// its end, where that is one of them.
    fn without_false_end(&mut self, text: &str, faults: usize) -> usize {
        let unended = unended(text);
        let fewer = (unended.len() < text.len())
            .then(|| self.least_faults(unended, faults - 1))
            .flatten()
            .is_some_and(|fewer| fewer < faults);
        if fewer { unended.len() } else { text.len() }
    }

    /// The faults of the window with `text` in it, under the most favourable of its ends, or of one that
    /// leaves no more than `enough`; [`NEVER`] where no end can come. `None` when time ran out.
    fn least_faults(&mut self, text: &str, enough: usize) -> Option<usize> {
        let open = brackets(text, None).open;
        let closers: String = open.iter().rev().map(|&c| closer_of(c)).collect();
        let (_, after) = self.window.sides();
        let right = after.split('\n').next().unwrap_or_default();
        // What is open in front of an end stays open.
        if !closers.is_empty() && begins_with_end(right) {
            let open = self.faults_with(text)?;
            let is_right = open == 0 || open < self.faults_with(&[text, &closers].concat())?;
            return Some(if is_right { open } else { NEVER });
        }
        // What follows on the line ends the statement itself.
        let room = right.trim().is_empty();
        let (own, rests): (&[&str], &[&str]) = if room {
            (self.grammar.endings, self.rests)
        } else {
            (&[], &[])
        };
        // The likeliest first: with room for it, what was opened will be closed.
        let closed = match (closers.as_str(), room) {
            ("", _) => vec![""],
            (closers, true) => vec![closers, ""],
            (closers, false) => vec!["", closers],
        };
        let mut least = usize::MAX;
        for closers in closed {
            for ending in [""].iter().chain(own).chain(rests) {
                let text = [text, closers, ending].concat();
                let faults = self.faults_with(&text)?;
                if faults <= enough {
                    return Some(faults);
                }
                least = least.min(faults);
            }
        }
        Some(least)
    }

    /// The faults of the window with `text` in it as it is. `None` when time ran out.
    fn faults_with(&mut self, text: &str) -> Option<usize> {
        let tree = self.trees.look_with(&self.tree, self.window, text)?;
        Some(Faults::of(&tree, &self.window.near()).count)
    }
}

#[cfg(test)]
mod tests;
