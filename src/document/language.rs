//! The LSP language id of a file, by its name, for documents that no editor opened; and what an id says of
//! tabs.
//!
//! The name is asked by the command line: in an editor the client says the id. Tabs matter to what is shown.

use std::path::Path;

/// Endings and their language ids: the languages with a grammar, and those whose ids change what is
/// shown. Ids are those of the LSP specification (3.18, `TextDocumentItem`).
const ENDINGS: &[(&str, &[&str])] = &[
    ("c", &["c"]),
    (
        "cpp",
        &["cc", "cpp", "cxx", "c++", "h", "hh", "hpp", "hxx", "ino"],
    ),
    ("csharp", &["cs"]),
    ("css", &["css"]),
    ("dart", &["dart"]),
    ("go", &["go"]),
    ("html", &["htm", "html"]),
    ("java", &["java"]),
    ("javascript", &["cjs", "js", "mjs"]),
    ("javascriptreact", &["jsx"]),
    ("json", &["json"]),
    ("jsonc", &["jsonc"]),
    ("kotlin", &["kt", "kts"]),
    ("lua", &["lua"]),
    ("markdown", &["markdown", "md"]),
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

/// Whether a line of the language may have to begin with a tab, whatever the lines around it begin with.
/// `make` is Vim's id.
pub fn needs_tabs(language_id: &str) -> bool {
    matches!(language_id, "makefile" | "make")
}

#[cfg(test)]
mod tests {
    use super::*;

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
