//! From a model's text to what is shown: what is right stays, what is not is repaired or dropped.
//!
//! Called for every answer with the untyped rest of a generation and the place now. The steps stand in
//! [`shown`], in order; each takes text and gives text, and costs time in proportion to it. What only a
//! grammar can tell is left to [`syntax`](super::syntax).

use super::braces::{body, without_closed_below};
use super::lines::{
    begins_with_end, brackets, closed_lines, is_end, is_row, is_word, says_something,
};
use super::place::{Place, opener_of};
use super::stop::{repeated_row, unfinished_special};
use super::syntax::Indent;
use crate::document::Document;

pub(super) mod indent;

/// Shortest repetition of the typed part of the line, in bytes, that is a repetition: `x = ` may well be
/// followed by itself.
const SHORTEST_ECHO_BYTES: usize = 6;
/// Shortest part of the suffix, in bytes, by which it is found inside a text: one character is
/// everywhere.
const SHORTEST_OVERLAP_BYTES: usize = 3;

/// How a text came to be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    /// What the document indents with, where it tells.
    pub(super) indent: Option<Indent>,
    /// The model was stopped in the middle of a line.
    pub(super) cut_off: bool,
    /// A brace right of the cursor is to stand on a line of its own behind the text.
    pub(super) closes_below: bool,
    /// No grammar tells how deep a line may stand and which brackets are open.
    pub(super) without_grammar: bool,
}

/// Makes `rest`, the untyped part of a generation, fit between what stands left and right of the
/// cursor. `None` when nothing worth showing is left.
pub(super) fn shown(rest: &str, now: &Place, style: Style) -> Option<String> {
    let plain = rest.replace("\r\n", "\n");
    let text = without_leading_lines(&plain, now);
    let text = without_doubled_space(text, now);
    let text = without_echo(text, now);
    let text = without_broken_line(text, style);
    let text = without_suffix(text, now, style);
    let text = indent::fitted(text, now, style);
    let text = without_next_line(&text, now);
    let text = if style.without_grammar {
        without_closed_below(text, now)
    } else {
        text
    };
    let text = text.trim_end();
    let wrong = text.trim().is_empty()
        || repeats_line_above(text, now)
        || style.without_grammar && leaves_open(text, now);
    (!wrong).then(|| text.to_owned())
}

/// On an empty line a leading line end is the model's habit.
fn without_leading_lines<'t>(text: &'t str, now: &Place) -> &'t str {
    if !now.on_blank_start() {
        return text;
    }
    let blank = text.len() - text.trim_start().len();
    let start = text.get(..blank).and_then(|b| b.rfind('\n'));
    start.and_then(|at| text.get(at + 1..)).unwrap_or(text)
}

/// A space stands left of the cursor already.
fn without_doubled_space<'t>(text: &'t str, now: &Place) -> &'t str {
    if now.line_prefix.ends_with([' ', '\t']) && !now.on_blank_start() {
        text.trim_start_matches(' ')
    } else {
        text
    }
}

/// The model begins the line anew.
fn without_echo<'t>(text: &'t str, now: &Place) -> &'t str {
    let typed = now.line_prefix.trim();
    if typed.len() < SHORTEST_ECHO_BYTES || typed.chars().all(is_word) {
        return text;
    }
    let Some(rest) = text.trim_start().strip_prefix(typed) else {
        return text;
    };
    if now.line_prefix.ends_with(' ') {
        rest.trim_start_matches(' ')
    } else {
        rest
    }
}

/// Cuts what stands right of the cursor already. With text there, only one line can be right, or in front
/// of closers those that close what the first one opens.
fn without_suffix<'t>(text: &'t str, now: &Place, style: Style) -> &'t str {
    let suffix = now.line_suffix.trim();
    if suffix.is_empty() {
        return text;
    }
    if style.closes_below {
        return body(text);
    }
    let line = text.split('\n').next().unwrap_or(text);
    let closed = is_end(suffix).then(|| closed_lines(text)).flatten();
    let line = closed.unwrap_or(line);
    let kept = if suffix.starts_with(|c| opener_of(c).is_some()) {
        without_closers(line, &now.line_prefix, suffix)
    } else {
        without_overlap(line, suffix)
    };
    kept.unwrap_or(line)
}

/// Cuts at the closer that the suffix has already. Closers of what the text opens, and of what is
/// open left of the cursor and not closed by the suffix, stay.
fn without_closers<'t>(line: &'t str, prefix: &str, suffix: &str) -> Option<&'t str> {
    let left = brackets(prefix, None);
    if let Some(quote) = left.quote.filter(|&q| suffix.starts_with(q)) {
        let mut escaped = false;
        let end = line.find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        return end.and_then(|at| line.get(..at));
    }
    if suffix.starts_with('>') {
        return line.get(..first_excess_angle(line)?);
    }
    let taken = brackets(suffix, left.quote).closed.len();
    let own = left.open.len().saturating_sub(taken);
    if let Some(&(at, _)) = brackets(line, left.quote).closed.get(own) {
        return (taken > 0).then(|| line.get(..at))?;
    }
    // The statement's end stands after the closers.
    let end = suffix.trim_start_matches(|c| opener_of(c).is_some());
    let statement_end = matches!(end, ";" | "," | ":");
    statement_end.then(|| line.trim_end().strip_suffix(end))?
}

/// Where the first `>` stands that closes nothing of the text and is no part of an arrow or comparison.
fn first_excess_angle(line: &str) -> Option<usize> {
    let mut depth = 0_i32;
    let mut last = ' ';
    for (at, c) in line.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if !matches!(last, '-' | '=') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return Some(at);
        }
        last = c;
    }
    None
}

/// Cuts where the suffix begins again, unless that would leave a bracket open that the text closes.
fn without_overlap<'t>(line: &'t str, suffix: &str) -> Option<&'t str> {
    let end = line.trim_end();
    let at = end
        .ends_with(suffix)
        .then(|| end.len() - suffix.len())
        .filter(|_| !suffix.chars().all(is_word) || suffix.len() >= SHORTEST_OVERLAP_BYTES)
        .or_else(|| {
            let found = suffix.len() >= SHORTEST_OVERLAP_BYTES;
            found.then(|| line.find(suffix)).flatten()
        })
        .or_else(|| {
            (SHORTEST_OVERLAP_BYTES..suffix.len())
                .rev()
                .filter_map(|n| suffix.get(..n))
                .find(|begun| end.ends_with(begun))
                .map(|begun| end.len() - begun.len())
        })?;
    let kept = line.get(..at)?;
    let opened = |t: &str| brackets(t, None).open.len();
    (opened(kept) <= opened(end)).then_some(kept)
}

/// Whether the end that stands right of the cursor would be inside a bracket that the text opens.
fn leaves_open(text: &str, now: &Place) -> bool {
    let open = |text: &str| {
        let line = [&now.line_prefix, text, &now.line_suffix].concat();
        brackets(&line, None).open.len()
    };
    begins_with_end(&now.line_suffix) && open(text) > open("")
}

/// Drops lines from the one that repeats the next line below on; a text of that line alone is nothing.
fn without_next_line<'t>(text: &'t str, now: &Place) -> &'t str {
    // One more equal row is no repetition.
    if repeated_row(now) {
        return text;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let repeats = if start == 0 {
            now.at_line_end() && now.is_next_line(&[&now.line_prefix, line].concat())
        } else {
            now.is_next_line(line)
        };
        if repeats {
            return text.get(..start).unwrap_or_default();
        }
        start += line.len();
    }
    text
}

/// A line that the model was not allowed to finish, after lines that it finished.
fn without_broken_line(text: &str, style: Style) -> &str {
    if !style.cut_off {
        return text;
    }
    match text.trim_end_matches(' ').rfind('\n') {
        Some(at) if text.get(..at).is_some_and(|t| !t.trim().is_empty()) => {
            text.get(..at).unwrap_or(text)
        }
        _ => text,
    }
}

/// A statement that says what the one above says. Rows of tables do so for good reasons, and who has
/// begun to type the line means it.
fn repeats_line_above(text: &str, now: &Place) -> bool {
    let line = text.trim_end();
    now.on_blank_start()
        && !line.trim().contains('\n')
        && !is_row(line)
        && says_something(line)
        && line.trim() == now.previous_line.trim()
}

/// The whole lines of an unfinished text.
pub(super) fn safe_lines(text: &str) -> Option<&str> {
    let content = text.len() - text.trim_start().len();
    let end = text.get(content..)?.rfind('\n')? + content;
    text.get(..end).filter(|t| !t.trim().is_empty())
}

/// The longest beginning of an unfinished text that will still be right when more comes: whole lines,
/// or whole words of the first one with every bracket and quote it opens closed, and no tag just begun.
pub(super) fn safe_partial(text: &str) -> Option<&str> {
    let text = text.get(..text.len() - unfinished_special(text))?;
    if let Some(lines) = safe_lines(text) {
        return Some(lines);
    }
    if text.trim_start().starts_with("``") {
        return None;
    }
    let mut depth = 0_i32;
    let mut quote = None;
    let mut safe = 0;
    let mut before = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        let end = at + c.len_utf8();
        let next = chars.peek().map(|&(_, next)| next);
        // What follows is known, or the last character cannot grow.
        let boundary = match next {
            Some(next) => !(is_word(c) && is_word(next)),
            None => matches!(c, ')' | ']' | '}' | ';' | ','),
        };
        let begins_tag = c == '<' || c == '/' && before == Some('<');
        if depth <= 0 && quote.is_none() && boundary && !begins_tag {
            safe = end;
        }
        before = Some(c);
    }
    text.get(..safe)
        .map(str::trim_end)
        .filter(|t| !t.trim().is_empty())
}

/// Gives a text with `\n` the line ends of the document's first line.
pub(super) fn with_line_ends_of(document: &Document, text: String) -> String {
    if !text.contains('\n') || document.text.len_lines() < 2 {
        return text;
    }
    let first = document.text.line(0);
    let mut last_two = first.chars_at(first.len_chars()).reversed().take(2);
    match (last_two.next(), last_two.next()) {
        (Some('\n'), Some('\r')) => text.replace('\n', "\r\n"),
        (Some('\r'), _) => text.replace('\n', "\r"),
        _ => text,
    }
}

#[cfg(test)]
mod tests;
