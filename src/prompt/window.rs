//! Which part of a document goes into a prompt, cut before it is laid out.
//!
//! The window moves in big steps: its first line is a multiple of [`STEP_LINES`], so that typing and
//! going down a few lines leaves the front of the prompt as it was and a backend computes only what is
//! new. Work is proportional to the window, never to the file.

use ropey::Rope;

use super::BYTES_PER_TOKEN;

/// The window's first line is a multiple of at most this. Half of a 384-token window of code (about 32
/// lines): smaller steps throw the backend's cache away more often, larger ones leave it half empty.
pub const STEP_LINES: usize = 16;
/// Tokens of the window for each line of the step.
const TOKENS_PER_STEP_LINE: usize = 24;

/// Bytes of the longest character in UTF-8.
const LONGEST_CHAR_BYTES: usize = 4;

/// The three parts of a prompt, line ends as `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Whole lines above what was typed.
    pub above: String,
    /// What was typed: the cursor's line up to the cursor, and finished lines where an
    /// [`Anchor`](super::anchor::Anchor) keeps them there.
    pub typed: String,
    /// From the cursor on.
    pub after: String,
}

/// Cuts the window around byte `offset` to the budgets, in tokens of [`BYTES_PER_TOKEN`].
pub fn cut(text: &Rope, offset: usize, prefix_tokens: usize, suffix_tokens: usize) -> Window {
    cut_from(
        text,
        offset,
        first_line_at(text, offset, prefix_tokens),
        suffix_tokens,
    )
}

/// The first line of the window around byte `offset` with so many tokens above the cursor's line.
pub fn first_line_at(text: &Rope, offset: usize, prefix_tokens: usize) -> usize {
    let line = text.byte_to_line(offset.min(text.len_bytes()));
    let step = (prefix_tokens / TOKENS_PER_STEP_LINE).clamp(1, STEP_LINES);
    first_line(text, line, prefix_tokens * BYTES_PER_TOKEN, step)
}

/// The window around byte `offset` from line `first` on, which is not below the cursor's.
pub fn cut_from(text: &Rope, offset: usize, first: usize, suffix_tokens: usize) -> Window {
    let offset_char = text.byte_to_char(offset.min(text.len_bytes()));
    let line = text.char_to_line(offset_char);
    let line_char = text.line_to_char(line);
    let above = text.slice(text.line_to_char(first.min(line))..line_char);
    Window {
        above: with_plain_line_ends(above.into()),
        typed: text.slice(line_char..offset_char).into(),
        after: after(text, offset_char, suffix_tokens * BYTES_PER_TOKEN),
    }
}

/// The first line of the window: the smallest multiple of the step from which all lines up to `line`
/// fit; where not even one step fits, the nearest whole lines that do.
fn first_line(text: &Rope, line: usize, budget_bytes: usize, step: usize) -> usize {
    let end = text.line_to_byte(line);
    let fits = |first: usize| end - text.line_to_byte(first) <= budget_bytes;
    let mut first = line - line % step;
    if !fits(first) {
        return (first..=line).find(|&l| fits(l)).unwrap_or(line);
    }
    while first >= step && fits(first - step) {
        first -= step;
    }
    first
}

/// The rest of the line, then whole lines while they fit.
fn after(text: &Rope, offset_char: usize, budget_bytes: usize) -> String {
    // One character more than fits tells whether a line ends right there.
    let mut raw = starting_at(text, offset_char, budget_bytes + LONGEST_CHAR_BYTES);
    if raw.contains('\r') {
        // Each line end may lose half of its bytes.
        raw = starting_at(text, offset_char, 2 * budget_bytes + LONGEST_CHAR_BYTES);
    }
    let mut out = with_plain_line_ends(raw);
    if out.len() > budget_bytes {
        let fitting = out.as_bytes().get(..=budget_bytes).unwrap_or_default();
        let end = memchr::memrchr(b'\n', fitting);
        out.truncate(end.unwrap_or_else(|| out.floor_char_boundary(budget_bytes)));
    }
    out
}

/// Up to `most_bytes` from a character on, in whole characters.
fn starting_at(text: &Rope, offset_char: usize, most_bytes: usize) -> String {
    let mut out = String::with_capacity(most_bytes);
    let (chunks, _, chunk_char, _) = text.chunks_at_char(offset_char);
    let mut skipped_chars = offset_char - chunk_char;
    for chunk in chunks {
        let skipped_bytes = ropey::str_utils::char_to_byte_idx(chunk, skipped_chars);
        skipped_chars = 0;
        let chunk = chunk.get(skipped_bytes..).unwrap_or_default();
        let end = chunk.floor_char_boundary(most_bytes - out.len());
        out.push_str(chunk.get(..end).unwrap_or_default());
        if end < chunk.len() {
            break;
        }
    }
    out
}

impl Window {
    /// Without the blanks in front of the cursor, which a model does better to write itself: with the
    /// next word they are one token. An indentation stays where the backend `heals` it: nothing is generated
    /// that is not shown.
    #[must_use]
    pub fn without_blanks_at_cursor(mut self, heals: bool) -> Self {
        let line = self.typed.rfind('\n').map_or(0, |at| at + 1);
        let blank_from = self.typed.trim_end().len();
        if blank_from > line || !heals {
            self.typed.truncate(blank_from.max(line));
        }
        self
    }
}

fn with_plain_line_ends(text: String) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbered(lines: usize) -> Rope {
        let text: Vec<String> = (0..lines).map(|n| format!("line {n:04}")).collect();
        Rope::from_str(&text.join("\n"))
    }

    #[test]
    fn typed_part_rest_and_lines_are_told_apart() {
        let text = Rope::from_str("a\r\nbμ|c\r\nd\r\n");
        let offset = text.to_string().find('|').unwrap();
        let window = cut(&text, offset, 100, 100);
        assert_eq!(
            window,
            Window {
                above: "a\n".into(),
                typed: "bμ".into(),
                after: "|c\nd\n".into()
            }
        );
    }

    #[test]
    fn the_first_line_stays_while_the_cursor_goes_down_and_then_steps() {
        // A line is 10 bytes: 400 bytes hold 40 lines, so two steps and a bit.
        let text = numbered(200);
        let firsts: Vec<usize> = (0..100)
            .map(|l| first_line(&text, l, 400, STEP_LINES))
            .collect();
        assert!(firsts.iter().all(|f| f % STEP_LINES == 0));
        let moves = firsts.windows(2).filter(|w| w[0] != w[1]).count();
        assert_eq!(moves, 4, "{firsts:?}");
        assert!((0..100).all(|l| l - firsts[l] <= 40));
        // A small window takes small steps, and is never near empty.
        let lines_above = |line| {
            let window = cut(&text, text.line_to_byte(line), 128, 0);
            window.above.lines().count()
        };
        assert!((40..100).all(|line| (32..=38).contains(&lines_above(line))));
    }

    #[test]
    fn blanks_at_the_cursor_go_and_line_ends_stay() {
        for (typed, expect) in [
            ("let a = ", "let a ="),
            ("let a", "let a"),
            ("  ", ""),
            ("a;\n  ", "a;\n"),
            ("a;\n  b ", "a;\n  b"),
            ("a; \n\n", "a; \n\n"),
        ] {
            let window = Window {
                above: String::new(),
                typed: typed.into(),
                after: String::new(),
            };
            let healed = window.clone().without_blanks_at_cursor(true).typed;
            let is_indentation = typed
                .rsplit('\n')
                .next()
                .is_some_and(|l| l.trim().is_empty());
            assert_eq!(healed, if is_indentation { typed } else { expect });
            assert_eq!(
                window.without_blanks_at_cursor(false).typed,
                expect,
                "{typed:?}"
            );
        }
    }

    #[test]
    fn over_budget_keeps_the_text_nearest_the_cursor() {
        let text = numbered(100);
        let offset = text.line_to_byte(55) + 4;
        let window = cut(&text, offset, 10, 5);
        assert_eq!(window.above, "line 0052\nline 0053\nline 0054\n");
        assert_eq!(window.typed, "line");
        assert_eq!(window.after, " 0055\nline 0056");
        let none = cut(&text, offset, 0, 0);
        assert_eq!((none.above.as_str(), none.after.as_str()), ("", ""));
    }

    #[test]
    fn ends_of_the_document() {
        let text = Rope::from_str("");
        assert_eq!(cut(&text, 0, 10, 10).typed, "");
        let text = Rope::from_str("a\n");
        assert_eq!(cut(&text, 2, 10, 10).above, "a\n");
        assert_eq!(cut(&text, 99, 10, 10).after, "");
    }

    /// What [`after`] is to do, line by line.
    fn after_line_by_line(text: &str, budget_bytes: usize) -> String {
        let mut lines = text.split('\n');
        let mut out = lines.next().unwrap_or_default().to_owned();
        if out.len() > budget_bytes {
            out.truncate(out.floor_char_boundary(budget_bytes));
            return out;
        }
        for line in lines {
            if out.len() + 1 + line.len() > budget_bytes {
                break;
            }
            out = [out.as_str(), line].join("\n");
        }
        out
    }

    proptest! {
        #[test]
        fn whole_lines_while_they_fit(
            lines in proptest::collection::vec("[aμ😀]{0,6}", 0..8),
            line_end in proptest::sample::select(&["\n", "\r\n"][..]),
            skipped_chars in 0..6_usize,
            budget_bytes in 0..40_usize,
        ) {
            let text = Rope::from_str(&lines.join(line_end));
            let skipped_chars = skipped_chars.min(text.line(0).len_chars().saturating_sub(2));
            let rest = text.slice(skipped_chars..).to_string().replace("\r\n", "\n");
            prop_assert_eq!(
                after(&text, skipped_chars, budget_bytes),
                after_line_by_line(&rest, budget_bytes)
            );
        }
    }
}
