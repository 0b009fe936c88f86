//! Which window goes into a prompt where the usual one is cold.
//!
//! After a jump the backend has to compute all of the window, and on a slow machine the person types on
//! for seconds without a ghost text. So there the window is cut short: the lines right above come
//! first, and the window grows downwards as the person types. Once the cursor rests, the usual window is
//! computed (`warmth`), and the next key has it.
//!
//! Who asks by hand waits for the usual window: of a short one a model sees so little that it is mostly wrong.
//!
//! Invariants: a window is cut short only where the usual one is cold, late and much dearer; from
//! one key to the next it begins at the same line, so what was computed of it stays, and it does so until
//! the usual one is soon enough.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::warmth::tokens_of;
use super::{LaidOut, Shared};
use crate::document::Document;
use crate::prompt::{BYTES_PER_TOKEN, Block, window};
use crate::router::Route;

/// The fewest tokens of a short window: some five lines of code. With 40 or 128 the real 1.5B was right less
/// often (20 and 18 of 100 keys instead of 22; one run each, two threads, November 2026).
const FEWEST_TOKENS: usize = 64;
/// One part in so many of the window is text after the cursor.
const SUFFIX_SHARE: usize = 4;
/// A prompt is cold where one part in so many of it, at least, is not cached: after Enter only the text
/// below the cursor is computed anew.
const COLD_SHARE: usize = 2;
/// A short window computes at most two thirds of what the usual one does: less is not worth a window in
/// which a model sees less.
const CHEAPER: (usize, usize) = (2, 3);

/// A window that was cut short: of which document, and its first line.
#[derive(Debug)]
pub(super) struct Short {
    uri: Arc<str>,
    line: usize,
}

impl Shared {
    /// The prompt for a place of which the backend begins to answer soonest, the usual one where that
    /// is soon enough.
    pub(super) fn soonest(
        &self,
        route: &Route,
        document: &Document,
        offset_bytes: usize,
        block: Option<&Block>,
    ) -> LaidOut {
        let usual = self.lay_out(route, document, offset_bytes, block);
        let cost = self.tokens_to_compute(route, &usual.segments);
        let text = &document.text;
        let cursor_line = text.byte_to_line(offset_bytes.min(text.len_bytes()));
        let budget = route.backend.prompt_budget();
        let fits = |line| {
            let bytes = text.line_to_byte(cursor_line) - text.line_to_byte(line);
            bytes <= budget.prefix_tokens * BYTES_PER_TOKEN
        };
        let before = self.short().take_if(|short| {
            short.uri == document.uri && short.line <= cursor_line && fits(short.line)
        });
        let is_cold = before.is_some() || cost * COLD_SHARE >= tokens_of(&usual.segments);
        let soon = self.tokens_in_time(budget);
        let Some(soon) = soon.filter(|&soon| is_cold && soon < cost) else {
            self.short().take();
            return usual;
        };
        let tokens = soon.clamp(FEWEST_TOKENS, budget.prefix_tokens.max(FEWEST_TOKENS));
        let prefix_tokens = tokens - tokens / SUFFIX_SHARE;
        let cut_from = |line| {
            let window = window::cut_from(text, offset_bytes, line, tokens / SUFFIX_SHARE);
            let prompt = self.lay_out_window(route, block, window);
            let (part, whole) = CHEAPER;
            let is_cheap = self.tokens_to_compute(route, &prompt.segments) * whole <= cost * part;
            is_cheap.then_some((line, prompt))
        };
        let first = window::first_line_at(text, offset_bytes, prefix_tokens);
        let first = fits(first).then_some(first);
        let mut lines = before.map(|short| short.line).into_iter().chain(first);
        let Some((line, prompt)) = lines.find_map(cut_from) else {
            return usual;
        };
        *self.short() = Some(Short {
            uri: Arc::clone(&document.uri),
            line,
        });
        prompt
    }

    fn short(&self) -> MutexGuard<'_, Option<Short>> {
        self.short.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
