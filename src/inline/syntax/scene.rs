//! What stands around a cursor: read from the nearest lines, and from the tree where there is one.

use ropey::Rope;
use tree_sitter::{Node, Tree};

use super::window::Window;
use crate::grammar::Grammar;
use crate::inline::place::indent_of;

/// Lines looked at above and below the cursor for indentation.
const NEAR_LINES: usize = 48;
/// Longest line, in bytes, that tells something about style.
const LONGEST_LINE_BYTES: usize = 400;

/// What stands around a cursor.
#[derive(Debug, Clone, Default)]
pub(in crate::inline) struct Scene {
    /// Inside a string or a comment.
    pub(in crate::inline) in_text: bool,
    /// Whether a fence of backticks is part of the text here.
    pub(in crate::inline) fences_are_text: bool,
    /// Whether a colon at a line's end begins a block.
    pub(in crate::inline) colon_opens: bool,
    /// The cursor is in an empty block; columns of the line that opened it.
    pub(in crate::inline) block_columns: Option<usize>,
}

/// What a document indents with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inline) enum Indent {
    /// One tab a level.
    Tabs,
    /// So many spaces a level.
    Spaces(usize),
}

impl Indent {
    /// What the lines near byte `offset` are indented with; `None` where none is, or both are.
    pub(in crate::inline) fn near(text: &Rope, offset: usize) -> Option<Self> {
        let line = text.byte_to_line(offset.min(text.len_bytes()));
        let first = line.saturating_sub(NEAR_LINES);
        let (mut with_tab, mut with_spaces) = (0_usize, 0_usize);
        let (mut common, mut least) = (0, usize::MAX);
        let near = text.lines_at(first).zip(first..line + NEAR_LINES);
        for (content, _) in near.filter(|&(_, l)| l != line) {
            if content.len_bytes() > LONGEST_LINE_BYTES {
                continue;
            }
            let spaces = content.chars().take_while(|&c| c == ' ').count();
            let next = content.get_char(spaces);
            if next == Some('\t') && spaces == 0 {
                with_tab += 1;
            } else if spaces > 1 && next.is_some_and(|c| !matches!(c, '\n' | '\r')) {
                with_spaces += 1;
                common = common_divisor(common, spaces);
                least = least.min(spaces);
            }
        }
        match (with_tab, with_spaces) {
            (0, 0) => None,
            (_, 0) => Some(Self::Tabs),
            // One line aligned by hand makes the divisor useless.
            (0, _) => Some(Self::Spaces(if common > 1 { common } else { least })),
            _ => None,
        }
    }
}

const fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

impl Scene {
    /// What the language tells.
    pub(super) fn of_language(language_id: &str) -> Self {
        let grammar = Grammar::of(language_id);
        Self {
            // Of a language that is not known, a colon at the end of a line says what it says in
            // Python, Nim and YAML.
            colon_opens: grammar.is_none_or(|g| g.colon_opens),
            fences_are_text: matches!(
                language_id,
                "markdown" | "mdx" | "quarto" | "rmd" | "asciidoc"
            ),
            ..Self::default()
        }
    }

    /// Adds what the tree of `window` tells.
    pub(super) fn look_at(&mut self, tree: &Tree, grammar: &Grammar, window: &Window) {
        let (before, _) = window.text.split_at(window.cursor);
        self.in_text = in_text(tree, before);
        self.fences_are_text |= self.in_text;
        if self.in_text {
            return;
        }
        let content = before.trim_end().len();
        self.block_columns = if grammar.colon_opens {
            documented_only(tree, grammar, content, window)
        } else {
            empty_braces(tree, grammar, window)
        };
    }
}

/// Whether what is typed at the end of `before` belongs to a string or comment.
fn in_text(tree: &Tree, before: &str) -> bool {
    let cursor = before.len();
    let Some(at) = cursor.checked_sub(1) else {
        return false;
    };
    let new_line = before.ends_with('\n');
    let mut node = tree.root_node().descendant_for_byte_range(at, at);
    while let Some(here) = node {
        let kind = here.kind();
        if kind.contains("interpolation") || kind.contains("substitution") {
            return false;
        }
        let ends_here = here.end_byte() <= cursor;
        if kind.contains("comment") {
            // A comment to the end of the line goes on as long as somebody types.
            return !ends_here || !new_line && !kind.contains("block");
        }
        if kind.contains("string") && !ends_here {
            return true;
        }
        node = here.parent();
    }
    false
}

/// Columns of the line in which the empty block around the cursor was opened.
fn empty_braces(tree: &Tree, grammar: &Grammar, window: &Window) -> Option<usize> {
    let cursor = window.cursor;
    let mut node = tree.root_node().descendant_for_byte_range(cursor, cursor)?;
    loop {
        if grammar.blocks.contains(&node.kind()) && node.start_byte() < cursor {
            break;
        }
        node = node.parent()?;
    }
    let inside = cursor < node.end_byte() && !node.has_error();
    (inside && holds_only_comments(node)).then(|| columns_at(window, node.start_byte()))
}

fn holds_only_comments(node: Node<'_>) -> bool {
    let mut walk = node.walk();
    node.named_children(&mut walk)
        .all(|child| child.kind().contains("comment"))
}

/// Columns of the `def` or `class` whose body, up to byte `content`, is a docstring and nothing else.
fn documented_only(
    tree: &Tree,
    grammar: &Grammar,
    content: usize,
    window: &Window,
) -> Option<usize> {
    let at = content.checked_sub(1)?;
    let mut node = tree.root_node().descendant_for_byte_range(at, at)?;
    while !grammar.blocks.contains(&node.kind()) {
        node = node.parent()?;
    }
    let mut walk = node.walk();
    let mut children = node.named_children(&mut walk);
    let documented = node.named_child_count() == 1
        && node.end_byte() <= window.cursor
        && children.all(|c| c.kind() == "string" || only_string(c));
    let opener = columns_at(window, node.parent()?.start_byte());
    // The cursor's line may be blank and not indented yet.
    let (before, _) = window.text.split_at(window.cursor);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let placed = line.trim().is_empty() && (line.is_empty() || indent_of(line) > opener);
    (documented && placed).then_some(opener)
}

fn only_string(statement: Node<'_>) -> bool {
    statement.kind() == "expression_statement"
        && statement.named_child_count() == 1
        && statement
            .named_child(0)
            .is_some_and(|c| c.kind() == "string")
}

/// Indentation, in columns, of the line of byte `at`.
fn columns_at(window: &Window, at: usize) -> usize {
    let before = window.text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    indent_of(window.text.get(start..).unwrap_or_default())
}
