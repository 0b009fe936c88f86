//! From a model's text to what is shown: what is right stays, what is not is repaired or dropped.

use super::place::{Place, opener_of};

/// Makes `rest`, the untyped part of a generation, fit between what stands left and right of the
/// cursor. `None` when nothing worth showing is left.
pub(super) fn shown(rest: &str, now: &Place) -> Option<String> {
    let mut text = rest;
    if let Some(fence) = text.find("```") {
        text = text.get(..fence)?;
    }
    if now.on_blank_start() {
        text = text.trim_start_matches(['\n', '\r']);
    }
    let text = without_suffix(text, now.line_suffix.trim_end());
    let text = without_next_line(text, now);
    let text = text.trim_end();
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// Cuts what stands right of the cursor already. A closer is cut only when the text does not open it
/// itself, so that `foo()` before `)` stays whole.
fn without_suffix<'t>(text: &'t str, suffix: &str) -> &'t str {
    if suffix.is_empty() {
        return text;
    }
    let line_end = text.find('\n').unwrap_or(text.len());
    let (line, _) = text.split_at(line_end);
    if let Some(at) = first_unmatched_closer(line)
        && line.get(at..).and_then(|l| l.chars().next()) == suffix.chars().next()
    {
        return line.get(..at).unwrap_or(line);
    }
    let only_closers = suffix.chars().all(|c| opener_of(c).is_some());
    match line.trim_end().strip_suffix(suffix) {
        Some(without) if !only_closers => without,
        // With text right of the cursor only one line can be right.
        _ => line,
    }
}

/// Where the first bracket or quote stands that the text closes without having opened it.
fn first_unmatched_closer(line: &str) -> Option<usize> {
    let mut open = Vec::new();
    let mut last_quote: Option<(usize, char)> = None;
    for (at, c) in line.char_indices() {
        match c {
            '"' | '\'' | '`' => match last_quote {
                Some((_, quote)) if quote == c => last_quote = None,
                None => last_quote = Some((at, c)),
                Some(_) => {}
            },
            _ if last_quote.is_some() => {}
            '(' | '[' | '{' => open.push(c),
            ')' | ']' | '}' if open.last().copied() == opener_of(c) => {
                open.pop();
            }
            ')' | ']' | '}' => return Some(at),
            _ => {}
        }
    }
    // A quote without a partner closes what was opened left of the cursor.
    last_quote.map(|(at, _)| at)
}

/// Drops lines from the one that repeats the next line below on; a text of that line alone is nothing.
fn without_next_line<'t>(text: &'t str, now: &Place) -> &'t str {
    // A lone bracket below is no sign of repetition.
    if now.next_line.len() < 3 {
        return text;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let first = start == 0;
        let whole = if first {
            [now.line_prefix.as_str(), line].concat()
        } else {
            line.to_owned()
        };
        if whole.trim() == now.next_line && (!first || now.at_line_end()) {
            return text.get(..start).unwrap_or_default();
        }
        start += line.len();
    }
    text
}

/// The longest beginning of an unfinished text that will still be right when more comes: whole words,
/// and every bracket it opens closed; a finished first line as it is.
pub(super) fn safe_partial(text: &str) -> Option<&str> {
    if let Some(line_end) = text
        .trim_start()
        .find('\n')
        .map(|at| at + text.len() - text.trim_start().len())
    {
        return text.get(..line_end).filter(|t| !t.trim().is_empty());
    }
    let mut depth = 0_i32;
    let mut safe = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        let end = at + c.len_utf8();
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let boundary = chars
            .peek()
            .is_some_and(|&(_, next)| !(word(c) && word(next)));
        // What follows is known, or the last character cannot grow.
        if depth <= 0
            && (boundary || (chars.peek().is_none() && matches!(c, ')' | ']' | '}' | ';' | ',')))
        {
            safe = end;
        }
    }
    text.get(..safe)
        .map(str::trim_end)
        .filter(|t| !t.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::place::tests::place;

    #[test]
    fn nothing_is_doubled_and_nothing_legitimate_is_lost() {
        for (at, text, expected) in [
            ("foo(|)", "x)", Some("x")),
            ("foo(|)", "bar()", Some("bar()")),
            ("foo(|)", "bar())", Some("bar()")),
            ("foo(|);", "x);", Some("x")),
            ("foo(|)", "x);", Some("x")),
            ("foo(\"|\")", "hello\")", Some("hello")),
            ("let a = |;", "1;", Some("1")),
            ("let a = foo|", "(a)", Some("(a)")),
            ("let a = 4 |", "4 zz", Some("4 zz")),
            ("    |", "\n\nreturn 1", Some("return 1")),
            ("    |\n    return 1;", "return 1;", None),
            ("a\n    |\n    b();", "x();\n    b();", Some("x();")),
            ("x|\n}", "\n}", Some("\n}")),
            ("|", "  \n ", None),
            ("x = |", "1\n```\nThis code", Some("1")),
            ("f(|)", "a,\n b)", Some("a,")),
        ] {
            assert_eq!(
                shown(text, &place(at)).as_deref(),
                expected,
                "{at:?} {text:?}"
            );
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
            ("foo;\nbar", Some("foo;")),
            ("\n    foo;\n", Some("\n    foo;")),
            ("x = 1;", Some("x = 1;")),
        ] {
            assert_eq!(safe_partial(text), expected, "{text:?}");
        }
    }
}
