//! The end of a typed part that was taken back, and is to be spelled out again.
//!
//! Made by [`healing`](super::healing), held by the job until it is spelled out.

use llama_cpp_2::token::LlamaToken;

/// What is left to spell out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    bytes: Vec<u8>,
    /// The tokens that these bytes were, as long as all that came agrees with them.
    tokens: Vec<LlamaToken>,
}

impl Typed {
    /// `bytes` that were those `tokens`; no tokens where they were parts of others.
    pub(super) fn new(bytes: Vec<u8>, tokens: Vec<LlamaToken>) -> Self {
        Self { bytes, tokens }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes that are left after so many more.
    pub(super) fn after(&self, bytes: usize) -> &[u8] {
        self.bytes.get(bytes..).unwrap_or_default()
    }

    /// Tokens that may spell it out: those that stood there.
    pub(super) fn tokens(&self) -> &[LlamaToken] {
        &self.tokens
    }

    /// Takes off what `token`, which stands for `bytes`, spells out, and gives what is new of it.
    pub(super) fn spell(&mut self, token: LlamaToken, mut bytes: Vec<u8>) -> Vec<u8> {
        let again = self.bytes.len().min(bytes.len());
        self.bytes.drain(..again);
        if self.tokens.first() == Some(&token) {
            self.tokens.remove(0);
        } else {
            self.tokens.clear();
        }
        bytes.split_off(again)
    }
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::token::LlamaToken;

    use super::Typed;

    /// A token and its bytes; what is new of it, what is left, and of which tokens.
    type Step = (
        (i32, &'static str),
        (&'static str, &'static str, &'static [i32]),
    );

    #[test]
    fn what_was_typed_is_spelled_out_by_its_tokens_or_by_others() {
        let tokens = |of: &[i32]| of.iter().map(|&t| LlamaToken(t)).collect::<Vec<_>>();
        let cases: &[&[Step]] = &[
            &[((1, ".do"), ("", "cu", &[2])), ((2, "cu"), ("", "", &[]))],
            &[
                ((1, ".do"), ("", "cu", &[2])),
                ((9, "cument"), ("ment", "", &[])),
            ],
            &[((8, "."), ("", "docu", &[])), ((9, "docu"), ("", "", &[]))],
            &[
                ((7, ".documents"), ("ments", "", &[])),
                ((3, "()"), ("()", "", &[])),
            ],
        ];
        for steps in cases {
            let mut typed = Typed::new(b".docu".to_vec(), tokens(&[1, 2]));
            for &((token, bytes), (new, left, of)) in *steps {
                let came = typed.spell(LlamaToken(token), bytes.as_bytes().to_vec());
                assert_eq!(came, new.as_bytes(), "{steps:?}");
                assert_eq!(typed.after(0), left.as_bytes(), "{steps:?}");
                assert_eq!(typed.tokens(), tokens(of), "{steps:?}");
                assert_eq!(typed.is_empty(), left.is_empty());
            }
            assert_eq!(typed.after(3), b"");
        }
    }
}
