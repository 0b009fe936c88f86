//! Markdown in a terminal: drawn block by block while it is written, plain everywhere else.
//!
//! Nothing in it is followed: links are text, pictures are not loaded, and control characters that would
//! move the cursor or set a title are left out.

use std::io::IsTerminal as _;

use termimad::MadSkin;

use super::output;

/// Draws an answer as it comes.
pub(super) struct Renderer {
    /// `None` where the output is no terminal.
    skin: Option<MadSkin>,
    /// What is not drawn yet.
    held: String,
}

impl Renderer {
    pub(super) fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some();
        let skin = std::io::stdout().is_terminal().then(|| {
            if plain {
                MadSkin::no_style()
            } else {
                MadSkin::default()
            }
        });
        Self {
            skin,
            held: String::new(),
        }
    }

    /// Draws what is complete.
    pub(super) fn write(&mut self, text: &str) {
        let text = without_controls(text);
        let Some(skin) = &self.skin else {
            output::text(&text);
            return;
        };
        self.held.push_str(&text);
        let end = complete(&self.held);
        let rest = self.held.split_off(end);
        let block = std::mem::replace(&mut self.held, rest);
        if !block.is_empty() {
            output::text(&skin.term_text(&block).to_string());
        }
    }

    /// Draws the rest.
    pub(super) fn end(&mut self) {
        let rest = std::mem::take(&mut self.held);
        match &self.skin {
            Some(skin) => output::text(&skin.term_text(&rest).to_string()),
            None => output::text("\n"),
        }
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
fn without_controls(text: &str) -> String {
    text.chars()
        .filter(|&c| !c.is_control() || c == '\n' || c == '\t')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
