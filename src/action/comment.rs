//! Comments, without a grammar: their signs, their words, their `todo`.

/// Signs that begin a comment that ends with the line.
const LINE_SIGNS: &[&str] = &["///", "//!", "//", "#", "--", ";;", "%"];
/// Lines that only look like comments.
const NO_COMMENTS: &[&str] = &[
    "#[", "#!", "#include", "#define", "#if", "#endif", "#pragma", "--;",
];
/// What stands where code is to come.
const GAPS: &[&str] = &[
    "todo!(",
    "unimplemented!(",
    "NotImplementedError",
    "NotImplementedException",
    "UnsupportedOperationException",
];

/// Whether something is left to do on a line.
pub(super) fn holds_todo(line: &str) -> bool {
    if GAPS.iter().any(|gap| line.contains(gap)) {
        return true;
    }
    // Each line of a selection is looked at whenever actions are listed: most hold neither word.
    let holds = |mark: &str| {
        let mut windows = line.as_bytes().windows(mark.len());
        windows.any(|window| window.eq_ignore_ascii_case(mark.as_bytes()))
    };
    if !holds("todo") && !holds("fixme") {
        return false;
    }
    let lower = line.to_lowercase();
    let marked = ["todo", "fixme"].iter().any(|mark| {
        lower.match_indices(mark).any(|(at, _)| {
            let before = lower.get(..at).unwrap_or_default();
            let after = lower.get(at + mark.len()..).unwrap_or_default();
            let word = |c: char| c.is_alphanumeric() || c == '_';
            !before.ends_with(word) && !after.starts_with(word)
        })
    });
    let in_comment = ["//", "#", "/*", "*", "--", "<!--", "\"\"\"", ";", "%"]
        .iter()
        .any(|sign| lower.contains(sign));
    marked && in_comment
}

/// Whether the line is nothing but a comment.
pub(super) fn is_line_comment(line: &str) -> bool {
    let line = line.trim();
    LINE_SIGNS.iter().any(|sign| line.starts_with(sign))
        && !NO_COMMENTS.iter().any(|no| line.starts_with(no))
}

/// The words of a line that is a comment.
pub(super) fn words_of(line: &str) -> &str {
    let line = line.trim();
    let sign = LINE_SIGNS.iter().find(|sign| line.starts_with(**sign));
    sign.and_then(|sign| line.strip_prefix(sign))
        .unwrap_or(line)
        .trim()
}

/// Whether whole lines are nothing but comments: line comments, block comments, docstrings, blank lines.
pub(super) fn is_comment(text: &str) -> bool {
    let mut block: Option<&str> = None;
    for line in text.lines().map(str::trim) {
        if let Some(end) = block {
            if let Some(at) = line.find(end) {
                let rest = line.get(at + end.len()..).unwrap_or_default();
                if !rest.trim().is_empty() {
                    return false;
                }
                block = None;
            }
            continue;
        }
        if line.is_empty() || is_line_comment(line) {
            continue;
        }
        let raw = line.trim_start_matches(['r', 'R']);
        let opened = [
            ("/*", "*/"),
            ("\"\"\"", "\"\"\""),
            ("'''", "'''"),
            ("<!--", "-->"),
        ]
        .into_iter()
        .find_map(|(open, close)| Some((raw.strip_prefix(open)?, close)));
        let Some((rest, close)) = opened else {
            // The middle of a block comment whose beginning was there before.
            if line.starts_with("* ") || line == "*" || line == "*/" {
                continue;
            }
            return false;
        };
        match rest.find(close) {
            None => block = Some(close),
            Some(at)
                if rest
                    .get(at + close.len()..)
                    .is_some_and(|r| r.trim().is_empty()) => {}
            Some(_) => return false,
        }
    }
    block.is_none()
}

/// Whether a line belongs to the item below it: a comment, an attribute or a decorator.
pub(super) fn leads(line: &str) -> bool {
    let line = line.trim();
    is_line_comment(line)
        || ["#[", "@", "/**", "/*", "* ", "*/"]
            .iter()
            .any(|sign| line.starts_with(sign))
        || line == "*"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_todo_is_a_mark_in_a_comment_or_a_gap_in_code() {
        for (line, holds) in [
            ("    todo!()", true),
            ("// todo: more", true),
            ("x = 1  # ToDo later", true),
            ("raise NotImplementedError", true),
            ("let todos = todo_list();", false),
            ("// the mastodont", false),
            ("print(\"todo\")", false),
        ] {
            assert_eq!(holds_todo(line), holds, "{line}");
        }
    }

    #[test]
    fn comments_are_told_from_code() {
        for (text, expected) in [
            ("/// A.\n/// B.\n", true),
            ("# a\n\n", true),
            ("/**\n * A.\n */\n", true),
            ("/** A. */\n", true),
            ("    \"\"\"A.\n\n    B.\n    \"\"\"\n", true),
            ("'''A.'''\n", true),
            ("* more of it\n", true),
            ("#[derive(Debug)]\n", false),
            ("let a = 1; // A.\n", false),
            ("/* a */ let b = 1;\n", false),
            ("/* a\n", false),
            ("#include <a.h>\n", false),
            ("x = '''a'''\n", false),
        ] {
            assert_eq!(is_comment(text), expected, "{text:?}");
        }
        assert_eq!(words_of("  /// make it faster "), "make it faster");
        assert_eq!(words_of("# make it faster"), "make it faster");
    }
}
