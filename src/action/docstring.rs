//! A docstring that a model wrote above its `def`, put where Python looks for it.
//!
//! Called for what documents Python. Small models write it above, as comments stand in most languages;
//! there it is a string that nothing reads. Invariants: no line of code changes; what cannot be put in its
//! place is left out, and with nothing else new the reply is refused.

use std::ops::Range;

/// The quotes of docstrings.
const QUOTES: [&str; 2] = ["\"\"\"", "'''"];

/// `code` with each new docstring that stands above a `def` or `class` moved below its head. `old` is the
/// code before: what stood above something there stays.
pub(super) fn below_heads(code: &str, old: &str) -> String {
    let mut lines: Vec<String> = code.lines().map(str::to_owned).collect();
    let mut at = 0;
    while at < lines.len() {
        let found = misplaced(&lines, at, old);
        let Some((block, head)) = found else {
            at += 1;
            continue;
        };
        let text: Vec<String> = lines.get(block.clone()).unwrap_or_default().to_vec();
        let place = place_below(&lines, head);
        if let Some((line, indent)) = place {
            let own = indent_of(text.first().map_or("", String::as_str)).to_owned();
            let moved = text.iter().map(|line| {
                let words = line.strip_prefix(own.as_str()).unwrap_or(line.trim_start());
                if words.is_empty() {
                    String::new()
                } else {
                    format!("{indent}{words}")
                }
            });
            let moved: Vec<String> = moved.collect();
            lines.splice(line..line, moved);
        }
        // Blank lines between it and the head go with it.
        let end = (block.end..head).find(|&line| !is_blank(&lines, line));
        lines.drain(block.start..end.unwrap_or(head));
        at = block.start;
    }
    let mut out = lines.join("\n");
    out.push('\n');
    out
}

/// The docstring that begins at line `at` and stands above a head, and the head's line.
fn misplaced(lines: &[String], at: usize, old: &str) -> Option<(Range<usize>, usize)> {
    let first = lines.get(at)?;
    let end = end_of_string(lines, at)?;
    let text = lines.get(at..end)?.join("\n");
    // The docstring of what is around, or of the file.
    let above = lines
        .get(..at)?
        .iter()
        .rfind(|line| !line.trim().is_empty());
    if above.is_some_and(|line| without_comment(line).ends_with(':')) || old.contains(text.trim()) {
        return None;
    }
    let below = (end..lines.len()).filter(|&line| !is_blank(lines, line));
    let mut below = below.skip_while(|&line| {
        let line = lines.get(line).map_or("", |line| line.trim_start());
        line.starts_with('@') || line.starts_with('#')
    });
    let head = below.next()?;
    let line = lines.get(head)?;
    let is_head = ["def ", "async def ", "class "]
        .iter()
        .any(|word| line.trim_start().starts_with(word));
    (is_head && indent_of(line) == indent_of(first)).then_some((at..end, head))
}

/// The line after a string that is all of its lines.
fn end_of_string(lines: &[String], at: usize) -> Option<usize> {
    let first = lines
        .get(at)?
        .trim()
        .trim_start_matches(['r', 'R', 'u', 'U']);
    let quote = QUOTES.into_iter().find(|quote| first.starts_with(quote))?;
    let rest = first.get(quote.len()..)?;
    if let Some(end) = rest.find(quote) {
        return (end + quote.len() == rest.len()).then_some(at + 1);
    }
    let end =
        (at + 1..lines.len()).find(|&line| lines.get(line).is_some_and(|l| l.contains(quote)))?;
    lines
        .get(end)?
        .trim_end()
        .ends_with(quote)
        .then_some(end + 1)
}

/// The line below the head that begins at `head`, and the body's indentation. `None` where the body stands
/// on the head's line or has a docstring.
fn place_below(lines: &[String], head: usize) -> Option<(usize, String)> {
    let mut depth = 0_i32;
    let end = (head..lines.len()).find(|&line| {
        let text = lines.get(line).map_or("", |line| without_comment(line));
        depth += text.chars().fold(0, |depth, c| match c {
            '(' | '[' | '{' => depth + 1,
            ')' | ']' | '}' => depth - 1,
            _ => depth,
        });
        depth <= 0
    })?;
    if !without_comment(lines.get(end)?).ends_with(':') {
        return None;
    }
    let body = (end + 1..lines.len()).find(|&line| !is_blank(lines, line));
    let body = body.filter(|&line| {
        lines
            .get(line)
            .is_some_and(|l| indent_of(l).len() > indent_of(&lines[head]).len())
    })?;
    if end_of_string(lines, body).is_some() {
        return None;
    }
    Some((end + 1, indent_of(lines.get(body)?).to_owned()))
}

/// A line up to its comment; a `#` in a string counts as one, which at worst leaves a docstring out.
fn without_comment(line: &str) -> &str {
    line.split_once('#')
        .map_or(line, |(code, _)| code)
        .trim_end()
}

fn is_blank(lines: &[String], line: usize) -> bool {
    lines.get(line).is_none_or(|line| line.trim().is_empty())
}

fn indent_of(line: &str) -> &str {
    let text = line.trim_start();
    line.get(..line.len() - text.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docstring_goes_below_its_head() {
        for (code, expected) in [
            (
                "\"\"\"\nDraws n numbers.\n\n  More.\n\"\"\"\ndef sample(n):\n    return n\n",
                "def sample(n):\n    \"\"\"\n    Draws n numbers.\n\n      More.\n    \"\"\"\n    return n\n",
            ),
            (
                "    '''One line.'''\n\n    @cached\n    async def a(\n        b: int,  # (of them\n    ) -> int:\n\n        return b\n",
                "    @cached\n    async def a(\n        b: int,  # (of them\n    ) -> int:\n        '''One line.'''\n\n        return b\n",
            ),
            (
                "x = 1\n\n\"\"\"Of A.\"\"\"\nclass A:\n  b = 1\n",
                "x = 1\n\nclass A:\n  \"\"\"Of A.\"\"\"\n  b = 1\n",
            ),
            // In its place already, the one above is left out.
            (
                "\"\"\"Twice.\"\"\"\ndef a():\n    \"\"\"Twice.\"\"\"\n    b()\n",
                "def a():\n    \"\"\"Twice.\"\"\"\n    b()\n",
            ),
            // There is no place.
            ("\"\"\"A.\"\"\"\ndef a(): return 1\n", "def a(): return 1\n"),
        ] {
            assert_eq!(below_heads(code, ""), expected, "{code}");
        }
    }

    #[test]
    fn what_is_in_its_place_stays() {
        for code in [
            "def a():\n    \"\"\"A.\"\"\"\n    return 1\n",
            "class A:\n    \"\"\"A.\"\"\"\n    def b(self):\n        \"\"\"B.\"\"\"\n",
            "class A:\n    \"\"\"A.\"\"\"\n\n    @property\n    def b(self):\n        return 1\n",
            "\"\"\"Text.\"\"\" + x\ndef a():\n    b()\n",
            "# A.\ndef a():\n    b()\n",
            "\"\"\"Never ends.\ndef a():\n    b()\n",
        ] {
            assert_eq!(below_heads(code, ""), code, "{code}");
        }
        let file = "\"\"\"Of the file.\"\"\"\n\ndef a():\n    b()\n";
        assert_eq!(below_heads(file, file), file);
    }

    /// As the 1.5B model wrote it.
    #[test]
    fn a_reply_becomes_an_edit_below_the_head() {
        use super::super::{edit, indent};
        use crate::document::Document;

        let old = "def sample(n):\n    return [random.random() for _ in range(n)]\n";
        let reply = format!("\"\"\"\nDraws n numbers.\n\"\"\"\n{old}");
        let document = Document::new("file:///median.py", 1, "python", old);
        let code = below_heads(&indent::like(&reply, old), old);
        let changes = edit::changes(
            &document,
            &(0..2),
            old,
            &code,
            super::super::document::ACTION.keep,
        );
        let changes = changes.unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!(
            edit::applied(&document, &changes),
            old.replace(
                "(n):\n",
                "(n):\n    \"\"\"\n    Draws n numbers.\n    \"\"\"\n"
            )
        );
    }
}
