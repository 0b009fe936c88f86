//! Which lines an action works on.

use std::ops::Range;

use ropey::Rope;

use super::{Scene, comment};
use crate::document::position::line_content;

/// Longest item that is rewritten as a whole where a few lines of it are meant.
const MOST_ITEM_LINES: usize = 120;
/// Lines around what is meant, where the item is longer.
const MARGIN_LINES: usize = 12;

/// How an action chooses its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// What is selected, else the item at the cursor.
    Item,
    /// The same with the comments and attributes above it.
    ItemWithComments,
    /// The item that the diagnostics are in.
    AroundRemarks,
    /// The item that the todo is in.
    AroundTodo,
}

impl Target {
    /// The lines that are meant before anything is parsed: what the enclosing item is looked for around.
    pub(super) fn core(self, scene: &Scene) -> Range<usize> {
        let text = &scene.document.text;
        let lines = scene.lines.start..scene.lines.end.min(text.len_lines());
        match self {
            Self::Item | Self::ItemWithComments => lines,
            Self::AroundRemarks => {
                let remarked = scene.remarks.iter().map(|remark| remark.line);
                let (first, last) = (remarked.clone().min(), remarked.max());
                let first = first.unwrap_or(lines.start);
                first..(last.unwrap_or(first) + 1).min(text.len_lines()).max(first)
            }
            Self::AroundTodo => {
                let first = scene.first_lines().position(|l| comment::holds_todo(&l));
                let first = lines.start + first.unwrap_or_default();
                first..(first + 1).min(text.len_lines())
            }
        }
    }

    /// The lines, when `enclosing` are those of the smallest declaration around the core.
    pub(super) fn lines(self, scene: &Scene, enclosing: Option<&Range<usize>>) -> Range<usize> {
        let text = &scene.document.text;
        let core = self.core(scene);
        let found = match (self, enclosing) {
            (Self::Item | Self::ItemWithComments, _) if scene.selected => core,
            (_, Some(item)) if item.len() <= MOST_ITEM_LINES => item.clone(),
            (Self::Item | Self::ItemWithComments, Some(item)) => item.clone(),
            (_, Some(item)) => {
                let first = core.start.saturating_sub(MARGIN_LINES).max(item.start);
                first..(core.end + MARGIN_LINES).min(item.end)
            }
            (_, None) => paragraph(text, &core),
        };
        let found = without_blank_ends(text, found);
        if self == Self::ItemWithComments {
            with_what_leads(text, found)
        } else {
            found
        }
    }
}

/// The lines up to the next blank ones, where no grammar tells more.
fn paragraph(text: &Rope, core: &Range<usize>) -> Range<usize> {
    let blank = |line: usize| is_blank(text, line);
    let first = (core.start.saturating_sub(MOST_ITEM_LINES)..core.start)
        .rev()
        .take_while(|&line| !blank(line))
        .last();
    let end = (core.end..text.len_lines().min(core.end + MOST_ITEM_LINES))
        .take_while(|&line| !blank(line))
        .last();
    first.unwrap_or(core.start)..end.map_or(core.end, |line| line + 1)
}

fn without_blank_ends(text: &Rope, lines: Range<usize>) -> Range<usize> {
    let first = lines.clone().find(|&line| !is_blank(text, line));
    let last = lines.clone().rev().find(|&line| !is_blank(text, line));
    match (first, last) {
        (Some(first), Some(last)) => first..last + 1,
        _ => lines,
    }
}

fn with_what_leads(text: &Rope, lines: Range<usize>) -> Range<usize> {
    let leads = |&line: &usize| comment::leads(&line_content(text, line).to_string());
    let first = (0..lines.start).rev().take_while(leads).last();
    first.unwrap_or(lines.start)..lines.end
}

fn is_blank(text: &Rope, line: usize) -> bool {
    line_content(text, line).chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::tests::scene;

    const TEXT: &str = "/// A.\n#[x]\nfn a() {\n    b();\n\n    c(); // todo\n}\n\nd\n";

    #[test]
    fn the_lines_are_the_selection_or_the_item() {
        let item = 2..7;
        for (target, lines, selected, enclosing, expected) in [
            (Target::Item, 3..4, true, Some(&item), 3..4),
            (Target::Item, 3..5, true, None, 3..4),
            (Target::Item, 3..4, false, Some(&item), 2..7),
            (Target::Item, 3..4, false, None, 0..4),
            (Target::Item, 8..9, false, None, 8..9),
            (Target::Item, 9..10, false, None, 8..9),
            (Target::ItemWithComments, 3..4, false, Some(&item), 0..7),
            (Target::AroundTodo, 2..7, true, Some(&item), 2..7),
            (Target::AroundTodo, 2..7, true, None, 5..7),
        ] {
            let scene = scene(TEXT, lines.clone(), selected);
            assert_eq!(
                target.lines(&scene, enclosing),
                expected,
                "{target:?} {lines:?}"
            );
        }
    }

    #[test]
    fn of_a_long_item_a_window_is_rewritten() {
        let text = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(200));
        let mut scene = scene(&text, 100..101, false);
        scene.remarks.push(super::super::Remark {
            line: 100,
            message: "wrong".into(),
        });
        let item = 0..202;
        assert_eq!(Target::AroundRemarks.lines(&scene, Some(&item)), 88..113);
        assert_eq!(Target::Item.lines(&scene, Some(&item)), 0..202);
    }
}
