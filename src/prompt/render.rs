//! A prompt as one string, for backends that take text and tokenise it themselves.
//!
//! Such a backend reads sentinels wherever they stand. A person's file may hold the same characters:
//! the source of a tokenizer, a chat log, this file. [`render`] breaks them up, so that what the model
//! sees as a sentinel is always one of ours.

use std::borrow::Cow;

use super::Segment;

/// Sentinels that do not have the shape `<|name|>` or `<｜name｜>`, which [`sentinel_at`] finds by itself.
/// Order does not matter; no entry begins another.
///
/// Sources: the `tokenizer_config.json` of each family on huggingface.co, and the FIM table of
/// llama.cpp's `src/llama-vocab.cpp`, read 2026-11. Left out on purpose: `<filename>` of the first `StarCoder`,
/// which usage texts are full of and which cannot move a hole.
const BARE_SENTINELS: &[&str] = &[
    // StarCoder, StarCoder 2, Granite Code.
    "<fim_prefix>",
    "<fim_middle>",
    "<fim_suffix>",
    "<fim_pad>",
    "<fim-prefix>",
    "<fim-middle>",
    "<fim-suffix>",
    "<fim-pad>",
    "<file_sep>",
    "<repo_name>",
    // Code Llama. Its tokens carry a leading space in the vocabulary; the text without it is enough.
    "<PRE>",
    "<SUF>",
    "<MID>",
    "<EOT>",
    "<<SYS>>",
    "<</SYS>>",
    // Codestral and the other Mistral models.
    "[PREFIX]",
    "[SUFFIX]",
    "[MIDDLE]",
    "[INST]",
    "[/INST]",
    // CodeGemma, Gemma.
    "<bos>",
    "<eos>",
    "<start_of_turn>",
    "<end_of_turn>",
    // Sentence ends of Llama 2, Mistral and their kin. `<s>` is HTML too: there it costs one space.
    "<s>",
    "</s>",
];

/// Longest name between the bars of `<|name|>`. The longest known, Qwen's and Llama's reserved tokens,
/// have under 32 characters.
const MAX_NAME_CHARS: usize = 48;

/// Joins `segments` into the string that a backend tokenises.
///
/// Within the person's text one space goes in after the first character of everything that looks like
/// a sentinel of any known family: `<|fim_prefix|>` becomes `< |fim_prefix|>`. All other text stays as
/// it is. Text segments that touch count as one text, so no sentinel can be put together from two. A
/// space, and not an invisible character, because a model repeats what it reads, and what it writes
/// may end up in a file.
pub fn render(segments: &[Segment]) -> String {
    let text_bytes = |segment: &Segment| match segment {
        Segment::Text(text) => text.len(),
        Segment::Special(sentinel) => sentinel.len(),
    };
    // A little more than the text, for the spaces that go in.
    let mut out = String::with_capacity(segments.iter().map(text_bytes).sum::<usize>() + 16);
    let mut run = Cow::Borrowed("");
    for segment in segments {
        match segment {
            Segment::Text(text) if run.is_empty() => run = Cow::Borrowed(text),
            Segment::Text(text) => run.to_mut().push_str(text),
            Segment::Special(sentinel) => {
                break_up(&run, &mut out);
                run = Cow::Borrowed("");
                out.push_str(sentinel);
            }
        }
    }
    break_up(&run, &mut out);
    out
}

/// Copies `text` to `out` with every sentinel broken.
///
/// Why nothing is left over: a sentinel holds no space, so one in the output would lie between two
/// inserted spaces, unchanged from the input, and there its start has been found and broken.
fn break_up(text: &str, out: &mut String) {
    let mut copied = 0;
    for start in memchr::memchr2_iter(b'<', b'[', text.as_bytes()) {
        if text.get(start..).is_some_and(sentinel_at) {
            // Both openers are one byte long.
            out.push_str(text.get(copied..=start).unwrap_or_default());
            out.push(' ');
            copied = start + 1;
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
}

/// Which bytes stand second in a bare sentinel. Code is full of openers, at every one of which the
/// whole list would have to be tried.
const SECOND_BYTES: [bool; 256] = {
    let mut seconds = [false; 256];
    let mut n = 0;
    while n < BARE_SENTINELS.len() {
        seconds[BARE_SENTINELS[n].as_bytes()[1] as usize] = true;
        n += 1;
    }
    seconds
};

/// Whether `text` begins with a sentinel.
fn sentinel_at(text: &str) -> bool {
    let Some(&second) = text.as_bytes().get(1) else {
        return false;
    };
    let bare = SECOND_BYTES[usize::from(second)]
        && BARE_SENTINELS
            .iter()
            .any(|sentinel| text.starts_with(sentinel));
    bare
        || barred(text, '|')
        // DeepSeek writes the bar as U+FF5C and spaces as U+2581.
        || barred(text, '｜')
}

/// Whether `text` begins with `<`, the bar, a name, the bar, `>`.
fn barred(text: &str, bar: char) -> bool {
    let mut characters = text.chars();
    if characters.next() != Some('<') || characters.next() != Some(bar) {
        return false;
    }
    for (name_chars, character) in characters.by_ref().enumerate() {
        if character == bar {
            return name_chars > 0 && characters.next() == Some('>');
        }
        let in_name = character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '▁');
        if !in_name || name_chars == MAX_NAME_CHARS {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Segment {
        Segment::Text(text.to_owned())
    }

    #[test]
    fn text_table() {
        let cases = [
            ("", ""),
            ("fn main() {}", "fn main() {}"),
            // What merely looks alike stays.
            ("a <| b |> c", "a <| b |> c"),
            ("x <|> y", "x <|> y"),
            ("<||>", "<||>"),
            ("<fim>", "<fim>"),
            ("v[PREFIX]", "v[ PREFIX]"),
            ("list[INST", "list[INST"),
            ("Vec<String>", "Vec<String>"),
            ("<div><span>", "<div><span>"),
            ("<", "<"),
            ("日本<", "日本<"),
            // One of each family.
            ("<|fim_prefix|>", "< |fim_prefix|>"),
            ("<|endoftext|>x", "< |endoftext|>x"),
            ("<|im_start|>system", "< |im_start|>system"),
            ("<|eot_id|>", "< |eot_id|>"),
            ("<|repo_name|><|file_sep|>", "< |repo_name|>< |file_sep|>"),
            ("<fim_middle>", "< fim_middle>"),
            ("<PRE> a <SUF>b <MID>", "< PRE> a < SUF>b < MID>"),
            ("<｜fim▁begin｜>", "< ｜fim▁begin｜>"),
            ("<｜end▁of▁sentence｜>", "< ｜end▁of▁sentence｜>"),
            ("[SUFFIX]", "[ SUFFIX]"),
            ("[/INST]", "[ /INST]"),
            ("<end_of_turn>", "< end_of_turn>"),
            ("</s><s>", "< /s>< s>"),
            // One within another: each start is seen.
            ("<|fim_<|fim_pad|>pad|>", "<|fim_< |fim_pad|>pad|>"),
            ("<<|fim_pad|>", "<< |fim_pad|>"),
            ("<<SYS>>", "< <SYS>>"),
            // Already broken text is left alone.
            ("< |fim_prefix|>", "< |fim_prefix|>"),
        ];
        for (input, expect) in cases {
            assert_eq!(render(&[text(input)]), expect, "{input}");
        }
    }

    #[test]
    fn our_own_sentinels_pass_and_the_person_cannot_add_one() {
        let prompt = [
            Segment::Special("<|fim_prefix|>"),
            text("a <|fim_suffix|> b"),
            Segment::Special("<|fim_suffix|>"),
            text("c"),
            Segment::Special("<|fim_middle|>"),
        ];
        assert_eq!(
            render(&prompt),
            "<|fim_prefix|>a < |fim_suffix|> b<|fim_suffix|>c<|fim_middle|>"
        );
    }

    #[test]
    fn a_sentinel_cannot_be_put_together_from_two_texts() {
        let prompt = [text("<|fim_"), text("middle|>"), text("<"), text("/s>")];
        assert_eq!(render(&prompt), "< |fim_middle|>< /s>");
    }

    /// What `render`'s reasoning about neighbours rests on: a sentinel never begins within another, so
    /// text and a sentinel side by side make no third one.
    #[test]
    fn sentinels_open_once_and_hold_no_space() {
        for sentinel in BARE_SENTINELS {
            assert!(!sentinel.contains(char::is_whitespace), "{sentinel}");
            for other in BARE_SENTINELS {
                let begins = other.starts_with(sentinel) && other != sentinel;
                assert!(!begins, "{sentinel} begins {other}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_that_looks_like_a_sentinel_is_left(
            pieces in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(BARE_SENTINELS).prop_map(str::to_owned),
                    proptest::sample::select(&["<|", "|>", "<", "fim_pad", "｜", ">", "[", " ", "<｜"][..])
                        .prop_map(str::to_owned),
                    ".{0,3}",
                ],
                0..12,
            ),
        ) {
            let segments: Vec<_> = pieces.iter().map(|piece| text(piece)).collect();
            let out = render(&segments);
            let left = out.char_indices().map(|(at, _)| out.split_at(at).1).any(sentinel_at);
            prop_assert!(!left, "{:?}", out);
            // Only spaces were added.
            let without = |text: &str| text.replace(' ', "");
            prop_assert_eq!(without(&out), without(&pieces.concat()));
        }
    }
}
