//! What a file declares: signatures without bodies, read from its tree.
//!
//! The grammars' own tag queries name the declarations; a function is shown up to its body, a type with
//! its members and theirs. Called in idle time only: a whole file is parsed.

use std::collections::BTreeMap;
use std::ops::Range;

use tree_sitter::{Node, Query, QueryCursor, StreamingIterator, Tree};

use crate::grammar::Grammar;

/// Longest declaration shown, in lines and bytes; the rest of a longer one is left out.
const MOST_LINES: usize = 24;
const MOST_BYTES: usize = 900;
/// How deep below a declaration its bodies are looked for.
const MOST_DEPTH: usize = 8;

/// What a name stands for, as far as it decides when it is worth showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A function, constant or macro: found by its name.
    Item,
    /// A type with its members.
    Type,
    /// A member: its name alone says little.
    Member,
}

/// Something declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declaration {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The type it belongs to.
    pub(super) container: Option<String>,
    /// How it is shown: whole lines.
    pub(super) text: String,
    /// Its first line, to know it again.
    pub(super) lines: Range<usize>,
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) text: String,
    pub(super) lines: Range<usize>,
}

/// All of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) declarations: Vec<Declaration>,
    pub(super) imports: Vec<Import>,
}

/// Reads files. Keeps the queries, which take milliseconds to make.
#[derive(Default)]
pub(super) struct Reader {
    queries: Vec<(&'static Grammar, Option<Query>)>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// The outline of `text`; empty when it takes too long to parse.
    pub(super) fn read(&mut self, grammar: &'static Grammar, text: &str) -> Outline {
        let known = |(row, _): &&(&Grammar, _)| std::ptr::eq::<Grammar>(*row, grammar);
        if self.queries.iter().find(known).is_none() {
            self.queries.push((grammar, grammar.tags()));
        }
        let query = self.queries.iter().find(known);
        let (Some((_, Some(query))), Some(tree)) = (query, grammar.parse(text)) else {
            return Outline::default();
        };
        Outline {
            declarations: declarations(query, &tree, text),
            imports: imports(&tree, text),
        }
    }
}

fn declarations(query: &Query, tree: &Tree, text: &str) -> Vec<Declaration> {
    let names = query.capture_names();
    let mut cursor = QueryCursor::new();
    let mut matches = cursor.matches(query, tree.root_node(), text.as_bytes());
    // By the node shown: a method is a function too, and its place tells it is a member.
    let mut found: BTreeMap<(usize, usize), Declaration> = BTreeMap::new();
    while let Some(one) = matches.next() {
        let (mut name, mut defined) = (None, None);
        for capture in one.captures() {
            let index = usize::try_from(capture.index).unwrap_or(usize::MAX);
            match names.get(index).copied().unwrap_or_default() {
                "name" => name = Some(capture.node),
                kind if kind.starts_with("definition.") && kind != "definition.module" => {
                    defined = Some((capture.node, kind));
                }
                _ => {}
            }
        }
        let (Some(name), Some((node, kind))) = (name, defined) else {
            continue;
        };
        let node = whole(node);
        let Some(name) = text.get(name.byte_range()).filter(|n| !n.is_empty()) else {
            continue;
        };
        if ancestors(node).any(is_function) {
            continue;
        }
        let declaration = declaration(node, name, kind, text);
        let key = (node.start_byte(), node.end_byte());
        found.entry(key).or_insert(declaration);
    }
    found.into_values().filter(|d| !d.text.is_empty()).collect()
}

fn declaration(node: Node<'_>, name: &str, kind: &str, text: &str) -> Declaration {
    let holder = ancestors(node).find(|n| n.child_by_field_name("body").is_some());
    let mut container = holder.and_then(|n| type_name(n, text));
    let mut shown = without_bodies(node, text);
    if let Some(holder) = holder
        && let Some(body) = holder.child_by_field_name("body")
        && container.is_some()
    {
        shown = within(holder, body, &shown, text);
    }
    if let Some(receiver) = node.child_by_field_name("receiver") {
        // Go: `func (s *Store) Open()` belongs to `Store`.
        let receiver = text.get(receiver.byte_range()).unwrap_or_default();
        container = super::names::names_in(receiver).last().map(str::to_owned);
    }
    let kind = match kind {
        _ if container.is_some() => Kind::Member,
        "definition.class" | "definition.interface" | "definition.type" => Kind::Type,
        "definition.method" => Kind::Member,
        _ => Kind::Item,
    };
    Declaration {
        name: name.to_owned(),
        kind,
        container,
        text: shortened(&shown),
        lines: node.start_position().row..node.end_position().row + 1,
    }
}

/// The node with the keyword, where the query names a part of it.
fn whole(mut node: Node<'_>) -> Node<'_> {
    while let Some(parent) = node.parent() {
        let part = matches!(
            node.kind(),
            "variable_declarator"
                | "type_spec"
                | "function_declarator"
                | "pointer_declarator"
                | "reference_declarator"
                | "assignment_expression"
        );
        let wrapped = matches!(parent.kind(), "export_statement" | "template_declaration");
        if !part && !wrapped {
            break;
        }
        node = parent;
    }
    node
}

fn ancestors(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    std::iter::successors(node.parent(), Node::parent)
}

/// Whether a node is something that is called: its body is how, not what.
fn is_function(node: Node<'_>) -> bool {
    let kind = node.kind();
    ["function", "method", "constructor", "lambda"]
        .iter()
        .any(|part| kind.contains(part))
        && node.child_by_field_name("body").is_some()
}

/// The name of a type, an `impl` or a class.
fn type_name(node: Node<'_>, text: &str) -> Option<String> {
    if is_function(node) || node.kind() == "mod_item" || node.kind().contains("namespace") {
        return None;
    }
    let name = node
        .child_by_field_name("type")
        .or_else(|| node.child_by_field_name("name"))?;
    let name = text.get(name.byte_range())?;
    super::names::names_in(name).next().map(str::to_owned)
}

/// A member inside the head of its type.
fn within(holder: Node<'_>, body: Node<'_>, member: &str, text: &str) -> String {
    let head = text
        .get(holder.start_byte()..body.start_byte())
        .unwrap_or_default()
        .trim_end();
    let mut out = if body.kind() == "block" {
        format!("{head}\n")
    } else {
        format!("{head} {{\n")
    };
    for line in member.lines() {
        out.push_str("    ");
        out.push_str(line);
        out.push('\n');
    }
    if body.kind() != "block" {
        out.push_str("}\n");
    }
    out
}

/// The text of a node without the bodies of functions, without comments, not indented.
fn without_bodies(node: Node<'_>, text: &str) -> String {
    let mut cuts = Vec::new();
    find_cuts(node, text, 0, &mut cuts);
    let mut out = String::new();
    let mut at = node.start_byte();
    for (cut, instead) in cuts {
        out.push_str(text.get(at..cut.start).unwrap_or_default());
        out.push_str(instead);
        at = cut.end;
    }
    out.push_str(text.get(at..node.end_byte()).unwrap_or_default());
    let column = node.start_position().column;
    let mut lines = String::new();
    for line in out.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        lines.push_str(line.get(indent.min(column)..).unwrap_or(line).trim_end());
        lines.push('\n');
    }
    lines
}

fn find_cuts(
    node: Node<'_>,
    text: &str,
    depth: usize,
    cuts: &mut Vec<(Range<usize>, &'static str)>,
) {
    if node.kind().contains("comment") {
        // Rust's line of documentation ends with the line.
        let line = text
            .get(node.byte_range())
            .is_some_and(|t| t.ends_with('\n'));
        cuts.push((node.byte_range(), if line { "\n" } else { "" }));
        return;
    }
    let body = node
        .child_by_field_name("body")
        .filter(|_| is_function(node));
    if let Some(body) = body {
        let head = text.get(..body.start_byte()).unwrap_or_default().trim_end();
        // Python's body comes after the colon, an arrow function's after the arrow; Rust's `where` may
        // end in a comma.
        let instead = if head.ends_with(':') || head.ends_with("=>") {
            " ..."
        } else if head.ends_with(',') {
            ""
        } else {
            ";"
        };
        cuts.push((head.len()..body.end_byte(), instead));
        return;
    }
    if depth == MOST_DEPTH {
        return;
    }
    let mut walk = node.walk();
    for child in node.children(&mut walk) {
        let docs = child.kind() == "expression_statement"
            && child.child(0).is_some_and(|c| c.kind() == "string");
        if docs {
            cuts.push((child.byte_range(), ""));
        } else {
            find_cuts(child, text, depth + 1, cuts);
        }
    }
}

/// The beginning of a text that is too long, in whole lines.
fn shortened(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().take(MOST_LINES) {
        if out.len() + line.len() >= MOST_BYTES {
            break;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn imports(tree: &Tree, text: &str) -> Vec<Import> {
    let root = tree.root_node();
    let mut walk = root.walk();
    let is_import = |node: &Node<'_>| {
        let kind = node.kind();
        kind.starts_with("import_")
            || matches!(kind, "use_declaration" | "preproc_include" | "extern_crate_declaration")
            // Rust's `mod name;` names a file.
            || (kind == "mod_item" && node.child_by_field_name("body").is_none())
    };
    root.children(&mut walk)
        .filter(is_import)
        .filter_map(|node| {
            let text = text.get(node.byte_range())?.trim_end().to_owned();
            let lines = node.start_position().row..node.end_position().row + 1;
            Some(Import { text, lines })
        })
        .collect()
}

#[cfg(test)]
mod tests;
