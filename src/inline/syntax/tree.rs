//! Parse trees, each made from the one before it.
//!
//! The window at the cursor has a tree of its own, made anew only where the window changed since the
//! last one. What a text would make of the window is read on a copy of that tree that is told where the
//! text stands, so its cost is that of the text and not of the window, and nothing is copied or compared.

use std::ops::{ControlFlow, Range};

use tree_sitter::{InputEdit, Node, ParseOptions, Parser, Point, Tree};

use super::window::Window;
use crate::common_prefix::common_prefix;
use crate::grammar::Grammar;

/// Looks at one window before it is given up.
const MOST_LOOKS: u32 = 6;

/// The parser and the window it read last.
#[derive(Default)]
pub(super) struct Trees {
    /// Set to the grammar beside it.
    parser: Option<(Parser, &'static Grammar)>,
    last: Option<Base>,
    /// The window that was not read to its end, and how often it was looked at.
    unread: Option<(String, u32)>,
    /// Steps left of what was allowed.
    steps_left: Option<u32>,
}

/// A window and its tree.
struct Base {
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

    /// The tree of a window; `None` when the steps run out. The next looks at it go on where this one
    /// ended, until it was too often.
    pub(super) fn look(&mut self, grammar: &'static Grammar, window: &Window) -> Option<Tree> {
        let text = &window.text;
        self.speak(grammar)?;
        let looks = match self.unread.take() {
            Some((unread, looks)) if unread == *text => {
                if looks >= MOST_LOOKS {
                    self.unread = Some((unread, looks));
                    return None;
                }
                looks
            }
            Some(_) => {
                self.forget();
                0
            }
            None => 0,
        };
        let old = match self.last.take() {
            Some(last) if last.text == *text => {
                let tree = last.tree.clone();
                self.last = Some(last);
                return Some(tree);
            }
            Some(mut last) => {
                last.tree.edit(&edit_between(&last.text, text));
                Some(last.tree)
            }
            None => None,
        };
        let bytes = text.as_bytes();
        let Some(tree) = self.parse(old.as_ref(), |at| bytes.get(at..)) else {
            self.unread = Some((text.clone(), looks + 1));
            if looks + 1 >= MOST_LOOKS {
                self.forget();
            }
            return None;
        };
        self.last = Some(Base {
            text: text.clone(),
            tree: tree.clone(),
        });
        Some(tree)
    }

    /// The tree of `window`, which is `base`, with `inserted` at the cursor; `None` when the steps run out.
    pub(super) fn look_with(
        &mut self,
        base: &Tree,
        window: &Window,
        inserted: &str,
    ) -> Option<Tree> {
        let (before, after) = window.sides();
        let at = point_of(before, Point::new(0, 0));
        let with = window.cursor + inserted.len();
        let mut old = base.clone();
        old.edit(&InputEdit {
            start_byte: window.cursor,
            old_end_byte: window.cursor,
            new_end_byte: with,
            start_position: at,
            old_end_position: at,
            new_end_position: point_of(inserted, at),
        });
        let tree = self.parse(Some(&old), |byte| {
            let (piece, from) = match byte {
                byte if byte < window.cursor => (before, 0),
                byte if byte < with => (inserted, window.cursor),
                _ => (after, with),
            };
            piece.as_bytes().get(byte - from..)
        });
        if tree.is_none() {
            self.forget();
        }
        tree
    }

    /// Whether [`Trees::look`] has more to say of the window than it has said.
    pub(super) fn has_more(&self, window: &Window) -> bool {
        let unread = self.unread.as_ref();
        unread.is_some_and(|(text, looks)| *text == window.text && *looks < MOST_LOOKS)
    }

    /// Lets go of what was not read to its end.
    fn forget(&mut self) {
        if let Some((parser, _)) = &mut self.parser {
            parser.reset();
        }
    }

    /// Sets the parser to a grammar.
    fn speak(&mut self, grammar: &'static Grammar) -> Option<()> {
        if self
            .parser
            .as_ref()
            .is_some_and(|(_, known)| std::ptr::eq(*known, grammar))
        {
            return Some(());
        }
        self.last = None;
        self.unread = None;
        let mut parser = Parser::new();
        parser.set_language(&grammar.language()).ok()?;
        self.parser = Some((parser, grammar));
        Some(())
    }

    fn parse<'t>(
        &mut self,
        old: Option<&Tree>,
        text: impl Fn(usize) -> Option<&'t [u8]>,
    ) -> Option<Tree> {
        let (parser, _) = self.parser.as_mut()?;
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
        parser.parse_with_options(
            &mut |at, _| text(at).unwrap_or_default(),
            old,
            Some(options),
        )
    }
}

/// What changed from `old` to `new`, as one replacement.
fn edit_between(old: &str, new: &str) -> InputEdit {
    let (a, b) = (old.as_bytes(), new.as_bytes());
    let start = common_prefix(a, b);
    let most = a.len().min(b.len()) - start;
    let same = a.iter().rev().zip(b.iter().rev()).take(most);
    let end = same.take_while(|(x, y)| x == y).count();
    let at = |text: &[u8], byte: usize| point(text.get(..byte).unwrap_or_default());
    InputEdit {
        start_byte: start,
        old_end_byte: a.len() - end,
        new_end_byte: b.len() - end,
        start_position: at(a, start),
        old_end_position: at(a, a.len() - end),
        new_end_position: at(b, b.len() - end),
    }
}

/// Row and column, in bytes, of the end of `text`.
fn point(text: &[u8]) -> Point {
    let row = memchr::memchr_iter(b'\n', text).count();
    let line = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
    Point::new(row, text.len() - line)
}

/// Row and column of the end of a text that begins at `from`.
fn point_of(text: &str, from: Point) -> Point {
    let Point { row, column } = point(text.as_bytes());
    if row == 0 {
        Point::new(from.row, from.column + column)
    } else {
        Point::new(from.row + row, column)
    }
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

    /// The window that is all of a text, with the cursor at `|` or at the end.
    fn window(text: &str) -> Window {
        Window {
            cursor: text.find('|').unwrap_or(text.len()),
            text: text.replacen('|', "", 1),
        }
    }

    #[test]
    fn a_tree_made_from_another_equals_one_made_anew() {
        let grammar = Grammar::of("rust").unwrap();
        let mut kept = Trees::default();
        let anew = |text: &str| {
            let tree = Trees::default().look(grammar, &window(text)).unwrap();
            tree.root_node().to_sexp()
        };
        for text in [
            "fn a() {\n    b();|\n}\n",
            "fn a() {\n    bü();|\n}\n",
            "fn a() {\n    bü(c, \"é\");\n}|\n",
            "fn a() {|\n}\n",
            "|",
            "struct A;\n|",
            "fn a() {|",
        ] {
            let here = window(text);
            let tree = kept.look(grammar, &here).unwrap();
            assert_eq!(tree.root_node().to_sexp(), anew(text));
            for inserted in ["", "x", "\n    é();\n    f(", "}\n\nfn c() {\n"] {
                let with = kept.look_with(&tree, &here, inserted).unwrap();
                let whole = text.replacen('|', inserted, 1);
                assert_eq!(with.root_node().to_sexp(), anew(&whole), "{whole:?}");
            }
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
            let window = window(text);
            let tree = Trees::default().look(grammar, &window).unwrap();
            let faults = Faults::of(&tree, &(window.cursor - 8..window.cursor + 2));
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
        let text = window(&"fn a() { b(); }\n".repeat(2_000));
        trees.allow(0);
        assert!(trees.look(grammar, &text).is_none());
        assert!(trees.has_more(&text));
        trees.steps_left = None;
        assert!(trees.look(grammar, &text).is_some());
        assert!(!trees.has_more(&text));
    }

    #[test]
    fn a_long_window_is_read_in_several_looks_and_then_given_up() {
        let grammar = Grammar::of("rust").unwrap();
        let item = "fn a() { b(); }\n";
        for (copies, looks) in [(1, 1), (100, 2), (10_000, MOST_LOOKS + 3)] {
            let text = window(&item.repeat(copies));
            let mut trees = Trees::default();
            let mut looked = 0;
            let tree = loop {
                trees.allow(20);
                looked += 1;
                let tree = trees.look(grammar, &text);
                if tree.is_some() || looked == looks {
                    break tree;
                }
            };
            assert_eq!(tree.is_some(), looks <= MOST_LOOKS, "{copies}");
            assert!(!trees.has_more(&text));
            if let Some(tree) = tree {
                trees.steps_left = None;
                let anew = Trees::default().look(grammar, &text).unwrap();
                assert_eq!(tree.root_node().to_sexp(), anew.root_node().to_sexp());
            }
            // What comes next is read from its beginning.
            trees.steps_left = None;
            let next = trees.look(grammar, &window("struct A;")).unwrap();
            assert!(!next.root_node().has_error());
        }
    }
}
