//! A laid out conversation: the template's own text apart from what people wrote, and its tokens.
//!
//! Called by [`super::Chat`]. Invariant: the special tokens are exactly those of the template's text.

use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

/// A stretch of a laid out conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Written by the template; sentinels in it are sentinels.
    Template(String),
    /// Written by a person or a model; nothing in it is a sentinel.
    Words(String),
}

impl Piece {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Template(text) | Self::Words(text) => text,
        }
    }
}

/// Tokens of the whole. As long as the words hold nothing that looks like a sentinel, the text is
/// encoded in one go, as the model saw it in training: a word that begins a message may share a token
/// with the white space before it. Otherwise each piece is encoded by itself, as what it is.
pub(super) fn encode(vocab: &LlamaVocab<'_>, pieces: &[Piece]) -> Vec<LlamaToken> {
    let of = |text: &str, special: bool| vocab.tokenize(text.as_bytes(), false, special);
    let harmless = pieces.iter().all(|piece| match piece {
        Piece::Template(_) => true,
        Piece::Words(words) => of(words, true) == of(words, false),
    });
    let apart = || -> Vec<LlamaToken> {
        pieces
            .iter()
            .flat_map(|piece| of(piece.text(), matches!(piece, Piece::Template(_))))
            .collect()
    };
    let mut tokens = if harmless {
        let text: String = pieces.iter().map(Piece::text).collect();
        let whole = of(&text, true);
        // Words and template could make a sentinel together that neither holds.
        let specials = |tokens: &[LlamaToken]| -> Vec<LlamaToken> {
            let is_special = |token: &LlamaToken| vocab.is_control(*token) || vocab.is_eog(*token);
            tokens.iter().copied().filter(is_special).collect()
        };
        let apart = apart();
        if specials(&whole) == specials(&apart) {
            whole
        } else {
            apart
        }
    } else {
        apart()
    };
    // Most templates write the token that begins a text themselves.
    if vocab.should_add_bos() && tokens.first() != Some(&vocab.bos()) {
        tokens.insert(0, vocab.bos());
    }
    tokens
}
