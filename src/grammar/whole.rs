//! Whole files: their tree, and what of them does not parse.
//!
//! For moments in which nobody types: work is proportional to the file.

use std::ops::ControlFlow;

use tree_sitter::{Node, ParseOptions, Parser, Tree};

use super::Grammar;

/// Steps the parser may take, each about 38 µs: ten times what 512 KiB of usual code take.
const STEPS: u32 = 4_000;
/// Faults that are told; the first is mostly the cause of the others.
const MOST_FAULTS: usize = 3;
/// Longest text shown of a fault, in characters.
const MOST_SHOWN_CHARS: usize = 60;

/// A place that does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 0.
    pub(crate) line: usize,
    /// What is wrong there, in words.
    pub(crate) message: String,
}

impl Grammar {
    /// The tree of `text`; `None` when it takes too long to parse.
    pub(crate) fn parse(&self, text: &str) -> Option<Tree> {
        let mut parser = Parser::new();
        parser.set_language(&self.language()).ok()?;
        let mut steps_left = STEPS;
        let mut within = |_: &_| {
            steps_left = steps_left.saturating_sub(1);
            if steps_left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let options = ParseOptions::new().progress_callback(&mut within);
        let bytes = text.as_bytes();
        let mut read = |at: usize, _| bytes.get(at..).unwrap_or_default();
        parser.parse_with_options(&mut read, None, Some(options))
    }

    /// The first places of `text` that do not parse; `None` when that cannot be told in time.
    pub(crate) fn faults(&self, text: &str) -> Option<Vec<Fault>> {
        let tree = self.parse(text)?;
        let mut faults = Vec::new();
        collect(tree.root_node(), text, &mut faults);
        Some(faults)
    }
}

fn collect(node: Node<'_>, text: &str, faults: &mut Vec<Fault>) {
    if faults.len() == MOST_FAULTS || !(node.has_error() || node.is_missing()) {
        return;
    }
    let line = node.start_position().row;
    if node.is_missing() {
        let message = format!("`{}` is missing", node.kind());
        faults.push(Fault { line, message });
    } else if node.is_error() {
        let shown = text.get(node.byte_range()).unwrap_or_default();
        let shown = shown.lines().next().unwrap_or_default().trim();
        let shown: String = shown.chars().take(MOST_SHOWN_CHARS).collect();
        let message = format!("`{shown}` is not expected");
        faults.push(Fault { line, message });
    } else {
        let mut walk = node.walk();
        for child in node.children(&mut walk) {
            collect(child, text, faults);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_parse_is_told_by_line() {
        let rust = Grammar::of("rust").unwrap();
        assert_eq!(rust.faults("fn a() {}\n"), Some(Vec::new()));
        let faults = rust.faults("fn a() {}\nfn b() { let }\n").unwrap();
        assert_eq!(faults[0].line, 1, "{faults:?}");
        let faults = rust.faults("fn a() {\n    b(1;\n}\n").unwrap();
        assert!(!faults.is_empty());
        let python = Grammar::of("python").unwrap();
        let faults = python.faults("def a(:\n    pass\n").unwrap();
        assert_eq!(faults[0].line, 0, "{faults:?}");
    }
}
