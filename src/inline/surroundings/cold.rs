//! Which window goes into a prompt where the usual one is cold.
//!
//! After a jump the backend has to compute much of the usual window, and on a slow machine the person types
//! on for seconds without a ghost text. A place that the last window shows keeps that window's first line,
//! and of the text below what the last one has too: little of it has to be computed. Elsewhere the window is
//! cut short: the lines right above come first, and it grows downwards as the person types. Once the
//! cursor rests, the usual window is computed (`warmth`), and the next key has it.
//!
//! Who asks by hand waits for the usual window: of a short one a model sees so little that it is mostly wrong.
//!
//! Invariants: another window is taken only where the usual one is late and much dearer; from one key to
//! the next it begins at the same line, so what was computed of it stays, and it does so until the usual
//! one is soon enough.

use std::collections::HashSet;
use std::sync::Arc;

use super::Shared;
use super::layout::{LaidOut, Start, Wanted};
use super::warmth::{lines_of, tokens_of};
use crate::prompt::{BYTES_PER_TOKEN, Segment, window};

/// The fewest tokens of a short window: some five lines of code. With 40 or 128 the real 1.5B was right less
/// often (20 and 18 of 100 keys instead of 22; one run each, two threads, November 2026).
const FEWEST_TOKENS: usize = 64;
/// One part in so many of the window is text after the cursor.
const SUFFIX_SHARE: usize = 4;
/// A prompt is cold where one part in so many of it, at least, is not cached: after Enter only the text
/// below the cursor is computed anew.
const COLD_SHARE: usize = 2;
/// Another window computes at most two thirds of what the usual one does: less is not worth a window in
/// which a model sees less.
const CHEAPER: (usize, usize) = (2, 3);

impl Shared {
    /// The prompt of which the backend begins to answer soonest, the usual one where that is soon enough.
    pub(super) fn soonest(&self, wanted: &Wanted<'_>) -> LaidOut {
        let usual = self.lay_out(wanted);
        let Some(soon) = self.tokens_in_time(wanted.budget) else {
            return usual;
        };
        let cost = self.tokens_to_compute(wanted.route, &usual.segments);
        if cost <= soon {
            return usual;
        }
        let (part, whole) = CHEAPER;
        let is_cheap = |prompt: &LaidOut| {
            self.tokens_to_compute(wanted.route, &prompt.segments) * whole <= cost * part
        };
        let last = self.sent().start.clone();
        let last = last.filter(|last| wanted.fits(last));
        let was_short = last.as_ref().is_some_and(|last| last.is_short);
        let is_cold = was_short || cost * COLD_SHARE >= tokens_of(&usual.segments);
        let near = last.map(|last| self.like_the_last(wanted, last, soon));
        let short = || is_cold.then(|| self.cut_short(wanted, soon)).flatten();
        near.filter(is_cheap)
            .or_else(|| short().filter(is_cheap))
            .unwrap_or(usual)
    }

    /// The window that begins where the last one did, where `soon` tokens are computed in time.
    fn like_the_last(&self, wanted: &Wanted<'_>, last: Start, soon: usize) -> LaidOut {
        if last.is_short {
            let window = wanted.window(last.line, wanted.short_tokens(soon) / SUFFIX_SHARE);
            return self.lay_out_window(wanted, window, last);
        }
        let mut window = wanted.window(last.line, wanted.budget.suffix_tokens);
        let whole = self.lay_out_window(wanted, window.clone(), last.clone());
        if self.tokens_to_compute(wanted.route, &whole.segments) <= soon {
            return whole;
        }
        let known = known_beginning(&window.after, &self.sent().segments);
        window.after.truncate(known);
        self.lay_out_window(wanted, window, last)
    }

    /// The window with the few lines right above the cursor, where these fit.
    fn cut_short(&self, wanted: &Wanted<'_>, soon: usize) -> Option<LaidOut> {
        let tokens = wanted.short_tokens(soon);
        let text = &wanted.document.text;
        let prefix_tokens = tokens - tokens / SUFFIX_SHARE;
        let start = Start {
            uri: Arc::clone(&wanted.document.uri),
            line: window::first_line_at(text, wanted.offset_bytes, prefix_tokens),
            is_short: true,
        };
        wanted.fits(&start).then(|| {
            let window = wanted.window(start.line, tokens / SUFFIX_SHARE);
            self.lay_out_window(wanted, window, start)
        })
    }
}

impl Wanted<'_> {
    /// How many tokens a short window has, where `soon` are computed in time.
    fn short_tokens(&self, soon: usize) -> usize {
        soon.clamp(FEWEST_TOKENS, self.budget.prefix_tokens.max(FEWEST_TOKENS))
    }

    /// Whether a window that begins there has this place in it, with enough lines above, and is not too
    /// long.
    fn fits(&self, start: &Start) -> bool {
        let text = &self.document.text;
        let cursor_line = text.byte_to_line(self.offset_bytes.min(text.len_bytes()));
        if start.uri != self.document.uri || start.line > cursor_line {
            return false;
        }
        let bytes = text.line_to_byte(cursor_line) - text.line_to_byte(start.line);
        let fewest = if start.is_short { 0 } else { FEWEST_TOKENS };
        let most = self.budget.prefix_tokens;
        (fewest..=most.max(fewest)).contains(&(bytes / BYTES_PER_TOKEN))
    }
}

/// How many bytes at the beginning of the text `after` the cursor are lines that the last prompt has. What
/// is left of the cursor's own line counts as such.
fn known_beginning(after: &str, sent: &[Segment]) -> usize {
    let sent: HashSet<&str> = lines_of(sent)
        .map(|line| line.trim_end_matches('\n'))
        .collect();
    let mut ends = memchr::memchr_iter(b'\n', after.as_bytes()).chain([after.len()]);
    let mut known = ends.next().unwrap_or(after.len());
    for end in ends {
        if !after
            .get(known + 1..end)
            .is_some_and(|line| sent.contains(line))
        {
            break;
        }
        known = end;
    }
    known
}
