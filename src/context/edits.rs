//! What was edited lately, as lines of the text as it is now.
//!
//! Texts are compared in idle time, a document at a time, with the text of the last look; nothing is
//! kept per key. Only what stands there afterwards becomes a snippet: a small model repeats what it
//! reads, and lines that were taken out would come back.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ropey::Rope;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Edits remembered over all files; Zed's edit predictions read six.
const MOST_EDITS: usize = 8;
/// Changed lines of one look that are taken apart; more is a formatter, a merge or a paste.
const MOST_CHANGED_LINES: usize = 1_000;
/// Edits closer than this are one.
const JOINED_WITHIN_LINES: usize = 3;

/// The edits, and the texts they were found in.
#[derive(Debug, Default)]
pub(super) struct Edits {
    files: BTreeMap<Arc<str>, Tracked>,
    looks: u64,
}

#[derive(Debug)]
struct Tracked {
    text: Rope,
    edits: Vec<Edit>,
    /// The look at which the text was last another than before.
    changed: u64,
}

/// Lines that were edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// Where they stand now.
    pub(super) lines: Range<usize>,
    /// At which look they were found; a higher number is later.
    pub(super) look: u64,
}

impl Edits {
    /// Begins a look at all files.
    pub(super) fn begin(&mut self) {
        self.looks += 1;
    }

    /// Looks at a file that had the text `first` when it was opened and has `now`.
    pub(super) fn look(&mut self, uri: &Arc<str>, first: &Rope, now: &Rope) {
        let look = self.looks;
        let tracked = self.files.entry(uri.clone()).or_insert_with(|| Tracked {
            text: first.clone(),
            edits: Vec::new(),
            changed: look,
        });
        if tracked.text.is_instance(now) {
            return;
        }
        if let Some(ops) = changes(&tracked.text, now) {
            if ops.is_empty() {
                tracked.text = now.clone();
                return;
            }
            tracked.follow(&ops, look);
        } else {
            tracked.edits.clear();
        }
        tracked.text = now.clone();
        tracked.changed = look;
    }

    /// Forgets what is not `known` any more, and all but the last edits.
    pub(super) fn end(&mut self, known: impl Fn(&str) -> bool) {
        self.files.retain(|uri, _| known(uri));
        let mut looks: Vec<u64> = self.all().map(|(_, edit)| edit.look).collect();
        looks.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(&oldest) = looks.get(MOST_EDITS - 1) {
            for tracked in self.files.values_mut() {
                tracked.edits.retain(|edit| edit.look >= oldest);
            }
        }
    }

    /// Whether the file's text is that of the look before.
    pub(super) fn unchanged(&self, uri: &str) -> bool {
        self.files
            .get(uri)
            .is_some_and(|tracked| tracked.changed < self.looks)
    }

    /// The edits, the latest first.
    pub(super) fn latest(&self) -> Vec<(Arc<str>, Edit)> {
        let mut all: Vec<_> = self
            .all()
            .map(|(uri, edit)| (uri.clone(), edit.clone()))
            .collect();
        all.sort_by_key(|(_, edit)| std::cmp::Reverse(edit.look));
        all.truncate(MOST_EDITS);
        all
    }

    fn all(&self) -> impl Iterator<Item = (&Arc<str>, &Edit)> {
        let of = |(uri, tracked)| {
            let tracked: &Tracked = tracked;
            tracked.edits.iter().map(move |edit| (uri, edit))
        };
        self.files.iter().flat_map(of)
    }
}

impl Tracked {
    /// Moves the older edits with the text and adds the new ones; those that touch become one.
    fn follow(&mut self, ops: &[(Range<usize>, Range<usize>)], look: u64) {
        let mut edits: Vec<Edit> = Vec::new();
        for edit in &self.edits {
            let lines = moved(edit.lines.start, ops, true)..moved(edit.lines.end, ops, false);
            edits.push(Edit {
                lines,
                look: edit.look,
            });
        }
        // What was taken out leaves nothing to show.
        edits.extend(ops.iter().map(|(_, new)| Edit {
            lines: new.clone(),
            look,
        }));
        edits.retain(|edit| edit.lines.start < edit.lines.end);
        edits.sort_by_key(|edit| edit.lines.start);
        self.edits.clear();
        for edit in edits {
            match self.edits.last_mut() {
                Some(last) if edit.lines.start <= last.lines.end + JOINED_WITHIN_LINES => {
                    last.lines.end = last.lines.end.max(edit.lines.end);
                    last.look = last.look.max(edit.look);
                }
                _ => self.edits.push(edit),
            }
        }
    }
}

/// Where a line boundary is after the changes; one inside a change goes to its start or end.
fn moved(line: usize, ops: &[(Range<usize>, Range<usize>)], to_start: bool) -> usize {
    let mut now = line;
    for (old, new) in ops {
        if old.end <= line {
            now = new.end + (line - old.end);
        } else if old.start < line {
            return if to_start { new.start } else { new.end };
        }
    }
    now
}

/// The replaced lines, before and after, in order; `None` when they are too many to be a person's.
fn changes(old: &Rope, new: &Rope) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let (old_lines, new_lines) = (old.len_lines(), new.len_lines());
    let most = old_lines.min(new_lines);
    let start = old
        .lines()
        .zip(new.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let end = old
        .lines_at(old_lines)
        .reversed()
        .zip(new.lines_at(new_lines).reversed())
        .take(most - start)
        .take_while(|(a, b)| a == b)
        .count();
    let (old_middle, new_middle) = (start..old_lines - end, start..new_lines - end);
    if old_middle.len().max(new_middle.len()) > MOST_CHANGED_LINES {
        return None;
    }
    let texts = |text: &Rope, lines: Range<usize>| -> Vec<String> {
        lines.map(|line| text.line(line).to_string()).collect()
    };
    let ops = capture_diff_slices(
        Algorithm::Myers,
        &texts(old, old_middle),
        &texts(new, new_middle),
    );
    let changed = ops
        .into_iter()
        .filter(|op| !matches!(op, DiffOp::Equal { .. }));
    let shift = |lines: Range<usize>| lines.start + start..lines.end + start;
    Some(
        changed
            .map(|op| (shift(op.old_range()), shift(op.new_range())))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[&str]) -> Vec<(Range<usize>, u64)> {
        let uri: Arc<str> = "file:///a.rs".into();
        let ropes: Vec<Rope> = texts.iter().map(|text| Rope::from_str(text)).collect();
        let mut edits = Edits::default();
        for rope in &ropes[1..] {
            edits.begin();
            edits.look(&uri, &ropes[0], rope);
            edits.end(|_| true);
        }
        let latest = edits.latest().into_iter();
        latest.map(|(_, edit)| (edit.lines, edit.look)).collect()
    }

    /// The texts of a file, look by look, and the edits found after the last.
    type Case<'c> = (&'c [&'c str], &'c [(Range<usize>, u64)]);

    #[test]
    fn edits_are_found_moved_and_joined() {
        let ten = "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let cases: [Case<'_>; 7] = [
            (&[ten, ten], &[]),
            (&[ten, "0\n1\nx\n3\n4\n5\n6\n7\n8\n9\n"], &[(2..3, 1)]),
            // Two places at one look.
            (
                &[ten, "x\n1\n2\n3\n4\n5\n6\n7\n8\ny\n"],
                &[(0..1, 1), (9..10, 1)],
            ),
            // A later edit above moves the older one down.
            (
                &[
                    ten,
                    "0\n1\n2\n3\n4\n5\n6\n7\n8\nx\n",
                    "a\nb\n0\n1\n2\n3\n4\n5\n6\n7\n8\nx\n",
                ],
                &[(0..2, 2), (11..12, 1)],
            ),
            // One that touches an older one becomes one with it.
            (
                &[
                    ten,
                    "0\nx\n2\n3\n4\n5\n6\n7\n8\n9\n",
                    "0\nx\ny\n3\n4\n5\n6\n7\n8\n9\n",
                ],
                &[(1..3, 2)],
            ),
            // Lines taken out leave nothing.
            (&[ten, "0\n1\n2\n7\n8\n9\n"], &[]),
            (&["", "a\n"], &[(0..1, 1)]),
        ];
        for (texts, expected) in cases {
            assert_eq!(found(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn a_formatter_is_no_edit_and_old_edits_go() {
        let long: Vec<String> = (0..2_000).map(|n| format!("a{n}")).collect();
        let long = long.join("\n");
        assert_eq!(found(&[&long, &long.replace('a', "b")]), []);
        let mut texts = vec!["x\n".repeat(200)];
        for n in 0..12 {
            let mut lines: Vec<&str> = texts[n].lines().collect();
            lines[n * 10] = "y";
            texts.push(lines.join("\n") + "\n");
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = found(&texts);
        assert_eq!(found.len(), MOST_EDITS);
        assert_eq!(found[0], (110..111, 12));
    }
}
