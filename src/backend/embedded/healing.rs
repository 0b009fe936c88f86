//! Token healing: a typed part that ends inside a token.
//!
//! `self.docu` is two or three tokens, and `self.documents` is others: a model asked to go on after
//! `.doc`, `u` is in a place it has never seen. So the last tokens of the typed part are taken back as
//! far as the vocabulary has longer ones that begin with them, and the first generated tokens have to
//! spell out what was taken back. Called by the job; the index is built once per loaded model.
//!
//! Of an indentation only the last blank is taken back where the vocabulary has it at the beginning of words:
//! then no step is spent to spell out the blanks before it, and the next key finds them in the cache.
//!
//! Invariants: only text tokens are chosen while anything is left to spell; whatever the logits say,
//! the typed bytes are reproduced exactly.

use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::vocab::LlamaVocab;

use super::tokens;
use super::typed::Typed;

/// The most tokens that are taken back. A word of code that is cut in the middle is one to three
/// tokens; each more could cost a step to spell out.
const MOST_TOKENS_BACK: usize = 4;

/// The most bytes that are taken back: longer than a vocabulary's words of code, shorter than its
/// curiosities, such as a line of 64 dashes.
const MOST_BYTES_BACK: usize = 32;

/// By how much, in logits, a token that ends inside the typed part must lead the best one that covers
/// it. The typed part's own tokens are mostly the wrong way through a longer word: their probability
/// holds all other words that begin so.
const LEAD_OF_A_PART: f32 = 2.0;

/// The vocabulary's text tokens by their bytes.
pub(super) struct Pieces {
    /// All pieces one after the other, in the order of `sorted`.
    bytes: Vec<u8>,
    /// By bytes, then by token. Pieces that begin alike are neighbours.
    sorted: Vec<Piece>,
    /// Blanks of which the last one before a word is in one token with it.
    joined_blanks: Vec<u8>,
}

/// A token and where its bytes are. A vocabulary's bytes are a few MiB at most.
#[derive(Debug, Clone, Copy)]
struct Piece {
    token: LlamaToken,
    start: u32,
    end: u32,
}

impl Pieces {
    /// Reads the vocabulary: some 50 ms for 151,000 tokens.
    pub(super) fn of(vocab: &LlamaVocab<'_>) -> Self {
        let steers = LlamaTokenAttr::Control
            | LlamaTokenAttr::UserDefined
            | LlamaTokenAttr::Unknown
            | LlamaTokenAttr::Unused;
        let text = vocab
            .tokens()
            .filter(|&token| !vocab.attr(token).intersects(steers) && !vocab.is_eog(token));
        let joined_blanks = (*b" \t").into_iter().filter(|&blank| {
            let word = [blank, blank, blank, b'i', b'f'];
            let tokens = vocab.tokenize(&word, false, false);
            tokens
                .last()
                .is_some_and(|&last| tokens::bytes_of(vocab, last) == word[2..])
        });
        let joined_blanks = joined_blanks.collect();
        let text = text.map(|token| (token, tokens::bytes_of(vocab, token)));
        Self::new(text, joined_blanks)
    }

    fn new(
        text_tokens: impl Iterator<Item = (LlamaToken, Vec<u8>)>,
        joined_blanks: Vec<u8>,
    ) -> Self {
        let mut pairs: Vec<_> = text_tokens
            .filter(|(_, bytes)| !bytes.is_empty())
            .map(|(token, bytes)| (bytes, token))
            .collect();
        pairs.sort_unstable();
        let mut pieces = Self {
            bytes: Vec::with_capacity(pairs.iter().map(|(bytes, _)| bytes.len()).sum()),
            sorted: Vec::with_capacity(pairs.len()),
            joined_blanks,
        };
        for (bytes, token) in pairs {
            let start = at(pieces.bytes.len());
            pieces.bytes.extend_from_slice(&bytes);
            let end = at(pieces.bytes.len());
            pieces.sorted.push(Piece { token, start, end });
        }
        pieces
    }

    /// Takes the tokens back behind which the typed part may be one longer token; `typed_from` is where
    /// the typed part begins. Gives what the generation has to begin with.
    pub(super) fn take_back(
        &self,
        prompt: &mut Vec<LlamaToken>,
        typed_from: usize,
        bytes_of: impl Fn(LlamaToken) -> Vec<u8>,
    ) -> Typed {
        if let Some(blank) = self.take_back_blank(prompt, typed_from, &bytes_of) {
            return Typed::new(vec![blank], Vec::new());
        }
        let mut end: Vec<u8> = Vec::new();
        let mut taken = (0, 0);
        let typed = prompt.get(typed_from..).unwrap_or_default();
        for (back, &token) in (1..=MOST_TOKENS_BACK).zip(typed.iter().rev()) {
            end.splice(..0, bytes_of(token));
            if end.len() > MOST_BYTES_BACK {
                break;
            }
            if self.begin_longer(&end) {
                taken = (back, end.len());
            }
        }
        let (tokens, bytes) = taken;
        let tokens = prompt.split_off(prompt.len() - tokens);
        Typed::new(end.split_off(end.len().saturating_sub(bytes)), tokens)
    }

    /// Takes the last of several blanks back, where a word will have it, and the others are a token.
    fn take_back_blank(
        &self,
        prompt: &mut Vec<LlamaToken>,
        typed_from: usize,
        bytes_of: impl Fn(LlamaToken) -> Vec<u8>,
    ) -> Option<u8> {
        let typed = prompt.get(typed_from..)?;
        let last = *bytes_of(*typed.last()?).last()?;
        if !self.joined_blanks.contains(&last) {
            return None;
        }
        let blanks = |&token: &LlamaToken| {
            let bytes = bytes_of(token);
            bytes.iter().all(|&b| b == last).then_some(bytes.len())
        };
        let lens: Vec<usize> = typed.iter().rev().map_while(blanks).collect();
        let before = vec![last; lens.iter().sum::<usize>().checked_sub(1)?];
        let before = self.exactly(&before).first()?.token;
        prompt.truncate(prompt.len() - lens.len());
        prompt.push(before);
        Some(last)
    }

    /// The likeliest token that agrees with `typed`, which is not empty: one that begins with it or,
    /// when it leads by [`LEAD_OF_A_PART`], one with which it begins. Of equals the first by bytes.
    pub(super) fn likeliest(&self, logits: &[f32], typed: &[u8]) -> Option<LlamaToken> {
        let logit = |token: LlamaToken| logits.get(usize::try_from(token.0).ok()?).copied();
        self.choice(logit, typed)
    }

    /// Whether the `chosen` token would still be chosen if its logit were lower `by` so much.
    pub(super) fn leads(&self, logits: &[f32], typed: &[u8], chosen: LlamaToken, by: f32) -> bool {
        let logit = |token: LlamaToken| {
            let logit = logits.get(usize::try_from(token.0).ok()?)?;
            Some(if token == chosen { logit - by } else { *logit })
        };
        self.choice(logit, typed) == Some(chosen)
    }

    fn choice(
        &self,
        logit: impl Fn(LlamaToken) -> Option<f32>,
        typed: &[u8],
    ) -> Option<LlamaToken> {
        let logit = |piece: &Piece| logit(piece.token).filter(|logit| !logit.is_nan());
        let best_of = |pieces: &[Piece]| {
            let mut best: Option<(f32, LlamaToken)> = None;
            for piece in pieces {
                if let Some(logit) = logit(piece)
                    && best.is_none_or(|(highest, _)| logit > highest)
                {
                    best = Some((logit, piece.token));
                }
            }
            best
        };
        let covers = best_of(self.beginning_with(typed));
        let part = (1..typed.len())
            .filter_map(|len| best_of(self.exactly(typed.get(..len)?)))
            .reduce(|a, b| if b.0 > a.0 { b } else { a });
        match (covers, part) {
            (Some(covers), Some(part)) if part.0 < covers.0 + LEAD_OF_A_PART => Some(covers.1),
            (_, Some(part)) => Some(part.1),
            (covers, None) => covers.map(|(_, token)| token),
        }
    }

    /// Whether a piece begins with `bytes` and is longer.
    fn begin_longer(&self, bytes: &[u8]) -> bool {
        self.beginning_with(bytes)
            .last()
            .is_some_and(|longest| self.piece(longest).len() > bytes.len())
    }

    fn beginning_with(&self, bytes: &[u8]) -> &[Piece] {
        self.range(bytes, |piece| piece.starts_with(bytes))
    }

    fn exactly(&self, bytes: &[u8]) -> &[Piece] {
        self.range(bytes, |piece| piece == bytes)
    }

    /// The neighbours from the first piece on that is not before `bytes`, as long as they `belong`.
    fn range(&self, bytes: &[u8], belong: impl Fn(&[u8]) -> bool) -> &[Piece] {
        let from = self
            .sorted
            .partition_point(|piece| self.piece(piece) < bytes);
        let rest = self.sorted.get(from..).unwrap_or_default();
        let count = rest.partition_point(|piece| belong(self.piece(piece)));
        rest.get(..count).unwrap_or_default()
    }

    fn piece(&self, piece: &Piece) -> &[u8] {
        self.bytes
            .get(piece.start as usize..piece.end as usize)
            .unwrap_or_default()
    }
}

/// Where the typed part of a line-anchored prompt begins: behind the last middle sentinel. `None` for
/// any other prompt.
pub(super) fn typed_from(vocab: &LlamaVocab<'_>, prompt: &[LlamaToken]) -> Option<usize> {
    let middle = vocab.fim_mid();
    (middle.0 >= 0)
        .then(|| prompt.iter().rposition(|&token| token == middle))
        .flatten()
        .map(|at| at + 1)
}

/// An offset into the vocabulary's bytes.
fn at(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::token::LlamaToken;

    use super::Pieces;

    const VOCABULARY: &[&str] = &[
        "self",
        ".",
        ".doc",
        ".document",
        ".documents",
        "u",
        "un",
        "d",
        "do",
        "(",
        "()",
        " foo",
        "foo",
        " ",
        "   ",
        "    ",
        "\t",
        "\t\t",
    ];

    fn token(piece: &str) -> LlamaToken {
        let at = VOCABULARY.iter().position(|known| *known == piece);
        LlamaToken(i32::try_from(at.expect("a known piece")).expect("few"))
    }

    fn bytes_of(token: LlamaToken) -> Vec<u8> {
        let piece = VOCABULARY.get(usize::try_from(token.0).expect("not negative"));
        piece.expect("a known token").as_bytes().to_vec()
    }

    fn pieces() -> Pieces {
        Pieces::new(
            VOCABULARY
                .iter()
                .map(|piece| (token(piece), piece.as_bytes().to_vec())),
            b" ".to_vec(),
        )
    }

    #[test]
    fn what_may_be_a_longer_token_is_taken_back() {
        // The prompt's tokens, where the typed part begins; what stays and what is taken back.
        let cases: &[(&[&str], usize, usize, &str)] = &[
            (&["self", ".doc", "u"], 0, 1, ".docu"),
            (&["self", ".doc", "u"], 2, 2, "u"),
            (&["self", ".doc", "u"], 3, 3, ""),
            (&["self", ".documents"], 0, 2, ""),
            (&["self", "("], 0, 1, "("),
            (&["self", "()"], 0, 2, ""),
            // The last token alone begins nothing longer, together with the one before it does.
            (&["self", ".", "do"], 0, 1, ".do"),
            (&["self"], 0, 1, ""),
            // Of an indentation the last blank, where a word has it and the others are a token.
            (&["(", "    "], 1, 2, " "),
            (&["(", "   ", " "], 1, 2, " "),
            (&["(", "   "], 1, 1, "   "),
            (&["(", "   "], 2, 2, ""),
            (&["(", " "], 1, 1, " "),
            (&["(", "\t"], 1, 1, "\t"),
            (&["(", "\t\t"], 1, 2, ""),
            (&[], 0, 0, ""),
            (&[], 3, 0, ""),
        ];
        for &(prompt, typed_from, stay, taken) in cases {
            let mut tokens: Vec<_> = prompt.iter().map(|piece| token(piece)).collect();
            let back = pieces().take_back(&mut tokens, typed_from, bytes_of);
            assert_eq!(back.after(0), taken.as_bytes(), "{prompt:?}");
            let again: Vec<u8> = back.tokens().iter().copied().flat_map(bytes_of).collect();
            // A blank may have been a part of an indentation.
            let agrees = again == taken.as_bytes() || (taken == " " && again.is_empty());
            assert!(agrees, "{prompt:?}");
            assert_eq!(tokens.len(), stay, "{prompt:?}");
        }
    }

    /// What was typed, the logits that are not 0, the choice.
    type Case = (
        &'static str,
        &'static [(&'static str, f32)],
        Option<&'static str>,
    );

    #[test]
    fn the_choice_agrees_with_what_was_typed() {
        let cases: &[Case] = &[
            (
                ".docu",
                &[(".documents", 1.0), ("self", 9.0)],
                Some(".documents"),
            ),
            (
                ".docu",
                &[(".document", 1.0), (".documents", 0.5)],
                Some(".document"),
            ),
            // A part of what was typed has to be much likelier than what covers it.
            (".docu", &[(".doc", 1.9)], Some(".document")),
            (".docu", &[(".doc", 2.1)], Some(".doc")),
            (".docu", &[(".", 5.0), (".doc", 4.0)], Some(".")),
            ("u", &[("un", 1.0), ("u", 2.0)], Some("u")),
            // Nothing covers it: its own beginning.
            ("dou", &[("do", 1.0)], Some("do")),
            ("dou", &[("d", f32::NAN), ("do", f32::NAN)], None),
            ("?", &[], None),
        ];
        for &(typed, likely, expect) in cases {
            let mut logits = vec![0.0; VOCABULARY.len()];
            for &(piece, logit) in likely {
                logits[usize::try_from(token(piece).0).expect("not negative")] = logit;
            }
            assert_eq!(
                pieces().likeliest(&logits, typed.as_bytes()),
                expect.map(token),
                "{typed} {likely:?}"
            );
        }
    }
}
