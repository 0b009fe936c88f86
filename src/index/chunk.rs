//! A file's text to chunks: what search finds and what is embedded.
//!
//! Called for files that are new or changed. With a grammar a chunk is a declaration, or the statements of
//! one that is too long, under the heads of what it is in; neighbours that are too small to stand alone
//! join. Other files are cut at headings and empty lines. Invariants: chunks are whole lines, in order,
//! and hold every line that is not empty once; a chunk is no longer than [`MOST_BYTES`] unless a line is.
//!
//! Source of split-then-merge over the syntax tree: Zhang et al., "`cAST`: Enhancing Code Retrieval-Augmented
//! Generation with Structural Chunking via Abstract Syntax Tree", 2025.

use std::ops::Range;

use tree_sitter::Node;

use crate::grammar::Grammar;

/// Longest chunk: about the 512 tokens that the embedded engine reads of a text.
pub(super) const MOST_BYTES: usize = 1_500;
/// What is shorter joins a neighbour: it says nothing alone.
const FEWEST_BYTES: usize = 160;
/// Longest chunk that comes of joining.
const JOINED_BYTES: usize = 1_000;
/// How deep a tree is gone into; deeper nesting is cut by lines.
const MOST_DEPTH: usize = 48;
/// Heads above a chunk, the innermost, and the longest of them in bytes.
const MOST_HEADS: usize = 2;
const HEAD_BYTES: usize = 120;

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Lines, from 0.
    pub(super) lines: Range<usize>,
    /// The same in bytes.
    pub(super) bytes: Range<usize>,
    /// First lines of the declarations it is in, the outermost first.
    pub(super) heads: Vec<String>,
}

/// Lines with what they are in.
#[derive(Debug, Clone)]
struct Piece {
    lines: Range<usize>,
    heads: Vec<String>,
    /// Comments and attributes: they belong to what follows.
    leads: bool,
}

/// The chunks of `text` in an LSP language.
pub(super) fn chunks(language_id: &str, text: &str) -> Vec<Chunk> {
    let lines = Lines::of(text);
    let tree = Grammar::of(language_id).and_then(|grammar| grammar.parse(text));
    let pieces = match &tree {
        Some(tree) => {
            let mut cutter = Cutter {
                lines: &lines,
                pieces: Vec::new(),
            };
            cutter.cut(tree.root_node(), &mut Vec::new(), 0);
            joined(aligned(cutter.pieces, &lines), &lines)
        }
        None => by_lines(0..lines.len(), &lines, &[]),
    };
    let chunk = |piece: Piece| {
        let lines_kept = lines.trimmed(piece.lines);
        let bytes = lines.bytes(&lines_kept);
        (!lines_kept.is_empty()).then_some(Chunk {
            lines: lines_kept,
            bytes,
            heads: piece.heads,
        })
    };
    pieces.into_iter().filter_map(chunk).collect()
}

/// Where lines begin.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        let starts = std::iter::once(0).chain(ends.filter(|at| *at < text.len()));
        Self {
            text,
            starts: if text.is_empty() {
                Vec::new()
            } else {
                starts.collect()
            },
        }
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.text.len())
    }

    fn bytes(&self, lines: &Range<usize>) -> Range<usize> {
        self.start(lines.start)..self.start(lines.end)
    }

    fn size(&self, lines: &Range<usize>) -> usize {
        self.bytes(lines).len()
    }

    fn line(&self, line: usize) -> &'t str {
        self.text
            .get(self.start(line)..self.start(line + 1))
            .unwrap_or_default()
    }

    fn is_empty(&self, line: usize) -> bool {
        self.line(line).trim().is_empty()
    }

    /// Without empty lines at both ends.
    fn trimmed(&self, mut lines: Range<usize>) -> Range<usize> {
        while lines.start < lines.end && self.is_empty(lines.start) {
            lines.start += 1;
        }
        while lines.start < lines.end && self.is_empty(lines.end - 1) {
            lines.end -= 1;
        }
        lines
    }
}

struct Cutter<'l, 't> {
    lines: &'l Lines<'t>,
    pieces: Vec<Piece>,
}

impl Cutter<'_, '_> {
    /// Pieces of a node: itself where it is short enough, else those of its children.
    fn cut(&mut self, node: Node<'_>, heads: &mut Vec<String>, depth: usize) {
        let rows = rows(node);
        let is_leaf = node.child_count() == 0 || depth == MOST_DEPTH;
        if is_leaf || self.lines.size(&rows) <= MOST_BYTES && depth > 0 {
            let leads = node.kind().contains("comment") || node.kind().contains("attribute");
            self.pieces.push(Piece {
                lines: rows,
                heads: heads.clone(),
                leads,
            });
            return;
        }
        let named = node.child_by_field_name("body").is_some();
        if named {
            let head = self.lines.line(rows.start).trim();
            heads.push(
                head.get(..head.floor_char_boundary(HEAD_BYTES))
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        let mut walk = node.walk();
        for child in node.children(&mut walk) {
            self.cut(child, heads, depth + 1);
        }
        if named {
            heads.pop();
        }
    }
}

fn rows(node: Node<'_>) -> Range<usize> {
    let (start, end) = (node.start_position(), node.end_position());
    // A node that ends with its line ends at column 0 of the next.
    let last = if end.column == 0 && end.row > start.row {
        end.row
    } else {
        end.row + 1
    };
    start.row..last
}

/// Pieces that share no line and leave none out: nodes on one line become one piece, and lines between
/// belong to what follows.
fn aligned(pieces: Vec<Piece>, lines: &Lines<'_>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for mut piece in pieces {
        let from = out.last().map_or(0, |last| last.lines.end);
        if piece.lines.start < from {
            let Some(last) = out.last_mut() else { continue };
            last.leads &= piece.leads;
            last.lines.end = last.lines.end.max(piece.lines.end);
            if piece.heads.len() < last.heads.len() {
                last.heads = piece.heads;
            }
            continue;
        }
        piece.lines.start = from;
        out.push(piece);
    }
    match out.last_mut() {
        Some(last) => last.lines.end = last.lines.end.max(lines.len()),
        None => return by_lines(0..lines.len(), lines, &[]),
    }
    out
}

/// Small neighbours joined, long ones cut by lines.
fn joined(pieces: Vec<Piece>, lines: &Lines<'_>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        if let Some(last) = out.last_mut() {
            let (of_last, of_piece) = (lines.size(&last.lines), lines.size(&piece.lines));
            let together = of_last + of_piece;
            let small = of_last.min(of_piece) < FEWEST_BYTES && together <= JOINED_BYTES;
            if (last.leads && together <= MOST_BYTES) || (small && !piece.leads) {
                last.lines.end = piece.lines.end;
                last.leads &= piece.leads;
                if piece.heads.len() < last.heads.len() {
                    last.heads = piece.heads;
                }
                continue;
            }
        }
        out.push(piece);
    }
    let mut cut = Vec::new();
    for mut piece in out {
        let first = piece.heads.len().saturating_sub(MOST_HEADS);
        piece.heads.drain(..first);
        if lines.size(&piece.lines) > MOST_BYTES {
            cut.extend(by_lines(piece.lines, lines, &piece.heads));
        } else {
            cut.push(piece);
        }
    }
    cut
}

/// Cuts before headings and at empty lines, when enough is together.
fn by_lines(range: Range<usize>, lines: &Lines<'_>, heads: &[String]) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut start = range.start;
    let mut push = |lines: Range<usize>| {
        if !lines.is_empty() {
            out.push(Piece {
                lines,
                heads: heads.to_vec(),
                leads: false,
            });
        }
    };
    for line in range.clone() {
        let held = lines.size(&(start..line));
        let next = lines.size(&(line..line + 1));
        let text = lines.line(line);
        let full = held + next > MOST_BYTES;
        let heading = text.starts_with('#') && held >= FEWEST_BYTES && heads.is_empty();
        let gap = line > start && lines.is_empty(line - 1) && held >= JOINED_BYTES;
        if line > start && (full || heading || gap) {
            push(start..line);
            start = line;
        }
    }
    push(start..range.end);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut<'t>(language: &str, text: &'t str) -> Vec<(&'t str, Vec<String>)> {
        let chunks = chunks(language, text);
        chunks
            .into_iter()
            .map(|c| (text.get(c.bytes).unwrap(), c.heads))
            .collect()
    }

    /// A function of about `bytes` bytes.
    fn function(name: &str, bytes: usize) -> String {
        let mut text = format!("fn {name}() {{\n");
        while text.len() + 2 < bytes {
            text.push_str("    let value = other(1);\n");
        }
        text + "}\n"
    }

    #[test]
    fn a_function_is_a_chunk_with_its_comment() {
        let (one, two) = (function("one", 400), function("two", 400));
        let text = format!("//! About.\n\n/// First.\n#[inline]\n{one}\n/// Second.\n{two}");
        let got = cut("rust", &text);
        let starts: Vec<_> = got
            .iter()
            .map(|(text, _)| text.lines().next().unwrap())
            .collect();
        assert_eq!(starts, ["//! About.", "/// Second."], "{got:#?}");
        assert!(got[0].0.ends_with("}\n") && got[0].0.contains("fn one"));
    }

    #[test]
    fn what_is_too_long_is_cut_under_its_head() {
        let methods: String = ["a", "b", "c", "d"]
            .map(|name| function(name, 600))
            .concat();
        let text = format!("impl Store {{\n{methods}}}\n");
        let got = cut("rust", &text);
        assert_eq!(got.len(), 4, "{got:#?}");
        assert!(got[1].0.starts_with("fn b()"), "{got:#?}");
        assert_eq!(got[1].1, ["impl Store {"]);
        let long = cut("rust", &function("long", 4_000)).len();
        assert!((3..=5).contains(&long), "{long}");
        let python = format!(
            "class A:\n    def f(self):\n{}",
            "        x = call(1)\n".repeat(200)
        );
        let got = cut("python", &python);
        assert_eq!(got.last().unwrap().1, ["class A:", "def f(self):"]);
    }

    #[test]
    fn small_neighbours_join() {
        let text = "const A: u32 = 1;\nconst B: u32 = 2;\n\nfn f() {}\nfn g() {}\n";
        assert_eq!(cut("rust", text).len(), 1);
    }

    #[test]
    fn text_is_cut_at_headings() {
        let part = |title: &str| format!("# {title}\n\n{}\n", "Some words of it.\n".repeat(15));
        let text = [part("One"), part("Two"), part("Three")].concat();
        let got = cut("markdown", &text);
        assert_eq!(got.len(), 3);
        assert!(got[1].0.starts_with("# Two"));
        assert!(cut("markdown", "\n \n").is_empty());
        assert!(cut("rust", "").is_empty());
        assert_eq!(cut("plaintext", &"x".repeat(9_000)).len(), 1);
    }

    proptest! {
        #[test]
        fn every_line_is_in_one_chunk(
            language in prop::sample::select(vec!["rust", "python", "go", "plaintext", "markdown"]),
            text in "([a-z(){};:\"#\u{e9} ]{0,30}|fn a\\(\\) \\{|\\}|class A:|    x = 1|\n|\r\n){0,120}",
            times in 1..40_usize,
        ) {
            let text = text.repeat(times);
            let chunks = chunks(language, &text);
            let mut end = 0;
            let mut held = String::new();
            for chunk in &chunks {
                prop_assert!(chunk.bytes.start >= end);
                prop_assert!(chunk.bytes.len() <= MOST_BYTES || chunk.lines.len() == 1);
                end = chunk.bytes.end;
                held.push_str(text.get(chunk.bytes.clone()).unwrap());
            }
            let said = |text: &str| {
                text.split('\n').map(str::trim_end).filter(|l| !l.trim().is_empty()).map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            prop_assert_eq!(said(&held), said(&text));
        }
    }
}
