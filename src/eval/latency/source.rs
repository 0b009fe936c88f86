//! Generated documents: Rust that parses, its lines all different, so that no sample finds another's
//! completion.

use std::fmt::Write as _;

use super::editor::Cursor;

/// Lines of one generated function. Its first and last lines and the one before the last take no keys.
const BLOCK_LINES: usize = 10;
/// A prime, so that consecutive samples lie far apart and all typing lines come in turn.
const STRIDE: usize = 7_919;

/// A generated document and the length of each of its lines as typing goes on.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    columns: Vec<usize>,
}

/// The URI of the document with so many lines.
pub(super) fn uri(lines: usize) -> String {
    format!("file:///bench/generated_{lines}.rs")
}

impl Source {
    /// A document of `lines` lines, which is a multiple of ten.
    pub(super) fn new(lines: usize) -> Self {
        let mut text = String::new();
        let mut columns = Vec::with_capacity(lines);
        for n in 0..lines {
            let start = text.len();
            // Writing to a string cannot fail.
            let _ = match n % BLOCK_LINES {
                0 => write!(text, "fn step_{n:06}(input: &[f64]) -> f64 {{"),
                1 => write!(text, "    weight_{n:06} * input[{n}] + bias"),
                8 => write!(text, "        + total_{n:06}"),
                9 => write!(text, "}}"),
                _ => write!(text, "        + weight_{n:06} * input[{n}] + bias"),
            };
            columns.push(text.len() - start);
            text.push('\n');
        }
        Self { text, columns }
    }

    /// The text as it was before any typing.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn lines(&self) -> usize {
        self.columns.len()
    }

    /// The end of the `n`-th line to type on.
    pub(super) fn cursor(&self, n: usize) -> Cursor {
        let blocks = self.lines() / BLOCK_LINES;
        let block = (n * STRIDE) % blocks;
        let line = block * BLOCK_LINES + 1 + (n / blocks) % (BLOCK_LINES - 3);
        Cursor {
            lines: self.lines(),
            line,
            column: self.columns.get(line).copied().unwrap_or_default(),
        }
    }

    /// Notes that the line of `cursor` ends there now.
    pub(super) fn typed(&mut self, cursor: Cursor) {
        if let Some(column) = self.columns.get_mut(cursor.line) {
            *column = cursor.column;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_stand_at_the_ends_of_lines_that_differ() {
        let source = Source::new(1_000);
        let lines: Vec<&str> = source.text().lines().collect();
        assert_eq!(lines.len(), 1_000);
        let mut seen = std::collections::HashSet::new();
        for n in 0..700 {
            let cursor = source.cursor(n);
            assert_eq!(lines[cursor.line].len(), cursor.column);
            assert!(lines[cursor.line].ends_with("bias"), "{n}");
            assert!(seen.insert(lines[cursor.line]), "{n}");
        }
    }
}
