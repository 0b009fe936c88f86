//! Whether one line or many are wanted, and where a generation ends.
//!
//! Asked by the stream task on every chunk: ending early closes the stream and frees the backend.

use super::place::{Place, indent_of};
use crate::config::MultiLine;

/// Lines of a multi-line completion. A block longer than this is read more slowly than it is typed.
const MOST_LINES: usize = 12;

/// Whether several lines may be generated at `place`.
pub(super) fn wants_lines(place: &Place, setting: MultiLine) -> bool {
    match setting {
        MultiLine::Never => false,
        _ if !place.at_line_end() => false,
        MultiLine::Always => true,
        MultiLine::Auto => {
            let opener = if place.on_blank_start() {
                &place.previous_line
            } else {
                &place.line_prefix
            };
            opens_block(opener) && block_is_empty(place)
        }
    }
}

/// The length to which `text`, generated at `origin`, is cut, once no more of it is wanted.
pub(super) fn end_of(text: &str, origin: &Place, multi_line: bool) -> Option<usize> {
    let content = text.len() - text.trim_start().len();
    if multi_line {
        end_of_block(text, origin)
    } else {
        end_of_line(text, content, origin)
    }
}

fn end_of_line(text: &str, content: usize, origin: &Place) -> Option<usize> {
    // On an empty line a leading line end is the model's habit; after text it means "nothing here".
    let from = if origin.on_blank_start() { content } else { 0 };
    text.get(from..)?.find('\n').map(|at| from + at)
}

fn end_of_block(text: &str, origin: &Place) -> Option<usize> {
    let opener = if origin.on_blank_start() {
        &origin.previous_line
    } else {
        &origin.line_prefix
    };
    let base = indent_of(opener);
    let mut start = 0;
    let mut blank_lines = 0;
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let whole = line.ends_with('\n');
        let content = line.trim_end();
        let end = start + content.len();
        if content.is_empty() {
            blank_lines += usize::from(n > 0);
            if blank_lines > 1 {
                return Some(text.get(..start)?.trim_end().len());
            }
        } else {
            blank_lines = 0;
            if n > 0 && indent_of(line) <= base {
                // One closer ends the block, unless it stands below already.
                let closes = content.trim_start().starts_with(['}', ')', ']'])
                    || content.trim_start().starts_with("end");
                if !closes || closes_already(origin, content) {
                    return Some(text.get(..start)?.trim_end().len());
                }
                if whole {
                    return Some(end);
                }
            }
        }
        if whole && n + 1 >= MOST_LINES {
            return Some(end);
        }
        start += line.len();
    }
    None
}

fn closes_already(origin: &Place, closer: &str) -> bool {
    let closer = closer.trim();
    origin
        .next_line
        .starts_with(closer.get(..1).unwrap_or(closer))
}

/// Whether a line ends in something that begins a block, in the languages most people write.
fn opens_block(line: &str) -> bool {
    let line = line.trim_end();
    line.ends_with(['{', '(', '[', ':']) || line.ends_with("=>") || line.ends_with(" do")
}

/// Whether nothing of the block is there yet: the next line is no deeper than the opener.
fn block_is_empty(place: &Place) -> bool {
    place.next_line.is_empty() || place.next_line.starts_with(['}', ')', ']']) || !place.next_deeper
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::place::tests::place;

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
            assert_eq!(
                wants_lines(&place(text), MultiLine::Auto),
                expected,
                "{text:?}"
            );
        }
        assert!(!wants_lines(&place("fn a() {|\n}"), MultiLine::Never));
        assert!(wants_lines(&place("let a = |"), MultiLine::Always));
    }

    #[test]
    fn a_generation_ends_at_the_line_or_the_block() {
        for (origin, text, kept) in [
            ("let a = |", "1;\nlet b", Some("1;")),
            ("let a = |", "1;", None),
            ("a\n    |\n}", "\n    b;\nc", Some("\n    b;")),
            ("let a = 1;|", "\nlet b", Some("")),
            ("fn a() {|\n}", "\n    b;\n}\n", Some("\n    b;")),
            ("fn a() {|\nfn b", "\n    b;\n}\n", Some("\n    b;\n}")),
            ("fn a() {|\n}", "\n    b;\n    c", None),
            ("def a():|", "\n    b\n\n\nc = 1", Some("\n    b")),
            ("def a():|", "\n    b\nc = 1\n", Some("\n    b")),
        ] {
            let origin = place(origin);
            let multi_line = wants_lines(&origin, MultiLine::Auto);
            let end = end_of(text, &origin, multi_line);
            assert_eq!(end.and_then(|e| text.get(..e)), kept, "{origin:?} {text:?}");
        }
    }
}
