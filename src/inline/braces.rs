//! Braces that the editor closes: the cursor between them, and what Enter makes of the two.
//!
//! Who types `{` in VS Code stands in `{|}`, and after Enter on a line of its own with the closer below.
//! A text goes on through both, as if the person had typed the opener and the line end alone. What is shown
//! between braces has whole lines, and ends in the line end and the indentation that the closer stands behind:
//! only so the document is right when it is accepted. Called by `place`, `stop`, `postprocess` and `target`.

use super::lines::{brackets, closer_of, is_end};
use super::place::{Place, indent_of};

/// Whether the cursor stands between braces that hold nothing.
pub(super) fn are_empty_at(place: &Place) -> bool {
    let prefix = place.line_prefix.trim_end();
    prefix.ends_with('{')
        && place.line_suffix.trim_start().starts_with('}')
        && is_end(&place.line_suffix)
        && {
            let found = brackets(prefix, None);
            found.quote.is_none() && found.open.last() == Some(&'{')
        }
}

/// Whether the closing brace right of the cursor is the first of its line: nothing goes in front of it there.
pub(super) fn begins_line(place: &Place) -> bool {
    place.on_blank_start() && place.line_suffix.starts_with('}') && is_end(&place.line_suffix)
}

/// Whether a text begins with the end of the line: between braces, with what goes on lines of its own.
pub(super) fn begins_below(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
}

/// The indentation of the closer right of `now`, where that is to stand on a line of its own behind the rest of
/// `text`, generated at `origin`, of which so many bytes are `typed`: between empty braces, in the middle of
/// what was generated there, and where it is the first of its line.
pub(super) fn closer_indent(
    origin: &Place,
    text: &str,
    typed: usize,
    now: &Place,
) -> Option<String> {
    let between = |place: &Place, text: &str| begins_below(text) && are_empty_at(place);
    if between(now, text.get(typed..)?) {
        return Some(indent(&now.line_prefix).to_owned());
    }
    if begins_line(now) {
        return Some(now.line_prefix.clone());
    }
    let same_right =
        now.next_line == origin.next_line && now.line_suffix.trim() == origin.line_suffix.trim();
    (same_right && between(origin, text)).then(|| indent(&origin.line_prefix).to_owned())
}

fn indent(line: &str) -> &str {
    let code = line.trim_start().len();
    line.get(..line.len() - code).unwrap_or_default()
}

/// The whole lines of a text in front of a brace that stand inside it and close what they open.
pub(super) fn body(text: &str) -> &str {
    let closed = brackets(text, None).closed;
    let end = closed.iter().find(|(_, closer)| *closer == '}');
    let end = end.map_or(text.len(), |&(at, _)| at);
    let inside = text.get(..end).unwrap_or(text);
    let ends = memchr::memrchr_iter(b'\n', inside.as_bytes());
    std::iter::once(inside.len())
        .chain(ends)
        .filter_map(|end| inside.get(..end))
        .find(|lines| brackets(lines, None).open.is_empty())
        .unwrap_or_default()
        .trim_end()
}

/// `text` with the closer behind it on a line of its own, so indented, where it stands on one.
pub(super) fn closed_off(mut text: String, closer_indent: Option<&str>) -> String {
    if let Some(indent) = closer_indent {
        text.truncate(text.trim_end().len());
        text.push('\n');
        text.push_str(indent);
    }
    text
}

/// The line that Enter has left below the lines `typed` of a text generated at `origin`, where the editor
/// had closed what was open there.
pub(super) fn moved_down(origin: &Place, typed: &str) -> Option<String> {
    let starts = memchr::memrchr_iter(b'\n', typed.trim_end_matches('\n').as_bytes())
        .map(|at| at + 1)
        .chain([0]);
    let opened = starts.map(|start| {
        let lines = typed.get(start..).unwrap_or_default();
        (start, brackets(lines, None).open)
    });
    let suffix = origin.line_suffix.trim();
    let mut closers = String::new();
    if let Some((start, open)) = opened.into_iter().find(|(_, open)| !open.is_empty()) {
        closers.extend(open.iter().rev().map(|&c| closer_of(c)));
        if start > 0 {
            return Some(closers);
        }
    }
    // An opener left of where the text begins was closed after that.
    if origin.line_prefix.trim_end().ends_with('{') && !suffix.starts_with('}') {
        closers.push('}');
    }
    closers.push_str(suffix);
    is_end(&closers).then_some(closers)
}

/// `text` up to the line with which it closes what the line below `now` closes already.
pub(super) fn without_closed_below<'t>(text: &'t str, now: &Place) -> &'t str {
    let doubled = || {
        let &(at, closer) = brackets(text, None).closed.first()?;
        let start = memchr::memrchr(b'\n', text.get(..at)?.as_bytes())? + 1;
        let begins_line = text.get(start..at)?.trim().is_empty();
        let same = now.at_line_end() && now.next_line.starts_with(closer);
        let is_as_deep = indent_of(text.get(start..)?) <= now.next_columns;
        (begins_line && same && is_as_deep).then_some(start)
    };
    doubled()
        .and_then(|start| text.get(..start))
        .unwrap_or(text)
}
