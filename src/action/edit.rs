//! From new code to the least edit of a document: lines that stay are not touched.

use std::ops::Range;

use similar::{DiffTag, TextDiff};

use super::Refusal;
use crate::document::Document;
use crate::grammar::{Fault, Grammar};

/// A replacement of whole lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is replaced, in bytes of the document.
    pub range_bytes: Range<usize>,
    /// What stands there afterwards, with the document's line ends.
    pub text: String,
}

/// The changes that make `code`, with plain line ends, of `lines` of the document.
///
/// # Errors
/// [`Refusal::Nothing`] when nothing changes.
pub(super) fn changes(
    document: &Document,
    lines: &Range<usize>,
    code: &str,
    keep: impl Fn(DiffTag, &[&str], &str) -> bool,
) -> Result<Vec<Change>, Refusal> {
    let text = &document.text;
    let start = text.line_to_byte(lines.start);
    let end = text.line_to_byte(lines.end.min(text.len_lines()));
    let old = text.byte_slice(start..end).to_string();
    let windows = old.contains("\r\n") || text.line(0).to_string().ends_with("\r\n");
    let mut new = code.trim_end().to_owned();
    // The last line of a document may have no end.
    if old.ends_with('\n') || old.is_empty() {
        new.push('\n');
    }
    if windows {
        new = new.replace('\n', "\r\n");
    }
    let diff = TextDiff::from_lines(old.as_str(), new.as_str());
    let (old_lines, new_lines) = (diff.old_slices(), diff.new_slices());
    let at = |line: usize| -> usize { old_lines.iter().take(line).map(|l| l.len()).sum() };
    let mut changes = Vec::new();
    for op in diff.ops() {
        let (tag, of, with) = op.as_tag_tuple();
        let with = new_lines.get(with).unwrap_or_default();
        let was = old_lines.get(of.clone()).unwrap_or_default().concat();
        if tag == DiffTag::Equal || !keep(tag, with, &was) {
            continue;
        }
        changes.push(Change {
            range_bytes: start + at(of.start)..start + at(of.end),
            text: with.concat(),
        });
    }
    if changes.is_empty() {
        return Err(Refusal::Nothing);
    }
    Ok(changes)
}

/// The document's text after `changes`.
pub fn applied(document: &Document, changes: &[Change]) -> String {
    let mut text = document.text.to_string();
    for change in changes.iter().rev() {
        text.replace_range(change.range_bytes.clone(), &change.text);
    }
    text
}

/// What `changes` break in a document that parsed; nothing where that cannot be told.
pub(super) fn broken(document: &Document, changes: &[Change]) -> Vec<Fault> {
    let Some(grammar) = Grammar::of(&document.language_id) else {
        return Vec::new();
    };
    match grammar.faults(&document.text.to_string()) {
        Some(before) if before.is_empty() => grammar
            .faults(&applied(document, changes))
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, lines: Range<usize>, code: &str) -> (Vec<Change>, String) {
        let document = Document::new("file:///a.rs", 1, "rust", text);
        let changes = changes(&document, &lines, code, |_, _, _| true).unwrap();
        let after = applied(&document, &changes);
        (changes, after)
    }

    #[test]
    fn only_lines_that_change_are_touched() {
        let text = "fn a() {\n    one();\n    two();\n    three();\n}\n";
        let new = "fn a() {\n    one();\n    zwei();\n    three();\n    four();\n}\n";
        let (changes, after) = of(text, 0..5, new);
        assert_eq!(after, new);
        let touched: Vec<_> = changes
            .iter()
            .map(|c| (text.get(c.range_bytes.clone()).unwrap(), c.text.as_str()))
            .collect();
        assert_eq!(
            touched,
            [("    two();\n", "    zwei();\n"), ("", "    four();\n")]
        );
    }

    #[test]
    fn line_ends_and_characters_are_the_documents() {
        let (_, after) = of("a\r\nμ\r\nc\r\n", 1..2, "😀\nb\n");
        assert_eq!(after, "a\r\n😀\r\nb\r\nc\r\n");
        let (_, after) = of("a\nb", 1..2, "c\n");
        assert_eq!(after, "a\nc");
        let (_, after) = of("a\nb\n", 2..2, "c\n");
        assert_eq!(after, "a\nb\nc\n");
        let document = Document::new("file:///a.rs", 1, "rust", "a\n");
        let same = changes(&document, &(0..1), "a\n", |_, _, _| true);
        assert!(matches!(same, Err(Refusal::Nothing)));
    }

    #[test]
    fn what_breaks_is_seen_where_it_parsed_before() {
        let document = Document::new("file:///a.rs", 1, "rust", "fn a() {}\n");
        let change = |text: &str| {
            vec![Change {
                range_bytes: 0..10,
                text: text.into(),
            }]
        };
        assert!(broken(&document, &change("fn b() {}\n")).is_empty());
        assert!(!broken(&document, &change("fn b() {\n")).is_empty());
        let was_broken = Document::new("file:///a.rs", 1, "rust", "fn a( {}\n\n");
        assert!(broken(&was_broken, &change("fn b() {\n")).is_empty());
    }
}
