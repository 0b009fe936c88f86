//! The part of a document that is parsed: bounded, and made of whole pieces.
//!
//! A window that begins or ends in the middle of something costs twice: the parser spends milliseconds
//! on recovering there, at every look, and what it says of the cursor is worth less. So the window is
//! the item around the cursor and what stands close to it, found by indentation, cut where an item
//! begins or a block ends. Items inside others keep the lines that opened those, as the sticky lines of
//! an editor do, and their brackets are closed below.
//!
//! Invariant: all work is bounded, whatever the document.

use std::ops::Range;

use ropey::Rope;

use crate::inline::lines::{brackets, closer_of};

mod around;

use around::{Around, Line, Piece};

/// Lines above the window in which the lines that opened its blocks are looked for.
const OPENER_LINES: usize = 512;
/// Longest head of a block, as of a function with a parameter a line; a longer one is left out.
const HEAD_LINES: usize = 24;
/// Blocks around the window whose heads are kept, innermost first.
const MOST_HEADS: usize = 8;
/// Bytes parsed at most on either side of the cursor. A window of usual lines has a fifth of it.
pub(super) const SIDE_BYTES: usize = 12 * 1024;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    /// Whole lines: heads, the piece itself, the closers of the heads.
    pub(super) text: String,
    /// The cursor in `text`, in bytes.
    pub(super) cursor: usize,
}

impl Window {
    /// Cuts the window around byte `offset` of `text`.
    pub(super) fn cut(text: &Rope, offset: usize) -> Self {
        let offset = offset.min(text.len_bytes());
        let Piece {
            lines,
            columns,
            whole,
        } = Around::at(text, offset).piece();
        let mut cut = String::new();
        for head in heads(text, lines.start, columns) {
            push_lines(&mut cut, text, head);
        }
        let cursor = cut.len() + offset - text.line_to_byte(lines.start);
        let heads = cut.len();
        push_lines(&mut cut, text, lines);
        // What a piece leaves open is the person's own, unless the piece was broken off.
        let opened = if whole {
            cut.get(..heads).unwrap_or_default()
        } else {
            &cut
        };
        let open = brackets(opened, None).open;
        if !open.is_empty() {
            if !cut.ends_with('\n') {
                cut.push('\n');
            }
            cut.extend(open.iter().rev().map(|&open| closer_of(open)));
            cut.push('\n');
        }
        Self { text: cut, cursor }
    }

    /// The text left and right of the cursor.
    pub(super) fn sides(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// The bytes of the cursor's line and of the one above.
    pub(super) fn near(&self) -> Range<usize> {
        let (before, after) = self.sides();
        let line = before.rfind('\n').unwrap_or(0);
        let above = before.get(..line).and_then(|t| t.rfind('\n'));
        let rest = after.find('\n').unwrap_or(after.len());
        above.map_or(0, |n| n + 1)..self.cursor + rest
    }
}

fn push_lines(cut: &mut String, text: &Rope, lines: Range<usize>) {
    let bytes = text.line_to_byte(lines.start)..text.line_to_byte(lines.end);
    text.byte_slice(bytes)
        .chunks()
        .for_each(|chunk| cut.push_str(chunk));
}

/// The lines that opened the blocks around line `first`, which is indented by `columns`, outermost first.
fn heads(text: &Rope, first: usize, columns: usize) -> Vec<Range<usize>> {
    let mut heads = Vec::new();
    let mut columns = columns;
    let above = first.saturating_sub(OPENER_LINES)..first;
    for (l, line) in above.rev().zip(text.lines_at(first).reversed()) {
        if columns == 0 || heads.len() == MOST_HEADS {
            break;
        }
        match Line::of(line) {
            Line::Code(here) if here < columns => {
                columns = here;
                heads.push(l..head_end(text, l, first));
            }
            // A branch of a statement.
            Line::Closer(here, '}') if here < columns => columns = here,
            _ => {}
        }
    }
    heads.reverse();
    heads
}

/// One past the last line of a head that begins in line `first`: where its parentheses are closed.
fn head_end(text: &Rope, first: usize, limit: usize) -> usize {
    let mut head = String::new();
    for n in first..limit.min(first + HEAD_LINES) {
        push_lines(&mut head, text, n..n + 1);
        if !brackets(&head, None).open.iter().any(|&open| open != '{') {
            return n + 1;
        }
    }
    first + 1
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
                assert!(window.text.len() <= 2 * SIDE_BYTES + line + 1, "{offset}");
                let (before, _) = window.sides();
                assert!(text.get(..offset).unwrap().ends_with(before));
            }
        }
    }

    /// The window of a document with the cursor at `|`.
    fn cut(text: &str) -> String {
        let offset = text.find('|').unwrap();
        let window = Window::cut(&Rope::from_str(&text.replacen('|', "", 1)), offset);
        let (before, after) = window.sides();
        [before, "|", after].concat()
    }

    #[test]
    fn typing_moves_nothing() {
        let item = "fn a() {\n    b();\n\n    c();\n}\n\n";
        let mut rope = Rope::from_str(&item.repeat(100));
        let offset = rope.line_to_byte(303) + 4;
        let before = Window::cut(&rope, offset);
        rope.insert(rope.byte_to_char(offset), "x");
        let after = Window::cut(&rope, offset + 1);
        assert_eq!(after.cursor, before.cursor + 1);
        let (left, right) = before.sides();
        assert_eq!([left, "x", right].concat(), after.text);
    }

    #[test]
    fn a_window_is_of_whole_items() {
        let items = |n: usize| "fn a() {\n    b();\n}\n\n".repeat(n);
        let around = [&items(20), "fn c() {\n    |\n}\n\n", &items(20)].concat();
        let window = cut(&around);
        assert!(window.starts_with("fn a() {") && window.ends_with("}\n\n"));
        assert!(window.lines().count() < 32, "{window}");
    }

    #[test]
    fn heads_are_kept_and_closed() {
        let statements = "    b();\n".repeat(100);
        let long = format!("fn a(\n    x: A,\n) -> B {{\n{statements}    |\n{statements}}}\n");
        let window = cut(&long);
        assert!(
            window.starts_with("fn a(\n    x: A,\n) -> B {\n    b();\n"),
            "{window}"
        );
        assert!(window.ends_with("    b();\n}\n"), "{window}");
        let member = "    fn m(&self) {\n        b();\n    }\n\n".repeat(30);
        let inside =
            format!("impl A {{\n{member}    fn n(&self) {{\n        |\n    }}\n\n{member}}}\n");
        let window = cut(&inside);
        assert!(window.starts_with("impl A {\n    fn m("), "{window}");
        assert!(window.ends_with("    }\n\n}\n"), "{window}");
        let method = "    def m(self):\n        b()\n\n".repeat(30);
        let inside = format!("class A:\n{method}    def n(self):\n        |\n\n{method}");
        let window = cut(&inside);
        assert!(window.starts_with("class A:\n    def m("), "{window}");
    }
}
