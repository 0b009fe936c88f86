//! Where a completion is not asked for.
//!
//! Called by `inline` on every request, before anything else: the place costs no more than its line,
//! the file is looked up once ([`Files`]).

use super::braces;
use super::lines::{brackets, is_closer, is_word};
use super::place::Place;
use crate::config::Settings;
pub(super) use crate::kept_out::Files;
use crate::kept_out::Reason;

/// Characters right of the cursor beyond which an unasked completion is only in the way; llama.vim and
/// llama.vscode use the same number.
const MOST_CHARS_RIGHT: usize = 8;

/// Why no completion was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    /// Switched off, for all or for this language.
    Disabled,
    /// The file's name says that it holds keys or passwords.
    Secret,
    /// `privacy.ignore`, `.gitignore` or `.ghostlineignore` names the file.
    Ignored,
    /// The cursor is inside a word.
    InsideWord,
    /// The statement or block ends here.
    AfterEnd,
    /// Much text stands right of the cursor.
    TextRight,
    /// The line is too long to be anything but generated.
    LongLine,
}

impl Skip {
    /// Why nothing of a file goes into any prompt, as the end of a sentence about the file; `None` for
    /// what is about the place or about completions.
    pub const fn keeps_out_because(self) -> Option<&'static str> {
        match self {
            Self::Secret => Some("its name says that it holds keys or passwords"),
            Self::Ignored => Some("privacy.ignore, .gitignore or .ghostlineignore names it"),
            _ => None,
        }
    }

    /// Whether it is the cursor's surroundings that want none, not the settings or the file.
    pub(super) const fn is_of_place(self) -> bool {
        matches!(self, Self::InsideWord | Self::AfterEnd | Self::TextRight)
    }

    /// What to say of it, once, in the status; `None` for what happens at every other key.
    pub const fn sentence(self) -> Option<&'static str> {
        match self {
            Self::Secret => {
                Some("No completions in this file: its name says that it holds keys or passwords")
            }
            Self::Ignored => Some(
                "No completions in this file: privacy.ignore, .gitignore or .ghostlineignore names it",
            ),
            _ => None,
        }
    }
}

impl From<Reason> for Skip {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Secret => Self::Secret,
            Reason::Ignored => Self::Ignored,
        }
    }
}

/// Decides whether a model is asked at `place`. An explicit request overrides the rules about the
/// place, never the settings and never what is kept out of prompts.
pub(super) fn check(
    place: &Place,
    language_id: &str,
    explicit: bool,
    settings: &Settings,
    files: &Files,
) -> Result<(), Skip> {
    let inline = &settings.inline;
    if !inline.enabled || inline.disabled_languages.iter().any(|l| l == language_id) {
        return Err(Skip::Disabled);
    }
    if let Some(reason) = files.refusal(&place.uri) {
        return Err(reason.into());
    }
    if explicit {
        return Ok(());
    }
    if place.line_suffix.chars().next().is_some_and(is_word) {
        return Err(Skip::InsideWord);
    }
    if place.line_suffix.trim_end().chars().count() > MOST_CHARS_RIGHT {
        return Err(Skip::TextRight);
    }
    if at_end(&place.line_prefix) || braces::begins_line(place) {
        return Err(Skip::AfterEnd);
    }
    Ok(())
}

/// Whether the statement or block ends at the end of `line`. A space after a closer asks for more, as
/// in `if (a) `, unless the line is nothing but the closer.
pub(super) fn at_end(line: &str) -> bool {
    let code = line.trim_end();
    if code.ends_with(';') {
        // The head of a `for` has semicolons inside its brackets.
        return brackets(code, None).open.is_empty();
    }
    line.ends_with([')', ']', '}']) || is_closer(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::place::tests::place;

    fn checked(at: &str, explicit: bool, settings: &Settings) -> Result<(), Skip> {
        check(&place(at), "rust", explicit, settings, &Files::default())
    }

    #[test]
    fn rules_hold_for_unasked_completions_only() {
        let settings = Settings::default();
        for (at, expected) in [
            ("let a = |", Ok(())),
            ("foo(|)", Ok(())),
            ("foo(a, |)", Ok(())),
            ("fo|o", Err(Skip::InsideWord)),
            ("|foo", Err(Skip::InsideWord)),
            ("foo();|", Err(Skip::AfterEnd)),
            ("foo(); |", Err(Skip::AfterEnd)),
            ("for (let i = 0;|", Ok(())),
            ("foo()|", Err(Skip::AfterEnd)),
            ("    }|", Err(Skip::AfterEnd)),
            ("    } |", Err(Skip::AfterEnd)),
            ("    |}", Err(Skip::AfterEnd)),
            ("(defn f [x]\n  |)", Ok(())),
            ("if (a) {|}", Ok(())),
            ("if (a) |", Ok(())),
            ("a(|) + something", Err(Skip::TextRight)),
            ("    |", Ok(())),
        ] {
            assert_eq!(checked(at, false, &settings), expected, "{at:?}");
            assert_eq!(checked(at, true, &settings), Ok(()), "{at:?}");
        }
    }

    #[test]
    fn the_settings_hold_for_all() {
        let mut settings = Settings::default();
        settings.inline.disabled_languages = vec!["rust".into()];
        assert_eq!(checked("|", true, &settings), Err(Skip::Disabled));
        settings.inline.disabled_languages.clear();
        assert_eq!(checked("|", true, &settings), Ok(()));
        settings.inline.enabled = false;
        assert_eq!(checked("|", true, &settings), Err(Skip::Disabled));
    }

    #[test]
    fn what_is_kept_out_of_prompts_is_kept_out_when_asked_for_too() {
        let mut secret = place("KEY=|");
        secret.uri = "file:///project/.env.local".into();
        for explicit in [false, true] {
            let settings = Settings::default();
            let got = check(&secret, "dotenv", explicit, &settings, &Files::default());
            assert_eq!(got, Err(Skip::Secret));
            assert!(Skip::Secret.sentence().is_some());
        }
    }
}
