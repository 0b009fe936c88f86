//! Where a generation ends, row by row, and that chunks never matter.

use proptest::prelude::*;

use super::*;
use crate::inline::place::tests::place;

fn scene() -> Scene {
    Scene {
        colon_opens: true,
        ..Scene::default()
    }
}

fn shape(origin: &Place, setting: MultiLine) -> Shape {
    Shape::of(origin, &scene(), setting, &[])
}

fn wants_lines(at: &str, scene: &Scene, setting: MultiLine) -> bool {
    Shape::of(&place(at), scene, setting, &[]).may_have_lines()
}

#[test]
fn lines_are_wanted_where_an_empty_block_begins() {
    for (text, expected) in [
        ("fn a() {|\n}", true),
        ("fn a() {\n    |\n}", true),
        ("def a():|\n", true),
        ("def a():\n    |\n\nb = 1", true),
        ("fn a() {|\n    b();\n}", false),
        ("fn a() {\n    let x = |\n}", false),
        ("fn a(|) {", false),
        ("|", false),
    ] {
        let wanted = wants_lines(text, &scene(), MultiLine::Auto);
        assert_eq!(wanted, expected, "{text:?}");
    }
    assert!(!wants_lines("fn a() {|\n}", &scene(), MultiLine::Never));
    assert!(wants_lines("let a = |", &scene(), MultiLine::Always));
    assert!(!wants_lines("f(|) {", &scene(), MultiLine::Always));
}

#[test]
fn sentinels_begin_with_one_of_two_characters() {
    let stops = fim::FAMILIES.iter().flat_map(|family| family.stops);
    for stop in stops.chain(SPECIALS.iter()) {
        assert!(stop.starts_with(['<', '[']), "{stop}");
    }
}

#[test]
fn a_colon_begins_a_block_only_where_the_language_says_so() {
    let braces = Scene::default();
    for (text, expected) in [
        ("let a:|", false),
        ("    case 1:|", true),
        ("  default:|", true),
    ] {
        let wanted = wants_lines(text, &braces, MultiLine::Auto);
        assert_eq!(wanted, expected, "{text:?}");
    }
}

/// Origins and texts with what is kept once nothing more is wanted.
const ENDS: &[(&str, &str, Option<&str>)] = &[
    ("let a = |", "1;\nlet b", Some("1;")),
    ("let a = |", "1;", None),
    ("a\n    |\n}", "\n    b;\nc", Some("\n    b;")),
    ("let a = 1;|", "\nlet b", Some("")),
    ("fn a() {|\n}", "\n    b;\n}\n", Some("\n    b;")),
    ("fn a() {|\nfn b", "\n    b;\n}\n", Some("\n    b;\n}")),
    ("fn a() {|\n}", "\n    b;\n    c", None),
    ("def a():|", "\n    b\n\n\nc = 1", Some("\n    b")),
    ("def a():|", "\n    b\nc = 1\n", Some("\n    b")),
    // From column 0 of a blank line on, with its indentation in the text.
    (
        "def a():\n|\nz",
        "    b()\n    c()\nd = 1\n",
        Some("    b()\n    c()"),
    ),
    // Loops.
    (
        "def a():|",
        "\n    b()\n    b()\n    b()\n",
        Some("\n    b()"),
    ),
    ("def a():|", "\n    b()\n    b()\n    c()\n", None),
    (
        "def a():|",
        "\n    b()\n    c()\n    b()\n    c()\n",
        Some("\n    b()\n    c()"),
    ),
    ("a = [|", "\n    0,\n    0,\n    0,\n    0,\n", None),
    // The lines below again.
    (
        "fn a() {|\nlet z = 1;",
        "\n    b;\nlet z = 1;\n",
        Some("\n    b;"),
    ),
    // The same words deeper are another line.
    (
        "    for x in y:\n        |\n    return None",
        "        if not x:\n            return None\n        z()\n    return None\n",
        Some("        if not x:\n            return None\n        z()"),
    ),
    // In front of closers, until what the first line opens is closed.
    ("f(|)", "a,\nb)\n", Some("a,")),
    (
        "f(|);",
        "() => {\n  a();\n\n  b();\n});\nc",
        Some("() => {\n  a();\n\n  b();\n});"),
    ),
    ("f(|)", "() => {\n  a();\n", None),
    ("f(|)", "\n  a();\n", Some("")),
    ("f(|, b)", "() => {\n  a();\n", Some("() => {")),
    // Fences, thoughts and sentinels.
    ("x = |", "1\n```\nThis", Some("1")),
    ("def a():|", "\n    b\n```\nThis", Some("\n    b")),
    ("x = |", "<think>The person", Some("")),
    ("x = |", "1<|endoftext|>2", Some("1")),
    ("def a():|", "\n    b\n<|fim_prefix|>", Some("\n    b")),
    // `ending` is no `end`.
    ("if a do|\nz", "\n  b\nend\n", Some("\n  b\nend")),
    ("if a do|\nz", "\n  b\nending = 1\n", Some("\n  b")),
];

/// The same where lines are wanted although no block begins.
const ENDS_OF_LINES: &[(&str, &str, Option<&str>)] = &[
    ("  a = |", "1\n  b = 2\nc = 3", Some("1\n  b = 2")),
    ("  a = |", "1\n  if b:\n    c\n  d", None),
    ("  a = f|", "(\n    1,\n  )\n  b", None),
    ("  |", "  a\n  b\nc = 1", Some("  a\n  b")),
    ("  |", "a\n  b\nc = 1", Some("a\n  b")),
    ("|", "    a\n    b\n  c = 1\n", Some("    a\n    b")),
    ("  a = |\n  z()", "1\n  z()\n", Some("1")),
    (
        "  a = |\n  z()",
        "1\n  if b:\n    z()\n  z()\n",
        Some("1\n  if b:\n    z()"),
    ),
    ("  a = |\n}", "1\n}\n", Some("1")),
    ("  a = |\nz()", "1\n}\nb\n", Some("1\n}")),
    ("f(|)", "1\n2\n", Some("1")),
    // Behind a finished line, the next one may be of the block around.
    (
        "    return a|",
        "\n  b\n    c\nd = 1\n",
        Some("\n  b\n    c"),
    ),
    ("    return a|", "\n    b\n  c = 1\n", Some("\n    b")),
];

fn check(ends: &[(&str, &str, Option<&str>)], setting: MultiLine) {
    for (origin, text, kept) in ends {
        let origin = place(origin);
        let shape = shape(&origin, setting);
        let end = end_of(text, &origin, &shape);
        assert_eq!(
            end.and_then(|e| text.get(..e)),
            *kept,
            "{origin:?} {text:?}"
        );
        let whole = streamed(text, usize::MAX, &origin, &shape);
        for size in [1, 2, 3, 7] {
            let pieces = streamed(text, size, &origin, &shape);
            assert_eq!(pieces, whole, "{text:?} in {size}");
        }
    }
}

#[test]
fn a_generation_ends_at_the_line_the_block_or_what_is_no_code() {
    check(ENDS, MultiLine::Auto);
}

#[test]
fn lines_without_a_block_end_with_the_one_around() {
    check(ENDS_OF_LINES, MultiLine::Always);
}

/// What remains of `text` when it arrives in pieces of `size` characters.
fn streamed(text: &str, size: usize, origin: &Place, shape: &Shape) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut got = String::new();
    for piece in chars.chunks(size) {
        got.extend(piece);
        if let Some(end) = end_of(&got, origin, shape) {
            got.truncate(end);
            return got;
        }
    }
    if let Some(end) = end_of_finished(&got, origin, shape) {
        got.truncate(end);
    }
    got
}

proptest! {
    #[test]
    fn chunks_never_matter(
        origin in prop::sample::select(vec![
            "fn a() {|\n}", "def a():|\n", "x = |\ny", "    |\n  z", "if a do|\nend", "def a():\n    |\nb()", "f(|);",
        ]),
        pieces in prop::collection::vec(prop::sample::select(vec![
            "\n", "\n\n", "    ", "  ", "b()", "end", "e", "else:", "}", ")", ";", " ", "x", "z", "```", "`", "() => {",
            "<", "<|endoftext|>", "<think>", "<|fim_", "prefix|>", "[1, 2],", "\t", "ending", "ü", "y", "\r\n",
        ]), 0..24),
        size in 1_usize..9,
        setting in prop::sample::select(vec![MultiLine::Auto, MultiLine::Always]),
    ) {
        let text = pieces.concat();
        let origin = place(origin);
        let shape = shape(&origin, setting);
        let whole = streamed(&text, usize::MAX, &origin, &shape);
        prop_assert_eq!(streamed(&text, size, &origin, &shape), whole);
    }
}
