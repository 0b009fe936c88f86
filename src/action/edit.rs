//! From new code to the least edit of a document: lines that stay are not touched.

use std::ops::Range;

use similar::{DiffTag, TextDiff};

use super::Refusal;
use crate::document::Document;
use crate::grammar::{Fault, Grammar};
use crate::redact::REDACTED;

/// A replacement of whole lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is replaced, in bytes of the document.
    pub range_bytes: Range<usize>,
    /// What stands there afterwards, with the document's line ends.
    pub text: String,
}

/// The changes that make `code` of `lines` of the document. `shown` are these lines as the model saw them,
/// without secrets and, like `code`, with plain line ends: a line that the model left alone stays as it is
/// in the document.
///
/// # Errors
/// [`Refusal::Nothing`] when nothing changes, [`Refusal::Secret`] when a line with a secret would.
pub(super) fn changes(
    document: &Document,
    lines: &Range<usize>,
    shown: &str,
    code: &str,
    keep: impl Fn(DiffTag, &[&str], &str) -> bool,
) -> Result<Vec<Change>, Refusal> {
    let text = &document.text;
    let at = |line: usize| text.line_to_byte((lines.start + line).min(text.len_lines()));
    let original = text.byte_slice(at(0)..at(lines.len())).to_string();
    let windows = text.line(0).to_string().ends_with("\r\n");
    let mut new = code.trim_end().to_owned();
    // The last line of a document may have no end.
    if shown.ends_with('\n') || shown.is_empty() {
        new.push('\n');
    }
    let diff = TextDiff::from_lines(shown, new.as_str());
    let (old_lines, new_lines) = (diff.old_slices(), diff.new_slices());
    let mut changes = Vec::new();
    let mut change = |of: Range<usize>, with: &[&str]| {
        let mut with = with.concat();
        if with.contains(REDACTED) && !original.contains(REDACTED) {
            return Err(Refusal::Secret);
        }
        if windows {
            with = with.replace('\n', "\r\n");
        }
        changes.push(Change {
            range_bytes: at(of.start)..at(of.end),
            text: with,
        });
        Ok(())
    };
    for op in diff.ops() {
        let (tag, of, with) = op.as_tag_tuple();
        let with = new_lines.get(with).unwrap_or_default();
        let was = old_lines.get(of.clone()).unwrap_or_default();
        if tag == DiffTag::Equal {
        } else if keep(tag, with, &was.concat()) {
            change(of, with)?;
        } else {
            for (before, lines) in additions(was, with, &keep) {
                change(of.start + before..of.start + before, lines)?;
            }
        }
    }
    if changes.is_empty() {
        return Err(Refusal::Nothing);
    }
    Ok(changes)
}

/// What may come of `new`, which may not replace `old` as a whole: lines that `keep` takes by themselves, each
/// with the line of `old` that they go before. A model that was to add a comment may also touch the line
/// beside it.
fn additions<'n>(
    old: &[&str],
    new: &'n [&'n str],
    keep: impl Fn(DiffTag, &[&str], &str) -> bool,
) -> Vec<(usize, &'n [&'n str])> {
    let says = |line: &&str| !line.trim().is_empty();
    let added =
        |lines: &[&str]| lines.first().is_some_and(says) && keep(DiffTag::Insert, lines, "");
    // A comment that was there would stand beside the new one.
    if old.iter().any(|line| added(&[line])) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let (mut at, mut code_lines) = (0, 0);
    while let Some(rest) = new.get(at..).filter(|rest| !rest.is_empty()) {
        let ends = (1..=rest.len()).rev();
        let block = ends
            .filter_map(|end| rest.get(..end))
            .find(|lines| added(lines));
        match block {
            Some(lines) => found.push((code_lines, lines)),
            None => code_lines += usize::from(rest.first().is_some_and(says)),
        }
        at += block.map_or(1, <[_]>::len);
    }
    let olds: Vec<usize> = (0..old.len()).filter(|&n| says(&old[n])).collect();
    // Only as many lines tell which of them is which.
    let place = |(code, lines): (usize, &'n [&'n str])| match code {
        0 => Some((0, lines)),
        _ if code_lines != olds.len() => None,
        code => Some((olds.get(code).copied().unwrap_or(old.len()), lines)),
    };
    found.into_iter().filter_map(place).collect()
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
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        let shown = all[lines.start..lines.end.min(all.len())].concat();
        let shown = shown.replace("\r\n", "\n");
        let changes = changes(&document, &lines, &shown, code, |_, _, _| true).unwrap();
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
        let same = changes(&document, &(0..1), "a\n", "a\n", |_, _, _| true);
        assert!(matches!(same, Err(Refusal::Nothing)));
    }

    #[test]
    fn a_line_with_a_secret_stays_or_the_edit_is_refused() {
        let text = "let key = \"s3cret\";\nlet a = 1;\n";
        let shown = text.replace("s3cret", REDACTED);
        let document = Document::new("file:///a.rs", 1, "rust", text);
        let edit = |code: &str| changes(&document, &(0..2), &shown, code, |_, _, _| true);
        let kept = edit(&shown.replace("a = 1", "a = 2")).unwrap();
        assert_eq!(applied(&document, &kept), text.replace("a = 1", "a = 2"));
        let moved = edit(&shown.replace("let key", "const KEY"));
        assert_eq!(moved, Err(Refusal::Secret));
    }

    #[test]
    fn a_comment_comes_also_where_the_line_beside_it_was_touched() {
        let old = "def a(b):\n    c = b\n    return c\n";
        let documented =
            "def a(b):\n    \"\"\"A.\n\n    b: B.\n    \"\"\"\n    c = b\n    return c\n";
        let document = Document::new("file:///a.py", 1, "python", old);
        let keep = crate::action::named("document").unwrap().keep;
        for (code, expected) in [
            (documented.to_owned(), documented),
            (documented.replace("c = b", "c = b  # C."), documented),
            (documented.replace("(b)", "(b: int)"), documented),
            (documented.replace("return c", "return c + 1"), documented),
            // As many lines as none of before: only what stands above all of them has a place.
            (
                "# A.\nasync def a(\n    b,\n    # B.\n):\n    return b\n".to_owned(),
                "# A.\ndef a(b):\n    c = b\n    return c\n",
            ),
        ] {
            let changes = changes(&document, &(0..3), old, &code, keep).unwrap();
            assert_eq!(applied(&document, &changes), expected, "{code}");
        }
        let commented = old.replace("    c", "    # C.\n    c");
        let document = Document::new("file:///a.py", 1, "python", &commented);
        let code = commented.replace("    # C.\n    c = b", "    # Other.\n    c = b  # C.");
        let touched = changes(&document, &(0..4), &commented, &code, keep);
        assert_eq!(touched, Err(Refusal::Nothing));
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
