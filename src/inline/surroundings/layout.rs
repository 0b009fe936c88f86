//! The window of a prompt, laid out as a model's family has it.

use std::sync::Arc;

use super::Shared;
use crate::backend::PromptBudget;
use crate::document::Document;
use crate::prompt::anchor::Anchor;
use crate::prompt::window::{self, Window};
use crate::prompt::{Block, Segment};
use crate::router::Route;

/// Where a completion is wanted, and how much of a prompt is worth sending for it.
pub(super) struct Wanted<'a> {
    pub(super) route: &'a Route,
    pub(super) document: &'a Document,
    pub(super) offset_bytes: usize,
    block: Option<&'a Block>,
    /// Asked for once: backends work it out.
    pub(super) budget: PromptBudget,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(
        route: &'a Route,
        document: &'a Document,
        offset_bytes: usize,
        block: Option<&'a Block>,
    ) -> Self {
        Self {
            route,
            document,
            offset_bytes,
            block,
            budget: route.backend.prompt_budget(),
        }
    }

    /// The window from line `first` on.
    pub(super) fn window(&self, first: usize, suffix_tokens: usize) -> Window {
        window::cut_from(&self.document.text, self.offset_bytes, first, suffix_tokens)
    }
}

/// A prompt, where it is parted, and where its window begins.
#[derive(Debug, Default)]
pub(super) struct LaidOut {
    pub(super) segments: Vec<Segment>,
    anchor: Anchor,
    pub(super) start: Option<Start>,
}

/// Where the window of a prompt begins.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) uri: Arc<str>,
    pub(super) line: usize,
    /// Whether the window was cut short.
    pub(super) is_short: bool,
}

impl Shared {
    /// Cuts the window that a backend is given where nothing hurries, and lays it out.
    pub(super) fn lay_out(&self, wanted: &Wanted<'_>) -> LaidOut {
        let budget = wanted.budget;
        let text = &wanted.document.text;
        let start = Start {
            uri: Arc::clone(&wanted.document.uri),
            line: window::first_line_at(text, wanted.offset_bytes, budget.prefix_tokens),
            is_short: false,
        };
        let window = wanted.window(start.line, budget.suffix_tokens);
        self.lay_out_window(wanted, window, start)
    }

    /// Lays a window out behind the block, parted where the last one was if it can be. Text is cut before
    /// it is laid out, so no sentinel is ever cut.
    pub(super) fn lay_out_window(
        &self,
        wanted: &Wanted<'_>,
        window: Window,
        start: Start,
    ) -> LaidOut {
        let Wanted {
            route,
            block,
            budget,
            ..
        } = *wanted;
        // A block made for a faster backend is too much for this one.
        let block = block.filter(|block| block.tokens() <= budget.context_tokens);
        let block = block.map(|block| block.beside(&window));
        let heals = route.backend.capabilities().heals && route.family.parts_typed();
        let window = self.sent().anchor.keep(window);
        let window = window.without_blanks_at_cursor(heals);
        let anchor = Anchor::of(&window);
        let segments =
            route
                .family
                .lay_out_with(block.as_deref(), window.above, window.typed, window.after);
        LaidOut {
            segments,
            anchor,
            start: Some(start),
        }
    }
}
