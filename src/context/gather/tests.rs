//! Blocks, source by source.

use super::*;
use crate::config::Settings;
use crate::context::Context;

const MAIN: &str = "file:///project/src/main.rs";
const STORE: &str = "file:///project/src/store.rs";
const STORE_TEXT: &str = "pub struct Store {\n    open: u32,\n}\n\nimpl Store {\n    \
pub fn snapshot(&self, uri: &str) -> Option<u32> {\n        let found = self.open;\n        \
Some(found)\n    }\n}\n";

/// A session: files opened, changed and closed, and a cursor.
struct Given {
    context: Context,
    gatherer: Gatherer,
    settings: Settings,
    refused: &'static str,
    main: Document,
}

impl Given {
    fn new(main: &str) -> Self {
        let document = Document::new(MAIN, 1, "rust", main);
        let context = Context::default();
        context.opened(&document);
        Self {
            context,
            gatherer: Gatherer::default(),
            settings: Settings::default(),
            refused: "secret",
            main: document,
        }
    }

    fn open(&mut self, uri: &str, text: &str) {
        self.context.opened(&Document::new(uri, 1, "rust", text));
    }

    fn change(&mut self, uri: &str, text: &str) {
        self.context
            .touched(&Document::new(uri, 2, "rust", text), 0);
    }

    fn gather(&mut self) -> Vec<(String, String)> {
        self.gather_at(self.main.text.len_bytes(), 700)
    }

    fn gather_at(&mut self, offset_bytes: usize, budget_tokens: usize) -> Vec<(String, String)> {
        let line = self.main.text.byte_to_line(offset_bytes);
        let (seen, copied) = self.context.snapshot();
        let wish = Wish {
            document: &self.main,
            offset_bytes,
            window_lines: line.saturating_sub(20)..line + 5,
            budget_tokens,
            settings: &self.settings.context,
            redact_secrets: self.settings.privacy.redact_secrets,
            folders: &["/project".into()],
            allowed: &|uri| !uri.contains(self.refused),
        };
        let block = self.gatherer.gather(&wish, &seen, copied.as_ref());
        let Some(block) = block else {
            return Vec::new();
        };
        assert!(block.tokens() <= budget_tokens, "{block:?}");
        assert_eq!(
            (&*block.repository, &*block.path),
            ("project", "src/main.rs")
        );
        let shown = |s: &Snippet| (s.path.to_string(), s.text.to_string());
        block.snippets.iter().map(shown).collect()
    }
}

/// The texts alone.
fn texts(found: &[(String, String)]) -> Vec<&str> {
    found.iter().map(|(_, text)| text.as_str()).collect()
}

const STRUCT: &str = "pub struct Store {\n    open: u32,\n}\n";
const IMPL: &str = "impl Store {\n    pub fn snapshot(&self, uri: &str) -> Option<u32>;\n}\n";

#[test]
fn declarations_of_names_in_use_come_from_other_files() {
    let mut given = Given::new("fn run(store: &Store) {\n    store.\n}\n");
    given.settings.context.open_files = false;
    given.open(STORE, STORE_TEXT);
    let found = given.gather();
    assert_eq!(texts(&found), [STRUCT, IMPL]);
    assert_eq!(found[0].0, "src/store.rs");
    // A member by its name, when it is the only one.
    let mut given = Given::new("fn run() {\n    it.snapshot(\n}\n");
    given.settings.context.open_files = false;
    given.open(STORE, STORE_TEXT);
    assert_eq!(texts(&given.gather()), [IMPL]);
    // A name with many meanings says nothing.
    let mut given = Given::new("fn run() {\n    it.new(\n}\n");
    let many = "impl A { fn new() {} }\nimpl B { fn new() {} }\n";
    given.open(STORE, many);
    assert_eq!(given.gather(), []);
    given.settings.context.declarations = false;
    assert_eq!(given.gather(), []);
}

#[test]
fn the_own_file_adds_what_is_far_from_the_window() {
    let far = "use std::fs::read_dir;\n\npub fn helper_far(a: u8) -> u8 {\n    a\n}\n";
    let main = format!(
        "{far}{}fn near_one() {{}}\nfn run() {{\n    read_dir(helper_far(near_one(",
        "// x\n".repeat(200)
    );
    let mut given = Given::new(&main);
    let found = given.gather();
    assert_eq!(
        texts(&found),
        [
            "pub fn helper_far(a: u8) -> u8;\n",
            "use std::fs::read_dir;\n"
        ]
    );
    assert_eq!(found[0].0, "src/main.rs");
}

const TWIN: &str = "fn twin() {\n    let reader = open_archive(path);\n    let entry = reader.next_entry();\n    \
entry.unpack_into(folder);\n    reader.finish_reading();\n}\n";

#[test]
fn similar_windows_come_from_files_of_the_language() {
    let near =
        "fn run() {\n    let entry = open_archive(path);\n    entry.unpack_into(folder, reader";
    let mut given = Given::new(near);
    given.settings.context.declarations = false;
    given.open(STORE, TWIN);
    let python = Document::new("file:///project/src/store.py", 1, "python", TWIN);
    given.context.opened(&python);
    given.open(
        "file:///project/src/far.rs",
        "fn other() {\n    nothing(alike);\n}\n",
    );
    given
        .context
        .opened(&Document::new("file:///project/a.md", 1, "markdown", TWIN));
    given.context.closed(STORE);
    let found = given.gather();
    assert_eq!(found[0], ("src/store.rs".to_owned(), TWIN.to_owned()));
    assert!(
        found
            .iter()
            .all(|(path, _)| path != "a.md" && path != "src/store.py" && path != "src/far.rs")
    );
    given.settings.context.open_files = false;
    assert_eq!(given.gather(), []);
}

#[test]
fn a_window_that_repeats_what_is_there_is_left_out() {
    let mut given = Given::new(&TWIN.replace("twin", "same"));
    given.settings.context.declarations = false;
    given.open(STORE, TWIN);
    assert_eq!(given.gather(), []);
}

#[test]
fn recent_edits_come_from_all_files_and_the_latest_first() {
    let mut given = Given::new("fn run() {\n    ");
    given.settings.context.open_files = false;
    let text = "first_line\n".to_owned() + &"plain\n".repeat(30) + "last_line\n";
    given.open(STORE, &text);
    assert_eq!(given.gather(), []);
    given.change(STORE, &text.replace("first_line", "changed_first"));
    assert_eq!(texts(&given.gather()), ["changed_first\nplain\nplain\n"]);
    let both = text
        .replace("first_line", "changed_first")
        .replace("last_line", "changed_last");
    given.change(STORE, &both);
    // The order is kept: what is new stands behind.
    assert_eq!(
        texts(&given.gather()),
        [
            "changed_first\nplain\nplain\n",
            "plain\nplain\nchanged_last\n"
        ]
    );
    given.settings.context.recent_edits = false;
    assert_eq!(given.gather(), []);
}

#[test]
fn copied_text_is_shown_and_a_password_is_not() {
    let mut given = Given::new("fn run() {\n    ");
    for (text, uri, expected) in [
        ("let a = one();\r\nlet b = two();", None, Some("clipboard")),
        ("let a = one();", Some(STORE), Some("src/store.rs")),
        ("let a = one();", Some("file:///project/secret.rs"), None),
        ("correct-horse-battery-staple", None, None),
        ("  \n", None, None),
    ] {
        given.context.copied(text, uri);
        let found = given.gather();
        assert_eq!(
            found.first().map(|(path, _)| path.as_str()),
            expected,
            "{text}"
        );
    }
    given.context.copied("let a = one();", None);
    given.settings.context.clipboard = false;
    assert_eq!(given.gather(), []);
}

#[test]
fn refused_files_and_keys_stay_out_whatever_the_source() {
    let mut given =
        Given::new("fn run(store: &Store) {\n    let entry = open_archive(path, reader, folder");
    let secret = "file:///project/secret.rs";
    given.open(secret, &format!("{STORE_TEXT}{TWIN}"));
    given.change(secret, &format!("{STORE_TEXT}// changed one\n{TWIN}"));
    assert_eq!(given.gather(), []);
    let key = format!("{TWIN}// token ghp_{}\n", "a1B2".repeat(10));
    given.open(STORE, &key);
    assert!(
        texts(&given.gather())
            .iter()
            .all(|text| !text.contains("ghp_"))
    );
}

#[test]
fn budgets_hold_and_what_stays_keeps_its_order() {
    let mut given = Given::new("fn run(store: &Store) {\n    store.\n    let x: Shape = y;\n}\n");
    given.settings.context.open_files = false;
    given.open(STORE, STORE_TEXT);
    assert_eq!(texts(&given.gather_at(40, 40)), [STRUCT]);
    let small = given.gather_at(40, 700);
    assert_eq!(texts(&small), [STRUCT, IMPL]);
    // Another file's type is nearer to the cursor now, and stands behind all the same.
    given.open("file:///project/src/shape.rs", "pub struct Shape(u32);\n");
    let found = given.gather_at(given.main.text.len_bytes() - 5, 700);
    assert_eq!(texts(&found), [STRUCT, IMPL, "pub struct Shape(u32);\n"]);
    // One that changed moves behind; the others keep their order.
    given.change(STORE, &STORE_TEXT.replace("open: u32", "open: u64"));
    given.settings.context.recent_edits = false;
    let found = given.gather_at(given.main.text.len_bytes() - 5, 700);
    let changed = STRUCT.replace("u32", "u64");
    assert_eq!(
        texts(&found),
        [IMPL, "pub struct Shape(u32);\n", changed.as_str()]
    );
    given.settings.context.declarations_tokens = 0;
    assert_eq!(given.gather(), []);
}

#[test]
fn a_block_is_the_same_however_often_it_is_made() {
    let build = || {
        let mut given = Given::new(
            "fn run(store: &Store) {\n    let entry = open_archive(path, reader, folder",
        );
        given.open(STORE, STORE_TEXT);
        for n in 0..6 {
            given.open(&format!("file:///project/src/{n}.rs"), TWIN);
        }
        given.change(STORE, &STORE_TEXT.replace("found", "kept"));
        let first = given.gather();
        assert_eq!(given.gather(), first);
        first
    };
    assert_eq!(build(), build());
    assert!(!build().is_empty());
}
