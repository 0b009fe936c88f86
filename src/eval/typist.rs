//! A person made of draws, who types the repository's own sources.
//!
//! Used where no trace is given, so that the bench runs anywhere. Slips and their corrections, jumps
//! back to a block left out before, and words taken from the editor's completion list are drawn with
//! the seed; the gaps between keys are those of every replay ([`rhythm`](super::rhythm)).

use super::chance::Chance;
use super::trace::{Patch, Trace, Transaction};

/// What is typed: code of several shapes, taken into the program as it is built.
const SOURCES: &[&str] = &[
    include_str!("../document.rs"),
    include_str!("../document/position.rs"),
    include_str!("../prompt/window.rs"),
    include_str!("../client.rs"),
];

/// Slips per character. Skilled typists correct one key in thirty or so.
const SLIP: f64 = 0.03;
/// Blocks left out at first and typed later. In recorded traces 9 in 100 edits do not go on where the
/// last one ended; most of these are near by.
const POSTPONED: f64 = 0.25;
/// Long words taken from the completion list once [`LIST_AFTER`] of their characters are there.
const FROM_LIST: f64 = 0.25;
/// Characters typed of a word before it is taken from the list.
const LIST_AFTER: usize = 3;
/// Shortest word worth taking from a list.
const LIST_WORD: usize = 7;

/// What the typist of `seed` does to this program's sources.
pub fn trace(seed: u64) -> Trace {
    typing(seed, SOURCES)
}

/// What the typist of `seed` does to write `sources`, one after the other.
pub(super) fn typing(seed: u64, sources: &[&str]) -> Trace {
    let mut typist = Typist {
        chance: Chance::new(seed, "typist", 0),
        txns: Vec::new(),
    };
    let mut end_content = String::new();
    let mut base_chars = 0;
    for source in sources {
        typist.write(source, base_chars);
        end_content.push_str(source);
        base_chars += source.chars().count();
    }
    Trace {
        start_content: String::new(),
        end_content,
        txns: typist.txns,
    }
}

struct Typist {
    chance: Chance,
    txns: Vec<Transaction>,
}

impl Typist {
    /// Types a source after the `base_chars` characters that are there: its blocks in order, but for
    /// those put off.
    fn write(&mut self, source: &str, base_chars: usize) {
        let blocks = blocks(source);
        let mut written = vec![false; blocks.len()];
        for n in self.order(blocks.len()) {
            let before = blocks.iter().zip(&written).take(n);
            let at_chars: usize = before
                .filter(|(_, written)| **written)
                .map(|(block, _)| block.chars().count())
                .sum();
            let Some(block) = blocks.get(n) else { continue };
            let at_chars = base_chars + at_chars;
            let text_follows = written.iter().skip(n).any(|&w| w);
            match block.strip_suffix('\n').filter(|_| text_follows) {
                // In the middle of a text a line is opened first.
                Some(body) => {
                    self.patch(at_chars, 0, "\n".to_owned());
                    self.write_block(body, at_chars);
                }
                None => self.write_block(block, at_chars),
            }
            if let Some(written) = written.get_mut(n) {
                *written = true;
            }
        }
    }

    /// The blocks' numbers as they are typed: a postponed one comes two blocks later, by a jump back.
    fn order(&mut self, count: usize) -> Vec<usize> {
        let mut at: Vec<(usize, usize)> = (0..count)
            .map(|n| {
                (
                    if self.chance.hits(POSTPONED) {
                        n + 3
                    } else {
                        n
                    },
                    n,
                )
            })
            .collect();
        at.sort_unstable();
        at.into_iter().map(|(_, n)| n).collect()
    }

    fn write_block(&mut self, block: &str, start_chars: usize) {
        let mut at = start_chars;
        let chars: Vec<char> = block.chars().collect();
        let mut n = 0;
        while let Some(&c) = chars.get(n) {
            if c == '\n' {
                // The editor indents as the next line is.
                let indent = chars.iter().skip(n + 1).take_while(|c| **c == ' ').count();
                self.patch(at, 0, ["\n", &" ".repeat(indent)].concat());
                at += 1 + indent;
                n += 1 + indent;
                continue;
            }
            if c.is_alphabetic() && self.chance.hits(SLIP) {
                self.slip(at, &chars, n);
            }
            self.patch(at, 0, c.to_string());
            at += 1;
            n += 1;
            if let Some(rest) = self.taken_from_list(&chars, n) {
                let typed: String = chars.iter().skip(n - LIST_AFTER).take(LIST_AFTER).collect();
                self.patch(
                    at - LIST_AFTER,
                    LIST_AFTER,
                    [typed.as_str(), &rest].concat(),
                );
                let taken = rest.chars().count();
                at += taken;
                n += taken;
            }
        }
    }

    /// A wrong key and up to two right ones after it, then as many backspaces.
    fn slip(&mut self, at: usize, chars: &[char], n: usize) {
        let wrong = self.chance.pick(&['e', 't', 'a', 'o', 'i', 'n', 's', 'r']);
        let wrong = wrong.copied().filter(|w| chars.get(n) != Some(w));
        let more = self.chance.pick(&[0, 0, 1, 2]).copied().unwrap_or_default();
        let after = chars.iter().skip(n).take_while(|c| c.is_alphabetic());
        let keys: Vec<char> = wrong.into_iter().chain(after.copied().take(more)).collect();
        for (k, key) in keys.iter().enumerate() {
            self.patch(at + k, 0, key.to_string());
        }
        for k in (0..keys.len()).rev() {
            self.patch(at + k, 1, String::new());
        }
    }

    /// The rest of the word at `n`, if its beginning was just typed and it is taken from the list.
    fn taken_from_list(&mut self, chars: &[char], n: usize) -> Option<String> {
        let word = |c: &&char| c.is_alphanumeric() || **c == '_';
        let typed = chars.iter().take(n).rev().take_while(word).count();
        let rest: String = chars.iter().skip(n).take_while(word).collect();
        let long = typed + rest.chars().count() >= LIST_WORD;
        (typed == LIST_AFTER && long && self.chance.hits(FROM_LIST)).then_some(rest)
    }

    fn patch(&mut self, at_chars: usize, deleted_chars: usize, inserted: String) {
        self.txns.push(Transaction {
            patches: vec![Patch {
                at_chars,
                deleted_chars,
                inserted,
            }],
        });
    }
}

/// The source cut after each empty line.
fn blocks(source: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in source.split_inclusive('\n') {
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
        }
        if line.trim().is_empty() {
            blocks.push(String::new());
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::script::{Kind, Script};

    #[test]
    fn a_seed_is_one_person_who_ends_with_the_sources() {
        let one = trace(1);
        assert_eq!(one, trace(1));
        assert_ne!(one.txns, trace(2).txns);
        assert_eq!(one.end_content, SOURCES.concat());
        // Refused unless the edits lead to that end.
        let script = Script::new(&one, None).unwrap();
        let share = |of: &dyn Fn(usize) -> bool| {
            let count = (0..script.steps.len()).filter(|&n| of(n)).count();
            1_000 * count / script.steps.len()
        };
        let steps = &script.steps;
        let keys = share(&|n| steps[n].is_key());
        let erased = share(&|n| steps[n].edits[0].text.is_empty());
        let jumps = share(&|n| !steps[n].continues);
        let listed = share(&|n| steps[n].kind == Kind::Other && !steps[n].edits[0].text.is_empty());
        assert!((900..=980).contains(&keys), "{keys}");
        assert!((15..=60).contains(&erased), "{erased}");
        assert!((1..=20).contains(&jumps), "{jumps}");
        assert!((3..=30).contains(&listed), "{listed}");
    }
}
