//! Windows of other files that resemble the text around the cursor.
//!
//! Compared by the words they use (Jaccard), as Copilot and Cody do. Windows begin at fixed lines, so
//! that a cursor that moves a little finds the same ones again.

use std::collections::BTreeSet;
use std::ops::Range;

use ropey::Rope;

use super::names::{share, short_line, words_of};

/// Lines of a window. Cody has 50 and Copilot 60 for models in the cloud; a third of that fits three
/// windows into the budget of a fast machine.
const WINDOW_LINES: usize = 20;
/// Windows begin at multiples of this.
const STEP_LINES: usize = 10;
/// Lines above and below the cursor whose words are looked for.
const NEAR_ABOVE_LINES: usize = 16;
const NEAR_BELOW_LINES: usize = 4;
/// Least share of common words: two unrelated pieces of one language's code have about 0.05.
const LEAST_SHARE: f64 = 0.12;
/// Lines of a file that are read at most, from its beginning.
const MOST_LINES: usize = 20_000;

/// The words around the cursor.
#[derive(Debug)]
pub(super) struct Near(BTreeSet<u64>);

/// A window and how much it resembles.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    pub(super) lines: Range<usize>,
    pub(super) share: f64,
}

impl Near {
    /// The words around byte `offset`.
    pub(super) fn at(text: &Rope, offset: usize) -> Self {
        let line = text.byte_to_line(offset.min(text.len_bytes()));
        let last = (line + 1 + NEAR_BELOW_LINES).min(text.len_lines());
        let lines = line.saturating_sub(NEAR_ABOVE_LINES)..last;
        Self(words(text, lines))
    }

    /// The window of `text` that resembles most; `None` when none does.
    pub(super) fn best_in(&self, text: &Rope) -> Option<Window> {
        let last = text.len_lines().min(MOST_LINES);
        let steps: Vec<BTreeSet<u64>> = (0..last)
            .step_by(STEP_LINES)
            .map(|first| words(text, first..(first + STEP_LINES).min(last)))
            .collect();
        let mut best: Option<Window> = None;
        for (n, first) in (0..last).step_by(STEP_LINES).enumerate() {
            let within = steps.iter().skip(n).take(WINDOW_LINES / STEP_LINES);
            let words: BTreeSet<u64> = within.flatten().copied().collect();
            let share = self.share(&words);
            // The first of equals, so that the choice does not depend on chance.
            if share >= LEAST_SHARE && best.as_ref().is_none_or(|best| share > best.share) {
                let lines = first..(first + WINDOW_LINES).min(last);
                best = Some(Window { lines, share });
            }
        }
        best
    }

    fn share(&self, words: &BTreeSet<u64>) -> f64 {
        let common = self.0.intersection(words).count();
        share(common, self.0.len() + words.len() - common)
    }
}

fn words(text: &Rope, lines: Range<usize>) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for line in lines {
        if let Some(content) = short_line(text, line) {
            found.extend(words_of(&content));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_that_shares_most_words_is_found() {
        let other: Vec<String> = (0..100).map(|n| format!("unrelated{n} thing{n}")).collect();
        let other = other.join("\n") + "\n";
        let twin = "let reader = open_archive(path);\nlet entry = reader.next_entry();\n";
        let text = Rope::from_str(&format!("{other}{twin}{other}"));
        let near = Rope::from_str("let entry = reader.next_entry();\nopen_archive(path)\n");
        let found = Near::at(&near, 0).best_in(&text).unwrap();
        assert!(found.lines.contains(&100), "{found:?}");
        assert_eq!(found.lines.start % STEP_LINES, 0);
        assert_eq!(Near::at(&near, 0).best_in(&Rope::from_str(&other)), None);
        assert_eq!(Near::at(&near, 0).best_in(&Rope::from_str("")), None);
        assert_eq!(Near::at(&Rope::from_str(""), 0).best_in(&text), None);
    }
}
