//! What grammars tell, row by row, and what it costs.

use std::time::Instant;

use super::*;

fn at_cursor(language_id: &str, text: &str) -> (Document, usize) {
    let offset = text.find('|').unwrap();
    let document = Document::new("u", 1, language_id, &text.replacen('|', "", 1));
    (document, offset)
}

/// The scene with the tree looked at, wherever the cursor is.
fn look(syntax: &Syntax, document: &Document, offset: usize) -> Scene {
    let mut scene = Scene::of_language(&document.language_id);
    if let Some(grammar) = Grammar::of(&document.language_id) {
        let mut looking = syntax.looking();
        let (trees, window) = looking.at(document, offset);
        let tree = trees.look(grammar, window).unwrap();
        scene.look_at(&tree, grammar, window);
    }
    scene
}

#[test]
fn strings_comments_and_empty_blocks_are_seen() {
    for (language_id, text, in_text, block_columns) in [
        ("rust", "fn a() {\n    |\n}\n", false, Some(0)),
        (
            "rust",
            "fn a() {\n    // First.\n    |\n}\n",
            false,
            Some(0),
        ),
        ("rust", "fn a() {\n    b();\n    |\n}\n", false, None),
        (
            "rust",
            "impl A {\n    fn a() {\n        |\n    }\n}\n",
            false,
            Some(4),
        ),
        ("rust", "// if a {|\nfn b() {}\n", true, None),
        ("rust", "/// A.\n|\nfn b() {}\n", false, None),
        ("rust", "fn a() {\n    b(\"if {|\");\n}\n", true, None),
        (
            "python",
            "def a():\n    \"\"\"Says so.\"\"\"\n    |\n",
            false,
            Some(0),
        ),
        (
            "python",
            "def a():\n    \"\"\"Says so.\"\"\"\n|\n",
            false,
            Some(0),
        ),
        (
            "python",
            "def a():\n    \"\"\"Says: |\n    \"\"\"\n    b()\n",
            true,
            None,
        ),
        ("python", "def a():\n    b()\n    |\n", false, None),
        ("python", "x = 1  # if:|\n", true, None),
        ("python", "x = f\"{|}\"\n", false, None),
        ("typescript", "class A {\n  |\n}\n", false, Some(0)),
        (
            "typescriptreact",
            "const a = () => {\n  |\n};\n",
            false,
            Some(0),
        ),
        ("javascript", "if (a) {\n  |\n}\n", false, Some(0)),
        ("javascript", "const a = `${|}`;\n", false, None),
        ("go", "func a() {\n\t|\n}\n", false, Some(0)),
        ("c", "int a(void)\n{\n    |\n}\n", false, Some(0)),
        ("cpp", "struct A {\n    |\n};\n", false, Some(0)),
        (
            "java",
            "class A {\n    void a() {\n        |\n    }\n}\n",
            false,
            Some(4),
        ),
        ("lua", "-- if {|\n", false, None),
    ] {
        let (document, offset) = at_cursor(language_id, text);
        let scene = look(&Syntax::default(), &document, offset);
        assert_eq!(
            (scene.in_text, scene.block_columns),
            (in_text, block_columns),
            "{language_id} {text:?}"
        );
    }
}

/// Places and texts with what may be shown.
const MENDED: &[(&str, &str, &str, Option<&str>)] = &[
    // As it should be.
    ("rust", "fn a() {\n    |\n}\n", "b();", Some("b();")),
    ("rust", "fn a() {\n    let x = |\n}\n", "1;", Some("1;")),
    // What is opened may still be closed, and a statement may go on.
    (
        "rust",
        "fn a() {\n    |\n    c();\n}\n",
        "for x in y {",
        Some("for x in y {"),
    ),
    (
        "rust",
        "fn a() {\n    |\n    c();\n}\n",
        "let x = A::new()",
        Some("let x = A::new()"),
    ),
    (
        "python",
        "def a():\n    |\n    c()\n",
        "if b:",
        Some("if b:"),
    ),
    (
        "python",
        "def a():\n    |\n    c()\n",
        "x = [",
        Some("x = ["),
    ),
    (
        "cpp",
        "void a() {\n    |\n    c();\n}\n",
        "if (b)",
        Some("if (b)"),
    ),
    (
        "go",
        "func a() {\n\t|\n\tc()\n}\n",
        "if b {",
        Some("if b {"),
    ),
    // A closer too many goes, prose goes altogether.
    ("rust", "fn a() {\n    |\n}\n", "b();\n}", Some("b();")),
    (
        "java",
        "class A {\n    void a() {\n        |\n    }\n}\n",
        "b(); }",
        Some("b();"),
    ),
    (
        "rust",
        "fn a() {\n    |\n}\n",
        "Here is the code you asked for:",
        None,
    ),
    (
        "python",
        "def a():\n    |\n    c()\n",
        "Sure! Here you are.",
        None,
    ),
    (
        "typescript",
        "function a() {\n  |\n}\n",
        "The answer is this one",
        None,
    ),
    // In front of a closer nothing is left open, although it would parse if it were closed.
    ("typescript", "f(|);\n", "() => {", None),
    ("typescript", "f(|);\n", "() => {\n  a();", None),
    (
        "typescript",
        "f(|);\n",
        "() => {\n  a();\n}",
        Some("() => {\n  a();\n}"),
    ),
    ("typescript", "it(\"a\", |)\n", "async () => {", None),
    ("rust", "fn a() {\n    b.map(|)\n}\n", "|x| {", None),
    ("rust", "fn a() {\n    let c = b.map(|)\n}\n", "|x| {", None),
    ("rust", "fn a() {\n    f(|, b);\n}\n", "g(a", None),
    ("python", "a = f(|)\n", "g(b", None),
    (
        "javascript",
        "f(|);\n",
        "a.split(/\\(/)",
        Some("a.split(/\\(/)"),
    ),
    // The end of a statement where none can end.
    ("typescript", "const a = {\n  b: |\n};\n", "c;", Some("c")),
    (
        "rust",
        "fn a() -> B {\n    B { c: |\n    }\n}\n",
        "d;",
        Some("d"),
    ),
    // One that belongs there stays, although the code goes on being broken.
    ("python", "def a():\n    if |\n    c()\n", "b:", Some("b:")),
    (
        "python",
        "def a():\n    for x in |\n    c()\n",
        "b:",
        Some("b:"),
    ),
    (
        "rust",
        "fn a() {\n    match x {\n        A => |\n    }\n}\n",
        "b,",
        Some("b,"),
    ),
    (
        "rust",
        "fn a() -> B {\n    B { c: |\n    }\n}\n",
        "d,",
        Some("d,"),
    ),
    ("cpp", "void a() {\n    b = |\n}\n", "c;", Some("c;")),
    // A last line that breaks what the lines before it do not.
    (
        "rust",
        "fn a() {|\n}\n",
        "\n    b();\n    let = =",
        Some("\n    b();"),
    ),
    // Broken there before.
    ("rust", "fn a() {\n    let x = = |\n}\n", "+ +", Some("+ +")),
    // Broken elsewhere.
    (
        "rust",
        "fn a() {\n    let = ;\n}\n\nfn b() {\n    |\n}\n",
        "c();",
        Some("c();"),
    ),
    // No grammar, no opinion.
    ("lua", "|", "))) end end", Some("))) end end")),
];

#[test]
fn nothing_is_shown_that_parses_worse() {
    for (language_id, text, generated, expected) in MENDED {
        let (document, offset) = at_cursor(language_id, text);
        let syntax = Syntax::default();
        for _ in 0..2 {
            let mended = syntax.mend(&document, offset, (*generated).to_owned(), true);
            assert_eq!(
                mended.as_deref(),
                *expected,
                "{language_id} {text:?} {generated:?}"
            );
        }
    }
}

/// Beginnings of texts, two spaces apart: those that are shown while more is to come, and others.
const PARTIALS: &[(&str, &str, &str, &str)] = &[
    (
        "rust",
        "fn a() {\n    |\n    c();\n}\n",
        "let  let mut  let mut b =  if  if !  if !b  if let  b.  for  for b  for (b, c) in  while  match  \
         return  fn  b =  use std::  b +  panic!",
        "Here is  The answer  let mut =  b b  ) {",
    ),
    (
        "rust",
        "impl A {\n    |\n}\n",
        "pub  pub fn  fn  fn b  const  pub(crate)",
        "here is",
    ),
    (
        "python",
        "def a():\n    |\n    c()\n",
        "if  if not  for  for b  for b in  b =  return  with  from b  def b  class  import",
        "Here you are  The answer",
    ),
    (
        "typescript",
        "function a() {\n  |\n}\n",
        "const  const b  const b =  if  for  return  b.  await  function  new  class",
        "Here is the  The answer",
    ),
    (
        "javascript",
        "class A {\n  |\n}\n",
        "static  async  get  b",
        "Here is the",
    ),
    (
        "go",
        "func a() {\n\t|\n\tc()\n}\n",
        "if  if !b  for  for b  for b, c  for b :=  b :=  return  defer  var  switch",
        "Here is",
    ),
    (
        "cpp",
        "void a() {\n    |\n    c();\n}\n",
        "int  if  for  while  b =  return  const auto& b  std::  struct",
        "Here is the",
    ),
    (
        "java",
        "class A {\n    |\n}\n",
        "public  private final  public static  @Override",
        "Here is the",
    ),
];

#[test]
fn a_text_that_grows_is_judged_as_it_may_go_on() {
    let mut wrong = vec![];
    for (language_id, text, shown, held_back) in PARTIALS {
        let (document, offset) = at_cursor(language_id, text);
        let syntax = Syntax::default();
        let mut check = |texts: &str, expected: bool| {
            for text in texts.split("  ") {
                let mended = syntax.mend(&document, offset, text.to_owned(), false);
                if (mended.as_deref() == Some(text), mended.is_none()) != (expected, !expected) {
                    wrong.push(format!("{language_id} {text:?}: {mended:?}"));
                }
            }
        };
        check(shown, true);
        check(held_back, false);
    }
    assert_eq!(wrong, Vec::<String>::new());
    let (document, offset) = at_cursor("rust", "fn a() {\n    |\n    c();\n}\n");
    let whole = Syntax::default().mend(&document, offset, "for b in".to_owned(), true);
    assert_eq!(whole, None, "nothing more comes");
}

#[test]
fn typing_along_is_judged_as_the_whole_was() {
    let (mut document, mut offset) = at_cursor("rust", "fn a() {\n    |\n}\n");
    let syntax = Syntax::default();
    let text = "b(c);\n}";
    for (typed, key) in text.char_indices().take(4) {
        let rest = syntax.mend(&document, offset, text.split_at(typed).1.to_owned(), true);
        assert_eq!(rest.as_deref(), Some("b(c);".split_at(typed).1));
        assert_eq!(syntax.judged().cases.len(), 1, "judged once");
        offset = document.apply(&crate::document::Edit {
            range_bytes: Some(offset..offset),
            text: key.to_string(),
        });
    }
}

/// Run with `cargo test --release --lib syntax::tests::cost -- --ignored --nocapture`.
#[test]
#[ignore = "prints a measurement"]
fn cost() {
    for (language_id, item, generated) in [
        (
            "rust",
            "fn add(a: i32, b: &str) -> Result<i32, Error> {\n    let x = b.parse::<i32>()?;\n    |if x > a {\n        return Err(Error::Large { x, a });\n    }\n    Ok(x + a)\n}\n\n",
            "let y = x.max(a);\n    ",
        ),
        (
            "python",
            "def add(a: int, b: str) -> int:\n    \"\"\"Adds.\"\"\"\n    x = int(b)\n    |if x > a:\n        raise ValueError(f\"{x} is more\")\n    return x + a\n\n\n",
            "y = max(x, a)\n    ",
        ),
        (
            "typescript",
            "function add(a: number, b: string): number {\n  const x = parseInt(b, 10);\n  |if (x > a) {\n    throw new Error(`${x} is more`);\n  }\n  return x + a;\n}\n\n",
            "const y = Math.max(x, a);\n  ",
        ),
        (
            "cpp",
            "int add(int a, const std::string& b) {\n    auto x = std::stoi(b);\n    |if (x > a) {\n        throw std::runtime_error(\"more\");\n    }\n    return x + a;\n}\n\n",
            "auto y = std::max(x, a);\n    ",
        ),
    ] {
        for copies in [100, 10_000] {
            let plain = item.replace('|', "");
            let text = plain.repeat(copies);
            let mut offset = plain.len() * (copies / 2) + item.find('|').unwrap();
            let mut document = Document::new("u", 1, language_id, &text);
            let mut times: Vec<(&str, Vec<f64>)> = vec![];
            let mut note = |name, started: Instant| {
                let us = started.elapsed().as_secs_f64() * 1e6;
                match times.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, all)) => all.push(us),
                    None => times.push((name, vec![us])),
                }
            };
            for round in 0..200 {
                if round % 20 == 0 {
                    let started = Instant::now();
                    Syntax::default().prepare(&document, offset);
                    note("first look", started);
                }
                let started = Instant::now();
                let window = Window::cut(&document.text, offset);
                note("window", started);
                assert!(!window.text.is_empty());
            }
            let syntax = Syntax::default();
            for key in 0..200 {
                let started = Instant::now();
                syntax.prepare(&document, offset);
                note("prepare per key", started);
                let text = format!("{generated}x{key}");
                let started = Instant::now();
                syntax.mend(&document, offset, text.clone(), true);
                note("mend, new text", started);
                let started = Instant::now();
                syntax.mend(&document, offset, text, true);
                note("mend, known text", started);
                offset = document.apply(&crate::document::Edit {
                    range_bytes: Some(offset..offset),
                    text: if key % 20 == 19 { "\n" } else { "z" }.into(),
                });
            }
            for (name, mut all) in times {
                all.sort_by(f64::total_cmp);
                let at = |q: usize| all[(all.len() * q / 100).min(all.len() - 1)];
                println!(
                    "{language_id:10} {copies:6} {name:18} p50 {:7.1} p95 {:7.1} max {:7.1} µs",
                    at(50),
                    at(95),
                    at(100)
                );
            }
        }
    }
}
