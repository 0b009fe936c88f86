//! Small questions about one line of code, asked while stopping and while shaping a text.
//!
//! Nothing here knows a place, a document or a grammar; every answer costs time in proportion to the
//! line.

use super::place::opener_of;

/// Whether a line looks like a row of a table, a list or JSON: such lines repeat for good reasons.
pub(super) fn is_row(line: &str) -> bool {
    let line = line.trim();
    line.ends_with(',')
        || line.starts_with([
            '|', '[', '{', '(', '}', ']', ')', '"', '\'', '<', '-', '+', '*', '#',
        ])
        || line.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a line says something: a lone bracket repeats in every file.
pub(super) fn says_something(line: &str) -> bool {
    line.chars().any(char::is_alphanumeric)
}

/// A word character in all languages served.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether nothing but closing brackets, and a `;` or `,` after them, is on the line.
pub(super) fn is_closer(line: &str) -> bool {
    line.trim_start().starts_with([')', ']', '}']) && is_end(line)
}

/// What ends an argument or a statement.
const ENDS: &[char] = &[')', ']', '}', ';', ','];

/// Whether the rest of a line begins with the end of what stands before it.
pub(super) fn begins_with_end(rest: &str) -> bool {
    rest.trim_start().starts_with(ENDS)
}

/// Whether the rest of a line is the end of what stands before it and nothing else.
pub(super) fn is_end(rest: &str) -> bool {
    begins_with_end(rest) && rest.trim().trim_start_matches(ENDS).is_empty()
}

/// The fewest whole lines of `text` that close every bracket they open, where there are any.
pub(super) fn closed_lines(text: &str) -> Option<&str> {
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
    let mut lines = ends.filter_map(|end| text.get(..end));
    lines.find(|lines| brackets(lines, None).open.is_empty())
}

/// Stands for the `${` of a template string: closed by a brace, after which the string goes on.
const TEMPLATE: char = '$';

/// The brackets of a piece of code, quoted ones left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Brackets {
    /// Opened and not closed, outermost first.
    pub(super) open: Vec<char>,
    /// Closed and not opened: where each stands, in bytes, and what it is.
    pub(super) closed: Vec<(usize, char)>,
    /// A quote that was opened and not closed.
    pub(super) quote: Option<char>,
}

/// Reads the brackets of `code`, which begins inside `quote` where that is given.
pub(super) fn brackets(code: &str, quote: Option<char>) -> Brackets {
    let mut found = Brackets {
        quote,
        ..Brackets::default()
    };
    let mut chars = code.char_indices();
    while let Some((at, c)) = chars.next() {
        if let Some(quote) = found.quote {
            match c {
                '\\' => drop(chars.next()),
                '{' if quote == '`' && code.get(..at).is_some_and(|b| b.ends_with('$')) => {
                    found.open.push(TEMPLATE);
                    found.quote = None;
                }
                // Only a template runs over lines; a quote left open is an apostrophe.
                '\n' if quote != '`' => found.quote = None,
                _ if c == quote => found.quote = None,
                _ => {}
            }
            continue;
        }
        match c {
            '"' | '`' => found.quote = Some(c),
            // Rust's lifetimes and the apostrophes of comments are no quotes.
            '\'' if is_quote(code, at) => found.quote = Some(c),
            '(' | '[' | '{' => found.open.push(c),
            '}' if found.open.last() == Some(&TEMPLATE) => {
                found.open.pop();
                found.quote = Some('`');
            }
            ')' | ']' | '}' if found.open.last().copied() == opener_of(c) => {
                found.open.pop();
            }
            ')' | ']' | '}' => found.closed.push((at, c)),
            _ => {}
        }
    }
    found
}

/// Whether the apostrophe at byte `at` opens a string or a character: it has a partner on the line, and
/// stands neither in a word nor where a lifetime stands. Prefixes of Python's and Rust's strings are
/// no words.
fn is_quote(code: &str, at: usize) -> bool {
    let (before, after) = code.split_at(at);
    let after = after.split('\n').next().unwrap_or_default();
    let closes = after.get(1..).is_some_and(|rest| rest.contains('\''));
    match before.chars().next_back() {
        Some('<' | '&') => false,
        Some('f' | 'b' | 'r' | 'u') => closes,
        Some(c) if is_word(c) => false,
        _ => closes,
    }
}

/// The bracket that closes `opener`.
pub(super) const fn closer_of(opener: char) -> char {
    match opener {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_counted_outside_quotes() {
        for (code, open, closed, quote) in [
            ("foo(a[", "([", "", None),
            ("foo(a)", "", "", None),
            ("x))", "", "))", None),
            ("\"(\" + ')'", "", "", None),
            ("fn a<'a>(b: &'a str", "(", "", None),
            ("say(\"hel", "(", "", Some('"')),
            ("\"a\\\"(\"", "", "", None),
            ("`a\n(`", "", "", None),
            ("`a${b(", "$(", "", None),
            ("`a${b}(", "", "", Some('`')),
        ] {
            let found = brackets(code, None);
            let shown: String = found.closed.iter().map(|&(_, c)| c).collect();
            assert_eq!(found.open.iter().collect::<String>(), open, "{code:?}");
            assert_eq!(shown, closed, "{code:?}");
            assert_eq!(found.quote, quote, "{code:?}");
        }
        assert_eq!(brackets("a(\" b(", Some('"')).open, ['(']);
    }

    #[test]
    fn rows_and_closers_are_told_from_statements() {
        for (line, row, closer) in [
            ("    [0, 0, 1],", true, false),
            ("| a | b |", true, false),
            ("x = 1", false, false),
            ("    });", true, true),
            ("} else {", true, false),
        ] {
            assert_eq!((is_row(line), is_closer(line)), (row, closer), "{line:?}");
        }
    }
}
