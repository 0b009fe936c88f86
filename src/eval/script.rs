//! A trace made ready to be typed: each step with its edits in bytes and what the person types next.
//!
//! What is typed next, the *future* of a step, is the truth that the oracle knows: the text that stands
//! after the cursor at the end of this burst of typing. A burst goes on while each edit ends where the
//! text written since ends; corrections within it are part of it.

use std::ops::Range;

use ropey::Rope;

use super::trace::{Trace, TraceError, Transaction};
use crate::document::{Document, Edit};
use crate::inline::Skip;

/// Longest future, in bytes: 64 tokens of about 3.5 bytes, the most a completion may have.
const FUTURE_BYTES: usize = 240;
/// How much text before the cursor is kept with a step, in bytes: more than the oracle compares
/// (160), even after a long accepted text was taken off.
const BEFORE_BYTES: usize = 640;
/// Steps looked at for a future. Enough for a full one with many corrections.
const FUTURE_STEPS: usize = 400;

/// What an edit looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One character was typed.
    Typed,
    /// A new line, with the indentation the editor gave it.
    Enter,
    /// Anything else: a deletion, a paste, an entry of the completion list, a command.
    Other,
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Applied in order.
    pub edits: Vec<Edit>,
    /// What it looks like.
    pub kind: Kind,
    /// Where the last edit ends, in bytes: the cursor.
    pub cursor_bytes: usize,
    /// The end of the text before the cursor.
    pub before: Box<str>,
    /// What is typed at the cursor from here on; empty when the person goes elsewhere.
    pub future: Box<str>,
    /// Whether it goes on where the step before ended.
    pub continues: bool,
    /// Whether the cursor stays on the line where the step before left it.
    pub same_line: bool,
    /// Lines between the cursor and where the step before left it.
    pub came_lines: usize,
    /// Why the trigger rules want no completion at the cursor; `None` where they want one.
    pub skip: Option<Skip>,
}

impl Step {
    /// Whether the trigger rules want a completion at the cursor.
    pub fn is_wanted(&self) -> bool {
        self.skip.is_none()
    }

    /// Whether more is typed at the cursor, on that line, before the person goes elsewhere.
    pub fn goes_on(&self) -> bool {
        let line = self.future.split('\n').next();
        line.is_some_and(|rest| !rest.trim().is_empty())
    }

    /// Whether an editor asks for a completion as after a key.
    pub fn is_key(&self) -> bool {
        matches!(self.kind, Kind::Typed | Kind::Enter)
    }
}

/// A whole trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The document at first.
    pub start: String,
    /// What is done to it.
    pub steps: Vec<Step>,
}

impl Script {
    /// Reads `trace` up to its key number `limit_keys`.
    pub fn new(trace: &Trace, limit_keys: Option<usize>) -> Result<Self, TraceError> {
        let mut text = Rope::from_str(&trace.start_content);
        let mut steps = Vec::with_capacity(trace.txns.len());
        let mut last = Cursor::default();
        let mut keys = 0;
        let mut end = None;
        for (transaction, txn) in trace.txns.iter().enumerate() {
            let step =
                step(&mut text, &mut last, txn).ok_or(TraceError::OutOfRange { transaction })?;
            keys += usize::from(step.is_key());
            steps.push(step);
            if end.is_none() && limit_keys == Some(keys) {
                end = Some(steps.len());
            }
            // The last keys have a future too.
            if end.is_some_and(|end| steps.len() >= end + FUTURE_STEPS) {
                break;
            }
        }
        if steps.len() == trace.txns.len() && text != trace.end_content.as_str() {
            return Err(TraceError::OtherEnd);
        }
        for at in 0..steps.len() {
            let future = future(&steps, at).into();
            if let Some(step) = steps.get_mut(at) {
                step.future = future;
            }
        }
        steps.truncate(end.unwrap_or(steps.len()));
        Ok(Self {
            start: trace.start_content.clone(),
            steps,
        })
    }

    /// Reads the `limit_keys` keys of `trace` that come after its first `from_key`.
    pub fn slice(
        trace: &Trace,
        from_key: usize,
        limit_keys: Option<usize>,
    ) -> Result<Self, TraceError> {
        let mut script = Self::new(trace, limit_keys.map(|limit| from_key + limit))?;
        let mut keys = 0;
        let left_out = script.steps.iter().take_while(|step| {
            keys += usize::from(step.is_key());
            keys <= from_key
        });
        let left_out = if from_key == 0 { 0 } else { left_out.count() };
        let mut document = Document::new("", 0, "", &script.start);
        for step in script.steps.drain(..left_out) {
            for edit in &step.edits {
                document.apply(edit);
            }
        }
        script.start = document.text.to_string();
        Ok(script)
    }

    /// The last step of those after `at` that together insert exactly `text` at the cursor; `None`
    /// when the person typed something else.
    pub fn typed_by(&self, at: usize, text: &str) -> Option<usize> {
        let mut burst = Burst::after(self.steps.get(at)?);
        let later = self.steps.iter().enumerate().skip(at + 1);
        for (n, step) in later.take(FUTURE_STEPS) {
            if !burst.follow(step) {
                return None;
            }
            if burst.text == text {
                return Some(n);
            }
        }
        None
    }
}

#[derive(Debug, Default)]
struct Cursor {
    offset_bytes: usize,
    line: usize,
}

/// Applies a transaction; `None` when it reaches past the text.
fn step(text: &mut Rope, last: &mut Cursor, txn: &Transaction) -> Option<Step> {
    let mut edits = Vec::with_capacity(txn.patches.len());
    let mut cursor_bytes = last.offset_bytes;
    let mut starts_at_cursor = None;
    for patch in &txn.patches {
        let end = patch.at_chars.checked_add(patch.deleted_chars)?;
        if end > text.len_chars() {
            return None;
        }
        let range_bytes = text.char_to_byte(patch.at_chars)..text.char_to_byte(end);
        starts_at_cursor.get_or_insert(
            range_bytes.start == last.offset_bytes || range_bytes.end == last.offset_bytes,
        );
        text.remove(patch.at_chars..end);
        text.insert(patch.at_chars, &patch.inserted);
        cursor_bytes = range_bytes.start + patch.inserted.len();
        edits.push(Edit {
            range_bytes: Some(range_bytes),
            text: patch.inserted.clone(),
        });
    }
    let line = text.byte_to_line(cursor_bytes);
    let step = Step {
        kind: kind(txn),
        edits,
        cursor_bytes,
        before: tail(text, cursor_bytes).into(),
        future: Box::default(),
        continues: starts_at_cursor.unwrap_or(true),
        same_line: line == last.line,
        came_lines: line.abs_diff(last.line),
        skip: None,
    };
    *last = Cursor {
        offset_bytes: cursor_bytes,
        line,
    };
    Some(step)
}

fn kind(txn: &Transaction) -> Kind {
    let [patch] = txn.patches.as_slice() else {
        return Kind::Other;
    };
    let mut inserted = patch.inserted.chars();
    match (patch.deleted_chars, inserted.next()) {
        (0, Some('\n')) if inserted.all(char::is_whitespace) => Kind::Enter,
        (0, Some(_)) if inserted.next().is_none() => Kind::Typed,
        _ => Kind::Other,
    }
}

fn tail(text: &Rope, cursor_bytes: usize) -> String {
    let end = text.byte_to_char(cursor_bytes);
    let start = text.byte_to_char(cursor_bytes.saturating_sub(BEFORE_BYTES));
    text.slice(start..end).to_string()
}

fn future(steps: &[Step], at: usize) -> String {
    let Some(now) = steps.get(at) else {
        return String::new();
    };
    let mut burst = Burst::after(now);
    for step in steps.iter().skip(at + 1).take(FUTURE_STEPS) {
        // What is written past the bound may still be taken back.
        if burst.text.len() > FUTURE_BYTES + 16 || !burst.follow(step) {
            break;
        }
    }
    let mut text = burst.text;
    text.truncate(text.floor_char_boundary(FUTURE_BYTES));
    text
}

/// Text that grows at its end.
#[derive(Debug)]
struct Burst {
    start_bytes: usize,
    text: String,
}

impl Burst {
    fn after(step: &Step) -> Self {
        Self {
            start_bytes: step.cursor_bytes,
            text: String::new(),
        }
    }

    /// Applies a step if each of its edits ends where the burst ends, and begins within it.
    fn follow(&mut self, step: &Step) -> bool {
        let mut length = self.text.len();
        let within = |edit: &Edit| {
            let Range { start, end } = edit.range_bytes.clone()?;
            let start = start.checked_sub(self.start_bytes)?;
            (end.checked_sub(self.start_bytes) == Some(length)).then(|| {
                length = start + edit.text.len();
                start
            })
        };
        let starts: Option<Vec<usize>> = step.edits.iter().map(within).collect();
        let Some(starts) = starts else { return false };
        for (start, edit) in starts.into_iter().zip(&step.edits) {
            self.text.truncate(start);
            self.text.push_str(&edit.text);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::trace::Patch;

    fn script(start: &str, end: &str, patches: &[(usize, usize, &str)]) -> Script {
        let txn = |&(at, deleted, inserted): &(usize, usize, &str)| Transaction {
            patches: vec![Patch::from((at, deleted, inserted.to_owned()))],
        };
        let trace = Trace {
            start_content: start.to_owned(),
            end_content: end.to_owned(),
            txns: patches.iter().map(txn).collect(),
        };
        Script::new(&trace, None).unwrap()
    }

    #[test]
    fn the_future_is_what_stands_there_at_the_end_of_the_burst() {
        // "fo", a slip and its correction, Enter, "x", then elsewhere.
        let script = script(
            "μ\n",
            "!μ\nfoo\n  x",
            &[
                (2, 0, "f"),
                (3, 0, "o"),
                (4, 0, "p"),
                (4, 1, ""),
                (4, 0, "o"),
                (5, 0, "\n  "),
                (8, 0, "x"),
                (0, 0, "!"),
            ],
        );
        let futures: Vec<&str> = script.steps.iter().map(|s| &*s.future).collect();
        let expected = ["oo\n  x", "o\n  x", "", "o\n  x", "\n  x", "x", "", ""];
        assert_eq!(futures, expected);
        let cursors: Vec<usize> = script.steps.iter().map(|s| s.cursor_bytes).collect();
        assert_eq!(cursors, [4, 5, 6, 5, 6, 9, 10, 1]);
        let kinds: Vec<Kind> = script.steps.iter().map(|s| s.kind).collect();
        assert_eq!(kinds[3..6], [Kind::Other, Kind::Typed, Kind::Enter]);
        assert!(script.steps[6].continues && !script.steps[7].continues);
        assert!(!script.steps[5].same_line && script.steps[6].same_line);
        assert_eq!(&*script.steps[5].before, "μ\nfoo\n  ");
    }

    #[test]
    fn an_accepted_text_ends_at_a_step_or_is_none() {
        let script = script("", "foo", &[(0, 0, "f"), (1, 0, "o"), (2, 0, "o")]);
        assert_eq!(script.typed_by(0, "oo"), Some(2));
        assert_eq!(script.typed_by(0, "o"), Some(1));
        assert_eq!(script.typed_by(0, "op"), None);
        assert_eq!(script.typed_by(2, "o"), None);
    }

    #[test]
    fn a_slice_begins_with_the_text_that_stood_there() {
        let txn = |at: usize, text: &str| Transaction {
            patches: vec![Patch::from((at, 0, text.to_owned()))],
        };
        let trace = Trace {
            start_content: "-".to_owned(),
            end_content: "-pasteabc".to_owned(),
            txns: vec![txn(1, "paste"), txn(6, "a"), txn(7, "b"), txn(8, "c")],
        };
        let slice = |from, limit| Script::slice(&trace, from, limit).unwrap();
        assert_eq!(slice(0, None), Script::new(&trace, None).unwrap());
        let middle = slice(1, Some(1));
        assert_eq!(middle.start, "-pastea");
        assert_eq!(middle.steps.len(), 1);
        assert_eq!(&*middle.steps[0].future, "c");
        assert!(slice(9, None).steps.is_empty());
    }

    #[test]
    fn a_broken_trace_is_refused_and_a_limit_counts_keys() {
        let txn = |at: usize| Transaction {
            patches: vec![Patch::from((at, 0, "x".to_owned()))],
        };
        let mut trace = Trace {
            start_content: String::new(),
            end_content: "xx".to_owned(),
            txns: vec![txn(0), txn(1)],
        };
        assert_eq!(Script::new(&trace, Some(1)).unwrap().steps.len(), 1);
        trace.end_content = "xy".to_owned();
        assert!(matches!(
            Script::new(&trace, None),
            Err(TraceError::OtherEnd)
        ));
        trace.txns = vec![txn(3)];
        assert!(matches!(
            Script::new(&trace, None),
            Err(TraceError::OutOfRange { transaction: 0 })
        ));
    }
}
