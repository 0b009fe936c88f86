//! The languages whose grammar is built in: one row each.
//!
//! Sources: the grammars' own `node-types.json`, in the versions of `Cargo.lock`.

use tree_sitter::Language;

/// A language, as the rules of stopping and showing need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grammar {
    /// LSP language ids.
    ids: &'static [&'static str],
    load: fn() -> Language,
    /// Nodes that hold statements, members or entries.
    pub(super) blocks: &'static [&'static str],
    /// Whether a colon at the end of a line begins a block, and indentation ends it.
    pub(super) colon_opens: bool,
    /// What may stand after a text that is unfinished for a good reason, to judge the rest of it.
    pub(super) endings: &'static [&'static str],
}

/// Statements and heads of languages with braces: the head's block, the statement's semicolon.
const BRACES: &[&str] = &[";", " {}"];

const ROWS: &[Grammar] = &[
    Grammar {
        ids: &["rust"],
        load: || tree_sitter_rust::LANGUAGE.into(),
        blocks: &[
            "block",
            "declaration_list",
            "field_declaration_list",
            "enum_variant_list",
            "match_block",
        ],
        colon_opens: false,
        endings: BRACES,
    },
    Grammar {
        ids: &["python"],
        load: || tree_sitter_python::LANGUAGE.into(),
        blocks: &["block"],
        colon_opens: true,
        endings: &[" pass", ": pass"],
    },
    Grammar {
        ids: &["typescript"],
        load: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        blocks: SCRIPT_BLOCKS,
        colon_opens: false,
        endings: BRACES,
    },
    Grammar {
        ids: &["typescriptreact"],
        load: || tree_sitter_typescript::LANGUAGE_TSX.into(),
        blocks: SCRIPT_BLOCKS,
        colon_opens: false,
        endings: BRACES,
    },
    Grammar {
        ids: &["javascript", "javascriptreact"],
        load: || tree_sitter_javascript::LANGUAGE.into(),
        blocks: &["statement_block", "class_body", "switch_body"],
        colon_opens: false,
        endings: BRACES,
    },
    Grammar {
        ids: &["go"],
        load: || tree_sitter_go::LANGUAGE.into(),
        blocks: &["block", "field_declaration_list", "interface_type"],
        colon_opens: false,
        endings: &[" {}"],
    },
    Grammar {
        ids: &["c"],
        load: || tree_sitter_c::LANGUAGE.into(),
        blocks: &[
            "compound_statement",
            "field_declaration_list",
            "enumerator_list",
        ],
        colon_opens: false,
        endings: BRACES,
    },
    Grammar {
        ids: &["cpp"],
        load: || tree_sitter_cpp::LANGUAGE.into(),
        blocks: &[
            "compound_statement",
            "field_declaration_list",
            "enumerator_list",
            "declaration_list",
        ],
        colon_opens: false,
        endings: BRACES,
    },
    Grammar {
        ids: &["java"],
        load: || tree_sitter_java::LANGUAGE.into(),
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
    },
];

const SCRIPT_BLOCKS: &[&str] = &[
    "statement_block",
    "class_body",
    "interface_body",
    "object_type",
    "switch_body",
];

impl Grammar {
    /// The grammar of an LSP language id.
    pub(super) fn of(language_id: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.ids.contains(&language_id))
    }

    /// The parser's tables; a pointer to static data.
    pub(super) fn language(&self) -> Language {
        (self.load)()
    }
}

#[cfg(test)]
mod tests {
    use tree_sitter::Parser;

    use super::*;

    #[test]
    fn every_grammar_loads_and_has_the_blocks_its_row_names() {
        for row in ROWS {
            let language = row.language();
            Parser::new().set_language(&language).unwrap();
            for block in row.blocks {
                let id = language.id_for_node_kind(block, true);
                assert_ne!(id, 0, "{:?} has no {block}", row.ids);
            }
            for id in row.ids {
                assert_eq!(Grammar::of(id).unwrap().ids, row.ids);
            }
        }
        assert!(Grammar::of("brainfuck").is_none());
    }
}
