//! What is shown of a text, row by row. The same through the whole engine is in `tests/data/shaping`.

use super::*;
use crate::inline::place::tests::place;

#[test]
fn nothing_is_doubled_and_nothing_legitimate_is_lost() {
    for (at, text, expected) in [
        ("foo(|)", "x)", Some("x")),
        ("foo(|)", "bar()", Some("bar()")),
        ("foo(|)", "bar())", Some("bar()")),
        ("foo(|);", "x);", Some("x")),
        ("foo(|);", "bar();", Some("bar()")),
        ("foo(|)", "x);", Some("x")),
        ("foo(bar(|)", "x))", Some("x)")),
        ("foo(|, b)", "a, b)", Some("a")),
        ("foo(|, b)", "g(a, b)", Some("g(a, b)")),
        ("foo(\"|\")", "hello\")", Some("hello")),
        ("foo(\"|\")", "a \\\"b\\\" c\")", Some("a \\\"b\\\" c")),
        ("let a = |;", "1;", Some("1")),
        ("let a = foo|", "(a)", Some("(a)")),
        ("let a = 4 |", "4 zz", Some("4 zz")),
        ("let a = |", " 1", Some("1")),
        ("let foo = |", "let foo = 1", Some("1")),
        ("    |", "\n\nreturn 1", Some("return 1")),
        ("    |\n    return 1;", "return 1;", None),
        ("a\n    |\n    b();", "x();\n    b();", Some("x();")),
        // Deeper than the line below is another line.
        ("if a:\n    |\nb()", "b()", Some("b()")),
        (
            "if a:\n    |\nb()",
            "if c:\n        b()",
            Some("if c:\n        b()"),
        ),
        ("if a:\n    |\n    b()", "c()\nb()", Some("c()")),
        ("x|\n}", "\n}", Some("\n}")),
        ("|", "  \n ", None),
        ("f(|)", "a,\n b)", Some("a,")),
        ("f(|);", "() => {\n  a();\n});", Some("() => {\n  a();\n}")),
        (
            "f(|)",
            "() => {\n  a();\n}, [b]);",
            Some("() => {\n  a();\n}, [b]"),
        ),
        (
            "g(f(|))",
            "() => {\n  a(\n    b)\n}))",
            Some("() => {\n  a(\n    b)\n}"),
        ),
        ("a = |;", "[\n  1,\n];", Some("[\n  1,\n]")),
        ("f(|, b)", "{\n  a,\n}, b)", Some("{")),
        // Half of the indentation is typed; all of it is typed and said again.
        ("def a():\n  |", "  b()\n    c()", Some("  b()\n    c()")),
        ("def a():\n    |", "    b()", Some("b()")),
        ("next();\n|", "next();", None),
        ("next();\nn|", "ext();", Some("ext();")),
        ("[0, 1],\n|", "[0, 1],", Some("[0, 1],")),
        ("[0, 1],\n|\n[0, 1],", "[0, 1],", Some("[0, 1],")),
    ] {
        assert_eq!(
            shown(text, &place(at), Style::default()).as_deref(),
            expected,
            "{at:?} {text:?}"
        );
    }
}

#[test]
fn where_no_grammar_rules_nothing_is_left_open_in_front_of_a_closer() {
    let style = Style {
        without_grammar: true,
        ..Style::default()
    };
    for (at, text, expected) in [
        ("f(|)", "{ a ->", None),
        ("f(|)", "{ a ->\n  b()\n", None),
        ("f(|)", "{ a ->\n  b()\n})", Some("{ a ->\n  b()\n}")),
        ("f(|, b)", "g(a", None),
        ("a = |;", "g(", None),
        ("f(|))", "g(a", Some("g(a")),
        ("f(|", "g(a", Some("g(a")),
        ("if a | // b", "{", Some("{")),
        ("f(\"|\")", "(", Some("(")),
    ] {
        let got = shown(text, &place(at), style);
        assert_eq!(got.as_deref(), expected, "{at:?} {text:?}");
    }
}

#[test]
fn where_no_grammar_rules_only_a_stray_space_is_no_indentation() {
    for (at, text, indent, without_grammar, expected) in [
        ("- hosts: all\n|", "  tasks:", None, true, "  tasks:"),
        (
            "  - name: Test\n  |",
            "  run: make",
            Some(Indent::Spaces(2)),
            true,
            "  run: make",
        ),
        (
            "    - name: Test\n    |",
            "  run: make",
            Some(Indent::Spaces(4)),
            true,
            "  run: make",
        ),
        ("all: main.o\n|", "\tgcc -o all", None, true, "\tgcc -o all"),
        (
            "all: main.o\n|",
            "\tgcc -o all",
            Some(Indent::Tabs),
            true,
            "\tgcc -o all",
        ),
        ("   a\n   |", "   b", Some(Indent::Spaces(3)), true, "   b"),
        ("  a\n  |", " b", Some(Indent::Spaces(2)), true, "b"),
        ("a\n|", "   b", Some(Indent::Spaces(2)), true, "b"),
        ("a();\n|", "  b();", Some(Indent::Spaces(2)), false, "b();"),
    ] {
        let style = Style {
            indent,
            without_grammar,
            ..Style::default()
        };
        let got = shown(text, &place(at), style);
        assert_eq!(got.as_deref(), Some(expected), "{at:?} {text:?}");
    }
}

#[test]
fn a_line_that_was_cut_off_is_left_out_after_whole_lines() {
    let style = Style {
        cut_off: true,
        ..Style::default()
    };
    for (text, expected) in [
        ("\n    a();\n    b(", Some("\n    a();")),
        ("a(b, ", Some("a(b,")),
        ("\n    a(b", Some("\n    a(b")),
    ] {
        let got = shown(text, &place("if x {|\n}"), style);
        assert_eq!(got.as_deref(), expected, "{text:?}");
    }
}

#[test]
fn a_partial_ends_at_a_word_and_with_its_brackets_closed() {
    for (text, expected) in [
        ("", None),
        ("foo", None),
        ("foo.ba", Some("foo.")),
        ("foo(a, b", Some("foo")),
        ("foo(a, b)", Some("foo(a, b)")),
        ("foo(a, b).c", Some("foo(a, b).")),
        ("foo + \"a b c", Some("foo +")),
        ("foo;\nbar", Some("foo;")),
        ("foo;\nbar;\nbaz", Some("foo;\nbar;")),
        ("\n    foo;\n", Some("\n    foo;")),
        ("x = 1;", Some("x = 1;")),
        ("x = 1;<|fim_mid", Some("x = 1;")),
        ("```ru", None),
        ("<bo", None),
        ("</bo", None),
        ("<h1>Shop</h", Some("<h1>Shop")),
        ("<br />x", Some("<br />")),
        ("Vec<Str", Some("Vec")),
        ("a / b", Some("a /")),
    ] {
        assert_eq!(safe_partial(text), expected, "{text:?}");
    }
}
