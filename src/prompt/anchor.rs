//! Where a prompt is parted into the lines above and what was typed.
//!
//! What was typed stands last in a prompt (the *line anchor*), so a key changes only its end. Parted anew
//! at every Enter, the finished line would go in front of the text below, and a backend would compute all
//! of that again. So the place is kept for some lines: they stay where they were typed, and an Enter is a
//! key like any other. A model filled in several lines at a time when it was trained, so to it that is as
//! usual a prompt.

use super::window::Window;

/// So many finished lines stay behind the anchor at most. A window moves after as many
/// ([`STEP_LINES`](super::window::STEP_LINES)), and computes everything in any case.
pub const MOST_LINES: usize = 16;

/// The place of a prompt: the text around what was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchor {
    above: String,
    after: String,
}

impl Anchor {
    /// Where `window` is parted.
    pub fn of(window: &Window) -> Self {
        Self {
            above: window.above.clone(),
            after: window.after.clone(),
        }
    }

    /// The same text parted at this place, where it stands in it and nothing around it changed.
    #[must_use]
    pub fn keep(&self, mut window: Window) -> Window {
        if window.after == self.after
            && let Some(typed) = window.above.strip_prefix(self.above.as_str())
            && memchr::memchr_iter(b'\n', typed.as_bytes()).count() <= MOST_LINES
        {
            window.typed.insert_str(0, typed);
            window.above.truncate(self.above.len());
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(above: &str, typed: &str, after: &str) -> Window {
        Window {
            above: above.to_owned(),
            typed: typed.to_owned(),
            after: after.to_owned(),
        }
    }

    #[test]
    fn finished_lines_stay_behind_the_anchor() {
        let anchor = Anchor::of(&window("a\n", "let b", "\nc\n"));
        let most = "x\n".repeat(MOST_LINES);
        let cases = [
            // The same line, finished lines, a blank one.
            (("a\n", "let b = 1", "\nc\n"), ("a\n", "let b = 1")),
            (("a\nlet b\n", "  d", "\nc\n"), ("a\n", "let b\n  d")),
            (("a\n\n\n", "", "\nc\n"), ("a\n", "\n\n")),
            // Other text around it.
            (("a\nlet b\n", "d", "\n\nc\n"), ("a\nlet b\n", "d")),
            (("e\nlet b\n", "d", "\nc\n"), ("e\nlet b\n", "d")),
            (("", "a", "\nc\n"), ("", "a")),
        ];
        for ((above, typed, after), expect) in cases {
            let kept = anchor.keep(window(above, typed, after));
            assert_eq!(kept, window(expect.0, expect.1, after), "{above:?}");
        }
        for (lines, kept_lines) in [(most.clone(), MOST_LINES), (most + "x\n", 0)] {
            let above = format!("a\n{lines}");
            let kept = anchor.keep(window(&above, "d", "\nc\n"));
            assert_eq!(kept.typed.matches('\n').count(), kept_lines);
            assert_eq!([kept.above, kept.typed].concat(), above + "d");
        }
    }
}
