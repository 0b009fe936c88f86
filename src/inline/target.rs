//! Where a completion goes, and what the editor must do to put it there.

use std::ops::Range;

use super::ask::{Completion, Selected, Source};
use super::braces::closed_off;
use super::live::Rest;
use super::place::Place;
use super::postprocess::{self, Style, indent};
use super::syntax::{Indent, Syntax};
use super::wanted::Lead;
use crate::backend::StopReason;
use crate::document::language::needs_tabs;
use crate::document::{Document, Edit};
use crate::grammar::Grammar;

/// Where the completion goes: the document as if the selected entry had been accepted, and what the
/// editor must replace.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) document: Document,
    pub(super) offset_bytes: usize,
    pub(super) range_bytes: Range<usize>,
    pub(super) selected: String,
    /// What the selected entry would insert, and where.
    pub(super) lead: Option<Lead>,
}

impl Target {
    pub(super) fn new(
        mut document: Document,
        offset_bytes: usize,
        selected: Option<Selected>,
    ) -> Self {
        let Some(Selected { range_bytes, text }) = selected else {
            return Self {
                document,
                offset_bytes,
                range_bytes: offset_bytes..offset_bytes,
                selected: String::new(),
                lead: None,
            };
        };
        let lead = before(&document, &range_bytes).map(|place| Lead {
            place,
            text: text.clone(),
        });
        let edit = Edit {
            range_bytes: Some(range_bytes.clone()),
            text: text.clone(),
        };
        let offset_bytes = document.apply(&edit);
        Self {
            document,
            offset_bytes,
            range_bytes,
            selected: text,
            lead,
        }
    }

    /// Where the item begins, of which `place` is where the model goes on.
    pub(super) fn start<'a>(&'a self, place: &'a Place) -> &'a Place {
        self.lead.as_ref().map_or(place, |lead| &lead.place)
    }

    /// What is shown of `rest` at `place`; nothing when nothing of it fits.
    pub(super) fn complete(
        &self,
        rest: Rest,
        place: &Place,
        source: Source,
        syntax: &Syntax,
    ) -> Option<Completion> {
        let language_id = &self.document.language_id;
        let closer_indent = rest.closer_indent.as_deref();
        let style = Style {
            indent: indent::matters(&rest.text)
                .then(|| Indent::near(&self.document.text, self.offset_bytes))
                .flatten()
                .filter(|&indent| indent == Indent::Tabs || !needs_tabs(language_id)),
            cut_off: rest.whole && rest.trace.stop == StopReason::Length,
            without_grammar: Grammar::of(language_id).is_none(),
            closes_below: closer_indent.is_some(),
        };
        let shown = postprocess::shown(&rest.text, place, style)?;
        // The text is judged as it will stand, and its end may be cut then.
        let shown = closed_off(shown, closer_indent);
        let shown = syntax.mend(&self.document, self.offset_bytes, shown, rest.whole)?;
        let shown = closed_off(shown, closer_indent);
        let shown = postprocess::with_line_ends_of(&self.document, shown);
        Some(Completion {
            id: 0,
            range_bytes: self.range_bytes.clone(),
            insert_text: [self.selected.as_str(), shown.as_str()].concat(),
            whole: rest.whole,
            source,
            trace: rest.trace,
        })
    }
}

/// The place in `document` as if `replaced`, a part of one line, were not there.
fn before(document: &Document, replaced: &Range<usize>) -> Option<Place> {
    let mut place = Place::at(document, replaced.end)?;
    let kept = place.line_prefix.len().checked_sub(replaced.len())?;
    place.line_prefix = place.line_prefix.get(..kept)?.to_owned();
    Some(place)
}
