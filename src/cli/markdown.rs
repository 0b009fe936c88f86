//! Markdown in a terminal: drawn block by block while it is written, plain everywhere else.
//!
//! Nothing in it is followed: links are text, pictures are not loaded, and control characters that would
//! move the cursor or set a title are left out.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use minimad::{Composite, CompositeStyle, Line, Options, parse_text};

use super::output;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const ITALIC: &str = "\x1b[3m";
/// Headings: bold and underlined.
const HEADING: &str = "\x1b[1;4m";
const CODE: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// Draws an answer as it comes.
pub(super) struct Renderer {
    /// Whether a terminal shows it.
    draws: bool,
    /// Whether the terminal is to show styles.
    styles: bool,
    /// What is not drawn yet.
    held: String,
}

impl Renderer {
    pub(super) fn new() -> Self {
        Self {
            draws: std::io::stdout().is_terminal(),
            styles: std::env::var_os("NO_COLOR").is_none(),
            held: String::new(),
        }
    }

    /// Draws what is complete.
    pub(super) fn write(&mut self, text: &str) {
        let text = without_controls(text);
        if !self.draws {
            output::text(&text);
            return;
        }
        self.held.push_str(&text);
        let end = complete(&self.held);
        let rest = self.held.split_off(end);
        let block = std::mem::replace(&mut self.held, rest);
        output::text(&drawn(&block, self.styles));
    }

    /// Draws the rest.
    pub(super) fn end(&mut self) {
        let rest = std::mem::take(&mut self.held);
        if self.draws {
            output::text(&drawn(&rest, self.styles));
        } else {
            output::text("\n");
        }
    }
}

/// Whole blocks as a terminal shows them.
fn drawn(markdown: &str, styles: bool) -> String {
    let options = Options {
        keep_code_fences: true,
        ..Options::default()
    };
    let mut out = String::new();
    for line in parse_text(markdown, options).lines {
        let (before, text) = match &line {
            Line::Normal(composite) => (sign_of(composite), inline(composite, styles)),
            Line::TableRow(row) => {
                let cells: Vec<String> = row.cells.iter().map(|c| inline(c, styles)).collect();
                (String::new(), cells.join("  │  "))
            }
            Line::TableRule(_) | Line::HorizontalRule => (String::new(), "─".repeat(40)),
            Line::CodeFence(composite) => (String::new(), styled(&plain(composite), DIM, styles)),
        };
        let _ = writeln!(out, "{before}{text}");
    }
    out
}

/// What stands in front of a line.
fn sign_of(composite: &Composite<'_>) -> String {
    match composite.style {
        CompositeStyle::ListItem(depth) => format!("{}• ", indent(depth)),
        CompositeStyle::OrderedListItem { level, index } => format!("{}{index}. ", indent(level)),
        CompositeStyle::Quote => "│ ".to_owned(),
        CompositeStyle::Paragraph | CompositeStyle::Header(_) | CompositeStyle::Code => {
            String::new()
        }
    }
}

fn indent(depth: u8) -> String {
    "  ".repeat(depth.into())
}

fn inline(composite: &Composite<'_>, styles: bool) -> String {
    match composite.style {
        CompositeStyle::Header(_) => return styled(&plain(composite), HEADING, styles),
        CompositeStyle::Code => return styled(&plain(composite), CODE, styles),
        _ => {}
    }
    let mut out = String::new();
    for part in &composite.compounds {
        let style = match (part.code, part.bold, part.italic) {
            (true, ..) => CODE,
            (_, true, _) => BOLD,
            (_, _, true) => ITALIC,
            _ => "",
        };
        out.push_str(&styled(part.src, style, styles));
    }
    out
}

fn plain(composite: &Composite<'_>) -> String {
    composite.compounds.iter().map(|part| part.src).collect()
}

fn styled(text: &str, style: &str, styles: bool) -> String {
    if styles && !style.is_empty() && !text.is_empty() {
        format!("{style}{text}{PLAIN}")
    } else {
        text.to_owned()
    }
}

/// The bytes up to the end of the last whole block: a blank line outside of fences, or a closed fence.
fn complete(text: &str) -> usize {
    let (mut end, mut at, mut fenced) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        at += line.len();
        let whole = line.ends_with('\n');
        let fence = line.trim_start().starts_with("```");
        if whole && fence {
            fenced = !fenced;
        }
        if whole && !fenced && (fence || line.trim().is_empty()) {
            end = at;
        }
    }
    end
}

/// What a model writes reaches the terminal as text only.
pub(super) fn without_controls(text: &str) -> String {
    text.chars()
        .filter(|&c| !c.is_control() || c == '\n' || c == '\t')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_drawn() {
        let text =
            "# A **b**\n\nUse `x` and *y*.\n- one\n1. two\n```rust\n# let a = 1 * 2 * 3;\n```\n";
        let shown = drawn(text, false);
        for expected in [
            "A b\n",
            "Use x and y.\n",
            "• one\n",
            "1. two\n",
            "# let a = 1 * 2 * 3;\n",
        ] {
            assert!(shown.contains(expected), "{expected:?} is not in {shown}");
        }
        assert!(drawn("Use `x`.\n", true).contains("\x1b[36mx\x1b[0m"));
        assert_eq!(drawn("", true), "");
    }

    #[test]
    fn blocks_are_drawn_when_they_are_whole() {
        for (text, drawn) in [
            ("a", ""),
            ("a\nb", ""),
            ("a\n\nb", "a\n\n"),
            ("```\na\n\nb", ""),
            ("```\na\n\n```\nb", "```\na\n\n```\n"),
            ("a\n\n```\nb\n\n", "a\n\n"),
        ] {
            assert_eq!(text.get(..complete(text)).unwrap(), drawn, "{text:?}");
        }
        assert_eq!(
            without_controls("a\x1b]0;title\x07b\tc\n"),
            "a]0;titleb\tc\n"
        );
    }
}
