//! Indentation: what the editor has put left of the cursor is not doubled, and later lines use what the
//! document uses.

use std::borrow::Cow;

use super::Style;
use crate::inline::place::{Place, indent_of};
use crate::inline::stop::opens_block;
use crate::inline::syntax::Indent;

/// Columns of a level where the document tells nothing.
const USUAL_LEVEL: usize = 4;
/// Columns behind the beginning of a YAML list's entry at which the entry goes on.
const DASH_COLUMNS: usize = 2;
/// Beginnings of a line that goes on with the statement above, deeper than it.
const CONTINUATIONS: &[&str] = &[".", "?", "&&", "||", "+", "|", ":", "=", "and ", "or "];

/// Whether what the document indents with is of any matter to `text`.
pub(in crate::inline) fn matters(text: &str) -> bool {
    text.starts_with([' ', '\t']) || text.contains(['\n', '\r', '\t'])
}

/// `text` with its first line placed and its later lines indented as the document is.
pub(super) fn fitted<'t>(text: &'t str, now: &Place, style: Style) -> Cow<'t, str> {
    let text = placed(text, now, style);
    match style.indent {
        Some(Indent::Tabs) => with_tabs(text, now),
        Some(Indent::Spaces(width)) => with_spaces(text, width),
        None => text,
    }
}

/// Takes away what the first line is indented too far, from later lines too where all of them are.
fn placed<'t>(text: &'t str, now: &Place, style: Style) -> Cow<'t, str> {
    let first = text.split('\n').next().unwrap_or(text);
    let content = first.trim_start();
    let lead = indent_of(first);
    if !now.on_blank_start()
        || lead == 0
        || now.previous_line.is_empty()
        || CONTINUATIONS.iter().any(|c| content.starts_with(c))
    {
        return Cow::Borrowed(text);
    }
    let level = match style.indent {
        Some(Indent::Spaces(width)) => width,
        _ => USUAL_LEVEL,
    };
    let deeper = opens_block(&now.previous_line, true);
    let deepest = indent_of(&now.previous_line) + if deeper { level } else { 0 };
    let has = indent_of(&now.line_prefix);
    let excess = (has + lead).saturating_sub(deepest.max(has));
    if excess == 0 || style.without_grammar && is_depth(excess, level) {
        return Cow::Borrowed(text);
    }
    let (_, later) = text.split_at(first.len());
    let mut later_lines = later.split('\n').filter(|l| !l.trim().is_empty());
    let all_too_deep = later_lines.all(|l| indent_of(l) >= has + lead);
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let too_deep = if n == 0 || all_too_deep { excess } else { 0 };
        out.push_str(without_columns(line, too_deep));
    }
    Cow::Owned(out)
}

/// Whether so many columns deeper than the line above may be meant: a whole level, or as many as a dash
/// and its space take.
const fn is_depth(columns: usize, level: usize) -> bool {
    columns.is_multiple_of(level) || columns.is_multiple_of(DASH_COLUMNS)
}

/// `line` without so many columns of leading whitespace.
fn without_columns(line: &str, columns: usize) -> &str {
    let mut taken = 0;
    let mut start = 0;
    for (at, c) in line.char_indices() {
        if taken >= columns || !matches!(c, ' ' | '\t') {
            break;
        }
        taken += if c == '\t' { USUAL_LEVEL } else { 1 };
        start = at + 1;
    }
    line.get(start..).unwrap_or(line)
}

/// The lines that begin at column 0 of the document, and the others as they are.
fn lines_at_start<'t>(text: &'t str, now: &Place) -> impl Iterator<Item = (&'t str, bool)> {
    let first_too = now.line_prefix.is_empty();
    text.split('\n')
        .enumerate()
        .map(move |(n, line)| (line, n > 0 || first_too))
}

fn with_tabs<'t>(text: Cow<'t, str>, now: &Place) -> Cow<'t, str> {
    let spaces = |line: &str| line.chars().take_while(|&c| c == ' ').count();
    let used: Vec<usize> = lines_at_start(&text, now)
        .filter(|(line, at_start)| *at_start && !line.trim().is_empty())
        .map(|(line, _)| spaces(line))
        .filter(|&n| n > 1)
        .collect();
    let Some(&least) = used.iter().min() else {
        return text;
    };
    let all = |width: usize| used.iter().all(|n| n % width == 0);
    let width = [4, 2]
        .into_iter()
        .find(|&width| all(width))
        .unwrap_or(least);
    let out: Vec<String> = lines_at_start(&text, now)
        .map(|(line, at_start)| {
            let levels = if at_start { spaces(line) / width } else { 0 };
            let rest = line.get(levels * width..).unwrap_or_default();
            ["\t".repeat(levels).as_str(), rest].concat()
        })
        .collect();
    Cow::Owned(out.join("\n"))
}

fn with_spaces(text: Cow<'_, str>, width: usize) -> Cow<'_, str> {
    let tabs = |line: &str| line.chars().take_while(|&c| c == '\t').count();
    if text.split('\n').all(|line| tabs(line) == 0) {
        return text;
    }
    let out: Vec<String> = text
        .split('\n')
        .map(|line| {
            let levels = tabs(line);
            let rest = line.get(levels..).unwrap_or_default();
            [" ".repeat(levels * width).as_str(), rest].concat()
        })
        .collect();
    Cow::Owned(out.join("\n"))
}
