//! The LSP language id of a file, by its name, and what an id says of indentation.
//!
//! Names are asked by the command line, for documents that no editor opened: in an editor the client
//! says the id. What ids say is asked by `inline`.

use std::path::Path;

/// Endings and their language ids: the languages with a grammar, and those whose ids change what is
/// shown. Ids are those of the LSP specification (3.18, `TextDocumentItem`).
const ENDINGS: &[(&str, &[&str])] = &[
    ("c", &["c"]),
    (
        "cpp",
        &["cc", "cpp", "cxx", "c++", "h", "hh", "hpp", "hxx", "ino"],
    ),
    ("coffeescript", &["coffee"]),
    ("csharp", &["cs"]),
    ("css", &["css"]),
    ("dart", &["dart"]),
    ("fsharp", &["fs", "fsi", "fsx"]),
    ("go", &["go"]),
    ("haskell", &["hs"]),
    ("html", &["htm", "html"]),
    ("java", &["java"]),
    ("javascript", &["cjs", "js", "mjs"]),
    ("javascriptreact", &["jsx"]),
    ("json", &["json"]),
    ("jsonc", &["jsonc"]),
    ("kotlin", &["kt", "kts"]),
    ("lua", &["lua"]),
    ("markdown", &["markdown", "md"]),
    ("nim", &["nim"]),
    ("php", &["php"]),
    ("python", &["py", "pyi", "pyw"]),
    ("ruby", &["rb"]),
    ("rust", &["rs"]),
    ("scala", &["scala"]),
    ("shellscript", &["bash", "sh", "zsh"]),
    ("sql", &["sql"]),
    ("swift", &["swift"]),
    ("toml", &["toml"]),
    ("typescript", &["cts", "mts", "ts"]),
    ("typescriptreact", &["tsx"]),
    ("xml", &["xml"]),
    ("yaml", &["yaml", "yml"]),
];

/// Whole names that tell as much, lower case.
const NAMES: &[(&str, &str)] = &[
    ("dockerfile", "dockerfile"),
    ("makefile", "makefile"),
    ("gemfile", "ruby"),
    ("rakefile", "ruby"),
];

/// The language id of the file at `path`; `plaintext` when its name does not tell. A header is C++: of
/// the two grammars it is the one that reads both.
pub fn language_id(path: &Path) -> &'static str {
    let lower = |part: &std::ffi::OsStr| part.to_string_lossy().to_lowercase();
    let name = path.file_name().map(lower).unwrap_or_default();
    if let Some((_, id)) = NAMES.iter().find(|(known, _)| *known == name) {
        return id;
    }
    let ending = path.extension().map(lower).unwrap_or_default();
    ENDINGS
        .iter()
        .find(|(_, endings)| endings.contains(&ending.as_str()))
        .map_or("plaintext", |(id, _)| id)
}

/// Languages in which indentation says what a line belongs to, by the ids of VS Code and of Vim.
const INDENTED: &[&str] = &[
    "agda",
    "ansible",
    "azure-pipelines",
    "coffee",
    "coffeescript",
    "cython",
    "dockercompose",
    "elm",
    "fsharp",
    "gdscript",
    "github-actions-workflow",
    "haml",
    "haskell",
    "helm",
    "home-assistant",
    "idris",
    "jade",
    "lhaskell",
    "make",
    "makefile",
    "mojo",
    "nim",
    "pug",
    "purescript",
    "python",
    "restructuredtext",
    "rst",
    "sass",
    "slim",
    "starlark",
    "stylus",
    "yaml",
];

/// Whether indentation says what a line of the language belongs to. What follows a dot in an id names a
/// dialect.
pub fn is_indented(language_id: &str) -> bool {
    let language = language_id.split('.').next().unwrap_or(language_id);
    INDENTED.contains(&language)
}

/// Whether a line of the language may have to begin with a tab, whatever the lines around it begin with.
pub fn needs_tabs(language_id: &str) -> bool {
    matches!(language_id, "makefile" | "make")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_whether_indentation_counts_and_whether_tabs_do() {
        for (id, indented, tabs) in [
            ("python", true, false),
            ("yaml.ansible", true, false),
            ("make", true, true),
            ("rust", false, false),
            ("plaintext", false, false),
        ] {
            assert_eq!((is_indented(id), needs_tabs(id)), (indented, tabs), "{id}");
        }
    }

    #[test]
    fn a_name_tells_the_language() {
        for (name, id) in [
            ("src/main.rs", "rust"),
            ("A.PY", "python"),
            ("a.test.tsx", "typescriptreact"),
            ("a.h", "cpp"),
            ("Makefile", "makefile"),
            ("notes", "plaintext"),
            ("a.unknown", "plaintext"),
            (".rs", "plaintext"),
        ] {
            assert_eq!(language_id(Path::new(name)), id, "{name}");
        }
    }

    #[test]
    fn an_ending_stands_once() {
        let all: Vec<_> = ENDINGS.iter().flat_map(|(_, endings)| *endings).collect();
        let once: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(all.len(), once.len());
    }
}
