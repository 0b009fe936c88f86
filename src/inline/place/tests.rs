//! How places and texts relate, row by row.

use super::*;

/// The place at `|` in a document.
pub(in crate::inline) fn place(text: &str) -> Place {
    place_in("rust", text)
}

fn place_in(language_id: &str, text: &str) -> Place {
    let offset = text.find('|').unwrap();
    let document = Document::new("u", 1, language_id, &text.replacen('|', "", 1));
    Place::at(&document, offset).unwrap()
}

#[track_caller]
fn assert_fit(origin: &str, text: &str, now: &str, expected: Fit) {
    let found = fit(&place(origin), text, &place(now));
    assert_eq!(found, expected, "{origin:?} {text:?} {now:?}");
}

#[test]
fn what_was_typed_is_told_from_what_was_not() {
    for (origin, text, now, expected) in [
        // Typing along, ahead of the stream, and away from it.
        ("fn a|\nz", "dd()", "fn a|\nz", Fit::Typed(0)),
        ("fn a|\nz", "dd()", "fn add|\nz", Fit::Typed(2)),
        ("fn a|\nz", "d", "fn add(|\nz", Fit::Ahead),
        ("fn a|\nz", "dd()", "fn ax|\nz", Fit::Diverged),
        // The closing bracket the editor inserts, and typing over one.
        ("f|\nz", "oo(x)", "foo(|)\nz", Fit::Typed(3)),
        ("foo(|)\nz", "x);", "foo(x)|\nz", Fit::Typed(2)),
        ("f|\nz", "oo(x)", "foo(|;\nz", Fit::Diverged),
        // Accepting a line.
        (
            "if a {|\n}",
            "\n    b;\n    c;",
            "if a {\n    b;\n|\n}",
            Fit::Typed(8),
        ),
        (
            "if a {|\n}",
            "\n    b;\n    c;",
            "if a {\n    b;\n    |\n}",
            Fit::Typed(12),
        ),
        (
            "if a {|\n}",
            "\n    b;\n    c;",
            "if a {\n    d;\n    |\n}",
            Fit::Diverged,
        ),
        // The closing bracket the editor inserts, on a later line.
        (
            "if a {|\n}",
            "\n    b(c);",
            "if a {\n    b(|)\n}",
            Fit::Typed(7),
        ),
        ("if a {|\n}", "\n    b", "if a {\n    b(|)\n}", Fit::Ahead),
        (
            "if a {|\n}",
            "\n    b(c);",
            "if a {\n    b|)\n}",
            Fit::Diverged,
        ),
        // The model left out the indentation that stood there.
        ("{\n  |\n}", "b;\n  c;", "{\n  b;\n  |\n}", Fit::Typed(5)),
        // Indenting a blank line anew.
        ("a\n    |\nz", "b;", "a\n  |\nz", Fit::Typed(0)),
        // Whitespace left of the cursor belongs to the text.
        ("let a =|\nz", " 1;", "let a = |\nz", Fit::Typed(1)),
        ("let a =|\nz", "1;", "let a = |\nz", Fit::Typed(0)),
        ("let|\nz", "ter", "let |\nz", Fit::Diverged),
        ("a\n|\nz", "        b;", "a\n    |\nz", Fit::Typed(4)),
        ("a\n|\nz", "    b;", "a\n        |\nz", Fit::Typed(4)),
        ("a\n|\nz", "  ", "a\n        |\nz", Fit::Ahead),
        ("a\n|\nz", "b(c)", "a\n    b(|\nz", Fit::Typed(2)),
        ("a\n|\nz", "  b(c)", "a\n    b(|\nz", Fit::Typed(4)),
        ("a\n|\nz", "  b", "a\n    b(|\nz", Fit::Ahead),
        ("a\n|\nz", "  b", "a\n    c|\nz", Fit::Diverged),
        // Taking characters back.
        ("let foo|\nz", " = 1", "let fo|\nz", Fit::Correcting),
        ("let foo|\nz", " = 1", "let fop|\nz", Fit::Diverged),
        ("let foo|\nz", " = 1", "let foo|;\nz", Fit::Diverged),
        ("let foo|\nz", " = 1", "let fo|;\nz", Fit::Diverged),
        ("let foobar|\nz", " = 1", "let fo|\nz", Fit::Diverged),
        // Another line with the same text, a changed line above, a changed line below.
        ("a\nx|\nz", "y", "b\nx|\nz", Fit::Diverged),
        ("a\nx|\nz", "y", "a\nx|\nq", Fit::Diverged),
        // An empty line more below is no change; trailing space above is none either.
        ("a\nx|\nz", "y", "a  \nx|\n\nz", Fit::Typed(0)),
    ] {
        assert_fit(origin, text, now, expected);
    }
}

#[test]
fn braces_that_the_editor_closes_are_typed_along() {
    for (origin, text, now, expected) in [
        ("if a|\n}", " {\n    b;\n}", "if a {|}\n}", Fit::Typed(2)),
        (
            "if a|\nz",
            " {\n    b;\n}",
            "if a {\n    |\n}\nz",
            Fit::Typed(7),
        ),
        (
            "if a {|}\nz",
            "\n    b;",
            "if a {\n    |\n}\nz",
            Fit::Typed(5),
        ),
        (
            "f(|)\nz",
            "() => {\n    b;",
            "f(() => {\n    |\n})\nz",
            Fit::Typed(12),
        ),
        (
            "if a {|}\nz",
            "\n    if b {\n        c;",
            "if a {\n    if b {\n        c|\n    }\n}\nz",
            Fit::Typed(21),
        ),
        (
            "if a {|}\nz",
            "\n    b(c);",
            "if a {\n    b(|)\n}\nz",
            Fit::Typed(7),
        ),
        (
            "if a {|}\nz",
            "\n    b;",
            "if a {\n    |\n]\nz",
            Fit::Diverged,
        ),
        (
            "if a|\nz",
            " {\n    b;\n}",
            "if a {\n    |\n})\nz",
            Fit::Diverged,
        ),
        ("if a {|\nz", "\n    b;\n}", "if a {|}\nz", Fit::Typed(0)),
        (
            "if a {|\nz",
            "\n    b;\n}",
            "if a {\n    |\n}\nz",
            Fit::Typed(5),
        ),
        // A line indented otherwise than the text says.
        ("if a {|\nz", "\n    b;", "if a {\n\t|\nz", Fit::Typed(5)),
        ("if a {|\nz", "\n    b;", "if a {\n\tb|\nz", Fit::Typed(6)),
        ("if a {|\nz", "\n    b", "if a {\n\tb;|\nz", Fit::Ahead),
        ("if a {|\nz", "\n    b", "if a {\n\tc|\nz", Fit::Diverged),
        ("if a {|\nz", "\n\n    b;", "if a {\n\t|\nz", Fit::Diverged),
    ] {
        assert_fit(origin, text, now, expected);
    }
}

#[test]
fn where_indentation_counts_a_shallower_text_is_of_another_block() {
    let at = "a\n        |\nz";
    for (language_id, now, text, expected) in [
        ("python", at, "    def b():", Fit::Diverged),
        ("yaml", at, "    b: 1", Fit::Diverged),
        ("python", "a\n        d|\nz", "    def b():", Fit::Diverged),
        ("rust", at, "    fn b() {", Fit::Typed(4)),
        // As deep, deeper, and without a word of it.
        ("python", at, "\t\tb()", Fit::Typed(2)),
        ("python", at, "            b()", Fit::Typed(8)),
        ("python", at, "b()", Fit::Typed(0)),
        // It may become as deep.
        ("python", at, "\t", Fit::Ahead),
        ("python", at, "    ", Fit::Ahead),
        // Taken back to where the text belongs.
        ("python", "a\n    |\nz", "    def b():", Fit::Typed(4)),
        ("python", "a\n|\nz", "    def b():", Fit::Typed(0)),
        // Inside brackets any depth will do.
        ("python", "a(\n        |\nz", "    b", Fit::Typed(4)),
        ("python", "a(b,\n        |\nz", "    c", Fit::Typed(4)),
    ] {
        let now = place_in(language_id, now);
        let mut origin = now.clone();
        origin.line_prefix.clear();
        assert_eq!(fit(&origin, text, &now), expected, "{language_id} {text:?}");
    }
}

#[test]
fn another_file_never_fits() {
    let here = place("a|");
    let there = Place {
        uri: "v".into(),
        ..here.clone()
    };
    assert_eq!(fit(&here, "b", &there), Fit::Diverged);
}

#[test]
fn a_place_is_read_at_every_byte_of_a_document() {
    let text = "fn aμ() {\r\n\n    b😀\n\t\r\n}\n".repeat(200) + "c\n";
    let document = Document::new("u", 1, "rust", &text);
    let lines: Vec<&str> = text.split('\n').collect();
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    for offset in ends {
        let place = Place::at(&document, offset).expect("no line is long");
        let before = text.get(..offset).expect("a whole character");
        let line = before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let content = lines[line].trim_end_matches('\r');
        let sides = content.split_at((offset - start).min(content.len()));
        let read = (&*place.line_prefix, &*place.line_suffix);
        assert_eq!(read, sides, "{offset}");
        let below = lines.iter().skip(line + 1).map(|l| l.trim());
        let next = below.take(LINES_BELOW).find(|l| !l.is_empty());
        assert_eq!(place.next_line, next.unwrap_or_default(), "{offset}");
        let above = lines[..line].iter().rev().take(LINES_ABOVE).copied();
        let above: Vec<u64> = above.map(line_hash).collect();
        assert!(place.above.starts_with(&above), "{offset}");
        assert!(place.above.iter().skip(above.len()).all(|hash| *hash == 0));
    }
}

#[test]
fn a_very_long_line_has_no_place() {
    let text = "x".repeat(LONGEST_LINE_BYTES + 1);
    assert_eq!(Place::at(&Document::new("u", 1, "js", &text), 3), None);
}
