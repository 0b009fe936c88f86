//! What instruct models wrap around code: a thought in front of it, a fence around it.
//!
//! [`unwrapped`] is laid around the backend's stream when a generation starts, so that everything after
//! it sees code. Only the beginning of a text is looked at: the fence that closes, and prose after it,
//! end the text in [`stop`](super::stop).
//!
//! Invariants: what comes out does not depend on how the text was cut into chunks; a text that begins
//! with neither comes out as it is; no more is held back than may still become an opening.

use futures_util::StreamExt;

use crate::backend::{Chunk, ChunkStream};

const THOUGHT: &str = "<think>";
const THOUGHT_ENDS: &str = "</think>";
const FENCE: &str = "```";
/// Longest word after a fence: `typescriptreact` with room to spare. What is longer is no language.
const LONGEST_LANGUAGE_BYTES: usize = 32;

/// The stream without a leading thought and without a leading fence.
pub(super) fn unwrapped(stream: ChunkStream) -> ChunkStream {
    let mut beginning = Some(String::new());
    stream
        .filter_map(move |chunk| {
            let chunk = match (&mut beginning, chunk) {
                (Some(held), Ok(Chunk::Text(text))) => {
                    held.push_str(&text);
                    let code = code_of(held).map(str::to_owned);
                    if code.is_some() {
                        beginning = None;
                    }
                    code.filter(|code| !code.is_empty())
                        .map(|code| vec![Ok(Chunk::Text(code))])
                }
                // The end, or an error: what looked like an opening was all there is.
                (held, last @ (Ok(Chunk::Done(_)) | Err(_))) => {
                    let held = held.take().unwrap_or_default();
                    let text = unfinished(&held).map(|text| Ok(Chunk::Text(text.to_owned())));
                    Some(text.into_iter().chain([last]).collect())
                }
                (_, other) => Some(vec![other]),
            };
            async move { chunk }
        })
        .flat_map(futures_util::stream::iter)
        .boxed()
}

/// What follows the opening of `text`; `None` while more may belong to it.
fn code_of(text: &str) -> Option<&str> {
    let content = text.trim_start();
    if let Some(thought) = content.strip_prefix(THOUGHT) {
        let (_, after) = thought.split_once(THOUGHT_ENDS)?;
        let code = after.trim_start_matches(['\n', '\r']);
        // The code itself may be fenced, and may not have come yet.
        return (!code.is_empty()).then_some(code).and_then(code_of);
    }
    if let Some(fenced) = content.strip_prefix(FENCE) {
        let (line, code) = match fenced.split_once('\n') {
            Some((line, code)) => (line, Some(code)),
            None => (fenced, None),
        };
        // Once a beginning is no language, no more of it makes it one.
        return if is_language(line) { code } else { Some(text) };
    }
    let may_open = [THOUGHT, FENCE]
        .iter()
        .any(|opening| opening.starts_with(content));
    (!may_open).then_some(text)
}

/// Whether a fence's line names a language, or none.
fn is_language(line: &str) -> bool {
    let of_names = |c: char| c.is_alphanumeric() || matches!(c, '+' | '#' | '-' | '.' | '_');
    line.len() <= LONGEST_LANGUAGE_BYTES && line.trim().chars().all(of_names)
}

/// What is left of a beginning that the text ended in; a thought is nothing.
fn unfinished(held: &str) -> Option<&str> {
    let content = held.trim_start();
    let is_opening = content.starts_with(THOUGHT) || content.starts_with(FENCE);
    (!held.is_empty() && !is_opening).then_some(held)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::backend::Finish;

    fn through(text: &str, chunk_chars: usize) -> String {
        let chars: Vec<char> = text.chars().collect();
        let chunks: Vec<_> = chars
            .chunks(chunk_chars)
            .map(|c| Ok(Chunk::Text(c.iter().collect())))
            .chain([Ok(Chunk::Done(Finish::default()))])
            .collect();
        let stream = unwrapped(futures_util::stream::iter(chunks).boxed());
        let out = stream.collect::<Vec<_>>().now_or_never().unwrap();
        assert!(matches!(out.last(), Some(Ok(Chunk::Done(_)))), "{out:?}");
        out.into_iter()
            .filter_map(|chunk| match chunk {
                Ok(Chunk::Text(text)) => Some(text),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn openings_are_taken_off_whatever_the_chunks() {
        for (text, code) in [
            ("a + b", "a + b"),
            ("\n    a", "\n    a"),
            ("", ""),
            ("   ", "   "),
            ("```rust\na();\n```\n", "a();\n```\n"),
            ("\n```\n    a();\n", "    a();\n"),
            (" ```c++ \r\na();", "a();"),
            ("```", ""),
            ("```rust", ""),
            // No fence: an inline quote, a line that goes on.
            ("``` a b\nc", "``` a b\nc"),
            ("```a```\n", "```a```\n"),
            ("```a(b)\nc", "```a(b)\nc"),
            (
                "```a_name_that_is_much_too_long_for_one\nc",
                "```a_name_that_is_much_too_long_for_one\nc",
            ),
            ("`a`", "`a`"),
            ("``", "``"),
            ("<think>a\nb</think>\n\nc", "c"),
            ("<think>\n\n</think>\n\n```py\nc\n```", "c\n```"),
            ("<think>\n\n</think>\n    c", "    c"),
            ("<think>never ends", ""),
            ("<think></think>", ""),
            ("<thin", "<thin"),
            ("<T>(a)", "<T>(a)"),
            // Only in front.
            ("a\n```\nb", "a\n```\nb"),
            ("a <think> b", "a <think> b"),
        ] {
            for chunk_chars in [1, 2, 3, 1000] {
                assert_eq!(
                    through(text, chunk_chars),
                    code,
                    "{text:?} by {chunk_chars}"
                );
            }
        }
    }
}
