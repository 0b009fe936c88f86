//! Where a completion belongs, and whether it still does after more was typed.
//!
//! A [`Place`] is the structured key of the cache and of the stream in flight: the file, the lines
//! before, the current line on both sides of the cursor, the next non-empty line. [`fit`] is the one
//! rule of type-through: the cache, joining a stream and ending a diverged one all ask it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::braces::{are_empty_at, moved_down};
use crate::document::Document;
use crate::document::language::is_indented;
use crate::document::position::without_end;

/// Lines above the cursor that must be the same. Five, as cody's structured key has: enough to tell
/// repeated statements apart, few enough that an edit further up changes nothing.
const LINES_ABOVE: usize = 5;
/// How far down the next non-empty line is looked for.
const LINES_BELOW: usize = 16;
/// Longest line, in bytes, that is completed: longer ones are generated or minified, and copying them
/// for each key would make a keystroke's cost depend on the file.
const LONGEST_LINE_BYTES: usize = 4096;
/// Shortest line below, in bytes, by which it is known again: a lone bracket stands below everywhere.
const SHORTEST_SAYING_BYTES: usize = 3;
/// Ends of a line whose statement goes on in the next one, at any depth.
const GOES_ON: &[char] = &['(', '[', '{', ',', '\\'];
/// How many characters that are taken back a stream outlives.
const CORRECTION_CHARS: usize = 3;

/// A cursor with as much of its surroundings as decides whether a completion belongs there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The document.
    pub(super) uri: Arc<str>,
    /// Hashes of the nearest lines above, nearest first, without the whitespace at both ends, which a
    /// model may leave out; 0 above the first line.
    above: [u64; LINES_ABOVE],
    /// The current line up to the cursor.
    pub(super) line_prefix: String,
    /// The current line from the cursor on.
    pub(super) line_suffix: String,
    /// The next non-empty line below, trimmed; empty when there is none near.
    pub(super) next_line: String,
    /// Columns that line is indented by.
    pub(super) next_columns: usize,
    /// The nearest line above that is not empty, trimmed at its end.
    pub(super) previous_line: String,
    /// Whether the language's blocks are those of its indentation.
    is_indented: bool,
}

impl Place {
    /// Reads the place at byte `offset`; `None` on a line too long to be completed.
    pub(super) fn at(document: &Document, offset: usize) -> Option<Self> {
        let text = &document.text;
        let offset = offset.min(text.len_bytes());
        let line = text.byte_to_line(offset);
        let mut below = text.lines_at(line).map(without_end);
        let content = below.next()?;
        if content.len_bytes() > LONGEST_LINE_BYTES {
            return None;
        }
        let column_bytes = offset - text.line_to_byte(line);
        let column = content.byte_to_char(column_bytes.min(content.len_bytes()));
        let mut above = [0; LINES_ABOVE];
        let mut previous_line = String::new();
        for (hash, content) in above.iter_mut().zip(text.lines_at(line).reversed()) {
            let content = without_end(content);
            // A long line counts by its length: hashing it would cost time in proportion.
            if content.len_bytes() > LONGEST_LINE_BYTES {
                *hash = content.len_bytes() as u64;
                continue;
            }
            let content = std::borrow::Cow::from(content);
            let content = content.trim_end();
            *hash = line_hash(content);
            if previous_line.is_empty() {
                previous_line.push_str(content);
            }
        }
        let next_line = below
            .take(LINES_BELOW)
            .filter(|l| l.len_bytes() <= LONGEST_LINE_BYTES)
            .map(std::borrow::Cow::from)
            .find(|l| !l.trim().is_empty())
            .unwrap_or_default();
        Some(Self {
            uri: document.uri.clone(),
            above,
            line_prefix: content.slice(..column).into(),
            line_suffix: content.slice(column..).into(),
            next_columns: indent_of(&next_line),
            next_line: next_line.trim().to_owned(),
            previous_line,
            is_indented: is_indented(&document.language_id),
        })
    }

    /// Where a generation for this place begins: before the whitespace left of the cursor. Models join
    /// a space with the word after it into one token, so a prompt that ends in a space makes them
    /// stumble; the whitespace is then a part of the text that has been typed already. Typing it asks
    /// nobody again.
    pub(super) fn origin(&self) -> Self {
        let mut origin = self.clone();
        origin
            .line_prefix
            .truncate(self.line_prefix.trim_end().len());
        origin
    }

    /// A hash of what a place shares with every text that may fit it: the document, the lines above, the
    /// next line below.
    pub(super) fn spot(&self) -> u64 {
        self.spot_between(&self.above, &self.next_line)
    }

    fn spot_between(&self, above: &[u64; LINES_ABOVE], next_line: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.uri, above, next_line).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether `line` is the next line below. One that is indented deeper stands in another block;
    /// one that is less deep may only lack what a model leaves out.
    pub(super) fn is_next_line(&self, line: &str) -> bool {
        self.next_line.len() >= SHORTEST_SAYING_BYTES
            && line.trim() == self.next_line
            && indent_of(line) <= self.next_columns
    }

    /// Whether the next line below is indented deeper than the cursor's line, or than the line above
    /// where the cursor's line is blank.
    pub(super) fn next_is_deeper(&self) -> bool {
        let opener = if self.on_blank_start() {
            &self.previous_line
        } else {
            &self.line_prefix
        };
        self.next_columns > indent_of(opener)
    }

    /// Whether nothing but whitespace stands right of the cursor.
    pub(super) fn at_line_end(&self) -> bool {
        self.line_suffix.trim().is_empty()
    }

    /// Whether nothing but whitespace stands left of the cursor.
    pub(super) fn on_blank_start(&self) -> bool {
        self.line_prefix.trim().is_empty()
    }
}

/// Leading whitespace in columns, a tab counting four.
pub(super) fn indent_of(line: &str) -> usize {
    line.chars()
        .take_while(|c| c.is_whitespace())
        .map(|c| if c == '\t' { 4 } else { 1 })
        .sum()
}

fn line_hash(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(line.trim().as_bytes());
    // 0 is "no such line".
    hasher.finish().max(1)
}

/// How a text generated at one place relates to another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// So many bytes of the text have been typed; the rest may be shown.
    Typed(usize),
    /// What was typed agrees with all there is of the text, and is ahead of it.
    Ahead,
    /// The person took back at most a few characters, which may be typed again.
    Correcting,
    /// The text does not belong here.
    Diverged,
}

/// Relates `text`, generated at `origin`, to the place `now`.
pub(super) fn fit(origin: &Place, text: &str, now: &Place) -> Fit {
    if origin.uri != now.uri {
        return Fit::Diverged;
    }
    if now.above == origin.above && now.next_line == origin.next_line {
        let same_line = fit_same_line(origin, text, now);
        if same_line != Fit::Diverged {
            return same_line;
        }
    }
    fit_later_line(origin, text, now)
}

fn fit_same_line(origin: &Place, text: &str, now: &Place) -> Fit {
    let Some(typed) = now.line_prefix.strip_prefix(origin.line_prefix.as_str()) else {
        return correction(origin, text, now);
    };
    let agrees = |typed| suffix_agrees(&origin.line_suffix, &now.line_suffix, typed);
    // The brace may have been closed after the text was generated behind it.
    if !(agrees(typed) || are_empty_at(now) && agrees(&now.line_prefix)) {
        return Fit::Diverged;
    }
    if text.starts_with(typed) {
        Fit::Typed(typed.len())
    } else if typed.starts_with(text) {
        Fit::Ahead
    } else if now.is_indented && is_shallower(origin, text, now) {
        Fit::Diverged
    } else if typed.trim().is_empty() {
        fit_whitespace(origin, text)
    } else if origin.on_blank_start() {
        fit_content(text, typed)
    } else {
        Fit::Diverged
    }
}

/// Whether `text` says that its line stands less deep than the person has begun it. A text that begins
/// without an indentation leaves that to the person, and one of blanks alone has not said it yet.
fn is_shallower(origin: &Place, text: &str, now: &Place) -> bool {
    let content = text.trim_start_matches([' ', '\t']);
    let indent = text.get(..text.len() - content.len()).unwrap_or_default();
    let stated = indent_of(&origin.line_prefix) + indent_of(indent);
    origin.on_blank_start()
        && !now.previous_line.ends_with(GOES_ON)
        && !indent.is_empty()
        && !content.is_empty()
        && stated < indent_of(&now.line_prefix)
}

/// On a line that was blank, the indentation typed need not be the text's.
fn fit_content(text: &str, typed: &str) -> Fit {
    let (content, typed) = (text.trim_start_matches([' ', '\t']), typed.trim_start());
    if content.starts_with(typed) {
        Fit::Typed(text.len() - content.len() + typed.len())
    } else if typed.starts_with(content) {
        Fit::Ahead
    } else {
        Fit::Diverged
    }
}

/// Only whitespace was typed, and not the whitespace of the text: an indentation the model sees
/// otherwise, or a space after an operator that it would leave out. The text stands without its own.
fn fit_whitespace(origin: &Place, text: &str) -> Fit {
    let content = text.trim_start_matches([' ', '\t']);
    let joins_a_word = origin
        .line_prefix
        .ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if content.is_empty() {
        Fit::Ahead
    } else if joins_a_word || content.starts_with('\n') {
        Fit::Diverged
    } else {
        Fit::Typed(text.len() - content.len())
    }
}

/// The person has gone on to a later line of the text: by accepting a line of it, or by typing it.
fn fit_later_line(origin: &Place, text: &str, now: &Place) -> Fit {
    let agrees = |suffix: &str| {
        suffix.trim() == now.line_suffix.trim()
            || suffix_agrees(suffix, &now.line_suffix, &now.line_prefix)
    };
    let same_right = now.next_line == origin.next_line && agrees(&origin.line_suffix);
    for (start, above) in later_lines(origin, text) {
        let (typed, rest) = text.split_at(start);
        let is_here = above == now.above
            && (same_right
                || agrees("") && moved_down(origin, typed).is_some_and(|l| l == now.next_line));
        if is_here {
            if rest.starts_with(&now.line_prefix) {
                return Fit::Typed(start + now.line_prefix.len());
            }
            if now.line_prefix.starts_with(rest) {
                return Fit::Ahead;
            }
            match fit_indented_otherwise(rest, now) {
                Fit::Typed(typed) => return Fit::Typed(start + typed),
                Fit::Diverged => {}
                other => return other,
            }
        }
    }
    Fit::Diverged
}

/// The line that `rest` begins with has another indentation than the cursor's: tabs for spaces, or levels of
/// another width.
fn fit_indented_otherwise(rest: &str, now: &Place) -> Fit {
    let is_blank = rest.trim_start_matches([' ', '\t']).starts_with('\n');
    if is_blank || now.is_indented {
        Fit::Diverged
    } else {
        fit_content(rest, &now.line_prefix)
    }
}

/// Where each line of `text` but its first begins, and what stands above it then.
fn later_lines(origin: &Place, text: &str) -> impl Iterator<Item = (usize, [u64; LINES_ABOVE])> {
    let mut above = origin.above;
    let mut start = 0;
    memchr::memchr_iter(b'\n', text.as_bytes()).map(move |end| {
        let line = text.get(start..end).unwrap_or_default();
        above.rotate_right(1);
        above[0] = if start == 0 {
            line_hash(&[&origin.line_prefix, line].concat())
        } else {
            line_hash(line)
        };
        start = end + 1;
        (start, above)
    })
}

/// The [spots](Place::spot) of all places that `text`, generated at `origin`, may fit.
pub(super) fn spots(origin: &Place, text: &str) -> impl Iterator<Item = u64> {
    let later = later_lines(origin, text).flat_map(move |(start, above)| {
        let typed = text.get(..start).unwrap_or_default();
        let moved = moved_down(origin, typed).filter(|below| *below != origin.next_line);
        let moved = moved.map(|below| origin.spot_between(&above, &below));
        [Some(origin.spot_between(&above, &origin.next_line)), moved]
    });
    std::iter::once(origin.spot()).chain(later.flatten())
}

/// The line does not begin as the one the text was generated for.
fn correction(origin: &Place, text: &str, now: &Place) -> Fit {
    // The editor or the person indented an empty line anew: the text stands as it is.
    if origin.on_blank_start() && now.on_blank_start() && origin.line_suffix == now.line_suffix {
        return fit_whitespace(origin, text);
    }
    let taken_back = origin.line_prefix.strip_prefix(now.line_prefix.as_str());
    match taken_back.map(|taken| taken.chars().count()) {
        Some(..=CORRECTION_CHARS)
            if origin.line_suffix == now.line_suffix && !now.line_prefix.is_empty() =>
        {
            Fit::Correcting
        }
        _ => Fit::Diverged,
    }
}

/// Whether the text right of the cursor is what it was, up to closing brackets and quotes that the
/// editor put there or that were typed over.
fn suffix_agrees(origin: &str, now: &str, typed: &str) -> bool {
    if origin == now {
        return true;
    }
    if let Some(added) = now.strip_suffix(origin) {
        return !added.is_empty()
            && added
                .chars()
                .all(|c| opener_of(c).is_some_and(|open| typed.contains(open)));
    }
    if let Some(taken) = origin.strip_suffix(now) {
        return taken.chars().all(|c| opener_of(c).is_some()) && typed.contains(taken);
    }
    false
}

/// The bracket or quote that `closer` closes.
pub(crate) const fn opener_of(closer: char) -> Option<char> {
    match closer {
        ')' => Some('('),
        ']' => Some('['),
        '}' => Some('{'),
        '>' => Some('<'),
        '"' | '\'' | '`' => Some(closer),
        _ => None,
    }
}

#[cfg(test)]
pub(in crate::inline) mod tests;
