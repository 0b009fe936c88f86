//! Reads the source tree for the rules in `tidy.rs`: files, modules, imports, words.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the tree.
pub(crate) struct Source {
    /// From the repository's root, with `/`.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl Source {
    /// `prompt/fim` for `src/prompt/fim.rs`; nothing for files outside `src`.
    pub(crate) fn module(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.strip_suffix(".rs")
    }

    /// Whether the file is one of `modules` or below it.
    pub(crate) fn is_in(&self, modules: &[&str]) -> bool {
        let Some(module) = self.module() else {
            return false;
        };
        modules.iter().any(|m| {
            module
                .strip_prefix(m)
                .is_some_and(|r| r.is_empty() || r.starts_with('/'))
        })
    }

    /// Whether the file holds nothing but tests: below `tests`, or a module of that name.
    pub(crate) fn is_of_tests(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part == "tests" || part == "tests.rs")
    }

    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == "rs")
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file that Git does not ignore. Panics when the tree cannot be read: a rule that sees
/// no file would hold for ever.
pub(crate) fn tree() -> Vec<Source> {
    let root = root();
    let walk = ignore::WalkBuilder::new(&root)
        .hidden(false)
        .parents(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let mut sources = Vec::new();
    for entry in walk {
        let entry = entry.expect("the tree is readable");
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        // What is not UTF-8 is a picture or the like.
        if let Ok(text) = fs::read_to_string(entry.path()) {
            let path = entry.path().strip_prefix(&root).expect("below the root");
            sources.push(Source {
                path: path.to_string_lossy().replace('\\', "/"),
                text,
            });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        sources.iter().any(|s| s.path == "src/lib.rs"),
        "the walk missed src/lib.rs"
    );
    sources
}

/// A Rust text in two: code with blanks for comments and literals, comments with blanks for the
/// rest. Both keep the lines.
pub(crate) struct Split {
    pub(crate) code: String,
    pub(crate) comments: String,
}

pub(crate) fn split(text: &str) -> Split {
    #[derive(Clone, Copy, PartialEq)]
    enum In {
        Code,
        LineComment,
        BlockComment(usize),
        Text,
        RawText(usize),
    }
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let hashes = |i: usize| chars.iter().skip(i).take_while(|c| **c == '#').count();
    let mut out = Split {
        code: String::new(),
        comments: String::new(),
    };
    let mut state = In::Code;
    let mut i = 0;
    while i < chars.len() {
        // How many characters this step takes, and what state follows it.
        let (taken, next) = match state {
            In::Code => match (at(i), at(i + 1)) {
                ('/', '/') => (2, In::LineComment),
                ('/', '*') => (2, In::BlockComment(1)),
                ('"', _) => (1, In::Text),
                ('r', '#' | '"') if at(i + 1 + hashes(i + 1)) == '"' => {
                    (2 + hashes(i + 1), In::RawText(hashes(i + 1)))
                }
                // A character literal; a lifetime has no closing quote.
                ('\'', '\\') => (4, In::Code),
                ('\'', _) if at(i + 2) == '\'' => (3, In::Code),
                _ => (1, In::Code),
            },
            In::LineComment if at(i) == '\n' => (1, In::Code),
            In::LineComment => (1, In::LineComment),
            In::BlockComment(depth) => match (at(i), at(i + 1)) {
                ('*', '/') if depth == 1 => (2, In::Code),
                ('*', '/') => (2, In::BlockComment(depth - 1)),
                ('/', '*') => (2, In::BlockComment(depth + 1)),
                _ => (1, state),
            },
            In::Text => match at(i) {
                '\\' => (2, In::Text),
                '"' => (1, In::Code),
                _ => (1, In::Text),
            },
            In::RawText(n) if at(i) == '"' && hashes(i + 1) >= n => (1 + n, In::Code),
            In::RawText(_) => (1, state),
        };
        for &c in chars.iter().skip(i).take(taken) {
            let is_code = state == In::Code && next == In::Code && (taken == 1 || c == '\n');
            let is_comment = matches!(state, In::LineComment | In::BlockComment(_));
            let blank = if c == '\n' { '\n' } else { ' ' };
            out.code.push(if is_code { c } else { blank });
            out.comments.push(if is_comment { c } else { blank });
        }
        i += taken;
        state = next;
    }
    out
}

/// The top-level modules of this crate that `code` names, each with its line: `router` for
/// `crate::router::Router` and for `use crate::{config, router::Router}`.
pub(crate) fn modules_named(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut before = 0;
    for (n, part) in code.split("crate::").enumerate() {
        if n > 0 {
            let line = before + 1;
            for name in names_at(part) {
                found.push((line, name));
            }
        }
        before += part.matches('\n').count();
    }
    found
}

/// The names a path goes on with: one, or those of a group in braces.
fn names_at(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name(rest)];
    };
    let mut names = Vec::new();
    let (mut depth, mut member) = (1, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            names.push(name(&member));
            member.clear();
        } else {
            member.push(c);
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// The lines, counted from 1, that hold `word` where no letter, digit or the like stands before it.
pub(crate) fn lines_with(text: &str, word: &str) -> Vec<usize> {
    let joins = |c: char| c.is_alphanumeric() || "_.-}~$)".contains(c);
    let begins = |line: &str, at: usize| {
        line.get(..at)
            .and_then(|before| before.chars().next_back())
            .is_none_or(|c| !joins(c))
    };
    text.lines()
        .zip(1..)
        .filter(|(line, _)| line.match_indices(word).any(|(at, _)| begins(line, at)))
        .map(|(_, number)| number)
        .collect()
}

#[test]
fn code_and_comments_are_told_apart() {
    // (text, code, comments), trailing blanks trimmed.
    const CASES: &[(&str, &str, &str)] = &[
        ("a // b", "a", "     b"),
        (
            "a /* b /* c */ d */ e",
            "a                   e",
            "     b /* c */ d */",
        ),
        (
            r#"f("// no", 'x') // y"#,
            "f(       ,    )",
            "                   y",
        ),
        (
            r##"f(r#"" // "#) // z"##,
            "f(          )",
            "                 z",
        ),
        (r#"f("\"// no") // y"#, "f(         )", "                y"),
        (
            "fn f<'a>(x: &'a str) {} // '",
            "fn f<'a>(x: &'a str) {}",
            "                           '",
        ),
        (r"'\'' // '", "", "        '"),
    ];
    for (text, code, comments) in CASES {
        let found = split(text);
        assert_eq!(found.code.trim_end(), *code, "code of {text}");
        assert_eq!(found.comments.trim_end(), *comments, "comments of {text}");
    }
}

#[test]
fn imports_are_found_however_they_are_written() {
    const CASES: &[(&str, &[(usize, &str)])] = &[
        ("use crate::router::Router;", &[(1, "router")]),
        (
            "\nuse crate::{config, router::{A, B},\n server};",
            &[(2, "config"), (2, "router"), (2, "server")],
        ),
        (
            "fn f() {\n    crate::chat::run(crate::action::KIND)\n}",
            &[(2, "chat"), (2, "action")],
        ),
        ("use other::router;", &[]),
    ];
    for (code, expected) in CASES {
        let found = modules_named(code);
        let found: Vec<(usize, &str)> = found
            .iter()
            .map(|(line, name)| (*line, name.as_str()))
            .collect();
        assert_eq!(found, *expected, "in {code}");
    }
}

#[test]
fn a_file_belongs_to_its_module() {
    const CASES: &[(&str, &[&str], bool)] = &[
        ("src/prompt.rs", &["prompt"], true),
        ("src/prompt/fim.rs", &["prompt"], true),
        ("src/prompter.rs", &["prompt"], false),
        ("src/document/position.rs", &["document/position"], true),
        ("src/document.rs", &["document/position"], false),
        ("tests/prompt.rs", &["prompt"], false),
    ];
    for (path, modules, expected) in CASES {
        let source = Source {
            path: (*path).to_owned(),
            text: String::new(),
        };
        assert_eq!(source.is_in(modules), *expected, "{path} in {modules:?}");
    }
}

#[test]
fn words_are_found_where_they_begin() {
    const CASES: &[(&str, &str, &[usize])] = &[
        ("a\n/x/y", "/x/", &[2]),
        ("file:///x/y", "/x/", &[1]),
        ("é/x/y ~/x/ $HOME}/x/", "/x/", &[]),
        ("use reqwest::Client;", "reqwest", &[1]),
        ("my_reqwest", "reqwest", &[]),
    ];
    for (text, word, expected) in CASES {
        assert_eq!(lines_with(text, word), *expected, "{word} in {text}");
    }
}
