//! Names in code, without a grammar.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use ropey::Rope;

use crate::document::position::line_content;

/// Lines above and below the cursor whose names count as in use: a screen's upper part and a few.
const ABOVE_LINES: usize = 24;
const BELOW_LINES: usize = 8;
/// Names looked up for a block.
const MOST_NAMES: usize = 96;
/// Longest line that is read, in bytes: longer ones are data.
const LONGEST_LINE_BYTES: usize = 512;
/// Shorter words are keywords and counters, in characters.
const SHORTEST_WORD_CHARS: usize = 4;

/// The names in `text`, in order.
pub(super) fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

/// The names around byte `offset`, nearest first, each once.
pub(super) fn names_near(text: &Rope, offset: usize) -> Vec<String> {
    let line = text.byte_to_line(offset.min(text.len_bytes()));
    let above = (line.saturating_sub(ABOVE_LINES)..=line).rev();
    let below = line + 1..(line + 1 + BELOW_LINES).min(text.len_lines());
    let mut found: Vec<String> = Vec::new();
    for line in above.chain(below) {
        let Some(content) = short_line(text, line) else {
            continue;
        };
        // The name typed last is the nearest.
        let names: Vec<&str> = names_in(&content).collect();
        for name in names.into_iter().rev().filter(|name| name.len() > 1) {
            if found.len() == MOST_NAMES {
                return found;
            }
            if !found.iter().any(|known| known == name) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

/// A line, unless it is too long to be code.
pub(super) fn short_line(text: &Rope, line: usize) -> Option<String> {
    let content = line_content(text, line);
    (content.len_bytes() <= LONGEST_LINE_BYTES).then(|| content.to_string())
}

/// The lines `range` as text with plain line ends; a line too long to be code is left out.
pub(super) fn lines(text: &Rope, range: std::ops::Range<usize>) -> String {
    let mut out = String::new();
    for line in range.start..range.end.min(text.len_lines()) {
        if let Some(content) = short_line(text, line) {
            out.push_str(content.trim_end());
            out.push('\n');
        }
    }
    // The last line of a text that ends in a line end is empty.
    out.truncate(out.trim_end().len());
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// Hashes of the words in a line that tell one text from another.
pub(super) fn words_of(line: &str) -> impl Iterator<Item = u64> {
    names_in(line)
        .filter(|word| word.chars().count() >= SHORTEST_WORD_CHARS)
        .map(hash)
}

/// Hashes of the lines that say something: a lone bracket is in every file.
pub(super) fn telling_lines(text: &str) -> BTreeSet<u64> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.chars().filter(|c| c.is_alphanumeric()).count() >= SHORTEST_WORD_CHARS)
        .map(hash)
        .collect()
}

/// The share of `lines` that are in `of`; 0 of nothing.
pub(super) fn share_within(lines: &BTreeSet<u64>, of: &BTreeSet<u64>) -> f64 {
    share(lines.intersection(of).count(), lines.len())
}

/// `part` of `whole`; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a few thousand words")]
pub(super) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_nearest_first_and_once() {
        let text = Rope::from_str("far(near);\nlet x1 = store.open(near);\nbelow\n");
        let found = names_near(&text, text.line_to_byte(1));
        assert_eq!(
            found,
            ["near", "open", "store", "x1", "let", "far", "below"]
        );
        let long = format!("{}\nname\n", "word ".repeat(1_000));
        assert_eq!(names_near(&Rope::from_str(&long), 0), ["name"]);
        assert_eq!(names_near(&Rope::from_str(""), 9), Vec::<String>::new());
    }

    #[test]
    fn lines_are_compared_by_what_they_say() {
        let a = telling_lines("fn open() {\n    read(file)\n}\n");
        let b = telling_lines("  read(file)\n  write(file)\n)\n");
        assert_eq!(a.len(), 2);
        assert!((share_within(&a, &b) - 0.5).abs() < 1e-9);
        assert!(share_within(&telling_lines("}\n"), &a).abs() < 1e-9);
    }
}
