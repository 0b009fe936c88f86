//! Where a completion is not asked for.

use super::place::Place;
use crate::config::Settings;

/// Characters right of the cursor beyond which an unasked completion is only in the way; llama.vim and
/// llama.vscode use the same number.
const MOST_CHARS_RIGHT: usize = 8;

/// Why no completion was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Switched off, for all or for this language.
    Disabled,
    /// The cursor is inside a word.
    InsideWord,
    /// The statement or block ends here.
    AfterEnd,
    /// Much text stands right of the cursor.
    TextRight,
    /// The line is too long to be anything but generated.
    LongLine,
}

/// Decides whether a model is asked at `place`. An explicit request overrides everything but the
/// settings.
pub(super) fn check(
    place: &Place,
    language_id: &str,
    explicit: bool,
    settings: &Settings,
) -> Result<(), Skip> {
    let inline = &settings.inline;
    if !inline.enabled || inline.disabled_languages.iter().any(|l| l == language_id) {
        return Err(Skip::Disabled);
    }
    if explicit {
        return Ok(());
    }
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if place.line_suffix.chars().next().is_some_and(word) {
        return Err(Skip::InsideWord);
    }
    if place.line_suffix.trim_end().chars().count() > MOST_CHARS_RIGHT {
        return Err(Skip::TextRight);
    }
    if place.line_prefix.trim_end().ends_with([';', ')', ']', '}']) {
        return Err(Skip::AfterEnd);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::place::tests::place;

    #[test]
    fn rules_hold_for_unasked_completions_only() {
        let settings = Settings::default();
        for (at, expected) in [
            ("let a = |", Ok(())),
            ("foo(|)", Ok(())),
            ("fo|o", Err(Skip::InsideWord)),
            ("foo();|", Err(Skip::AfterEnd)),
            ("foo()|", Err(Skip::AfterEnd)),
            ("a(|) + something", Err(Skip::TextRight)),
            ("    |", Ok(())),
        ] {
            assert_eq!(
                check(&place(at), "rust", false, &settings),
                expected,
                "{at:?}"
            );
            assert_eq!(check(&place(at), "rust", true, &settings), Ok(()), "{at:?}");
        }
    }

    #[test]
    fn the_settings_hold_for_all() {
        let mut settings = Settings::default();
        settings.inline.disabled_languages = vec!["markdown".into()];
        assert_eq!(
            check(&place("|"), "markdown", true, &settings),
            Err(Skip::Disabled)
        );
        settings.inline.enabled = false;
        assert_eq!(
            check(&place("|"), "rust", true, &settings),
            Err(Skip::Disabled)
        );
    }
}
