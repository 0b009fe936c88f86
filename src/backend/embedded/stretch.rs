//! Whether the step that is computed is of use to somebody who comes meanwhile.
//!
//! A chunk of a prompt takes a quarter of a second on a processor. Who comes while it is computed, and
//! whose prompt begins with the same text, would have to compute it once more if it were broken off: the
//! key after a jump has the prompt that a warm-up has just begun. So such a step goes on, and belongs to
//! the new work from then on ([`Interrupt::arrived`](super::interrupt::Interrupt::arrived)).

use std::ops::Range;
use std::sync::Arc;

use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use super::EmbeddedModel;
use super::tokens;
use crate::backend::Prompt;
use crate::prompt::Segment;

/// Of steps of fewer tokens most is the text that was typed last, which is of no use to the next key.
const FEWEST_TOKENS: usize = 4;

/// What a prompt says, without its sentinels, and to which model.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PromptText {
    model: Arc<EmbeddedModel>,
    text: String,
}

impl PromptText {
    /// `None` of a conversation: its template lays it out on the engine's thread.
    pub(super) fn of(model: &Arc<EmbeddedModel>, prompt: &Prompt) -> Option<Arc<Self>> {
        let texts = prompt
            .segments()
            .iter()
            .filter_map(|segment| match segment {
                Segment::Text(text) => Some(text.as_str()),
                Segment::Special(_) => None,
            });
        let text: String = texts.collect();
        let model = Arc::clone(model);
        (!text.is_empty()).then(|| Arc::new(Self { model, text }))
    }
}

/// The part of a prompt that a step computes.
#[derive(Debug)]
pub(super) struct Stretch {
    prompt: Arc<PromptText>,
    bytes: Range<usize>,
}

impl Stretch {
    /// Of the tokens `step` of `history`, which begins with that prompt. `None` where too few are computed.
    pub(super) fn of(
        prompt: &Arc<PromptText>,
        vocab: &LlamaVocab<'_>,
        history: &[LlamaToken],
        step: Range<usize>,
    ) -> Option<Self> {
        if step.len() < FEWEST_TOKENS {
            return None;
        }
        let bytes_of = |tokens: &[LlamaToken]| -> usize {
            let bytes = tokens.iter().map(|&t| tokens::bytes_of(vocab, t).len());
            bytes.sum()
        };
        let start = bytes_of(history.get(..step.start)?);
        let end = start + bytes_of(history.get(step)?);
        Some(Self {
            prompt: Arc::clone(prompt),
            bytes: start..end,
        })
    }

    /// Whether at least half of it is a part of that prompt, too.
    pub(super) fn serves(&self, other: &PromptText) -> bool {
        if self.prompt.model != other.model {
            return false;
        }
        let both = self.prompt.text.bytes().zip(other.text.bytes());
        let common = both.take_while(|(a, b)| a == b).count();
        let of_use = common.min(self.bytes.end).saturating_sub(self.bytes.start);
        of_use > 0 && 2 * of_use >= self.bytes.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::{EmbeddedModel, Prompt, PromptText, Segment, Stretch};

    fn model(name: &str) -> Arc<EmbeddedModel> {
        Arc::new(EmbeddedModel {
            name: name.to_owned(),
            path: PathBuf::from(name),
            digest: None,
        })
    }

    /// What a prompt with that text says.
    pub(in super::super) fn saying(text: &str) -> Arc<PromptText> {
        let segments = vec![Segment::Special("<pre>"), Segment::Text(text.to_owned())];
        PromptText::of(&model("a"), &Prompt::Fim(segments)).unwrap()
    }

    /// The part of a prompt that is computed.
    pub(in super::super) fn stretch(text: &str, bytes: std::ops::Range<usize>) -> Stretch {
        let prompt = saying(text);
        Stretch { prompt, bytes }
    }

    #[test]
    fn a_step_serves_whoever_needs_half_of_it() {
        let step = stretch("above below typed", 4..12);
        for (text, serves) in [
            ("above below typed", true),
            ("above below typed more", true),
            ("above below", true),
            ("above be", true),
            ("above b", false),
            ("abo", false),
            ("other below typed", false),
            ("", false),
        ] {
            let prompt = PromptText {
                model: model("a"),
                text: text.to_owned(),
            };
            assert_eq!(step.serves(&prompt), serves, "{text:?}");
            let elsewhere = PromptText {
                model: model("b"),
                ..prompt
            };
            assert!(!step.serves(&elsewhere), "{text:?}");
        }
    }
}
