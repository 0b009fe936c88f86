//! Text in tokens, about as a code model's tokenizer cuts it.
//!
//! The cut is stable: what is appended to a text changes its last token at most, as with a real one.

use crate::eval::chance::fingerprint;
use crate::prompt::Segment;

/// Longest token within a word, in characters. With single spaces joined to the word after them and
/// punctuation to a line end, code has about 3.3 bytes per token, as Qwen2.5-Coder's 3.2 to 3.6.
const WORD_CHARS: usize = 5;
/// Longest run of punctuation.
const PUNCTUATION_CHARS: usize = 2;

/// The length in bytes of the first token of `text`; 0 for an empty text.
pub(super) fn first_length(text: &str) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut chars = text.chars().peekable();
    let Some(first) = chars.next() else { return 0 };
    let mut length = first.len_utf8();
    if first.is_whitespace() {
        match chars.peek() {
            // " name": the space belongs to the word.
            Some(&next) if first == ' ' && word(next) => {}
            // A line end with the indentation after it, or a run of spaces.
            _ => {
                while let Some(c) = chars.next_if(|c| matches!(c, ' ' | '\t')) {
                    length += c.len_utf8();
                }
                return length;
            }
        }
    }
    if word(first) || first == ' ' {
        let taken = usize::from(word(first));
        for _ in taken..WORD_CHARS {
            let Some(c) = chars.next_if(|&c| word(c)) else {
                break;
            };
            length += c.len_utf8();
        }
        return length;
    }
    for _ in 1..PUNCTUATION_CHARS {
        let Some(c) = chars.next_if(|&c| !word(c) && !c.is_whitespace()) else {
            break;
        };
        length += c.len_utf8();
    }
    length + usize::from(chars.peek() == Some(&'\n'))
}

/// The tokens of `text` in order.
pub(super) fn of_text(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (token, after) = rest.split_at_checked(first_length(rest))?;
        rest = after;
        (!token.is_empty()).then_some(token)
    })
}

/// The tokens of a prompt, as fingerprints; a sentinel is one.
pub(super) fn of_prompt(prompt: &[Segment]) -> Vec<u64> {
    let mut tokens = Vec::new();
    for segment in prompt {
        match segment {
            Segment::Special(name) => tokens.push(!fingerprint(name.as_bytes())),
            Segment::Text(text) => tokens.extend(of_text(text).map(of_token)),
        }
    }
    tokens
}

/// The fingerprint of a token.
pub(super) fn of_token(token: &str) -> u64 {
    fingerprint(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_end_where_words_and_lines_do() {
        for (text, expected) in [
            (
                "let foo = 1;\n    bar",
                &["let", " foo", " ", "=", " 1", ";\n", "    ", "bar"][..],
            ),
            ("local_index", &["local", "_inde", "x"]),
            ("f(a, b)\n", &["f", "(", "a", ",", " b", ")\n"]),
            ("\n\n  x", &["\n", "\n  ", "x"]),
            ("μμμμμμ", &["μμμμμ", "μ"]),
            ("", &[]),
        ] {
            assert_eq!(of_text(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn code_has_as_many_bytes_per_token_as_with_a_real_tokenizer() {
        let text = include_str!("tokens.rs");
        let tenths = 10 * text.len() / of_text(text).count();
        assert!((29..=37).contains(&tenths), "{tenths}");
    }
}
