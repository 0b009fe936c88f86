//! Whether one line or many are wanted, and where a generation ends.
//!
//! [`Shape::of`] decides once, when a generation starts; the shape belongs to that stream, whatever
//! requests join it. The stream task asks [`end_of`] on every chunk: ending early closes the stream and
//! frees the backend.
//!
//! Invariants: an answer costs time in proportion to the generated text, which is short, and never to
//! the document; it does not depend on how the text was cut into chunks, because a line is judged only
//! by what can no longer change.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::braces::{are_empty_at, begins_below};
use super::lines::{brackets, is_end, is_row, is_word, says_something};
use super::place::{Place, indent_of};
use super::syntax::Scene;
use crate::config::MultiLine;
use crate::prompt::fim;

/// Lines of a multi-line completion. A block longer than this is read more slowly than it is typed.
const MOST_LINES: usize = 12;
/// Longest block of lines, in lines, that is looked for a second time in a row.
const LONGEST_REPEATED_BLOCK_LINES: usize = 4;
/// How often a line stands in a row before it is a loop. Two are a person's own habit.
const LOOP_LINES: usize = 3;

/// Sentinels that a model may produce although its own family has others: it was trained on them, or
/// the template is of another family. All that no code holds of all families' stops, and thoughts.
static SPECIALS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let stops = fim::FAMILIES.iter().chain([&fim::PREFIX_ONLY]);
    let mut all: Vec<_> = stops
        .flat_map(|family| family.stops)
        .copied()
        .filter(|stop| is_unmistakable(stop))
        .chain(["<think>", "</think>"])
        .collect();
    all.sort_unstable();
    all.dedup();
    all
});

/// Whether a sentinel has a shape that no language has: `</s>` is HTML and `[PREFIX]` an index.
fn is_unmistakable(stop: &str) -> bool {
    ["<|", "<｜", "<fim_", "<file_sep"]
        .iter()
        .any(|shape| stop.starts_with(shape))
}

/// How far a text may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Extent {
    /// To the end of its line.
    #[default]
    Line,
    /// In front of closers, which would stand inside it otherwise: until what its first line opens is closed.
    Closing,
    /// Between braces that the editor closed: as many lines as stand inside them, where it begins below.
    Braces,
    /// Several lines.
    Lines,
}

/// What a generation may become. Fixed when it starts.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    extent: Extent,
    /// Columns that a line must have to belong to the block that opens at the place, where one does.
    block_columns: Option<usize>,
    /// Whether a fence is part of the text: in Markdown, in comments and in strings.
    pub(super) fences_are_text: bool,
    /// Texts of the model's family that end a generation.
    stops: &'static [&'static str],
}

impl Shape {
    /// The shape of what is generated at `place`. `scene` is what the grammar sees there; `stops` are
    /// those of the model's family.
    pub(super) fn of(
        place: &Place,
        scene: &Scene,
        setting: MultiLine,
        stops: &'static [&'static str],
    ) -> Self {
        let between_braces = are_empty_at(place) && !scene.in_text;
        let opened = scene.block_columns.or_else(|| {
            let opener = opener_of(place);
            let opens = opens_block(opener, scene.colon_opens) && block_is_empty(place);
            (between_braces || opens).then(|| indent_of(opener))
        });
        let extent = match setting {
            MultiLine::Never => Extent::Line,
            _ if between_braces => Extent::Braces,
            _ if is_end(&place.line_suffix) => Extent::Closing,
            _ if !place.at_line_end() => Extent::Line,
            MultiLine::Always => Extent::Lines,
            MultiLine::Auto if opened.is_some() && !scene.in_text => Extent::Lines,
            MultiLine::Auto => Extent::Line,
        };
        Self {
            extent,
            block_columns: opened.map(|columns| columns + 1),
            fences_are_text: scene.fences_are_text,
            stops,
        }
    }

    /// Whether the text may have several lines.
    pub(super) const fn may_have_lines(&self) -> bool {
        matches!(self.extent, Extent::Braces | Extent::Lines)
    }
}

/// The line that would open the block at `place`.
fn opener_of(place: &Place) -> &str {
    if place.on_blank_start() {
        &place.previous_line
    } else {
        &place.line_prefix
    }
}

/// Whether a line ends in something that begins a block, in the languages most people write.
pub(super) fn opens_block(line: &str, colon_opens: bool) -> bool {
    let line = line.trim_end();
    line.ends_with(['{', '(', '['])
        || line.ends_with("=>")
        || line.ends_with(" do")
        || line.ends_with(':') && (colon_opens || is_label(line))
}

/// A `case` or `default` of a language with braces.
fn is_label(line: &str) -> bool {
    let word = line.trim_start().split(|c| !is_word(c)).next();
    matches!(word, Some("case" | "default"))
}

/// Whether nothing of the block is there yet: the next line is no deeper than the opener.
fn block_is_empty(place: &Place) -> bool {
    place.next_line.is_empty()
        || place.next_line.starts_with(['}', ')', ']'])
        || !place.next_is_deeper()
}

/// The length to which `text`, generated at `origin`, is cut, once no more of it is wanted.
pub(super) fn end_of(text: &str, origin: &Place, shape: &Shape) -> Option<usize> {
    end(text, origin, shape, false)
}

/// Like [`end_of`] for a text that the model has ended itself: its last line is whole.
pub(super) fn end_of_finished(text: &str, origin: &Place, shape: &Shape) -> Option<usize> {
    end(text, origin, shape, true)
}

fn end(text: &str, origin: &Place, shape: &Shape, finished: bool) -> Option<usize> {
    let special = first_special(text, shape.stops);
    let before = text.get(..special.unwrap_or(text.len()))?;
    let finished = finished || special.is_some();
    let lines = Lines {
        text: before,
        multi_line: match shape.extent {
            Extent::Line | Extent::Closing => false,
            Extent::Braces => begins_below(before),
            Extent::Lines => true,
        },
        origin,
        shape,
        finished,
    };
    lines
        .end()
        .or_else(|| special.map(|_| before.trim_end().len()))
}

/// Where the first sentinel or thought begins. All begin with one of two characters.
fn first_special(text: &str, stops: &[&str]) -> Option<usize> {
    let mut may_begin = memchr::memchr2_iter(b'<', b'[', text.as_bytes());
    may_begin.find(|&at| {
        let rest = text.get(at..).unwrap_or_default();
        SPECIALS.iter().chain(stops).any(|s| rest.starts_with(s))
    })
}

/// The length of the end of `text` that may be the beginning of a sentinel.
pub(super) fn unfinished_special(text: &str) -> usize {
    let Some(at) = text.rfind('<') else { return 0 };
    let tail = text.get(at..).unwrap_or_default();
    let begun = SPECIALS
        .iter()
        .any(|s| s.starts_with(tail) && s.len() > tail.len());
    if begun { tail.len() } else { 0 }
}

/// A generation, read line by line.
struct Lines<'a> {
    text: &'a str,
    multi_line: bool,
    origin: &'a Place,
    shape: &'a Shape,
    finished: bool,
}

impl Lines<'_> {
    fn end(&self) -> Option<usize> {
        let mut seen: Vec<Cow<'_, str>> = Vec::new();
        let mut starts: Vec<usize> = Vec::new();
        let mut start = 0;
        let mut blank_lines = 0;
        let mut any = false;
        for (n, line) in self.text.split_inclusive('\n').enumerate() {
            let whole = line.ends_with('\n') || self.finished;
            let content = line.trim_end();
            let trimmed = content.trim_start();
            let cut = self.text.get(..start)?.trim_end().len();
            let line_end = start + content.len();
            if trimmed.is_empty() {
                // On an empty line a leading line end is the model's habit; after text it means
                // "nothing here".
                let leads = !any && line.ends_with('\n') && !self.origin.on_blank_start();
                if !self.multi_line && leads {
                    return Some(line_end);
                }
                blank_lines += usize::from(any && line.ends_with('\n'));
                if blank_lines > 1 {
                    return Some(cut);
                }
                start += line.len();
                continue;
            }
            if self.leaves_block(n, any, line, whole) {
                return Some(cut);
            }
            if !whole {
                return None;
            }
            if !self.shape.fences_are_text && trimmed.starts_with("```") {
                return Some(cut);
            }
            if any && self.reaches_below(content) {
                return Some(cut);
            }
            if !self.multi_line && !self.is_open_at(line_end) {
                return line.ends_with('\n').then_some(line_end);
            }
            let closes = self.multi_line && n > 0 && !self.is_in_block(line) && ends_block(trimmed);
            if closes && line.ends_with('\n') {
                return Some(line_end);
            }
            seen.push(if n == 0 {
                // The first line's indentation may stand left of the cursor.
                Cow::Owned([self.origin.line_prefix.as_str(), content].concat())
            } else {
                Cow::Borrowed(content)
            });
            starts.push(start + line.len());
            if let Some(kept) = first_of_repeated(&seen) {
                let end = starts.get(kept.checked_sub(1)?)?;
                return Some(self.text.get(..*end)?.trim_end().len());
            }
            if seen.len() >= MOST_LINES && line.ends_with('\n') {
                return Some(line_end);
            }
            any = true;
            blank_lines = 0;
            start += line.len();
        }
        None
    }

    /// Whether the line stands outside the block; one closer, or a branch of the same statement, still
    /// belongs to it, unless it stands below already.
    fn leaves_block(&self, n: usize, any: bool, line: &str, whole: bool) -> bool {
        let first_line = n == 0 || !any && self.origin.on_blank_start();
        if !self.multi_line || first_line || self.is_in_block(line) {
            return false;
        }
        let trimmed = line.trim();
        match trimmed.chars().next() {
            Some(')' | ']' | '}') => self.closes_already(trimmed),
            // Not known before the word is whole. A sentinel may begin here.
            Some('<' | '`') => whole,
            Some(c) if is_word(c) => {
                let word_is_whole = whole || trimmed.chars().any(|c| !is_word(c));
                word_is_whole && (!ends_block(trimmed) || self.closes_already(trimmed))
            }
            _ => true,
        }
    }

    /// Whether the text up to byte `end` has opened what it is yet to close.
    fn is_open_at(&self, end: usize) -> bool {
        let text = self.text.get(..end).unwrap_or_default();
        matches!(self.shape.extent, Extent::Closing | Extent::Braces)
            && !brackets(text, None).open.is_empty()
    }

    fn is_in_block(&self, line: &str) -> bool {
        let columns = self.shape.block_columns;
        let columns = columns.unwrap_or_else(|| self.own_columns());
        // C++ and Go write the labels of a block as deep as what opens it.
        let is_label = || is_label(line) || line.trim_end().ends_with(':');
        let most =
            columns - usize::from(self.shape.extent == Extent::Braces && columns > 0 && is_label());
        indent_of(line) >= most
    }

    /// Indentation of the first line with the text on it. Behind a finished line it may be less than
    /// that line's: the block has ended. On a blank line it stands in the text or left of the cursor.
    fn own_columns(&self) -> usize {
        let is_written = |line: &&str| !line.trim().is_empty();
        let first = self.text.lines().find(is_written).map_or(0, indent_of);
        let own = indent_of(&self.origin.line_prefix);
        let goes_on = self.text.lines().next().is_some_and(|l| is_written(&l));
        if self.origin.on_blank_start() {
            return if goes_on && first == 0 { own } else { first };
        }
        if goes_on { own } else { own.min(first) }
    }

    fn closes_already(&self, closer: &str) -> bool {
        let bracket = |c: char| matches!(c, ')' | ']' | '}');
        match closer.chars().next() {
            Some(c) if bracket(c) => {
                self.shape.extent == Extent::Braces || self.origin.next_line.starts_with(c)
            }
            _ => {
                self.origin.next_line.split(|c| !is_word(c)).next()
                    == closer.split(|c| !is_word(c)).next()
            }
        }
    }

    /// Whether the text has come to the line that stands below already.
    fn reaches_below(&self, line: &str) -> bool {
        says_something(line) && self.origin.is_next_line(line) && !repeated_row(self.origin)
    }
}

/// Whether the lines above and below `place` are the same row of a table.
pub(super) fn repeated_row(place: &Place) -> bool {
    is_row(&place.next_line) && place.previous_line.trim() == place.next_line
}

/// Whether a line ends the block it stands under: a bracket or `end`.
fn ends_block(trimmed: &str) -> bool {
    trimmed.starts_with([')', ']', '}']) || trimmed.split(|c| !is_word(c)).next() == Some("end")
}

/// How many lines remain when the end of `seen` repeats itself.
fn first_of_repeated(seen: &[Cow<'_, str>]) -> Option<usize> {
    let n = seen.len();
    let last = seen.last()?;
    if n >= LOOP_LINES
        && says_something(last)
        && !is_row(last)
        && seen.iter().rev().take(LOOP_LINES).all(|l| l == last)
    {
        return Some(n + 1 - LOOP_LINES);
    }
    (2..=LONGEST_REPEATED_BLOCK_LINES.min(n / 2)).find_map(|k| {
        let block = seen.get(n - k..)?;
        let before = seen.get(n - 2 * k..n - k)?;
        let real = block.iter().any(|l| says_something(l)) && !block.iter().all(|l| is_row(l));
        (block == before && real).then_some(n - k)
    })
}

/// On an empty line, empty lines in front of the text are the model's habit.
pub(super) fn drop_blank_lines(text: &mut String) {
    let indent = text.len() - text.trim_start().len();
    if let Some(end) = text.get(..indent).and_then(|blank| blank.rfind('\n')) {
        text.drain(..=end);
    }
}

#[cfg(test)]
mod tests;
