//! The languages whose grammar is built in: one row each.
//!
//! Read by `inline/syntax`, for what stands at the cursor, by `context`, for what files declare, by `index`, to
//! cut files up, and by `action`, for whether an edit breaks what parsed. Sources: the grammars' own
//! `node-types.json` and `tags.scm`, in the versions of
//! `Cargo.lock`.

use tree_sitter::{Language, Query};

mod whole;

pub(crate) use whole::Fault;

/// A language, as the rules of stopping and showing need it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grammar {
    /// LSP language ids.
    ids: &'static [&'static str],
    load: fn() -> Language,
    /// Queries for declarations: `@name` within `@definition.*`.
    tags: &'static [&'static str],
    /// Ends of the names of files in the language, likeliest first, each with what stands before it.
    pub(crate) files: &'static [&'static str],
    /// Nodes that hold statements, members or entries.
    pub(crate) blocks: &'static [&'static str],
    /// Whether a colon at the end of a line begins a block, and indentation ends it.
    pub(crate) colon_opens: bool,
    /// What may stand after a text that is unfinished for a good reason, to judge the rest of it.
    pub(crate) endings: &'static [&'static str],
    /// What may stand after a text of which more is to come, to judge what there is of it.
    pub(crate) rests: &'static [&'static str],
}

/// Statements and heads of languages with braces: the head's block, the statement's semicolon.
const BRACES: &[&str] = &[";", " {}"];

/// What statements and heads of Rust begin with: `let mut`, `if !a`, `for a`, `pub`.
const RUST_RESTS: &[&str] = &[
    " x;",
    " x {}",
    " in x {}",
    "() {}",
    " x() {}",
    " x in x {}",
    " x = x {}",
    " fn x() {}",
];
/// The same where heads have parentheses: `const a =`, `if`, `class A`, `for`.
const SCRIPT_RESTS: &[&str] = &[" x;", " (x) {}", " x {}", " = x;", " (;;) {}"];
const C_RESTS: &[&str] = &[" x;", " (x) {}", " x {};", " (;;) {}"];
const JAVA_RESTS: &[&str] = &[" x;", " (x) {}", " x {}", " void x() {}", " (;;) {}"];
const PYTHON_RESTS: &[&str] = &[
    " x",
    " x: pass",
    " in x: pass",
    " x in x: pass",
    "(): pass",
    " import x",
];
const GO_RESTS: &[&str] = &[
    " x",
    " x {}",
    " := x",
    " := range x {}",
    " range x {}",
    "() {}",
    " x x",
];

const ROWS: &[Grammar] = &[
    Grammar {
        ids: &["rust"],
        load: || tree_sitter_rust::LANGUAGE.into(),
        tags: &[tree_sitter_rust::TAGS_QUERY, RUST_TAGS],
        files: &[".rs", "/mod.rs"],
        blocks: &[
            "block",
            "declaration_list",
            "field_declaration_list",
            "enum_variant_list",
            "match_block",
        ],
        colon_opens: false,
        endings: BRACES,
        rests: RUST_RESTS,
    },
    Grammar {
        ids: &["python"],
        load: || tree_sitter_python::LANGUAGE.into(),
        tags: &[tree_sitter_python::TAGS_QUERY],
        files: &[".py", "/__init__.py"],
        blocks: &["block"],
        colon_opens: true,
        endings: &[" pass", ": pass"],
        rests: PYTHON_RESTS,
    },
    Grammar {
        ids: &["typescript"],
        load: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        tags: &[
            tree_sitter_typescript::TAGS_QUERY,
            tree_sitter_javascript::TAGS_QUERY,
            SCRIPT_TAGS,
        ],
        files: SCRIPTS,
        blocks: SCRIPT_BLOCKS,
        colon_opens: false,
        endings: BRACES,
        rests: SCRIPT_RESTS,
    },
    Grammar {
        ids: &["typescriptreact"],
        load: || tree_sitter_typescript::LANGUAGE_TSX.into(),
        tags: &[
            tree_sitter_typescript::TAGS_QUERY,
            tree_sitter_javascript::TAGS_QUERY,
            SCRIPT_TAGS,
        ],
        files: SCRIPTS,
        blocks: SCRIPT_BLOCKS,
        colon_opens: false,
        endings: BRACES,
        rests: SCRIPT_RESTS,
    },
    Grammar {
        ids: &["javascript", "javascriptreact"],
        load: || tree_sitter_javascript::LANGUAGE.into(),
        tags: &[tree_sitter_javascript::TAGS_QUERY],
        files: SCRIPTS,
        blocks: &["statement_block", "class_body", "switch_body"],
        colon_opens: false,
        endings: BRACES,
        rests: SCRIPT_RESTS,
    },
    Grammar {
        ids: &["go"],
        load: || tree_sitter_go::LANGUAGE.into(),
        tags: &[tree_sitter_go::TAGS_QUERY],
        files: &[".go"],
        blocks: &["block", "field_declaration_list", "interface_type"],
        colon_opens: false,
        endings: &[" {}"],
        rests: GO_RESTS,
    },
    Grammar {
        ids: &["c"],
        load: || tree_sitter_c::LANGUAGE.into(),
        tags: &[tree_sitter_c::TAGS_QUERY],
        files: &[".h", ""],
        blocks: &[
            "compound_statement",
            "field_declaration_list",
            "enumerator_list",
        ],
        colon_opens: false,
        endings: BRACES,
        rests: C_RESTS,
    },
    Grammar {
        ids: &["cpp"],
        load: || tree_sitter_cpp::LANGUAGE.into(),
        tags: &[tree_sitter_cpp::TAGS_QUERY],
        files: &[".h", ".hpp", ".hh", ""],
        blocks: &[
            "compound_statement",
            "field_declaration_list",
            "enumerator_list",
            "declaration_list",
        ],
        colon_opens: false,
        endings: BRACES,
        rests: C_RESTS,
    },
    Grammar {
        ids: &["java"],
        load: || tree_sitter_java::LANGUAGE.into(),
        tags: &[tree_sitter_java::TAGS_QUERY, JAVA_TAGS],
        files: &[".java"],
        blocks: &[
            "block",
            "class_body",
            "interface_body",
            "enum_body",
            "constructor_body",
            "switch_block",
        ],
        colon_opens: false,
        endings: BRACES,
        rests: JAVA_RESTS,
    },
];

const SCRIPTS: &[&str] = &[
    ".ts",
    ".tsx",
    ".js",
    ".jsx",
    "/index.ts",
    "/index.tsx",
    "/index.js",
];

/// What the grammar's own tags leave out.
const RUST_TAGS: &str = "
(impl_item type: [(type_identifier) @name (generic_type type: (type_identifier) @name)] !trait)
  @definition.class
(const_item name: (identifier) @name) @definition.constant
(static_item name: (identifier) @name) @definition.constant
(function_signature_item name: (identifier) @name) @definition.method";
const SCRIPT_TAGS: &str = "
(type_alias_declaration name: (type_identifier) @name) @definition.type
(enum_declaration name: (identifier) @name) @definition.class";
const JAVA_TAGS: &str = "
(enum_declaration name: (identifier) @name) @definition.class
(record_declaration name: (identifier) @name) @definition.class";

const SCRIPT_BLOCKS: &[&str] = &[
    "statement_block",
    "class_body",
    "interface_body",
    "object_type",
    "switch_body",
];

impl Grammar {
    /// The grammar of an LSP language id.
    pub(crate) fn of(language_id: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.ids.contains(&language_id))
    }

    /// One query for all declarations; `None` when the row's queries do not fit its grammar.
    pub(crate) fn tags(&self) -> Option<Query> {
        Query::new(&self.language(), &self.tags.join("\n")).ok()
    }

    /// The parser's tables; a pointer to static data.
    pub(crate) fn language(&self) -> Language {
        (self.load)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grammar_loads_and_has_the_blocks_its_row_names() {
        for row in ROWS {
            let language = row.language();
            tree_sitter::Parser::new().set_language(&language).unwrap();
            for block in row.blocks {
                let id = language.id_for_node_kind(block, true);
                assert_ne!(id, 0, "{:?} has no {block}", row.ids);
            }
            assert!(row.tags().is_some(), "{:?}", row.ids);
            for id in row.ids {
                assert_eq!(Grammar::of(id).unwrap().ids, row.ids);
            }
        }
        assert!(Grammar::of("brainfuck").is_none());
    }
}
