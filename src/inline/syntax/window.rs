//! The part of a document that is parsed: bounded, and the same from one key to the next.
//!
//! It begins at a line that is not indented deeper than what follows, so that the parser starts
//! between two items rather than inside one, and moves in steps, so that typing changes only the place
//! where something is typed.

use std::ops::Range;

use ropey::Rope;

use crate::document::position::line_content;

/// Lines above the cursor that are parsed at least, where there are so many.
const ABOVE_LINES: usize = 48;
/// Lines below the cursor that are parsed at least.
const BELOW_LINES: usize = 32;
/// The window's first and last line are found in steps of this.
const STEP_LINES: usize = 32;
/// Bytes parsed at most on either side of the cursor. A window of usual lines has a third of it.
const SIDE_BYTES: usize = 12 * 1024;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    /// Whole lines.
    pub(super) text: String,
    /// The cursor in `text`, in bytes.
    pub(super) cursor: usize,
}

impl Window {
    /// Cuts the window around byte `offset` of `text`.
    pub(super) fn cut(text: &Rope, offset: usize) -> Self {
        let offset = offset.min(text.len_bytes());
        let line = text.byte_to_line(offset);
        let first = first_line(text, line, offset);
        let last = last_line(text, line, offset);
        let start = text.line_to_byte(first);
        Self {
            text: text
                .byte_slice(start..text.line_to_byte(last))
                .chunks()
                .collect(),
            cursor: offset - start,
        }
    }

    /// The text with `inserted` at the cursor.
    pub(super) fn with(&self, inserted: &str) -> String {
        let (before, after) = self.text.split_at(self.cursor);
        [before, inserted, after].concat()
    }

    /// The bytes of the cursor's line and of the one above.
    pub(super) fn near(&self) -> Range<usize> {
        let (before, after) = self.text.split_at(self.cursor);
        let line = before.rfind('\n').unwrap_or(0);
        let above = before.get(..line).and_then(|t| t.rfind('\n'));
        let rest = after.find('\n').unwrap_or(after.len());
        above.map_or(0, |n| n + 1)..self.cursor + rest
    }
}

fn first_line(text: &Rope, line: usize, offset: usize) -> usize {
    let far = line.saturating_sub(ABOVE_LINES);
    let mut first = far - far % STEP_LINES;
    while first < line && offset - text.line_to_byte(first) > SIDE_BYTES {
        first += 1;
    }
    if first == 0 {
        return 0;
    }
    // The first of the least indented lines: an item begins there, or the one that holds the cursor.
    (first..line)
        .filter_map(|l| Some((indent(text, l)?, l)))
        .min()
        .map_or(first, |(_, l)| l)
}

/// One past the last line.
fn last_line(text: &Rope, line: usize, offset: usize) -> usize {
    let lines = text.len_lines();
    let mut last = (line + BELOW_LINES).next_multiple_of(STEP_LINES).min(lines);
    while last > line + 1 && text.line_to_byte(last) - offset > SIDE_BYTES {
        last -= 1;
    }
    last
}

/// Leading whitespace in characters; `None` for a line on which nothing begins: an empty one, a closer
/// or one that is too long to matter.
fn indent(text: &Rope, line: usize) -> Option<usize> {
    let content = line_content(text, line);
    let (columns, first) = content
        .chars()
        .enumerate()
        .take(SIDE_BYTES)
        .find(|(_, c)| !c.is_whitespace())?;
    (!matches!(first, ')' | ']' | '}')).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_bounded_whatever_the_document() {
        let long = "x".repeat(50_000);
        for text in [
            "    a();\n".repeat(100_000),
            format!("{long}\n").repeat(20),
            long,
            String::new(),
        ] {
            let rope = Rope::from_str(&text);
            for offset in [0, text.len() / 2, text.len()] {
                let window = Window::cut(&rope, offset);
                let line = rope.line(rope.byte_to_line(offset)).len_bytes();
                assert!(window.text.len() <= 2 * SIDE_BYTES + line, "{offset}");
                let (before, _) = window.text.split_at(window.cursor);
                assert!(text.get(..offset).unwrap().ends_with(before));
            }
        }
    }

    #[test]
    fn typing_moves_nothing_and_the_first_line_is_where_an_item_begins() {
        let item = "fn a() {\n    b();\n\n    c();\n}\n\n";
        let mut rope = Rope::from_str(&item.repeat(100));
        let offset = rope.line_to_byte(303) + 4;
        let before = Window::cut(&rope, offset);
        assert!(before.text.starts_with("fn a()"));
        rope.insert(rope.byte_to_char(offset), "x");
        let after = Window::cut(&rope, offset + 1);
        assert_eq!(after.cursor, before.cursor + 1);
        assert_eq!(before.with("x"), after.text);
    }
}
