//! Outlines, language by language.

use super::*;

fn outline(language_id: &str, text: &str) -> Outline {
    Reader::default().read(Grammar::of(language_id).unwrap(), text)
}

/// `name: text` of each declaration, one a line.
fn shown(language_id: &str, text: &str) -> String {
    let outline = outline(language_id, text);
    let declarations = outline.declarations.iter();
    let shown: Vec<String> = declarations
        .map(|d| {
            format!(
                "{} {:?}
{}",
                d.name, d.kind, d.text
            )
        })
        .collect();
    shown.concat()
}

#[test]
fn rust() {
    let text = "use std::fs;\nmod b;\n/// Docs.\n#[derive(Debug)]\npub struct Store {\n    \
/// All.\n    open: u32,\n}\n\nimpl Store {\n    /// Opens.\n    pub fn open(&self, path: &str) -> u32 \
{\n        let inner = 1;\n        inner\n    }\n}\n\nimpl Drop for Store {\n    fn drop(&mut self) {}\n}\n\n\
pub fn free<T>(t: T) -> T\nwhere\n    T: Copy,\n{\n    fn local() {}\n    t\n}\n\nconst MOST: usize = 3;\n";
    assert_eq!(
        shown("rust", text),
        "Store Type\npub struct Store {\n    open: u32,\n}\n\
Store Type\nimpl Store {\n    pub fn open(&self, path: &str) -> u32;\n}\n\
open Member\nimpl Store {\n    pub fn open(&self, path: &str) -> u32;\n}\n\
drop Member\nimpl Drop for Store {\n    fn drop(&mut self);\n}\n\
free Item\npub fn free<T>(t: T) -> T\nwhere\n    T: Copy,\n\
MOST Item\nconst MOST: usize = 3;\n"
    );
    let imports = outline("rust", text).imports;
    let texts: Vec<_> = imports
        .iter()
        .map(|i| (i.text.as_str(), i.lines.clone()))
        .collect();
    assert_eq!(texts, [("use std::fs;", 0..1), ("mod b;", 1..2)]);
}

#[test]
fn python() {
    let text = "import os\nfrom a.b import c\n\nclass Store(Base):\n    \"\"\"Docs.\"\"\"\n    size: int = 3\n\n    \
def open(self, path: str) -> int:\n        \"\"\"Docs.\"\"\"\n        return 1\n\ndef free(a, b=2):\n    return a\n";
    assert_eq!(
        shown("python", text),
        "Store Type\nclass Store(Base):\n    size: int = 3\n    def open(self, path: str) -> int: ...\n\
open Member\nclass Store(Base):\n    def open(self, path: str) -> int: ...\n\
free Item\ndef free(a, b=2): ...\n"
    );
    assert_eq!(outline("python", text).imports.len(), 2);
}

#[test]
fn scripts() {
    let text = "import { a } from './a';\nexport class Store {\n  size = 3;\n  open(path: string): number {\n    \
return 1;\n  }\n}\nexport interface Shape { area(): number }\nexport type Id = string | number;\n\
export const free = (a: number): number => {\n  return a;\n};\nexport function named(b: Id): void {}\n";
    let found = shown("typescript", text);
    for part in [
        "Store Type\nexport class Store {\n  size = 3;\n  open(path: string): number;\n}\n",
        "Shape Type\nexport interface Shape { area(): number }\n",
        "Id Type\nexport type Id = string | number;\n",
        "free Item\nexport const free = (a: number): number => ...;\n",
        "named Item\nexport function named(b: Id): void;\n",
        "open Member\n",
    ] {
        assert!(found.contains(part), "{part}\nin\n{found}");
    }
    let found = shown(
        "javascript",
        "export function named(b) { return b; }\nclass A { go(x) { x(); } }\n",
    );
    assert!(
        found.contains("named Item\nexport function named(b);\n"),
        "{found}"
    );
    assert!(found.contains("A Type\nclass A { go(x); }\n"), "{found}");
    assert_eq!(outline("typescript", text).imports.len(), 1);
}

#[test]
fn go() {
    let text = "package a\n\nimport \"fmt\"\n\ntype Store struct {\n\tsize int\n}\n\n\
// Opens.\nfunc (s *Store) Open(path string) (int, error) {\n\treturn 1, nil\n}\n\nfunc Free(a int) {}\n";
    assert_eq!(
        shown("go", text),
        "Store Type\ntype Store struct {\n\tsize int\n}\n\
Open Member\nfunc (s *Store) Open(path string) (int, error);\n\
Free Item\nfunc Free(a int);\n"
    );
    let outline = outline("go", text);
    assert_eq!(outline.declarations[1].container.as_deref(), Some("Store"));
}

#[test]
fn c_and_cpp() {
    let found = shown(
        "c",
        "#include \"a.h\"\nstruct store { int size; };\nint open_store(const char *path);\n\
static int *make(int n) {\n    return 0;\n}\ntypedef unsigned int id;\n",
    );
    for part in [
        "store Type\nstruct store { int size; }\n",
        "open_store Item\nint open_store(const char *path);\n",
        "make Item\nstatic int *make(int n);\n",
        "id Type\ntypedef unsigned int id;\n",
    ] {
        assert!(found.contains(part), "{part}\nin\n{found}");
    }
    let found = shown(
        "cpp",
        "class Store {\npublic:\n  int open(const char *path) { return 1; }\n  int size() const;\n};\n\
int Store::size() const {\n  return 3;\n}\n",
    );
    for part in [
        "Store Type\nclass Store {\npublic:\n  int open(const char *path);\n  int size() const;\n}\n",
        "size Member\nint Store::size() const;\n",
    ] {
        assert!(found.contains(part), "{part}\nin\n{found}");
    }
}

#[test]
fn java() {
    let found = shown(
        "java",
        "import a.b.C;\n/** Docs. */\npublic class Store {\n    private int size;\n\n    \
public Store(int size) {\n        this.size = size;\n    }\n\n    public int open(String path) {\n        \
return 1;\n    }\n}\nenum Color { RED, GREEN }\n",
    );
    for part in [
        "Store Type\npublic class Store {\n    private int size;\n    public Store(int size);\n    \
public int open(String path);\n}\n",
        "open Member\npublic class Store {\n    public int open(String path);\n}\n",
        "Color Type\nenum Color { RED, GREEN }\n",
    ] {
        assert!(found.contains(part), "{part}\nin\n{found}");
    }
}

#[test]
fn broken_and_deep_texts_are_read_without_harm() {
    assert_eq!(outline("rust", ""), Outline::default());
    outline("rust", "fn a( {{{ struct \u{0} impl");
    let deep = format!(
        "const A: T = {}1{};",
        "(".repeat(20_000),
        ")".repeat(20_000)
    );
    outline("rust", &deep);
    let long = format!("struct Long {{\n{}}}\n", "    field: u32,\n".repeat(500));
    let found = outline("rust", &long).declarations;
    assert_eq!(found[0].text.lines().count(), MOST_LINES);
}
