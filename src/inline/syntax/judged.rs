//! Verdicts on texts, found again by where the text would stand.
//!
//! A text that is typed along is judged once: the rest of it at the cursor of now makes the same of the
//! document as all of it did at the cursor of then. So two places are compared by what stands around
//! them; nothing is cut out, parsed or hashed.

use std::collections::VecDeque;
use std::sync::Arc;

use ropey::{Rope, RopeSlice};

use super::window::SIDE_BYTES;
use crate::document::Document;

/// Verdicts kept: of the text that is shown, of those it grew from, and of a few that were shown before.
const CASES: usize = 32;

/// What remains of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it.
    Whole,
    /// All but so many bytes at its end.
    Without(usize),
    Nothing,
}

/// The last verdicts, newest first.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) cases: VecDeque<Case>,
}

#[derive(Debug)]
pub(super) struct Case {
    uri: Arc<str>,
    language_id: Arc<str>,
    /// The document without the text. It shares nearly all with the document of now.
    document: Rope,
    offset: usize,
    text: String,
    whole: bool,
    verdict: Verdict,
}

impl Judged {
    /// What was said of `text` at byte `offset`, or of the text whose rest it is, which was as `whole`.
    pub(super) fn find(
        &self,
        document: &Document,
        offset: usize,
        text: &str,
        whole: bool,
    ) -> Option<Verdict> {
        let mut cases = self.cases.iter().filter(|case| case.whole == whole);
        let case = cases.find(|case| case.is_of(document, offset, text));
        case.map(|case| case.verdict)
    }

    /// Remembers a verdict.
    pub(super) fn add(
        &mut self,
        document: &Document,
        offset: usize,
        text: &str,
        whole: bool,
        verdict: Verdict,
    ) {
        self.make_room();
        self.cases.push_front(Case {
            uri: document.uri.clone(),
            language_id: document.language_id.clone(),
            document: document.text.clone(),
            offset,
            text: text.to_owned(),
            whole,
            verdict,
        });
    }

    /// Lets go of the oldest where there are as many as are kept: what a document shares with nobody any
    /// more is freed then.
    pub(super) fn make_room(&mut self) {
        self.cases.truncate(CASES - 1);
    }

    /// Lets go of a document.
    pub(super) fn forget(&mut self, uri: &str) {
        self.cases.retain(|case| &*case.uri != uri);
    }
}

impl Case {
    fn is_of(&self, now: &Document, offset: usize, text: &str) -> bool {
        let Some(typed) = self.text.strip_suffix(text) else {
            return false;
        };
        let before = offset.checked_sub(typed.len());
        before == Some(self.offset)
            && now.text.len_bytes() == self.document.len_bytes() + typed.len()
            && now.uri == self.uri
            && now.language_id == self.language_id
            && now
                .text
                .get_byte_slice(self.offset..offset)
                .is_some_and(|t| t == typed)
            && left(&self.document, self.offset) == left(&now.text, self.offset)
            && right(&self.document, self.offset) == right(&now.text, offset)
    }
}

/// What can be in the window left of byte `at`.
fn left(text: &Rope, at: usize) -> Option<RopeSlice<'_>> {
    let start = at.saturating_sub(SIDE_BYTES);
    let start = text.char_to_byte(text.byte_to_char(start));
    text.get_byte_slice(start..at)
}

/// What can be in the window right of byte `at`.
fn right(text: &Rope, at: usize) -> Option<RopeSlice<'_>> {
    let end = (at + SIDE_BYTES).min(text.len_bytes());
    let end = text.char_to_byte(text.byte_to_char(end));
    text.get_byte_slice(at..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Edit;

    fn at_cursor(text: &str) -> (Document, usize) {
        let offset = text.find('|').unwrap();
        (
            Document::new("u", 1, "rust", &text.replacen('|', "", 1)),
            offset,
        )
    }

    #[test]
    fn a_verdict_holds_for_the_rest_and_for_nothing_else() {
        let (document, offset) = at_cursor("é\nlet a = |\nz");
        let mut judged = Judged::default();
        judged.add(&document, offset, "bü(c);", true, Verdict::Without(1));
        for (now, text, known) in [
            ("é\nlet a = |\nz", "bü(c);", true),
            ("é\nlet a = bü|\nz", "(c);", true),
            ("é\nlet a = bü(c);|\nz", "", true),
            ("é\nlet a = |\nz", "b(c);", false),
            ("é\nlet a = bo|\nz", "(c);", false),
            ("é\nlet b = bü|\nz", "(c);", false),
            ("é\nlet a = bü|\ny", "(c);", false),
            ("é\nlet a = bü|)\nz", "(c);", false),
        ] {
            let (document, offset) = at_cursor(now);
            let found = judged.find(&document, offset, text, true);
            assert_eq!(found, known.then_some(Verdict::Without(1)), "{now:?}");
        }
        assert_eq!(judged.find(&document, offset, "", false), None);
        judged.forget("u");
        assert_eq!(judged.find(&document, offset, "bü(c);", true), None);
    }

    #[test]
    fn what_stands_far_away_is_not_compared_and_the_oldest_go() {
        let filler = "fn é() {}\n".repeat(20_000);
        let (mut document, offset) = at_cursor(&[&filler, "let a = |\n", &filler].concat());
        let mut judged = Judged::default();
        judged.add(&document, offset, "b;", true, Verdict::Whole);
        document.apply(&Edit {
            range_bytes: Some(0..2),
            text: "xy".into(),
        });
        assert_eq!(
            judged.find(&document, offset, "b;", true),
            Some(Verdict::Whole)
        );
        for n in 0..CASES {
            judged.add(&document, offset, &format!("c{n};"), true, Verdict::Nothing);
        }
        assert_eq!(judged.cases.len(), CASES);
        assert_eq!(judged.find(&document, offset, "b;", true), None);
    }
}
