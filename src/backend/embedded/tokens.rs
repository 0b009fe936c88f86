//! Segments to tokens, and tokens to bytes.
//!
//! Called by the job on the engine's thread. Invariant: a [`Segment::Text`] never yields a token that
//! steers the model, whatever it contains; only a [`Segment::Special`] does.

use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::vocab::LlamaVocab;

use crate::prompt::Segment;

/// Encodes a prompt, each segment by itself. The token that begins a text is put in front when the
/// model's metadata asks for it (`tokenizer.ggml.add_bos_token`).
///
/// # Errors
/// The first special segment in which the model knows no special token: encoded as text it would give
/// a plausible answer to another question.
pub(super) fn encode(
    vocab: &LlamaVocab<'_>,
    prompt: &[Segment],
) -> Result<Vec<LlamaToken>, &'static str> {
    let mut tokens = Vec::new();
    if vocab.should_add_bos() {
        tokens.push(vocab.bos());
    }
    for segment in prompt {
        match segment {
            Segment::Special(special) => {
                let encoded = vocab.tokenize(special.as_bytes(), false, true);
                if !encoded.iter().any(|&token| is_special(vocab, token)) {
                    return Err(special);
                }
                // A family whose own prompt begins with that token gets it once.
                let doubled = tokens.len() == 1 && encoded.first() == tokens.first();
                tokens.extend(encoded.into_iter().skip(usize::from(doubled)));
            }
            Segment::Text(text) => {
                tokens.extend(vocab.tokenize(text.as_bytes(), false, false));
            }
        }
    }
    Ok(tokens)
}

/// Whether the token ends a generation: one that says so, or any control token, such as a
/// fill-in-the-middle sentinel, which is never a part of a text.
pub(super) fn ends_generation(vocab: &LlamaVocab<'_>, token: LlamaToken) -> bool {
    vocab.is_eog(token) || vocab.is_control(token)
}

/// The bytes that the token stands for. They may be a part of a character.
pub(super) fn bytes_of(vocab: &LlamaVocab<'_>, token: LlamaToken) -> Vec<u8> {
    vocab.token_to_piece(token, false, None)
}

fn is_special(vocab: &LlamaVocab<'_>, token: LlamaToken) -> bool {
    let attrs = vocab.attr(token);
    attrs.contains(LlamaTokenAttr::Control) || attrs.contains(LlamaTokenAttr::UserDefined)
}
