//! Which lines around a cursor belong together, read off their indentation.
//!
//! Invariant: bounded in lines and bytes; a line is looked at once, and only its beginning where it is
//! long.

use std::borrow::Cow;
use std::ops::Range;

use ropey::{Rope, RopeSlice};

use super::SIDE_BYTES;
use crate::inline::lines::is_word;

/// Lines on either side of the cursor that are in the window where there are so many: statements and
/// chains of calls that the cursor stands in.
const NEAR_LINES: usize = 8;
/// Lines on either side in which a border is looked for.
const FAR_LINES: usize = 64;
/// Longest line, in bytes, that can be a border or a head.
const LONGEST_LINE_BYTES: usize = 1024;
/// First words of lines that begin nothing: branches of a statement that began further up, ends of a
/// head, labels among members. What such a line opens may stand where the line stands.
const BRANCHES: &[&str] = &[
    "else",
    "elif",
    "except",
    "finally",
    "catch",
    "where",
    "public",
    "private",
    "protected",
];

/// What a line is, seen from its left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing, or too long to matter.
    Blank,
    /// A closing bracket, or a branch of a statement, after so many bytes of whitespace.
    Closer(usize, char),
    /// Anything else.
    Code(usize),
}

impl Line {
    pub(super) fn of(line: RopeSlice<'_>) -> Self {
        if line.len_bytes() > LONGEST_LINE_BYTES {
            return Self::Blank;
        }
        // Nearly every line lies in one piece of the rope.
        let line: Cow<'_, str> = line.into();
        let content = line.trim_start();
        let columns = line.len() - content.len();
        match content.chars().next() {
            None => Self::Blank,
            Some(closer @ (')' | ']' | '}')) => Self::Closer(columns, closer),
            Some(_) if is_branch(content) => Self::Closer(columns, '}'),
            Some(_) => Self::Code(columns),
        }
    }

    /// The indentation of a line with anything on it.
    const fn columns(self) -> Option<usize> {
        match self {
            Self::Blank => None,
            Self::Closer(columns, _) | Self::Code(columns) => Some(columns),
        }
    }

    /// The indentation of a line on which something may begin.
    const fn code(self) -> Option<usize> {
        match self {
            Self::Code(columns) => Some(columns),
            _ => None,
        }
    }
}

/// Whether a line has three quotes in a row an odd number of times, as the ends of a docstring have.
fn quotes_once(line: RopeSlice<'_>) -> bool {
    line.as_str()
        .is_some_and(|line| line.matches("\"\"\"").count() % 2 == 1)
}

fn is_branch(content: &str) -> bool {
    BRANCHES.iter().any(|word| {
        let rest = content.strip_prefix(word);
        // `private` alone is a word of many declarations.
        rest.is_some_and(|rest| match rest.trim_end() {
            "" | ":" => true,
            _ => !word.starts_with('p') && !rest.starts_with(is_word),
        })
    })
}

/// The lines around a cursor.
#[derive(Debug)]
pub(super) struct Around {
    /// The number of the first.
    first: usize,
    lines: Vec<Line>,
    /// Lines in which a string of three quotes begins or ends, and not both.
    quotes: Vec<usize>,
    /// The cursor's line, counted from the first.
    cursor: usize,
    /// Whether the document ends with the last.
    ends: bool,
}

/// Lines of one level, with all that is in them.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) lines: Range<usize>,
    /// Their indentation.
    pub(super) columns: usize,
    /// Whether nothing is broken off at the end.
    pub(super) whole: bool,
}

impl Around {
    /// Reads the lines up to the first border on either side that no level can do without.
    pub(super) fn at(text: &Rope, offset: usize) -> Self {
        let line = text.byte_to_line(offset);
        let near = |at: usize| offset.abs_diff(at) <= SIDE_BYTES;
        let mut lines: Vec<Line> = Vec::new();
        let mut quotes = Vec::new();
        let mut bytes = text.line_to_byte(line + 1);
        let above = line.min(FAR_LINES) + 1;
        for slice in (0..=line).rev().take(above).map(|n| text.line(n)) {
            bytes -= slice.len_bytes();
            if !near(bytes) && !lines.is_empty() {
                break;
            }
            let above = Line::of(slice);
            let found = lines.len() > NEAR_LINES + 1
                && lines.last() == Some(&Line::Code(0))
                && matches!(above, Line::Blank | Line::Closer(0, _));
            if quotes_once(slice) {
                quotes.push(lines.len());
            }
            lines.push(above);
            if found {
                break;
            }
        }
        lines.reverse();
        let first = line + 1 - lines.len();
        let cursor = lines.len() - 1;
        for quote in &mut quotes {
            *quote = cursor - *quote;
        }
        let mut bytes = text.line_to_byte(line + 1);
        let below = (text.len_lines() - line - 1).min(FAR_LINES);
        for slice in text.lines_at(line + 1).take(below) {
            bytes += slice.len_bytes();
            if !near(bytes) {
                break;
            }
            let here = Line::of(slice);
            let found = lines.len() > cursor + NEAR_LINES
                && here == Line::Code(0)
                && matches!(lines.last(), Some(Line::Blank | Line::Closer(0, _)));
            if quotes_once(slice) {
                quotes.push(lines.len());
            }
            lines.push(here);
            if found {
                break;
            }
        }
        Self {
            quotes,
            ends: first + lines.len() == text.len_lines(),
            first,
            lines,
            cursor,
        }
    }

    /// The outermost piece that ends near the cursor; where none does, the outermost.
    pub(super) fn piece(&self) -> Piece {
        let above = self.lines.get(..=self.cursor).unwrap_or_default();
        // What the cursor stands in is no deeper than its line, or than the block that was closed last.
        let last = above.iter().rev().find(|line| line.columns().is_some());
        let deepest = match (above.last(), last) {
            (Some(Line::Blank), Some(Line::Code(_))) => usize::MAX,
            (_, last) => last.and_then(|line| line.columns()).unwrap_or(usize::MAX),
        };
        let mut levels: Vec<usize> = above.iter().filter_map(|l| l.code()).collect();
        levels.sort_unstable();
        levels.dedup();
        let outermost = levels.first().copied().unwrap_or_default();
        // The cursor's line closes what began too far above.
        let closes = deepest < outermost;
        let mut from = 0;
        let mut broken = None;
        for columns in levels {
            if columns > deepest && !closes {
                break;
            }
            let Some(start) = self.start(from, columns) else {
                continue;
            };
            from = start;
            let piece = |end: usize, whole: bool| Piece {
                lines: self.first + start..self.first + end,
                columns,
                whole,
            };
            if let Some(end) = self.end(start, columns) {
                return piece(end, !closes);
            }
            broken.get_or_insert_with(|| piece(self.lines.len(), false));
        }
        broken.unwrap_or(Piece {
            lines: self.first..self.first + self.lines.len(),
            columns: outermost,
            whole: false,
        })
    }

    /// The first line of the piece of the indentation `columns`: the last item that begins before what is
    /// near the cursor, or the first line of that indentation, from line `from` on.
    fn start(&self, from: usize, columns: usize) -> Option<usize> {
        let is_of = |n: &usize| self.lines.get(*n).and_then(|l| l.code()) == Some(columns);
        let near = self.cursor.saturating_sub(NEAR_LINES);
        let mut items = (from..=near).rev().filter(is_of);
        items
            .find(|&n| self.begins_item(n, columns))
            .or_else(|| (from..=self.cursor).find(is_of))
    }

    /// One past the last line of the piece that begins in line `start` with the indentation `columns`.
    fn end(&self, start: usize, columns: usize) -> Option<usize> {
        let near = self.cursor + NEAR_LINES;
        // A border between two lines of one item.
        let mut worse = None;
        let passed = self
            .quotes
            .iter()
            .filter(|&&n| n >= start && n <= self.cursor);
        let mut in_string = passed.count() % 2 == 1;
        for n in self.cursor + 1..self.lines.len() {
            let line = self.lines.get(n)?;
            let begins_in_string = in_string;
            in_string ^= self.quotes.contains(&n);
            if begins_in_string {
                continue;
            }
            if line.columns().is_some_and(|here| here < columns) {
                return Some(n);
            }
            if n > near && line.code() == Some(columns) {
                if self.begins_item(n, columns) {
                    return Some(n);
                }
                worse = Some(n);
            }
        }
        let end = self.ends.then_some(self.lines.len());
        end.or(worse)
    }

    /// Whether line `n`, of the indentation `columns`, is the first of an item.
    fn begins_item(&self, n: usize, columns: usize) -> bool {
        match n.checked_sub(1).and_then(|above| self.lines.get(above)) {
            None => self.first == 0,
            Some(Line::Blank) => true,
            Some(Line::Closer(above, _)) => *above == columns,
            Some(Line::Code(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_document_has_them_wherever_it_ends() {
        let texts = [
            "",
            "a",
            "a\n",
            "\n",
            "  a\n}\n\n    b",
            "\r\n  a\r\n",
            "é\n\tü\n}",
        ];
        for text in texts {
            let rope = Rope::from_str(text);
            for (offset, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let around = Around::at(&rope, offset);
                let lines: Vec<Line> = rope.lines().map(Line::of).collect();
                assert_eq!(around.lines, lines, "{text:?} {offset}");
                assert_eq!(around.cursor, rope.byte_to_line(offset));
                assert!(around.ends && around.first == 0);
            }
        }
    }
}
