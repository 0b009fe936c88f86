//! Parse trees, each made from the one before it.
//!
//! Consecutive texts differ by a key or by a completion. The parser is told what changed and reads only
//! that again, so the cost of a key does not depend on the window.

use std::ops::{ControlFlow, Range};

use tree_sitter::{InputEdit, Node, ParseOptions, Parser, Point, Tree};

use crate::grammar::Grammar;

/// The parser and the text it read last.
#[derive(Default)]
pub(super) struct Trees {
    parser: Option<Parser>,
    last: Option<Last>,
    /// The text that took more steps than were allowed: it would again.
    given_up: Option<String>,
    /// Steps left of what was allowed.
    steps_left: Option<u32>,
}

struct Last {
    grammar: &'static Grammar,
    text: String,
    tree: Tree,
}

impl std::fmt::Debug for Trees {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.last.as_ref().map(|last| last.text.len());
        f.debug_struct("Trees")
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

impl Trees {
    /// Gives the next looks together so many steps of the parser.
    pub(super) fn allow(&mut self, steps: u32) {
        self.steps_left = Some(steps);
    }

    /// The tree of `text`; `None` when the steps run out.
    pub(super) fn look(&mut self, grammar: &'static Grammar, text: &str) -> Option<Tree> {
        if self.steps_left.is_some() && self.given_up.as_deref() == Some(text) {
            return None;
        }
        if let Some(last) = &mut self.last {
            if !std::ptr::eq(last.grammar, grammar) {
                self.last = None;
                self.parser = None;
            } else if last.text == text {
                return Some(last.tree.clone());
            } else {
                last.tree.edit(&edit_between(&last.text, text));
            }
        }
        let parser = self.parser.get_or_insert_with(Parser::new);
        if self.last.is_none() {
            parser.set_language(&grammar.language()).ok()?;
        }
        let steps_left = &mut self.steps_left;
        let mut within = |_: &_| match steps_left {
            Some(0) => ControlFlow::Break(()),
            Some(left) => {
                *left -= 1;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Continue(()),
        };
        let options = ParseOptions::new().progress_callback(&mut within);
        let bytes = text.as_bytes();
        let tree = parser.parse_with_options(
            &mut |at, _| bytes.get(at..).unwrap_or_default(),
            self.last.as_ref().map(|last| &last.tree),
            Some(options),
        );
        let Some(tree) = tree else {
            // What was edited has no text any more.
            parser.reset();
            self.given_up = Some(text.to_owned());
            self.last = None;
            self.parser = None;
            return None;
        };
        self.last = Some(Last {
            grammar,
            text: text.to_owned(),
            tree: tree.clone(),
        });
        Some(tree)
    }
}

/// What changed from `old` to `new`, as one replacement.
fn edit_between(old: &str, new: &str) -> InputEdit {
    let (a, b) = (old.as_bytes(), new.as_bytes());
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let end = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take(a.len().min(b.len()) - start)
        .take_while(|(x, y)| x == y)
        .count();
    InputEdit {
        start_byte: start,
        old_end_byte: a.len() - end,
        new_end_byte: b.len() - end,
        start_position: point(a, start),
        old_end_position: point(a, a.len() - end),
        new_end_position: point(b, b.len() - end),
    }
}

/// Row and column, in bytes, of a byte.
fn point(text: &[u8], at: usize) -> Point {
    let before = text.get(..at).unwrap_or_default();
    let mut lines = before.split(|&b| b == b'\n');
    let last = lines.next_back().map_or(0, <[u8]>::len);
    Point::new(lines.count(), last)
}

/// Where a text does not follow its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Faults {
    /// Nodes that are wrong or missing.
    pub(super) count: usize,
    /// Whether one of them touches the cursor's line or the one above.
    pub(super) at_cursor: bool,
}

impl Faults {
    /// The faults of a tree; `near` are the bytes at the cursor.
    pub(super) fn of(tree: &Tree, near: &Range<usize>) -> Self {
        let mut found = Self {
            count: 0,
            at_cursor: false,
        };
        found.visit(tree.root_node(), near);
        found
    }

    /// Goes down only where there is a fault.
    fn visit(&mut self, node: Node<'_>, near: &Range<usize>) {
        if !node.has_error() {
            return;
        }
        if node.is_error() || node.is_missing() {
            self.count += 1;
            self.at_cursor |= node.start_byte() <= near.end && near.start <= node.end_byte();
        }
        let mut walk = node.walk();
        for child in node.children(&mut walk) {
            self.visit(child, near);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_made_from_another_equals_one_made_anew() {
        let grammar = Grammar::of("rust").unwrap();
        let mut kept = Trees::default();
        let texts = [
            "fn a() {\n    b();\n}\n",
            "fn a() {\n    bü();\n}\n",
            "fn a() {\n    bü(c, \"é\");\n}\n",
            "fn a() {\n}\n",
            "",
            "struct A;\n",
            "fn a() {",
        ];
        for text in texts {
            let anew = Trees::default().look(grammar, text).unwrap();
            let again = kept.look(grammar, text).unwrap();
            assert_eq!(again.root_node().to_sexp(), anew.root_node().to_sexp());
        }
    }

    #[test]
    fn faults_are_counted_and_placed() {
        let grammar = Grammar::of("rust").unwrap();
        for (text, broken, at_cursor) in [
            ("fn a()  { | }", false, false),
            ("fn a() { let x = | }", true, true),
            ("fn a()  { | }\n\n\nfn b() { let = ; }", true, false),
        ] {
            let cursor = text.find('|').unwrap();
            let tree = Trees::default()
                .look(grammar, &text.replace('|', ""))
                .unwrap();
            let faults = Faults::of(&tree, &(cursor - 8..cursor + 2));
            assert_eq!(
                (faults.count > 0, faults.at_cursor),
                (broken, at_cursor),
                "{text}"
            );
        }
    }

    #[test]
    fn without_steps_there_is_no_tree_and_the_next_look_has_one() {
        let grammar = Grammar::of("rust").unwrap();
        let mut trees = Trees::default();
        let text = "fn a() { b(); }\n".repeat(2_000);
        trees.allow(0);
        assert!(trees.look(grammar, &text).is_none());
        trees.steps_left = None;
        assert!(trees.look(grammar, &text).is_some());
    }
}
