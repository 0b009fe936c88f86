//! Places in one document where a person writes a line next, in order, and what they write there.
//!
//! From source files, of which the block in the middle is written again line by line, or from an editing
//! trace, of which each line that the person turns to is a place, and once more when half of it is written.
//! Called by the measurements that ask real weights there, `eval/splice` and `eval/draft`.

use std::path::Path;

use anyhow::Context;
use ropey::Rope;

use super::script::{Script, Step};
use super::trace::Trace;
use crate::document::Document;

/// The fewest characters that are asked for in a trace: of a closer alone there is nothing to guess.
const FEWEST_CHARS: usize = 3;

/// What one person writes in one document without a break.
pub type Sitting = Vec<Place>;

/// Where a line is written next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The text as it stands.
    pub document: Rope,
    /// The cursor.
    pub offset_bytes: usize,
    /// What is written at the cursor, up to the line's end.
    pub wanted: String,
    /// Whether this is the first place on its line.
    pub begins_line: bool,
}

impl Place {
    /// The whole line once it is written.
    pub fn line(&self) -> String {
        self.left() + &self.wanted
    }

    /// What is compared of a text at the cursor: its first line. Blanks left of the cursor may be left to the
    /// model, so behind such those in front do not count; on a line of blanks empty lines do not either.
    pub fn first_line<'t>(&self, text: &'t str) -> &'t str {
        let left = self.left();
        let text = if left.trim().is_empty() {
            text.trim_start()
        } else if left.ends_with(char::is_whitespace) {
            text.trim_start_matches([' ', '\t'])
        } else {
            text
        };
        text.lines().next().unwrap_or_default()
    }

    /// The line up to the cursor.
    fn left(&self) -> String {
        let line = self.document.byte_to_line(self.offset_bytes);
        let start = self.document.line_to_byte(line);
        self.document
            .byte_slice(start..self.offset_bytes)
            .to_string()
    }
}

/// The `lines` lines in the middle of a source file, each where the lines above it are written already and
/// its indentation stands. Blank lines are no places.
///
/// # Errors
/// When the file cannot be read, or has fewer lines.
pub fn of_file(file: &Path, lines: usize) -> anyhow::Result<Sitting> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    anyhow::ensure!(
        all.len() > lines + 2,
        "{} has {} lines; name longer files, or ask for fewer with --lines",
        file.display(),
        all.len()
    );
    let start = (all.len() - lines) / 2;
    let (above, rest) = all.split_at(start);
    let (block, below) = rest.split_at(lines);
    let below = below.concat();
    let mut above = above.concat();
    let mut sitting = Sitting::new();
    for line in block {
        let text = line.trim_end_matches(['\r', '\n']);
        let indent = text.len() - text.trim_start().len();
        let (typed, wanted) = text.split_at(indent);
        if !wanted.is_empty() {
            sitting.push(Place {
                document: Rope::from_str(&[&above, typed, "\n", &below].concat()),
                offset_bytes: above.len() + typed.len(),
                wanted: wanted.to_owned(),
                begins_line: true,
            });
        }
        above.push_str(line);
    }
    anyhow::ensure!(
        sitting.len() > 1,
        "{} has not two lines with text in its middle; ask for more with --lines",
        file.display()
    );
    Ok(sitting)
}

/// `sittings` parts of an editing trace, evenly over it, each until the person turned to `lines` lines or the
/// next part begins.
///
/// # Errors
/// When the trace cannot be read, or has no such part.
pub fn of_trace(trace: &Path, sittings: usize, lines: usize) -> anyhow::Result<Vec<Sitting>> {
    let script = Script::new(&Trace::read(trace)?, None)?;
    let mut document = Document::new("", 0, "", &script.start);
    let mut found: Vec<Sitting> = Vec::new();
    let mut lines_left = 0;
    let mut half_chars = 0;
    for (at, step) in script.steps.iter().enumerate() {
        if found.len() < sittings && at >= script.steps.len() * found.len() / sittings {
            found.push(Sitting::new());
            (lines_left, half_chars) = (lines, 0);
        }
        for edit in &step.edits {
            document.apply(edit);
        }
        let place = place(&document.text, step);
        let chars = |place: &Place| place.wanted.chars().count();
        let asked = if step.same_line {
            // Asked for once: what is left of a place is never nothing.
            let half = place.filter(|place| chars(place) <= half_chars);
            half_chars = if half.is_some() { 0 } else { half_chars };
            half
        } else {
            let line = place.filter(|_| lines_left > 0);
            half_chars = line.as_ref().map_or(0, |place| chars(place) / 2);
            lines_left -= usize::from(line.is_some());
            line
        };
        if let (Some(place), Some(sitting)) = (asked, found.last_mut()) {
            sitting.push(place);
        }
    }
    found.retain(|sitting| sitting.len() > 1);
    anyhow::ensure!(
        !found.is_empty(),
        "{} has no two lines that a person wrote one after the other",
        trace.display()
    );
    Ok(found)
}

/// The place after a step, where the person goes on writing, with nothing right of the cursor.
fn place(text: &Rope, step: &Step) -> Option<Place> {
    let wanted = step.future.lines().next()?.trim_end();
    let right = text.byte_slice(step.cursor_bytes..);
    let right = right.chars().take_while(|c| !matches!(c, '\r' | '\n'));
    let is_place = step.is_key()
        && wanted.trim_start().chars().count() >= FEWEST_CHARS
        && right.into_iter().all(char::is_whitespace);
    is_place.then(|| Place {
        document: text.clone(),
        offset_bytes: step.cursor_bytes,
        wanted: wanted.to_owned(),
        begins_line: !step.same_line,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    /// (text left of the cursor, text right of it, what is written)
    fn shown(sitting: &[Place]) -> Vec<(String, String, &str)> {
        let place = |place: &'_ Place| {
            let text = place.document.to_string();
            let (left, right) = text.split_at(place.offset_bytes);
            (left.to_owned(), right.to_owned())
        };
        sitting
            .iter()
            .map(|p| (place(p).0, place(p).1, p.wanted.as_str()))
            .collect()
    }

    #[test]
    fn the_block_of_a_file_is_written_line_by_line() {
        let file = file("a\nb\n  c\n\n  d\ne\nf\n");
        let sitting = of_file(file.path(), 3).unwrap();
        assert_eq!(
            shown(&sitting),
            [
                ("a\nb\n  ".to_owned(), "\ne\nf\n".to_owned(), "c"),
                ("a\nb\n  c\n\n  ".to_owned(), "\ne\nf\n".to_owned(), "d"),
            ]
        );
        assert_eq!(sitting[1].line(), "  d");
        let error = of_file(file.path(), 5).unwrap_err().to_string();
        assert!(error.contains("has 7 lines"), "{error}");
    }

    #[test]
    fn of_an_answer_the_first_line_is_compared() {
        for (left, text, expect) in [
            ("foo", "(a);\nb", "(a);"),
            // The blank, or the line's end, is not what was wanted.
            ("foo", " bar", " bar"),
            ("foo", "\n  bar", ""),
            // The model was asked in front of the blank.
            ("let ", " a = 1;", "a = 1;"),
            ("let ", "a = 1;", "a = 1;"),
            ("  ", "\n  let a;\n", "let a;"),
            ("", "  let a;", "let a;"),
        ] {
            let place = Place {
                document: Rope::from_str(&["x\n", left, "\ny"].concat()),
                offset_bytes: 2 + left.len(),
                wanted: String::new(),
                begins_line: true,
            };
            assert_eq!(place.first_line(text), expect, "{left:?} {text:?}");
        }
    }

    #[test]
    fn the_lines_that_a_person_turns_to_are_the_places_of_a_trace() {
        // Enter and a line, a closer alone, back to the first line's end, Enter and a line again.
        let mut text = "fn a\n".to_owned();
        let mut patches = Vec::new();
        let mut write = |at: &mut usize, new: &str| {
            patches.push(format!(r#"{{"patches":[[{at},0,{new:?}]]}}"#));
            text.insert_str(*at, new);
            *at += new.len();
        };
        let mut at = 4;
        write(&mut at, "\n  ");
        "let bcd"
            .chars()
            .for_each(|c| write(&mut at, &c.to_string()));
        write(&mut at, "\n");
        write(&mut at, "}");
        let mut at = 4;
        write(&mut at, "\n");
        "use c".chars().for_each(|c| write(&mut at, &c.to_string()));
        let trace = format!(
            r#"{{"startContent":"fn a\n","endContent":{text:?},"txns":[{}]}}"#,
            patches.join(",")
        );
        let trace = file(&trace);
        let sittings = of_trace(trace.path(), 1, 9).unwrap();
        assert_eq!(sittings.len(), 1);
        let place = |left: &str, right: &str, wanted| (left.to_owned(), right.to_owned(), wanted);
        assert_eq!(
            shown(&sittings[0]),
            [
                place("fn a\n  ", "\n", "let bcd"),
                place("fn a\n  let ", "\n", "bcd"),
                place("fn a\n", "\n  let bcd\n}\n", "use c"),
            ]
        );
        // Half of a line is of its line; too little is left of the second one.
        assert_eq!(of_trace(trace.path(), 1, 1).unwrap()[0].len(), 2);
        let error = of_trace(trace.path(), 9, 1).unwrap_err().to_string();
        assert!(error.contains("no two lines"), "{error}");
    }
}
