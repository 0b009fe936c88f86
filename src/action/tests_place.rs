//! Where tests go: where the language keeps them.

use std::path::{Path, PathBuf};

use super::edit::Change;
use super::indent;
use crate::document::Document;
use crate::document::language::language_id;
use crate::document::position::line_content;
use crate::grammar::Grammar;

/// Where tests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// At the end of the module of tests that the document has: the line of its closing brace.
    Module(usize),
    /// In a module at the document's end.
    End,
    /// In a file of its own, which may exist.
    File(PathBuf),
}

/// The place of tests for `document`, by its language.
pub(super) fn place(document: &Document) -> Place {
    if &*document.language_id == "rust" {
        return module_end(document).map_or(Place::End, Place::Module);
    }
    let path = url::Url::parse(&document.uri).ok();
    let path = path.and_then(|uri| uri.to_file_path().ok());
    match path.and_then(|path| file_of_tests(&path, &document.language_id)) {
        Some(file) => Place::File(file),
        None => Place::End,
    }
}

/// The file of the tests of `path`; `None` where `path` is one itself.
fn file_of_tests(path: &Path, language: &str) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_str()?;
    let ending = path.extension()?.to_str()?;
    let (name, is_one) = match language {
        "python" => (format!("test_{stem}.py"), stem.starts_with("test_")),
        "javascript" | "javascriptreact" | "typescript" | "typescriptreact" => (
            format!("{stem}.test.{ending}"),
            [".test", ".spec"].iter().any(|end| stem.ends_with(end)),
        ),
        "java" | "kotlin" | "csharp" => (format!("{stem}Test.{ending}"), stem.ends_with("Test")),
        _ => (format!("{stem}_test.{ending}"), stem.ends_with("_test")),
    };
    if is_one {
        return None;
    }
    // Maven and Gradle keep them in a tree beside.
    let beside = path.with_file_name(name);
    let tree = beside.to_str().filter(|_| language == "java");
    let in_tree = tree.filter(|path| path.contains("/src/main/"));
    Some(in_tree.map_or_else(
        || beside.clone(),
        |path| PathBuf::from(path.replacen("/src/main/", "/src/test/", 1)),
    ))
}

/// The line of the closing brace of `mod tests`.
fn module_end(document: &Document) -> Option<usize> {
    let text = document.text.to_string();
    let tree = Grammar::of("rust")?.parse(&text)?;
    let root = tree.root_node();
    let mut walk = root.walk();
    let module = root.children(&mut walk).find(|node| {
        let name = node.child_by_field_name("name");
        let name = name.and_then(|name| text.get(name.byte_range()));
        node.kind() == "mod_item" && name == Some("tests")
    })?;
    let body = module.child_by_field_name("body")?;
    Some(body.end_position().row)
}

/// The change that puts `code` into `document` at `place`.
pub(super) fn insertion(document: &Document, place: &Place, code: &str) -> Change {
    let text = &document.text;
    let (at, mut added) = match place {
        Place::Module(line) => {
            let tests = without_module(code);
            let indented = indent::like(&tests, "    x\n");
            (
                text.line_to_byte(*line),
                format!("\n{}", indented.trim_end()) + "\n",
            )
        }
        Place::End | Place::File(_) => {
            let gap = if text.len_bytes() == 0 {
                ""
            } else if ends_line(document) {
                "\n"
            } else {
                "\n\n"
            };
            let tests = match &*document.language_id {
                "rust" => as_module(code),
                _ => code.trim().to_owned(),
            };
            (text.len_bytes(), format!("{gap}{tests}\n"))
        }
    };
    if text.line(0).to_string().ends_with("\r\n") {
        added = added.replace('\n', "\r\n");
    }
    Change {
        range_bytes: at..at,
        text: added,
    }
}

fn ends_line(document: &Document) -> bool {
    let last = document.text.len_lines().saturating_sub(1);
    line_content(&document.text, last).len_bytes() == 0
}

/// The tests of a reply that wraps them in a module, as the inside of one.
fn without_module(code: &str) -> String {
    let inside = match code.find("mod tests").and_then(|at| {
        let open = at + code.get(at..)?.find('{')? + 1;
        code.get(open..code.rfind('}')?)
    }) {
        Some(inside) => inside.trim_matches('\n'),
        None => code.trim_matches('\n'),
    };
    let kept = inside
        .lines()
        .filter(|line| !matches!(line.trim(), "use super::*;" | "#[cfg(test)]"));
    let kept: Vec<&str> = kept.collect();
    kept.join("\n").trim_matches('\n').to_owned() + "\n"
}

/// The tests of a reply as a module of tests.
fn as_module(code: &str) -> String {
    let tests = indent::like(&without_module(code), "    x\n");
    format!(
        "#[cfg(test)]\nmod tests {{\n    use super::*;\n\n{}\n}}",
        tests.trim_end()
    )
}

/// A file that is not there, as a document.
pub(super) fn new_document(path: &Path) -> Option<Document> {
    let uri = url::Url::from_file_path(path).ok()?;
    Some(Document::new(uri.as_str(), 0, language_id(path), ""))
}

#[cfg(test)]
mod tests {
    use super::super::edit::applied;
    use super::*;

    fn rust(text: &str, code: &str) -> String {
        let document = Document::new("file:///p/a.rs", 1, "rust", text);
        let change = insertion(&document, &place(&document), code);
        applied(&document, &[change])
    }

    #[test]
    fn rust_keeps_its_tests_in_a_module() {
        let test = "#[test]\nfn one() {\n    a();\n}\n";
        let module = "#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn one() {\n        \
                      a();\n    }\n}\n";
        for code in [test, module] {
            assert_eq!(
                rust("fn a() {}\n", code),
                format!("fn a() {{}}\n\n{module}")
            );
            assert_eq!(rust("fn a() {}", code), format!("fn a() {{}}\n\n{module}"));
            let has = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n\nfn b() {}\n";
            let after = rust(has, code);
            let expected =
                "    use super::*;\n\n    #[test]\n    fn one() {\n        a();\n    }\n}\n";
            assert!(after.contains(expected), "{after}");
            assert!(after.ends_with("}\n\nfn b() {}\n"), "{after}");
        }
    }

    #[test]
    fn other_languages_keep_them_in_files() {
        for (uri, language, expected) in [
            ("file:///p/mid.py", "python", Some("/p/test_mid.py")),
            ("file:///p/test_mid.py", "python", None),
            ("file:///p/a.tsx", "typescriptreact", Some("/p/a.test.tsx")),
            ("file:///p/a.go", "go", Some("/p/a_test.go")),
            (
                "file:///p/src/main/java/A.java",
                "java",
                Some("/p/src/test/java/ATest.java"),
            ),
            ("untitled:1", "python", None),
        ] {
            let document = Document::new(uri, 1, language, "a\n");
            let place = place(&document);
            match expected {
                Some(file) => assert_eq!(place, Place::File(file.into()), "{uri}"),
                None => assert_eq!(place, Place::End, "{uri}"),
            }
        }
    }
}
