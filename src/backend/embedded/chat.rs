//! A conversation as the model was taught to read it.
//!
//! Made once per load from the file's metadata, called by the engine's thread before a conversation is
//! computed. The template lays out placeholders, never words: what people write is put in afterwards,
//! so it can neither break the template nor be read as one of its sentinels. Invariant: a message
//! yields no token that steers the model, whatever it contains.

mod pieces;
mod template;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use self::pieces::{Piece, encode};
use self::template::{CHATML, Template};
use crate::backend::Conversation;
use crate::prompt::{Message, Speaker};

/// How a loaded model holds conversations.
#[derive(Debug)]
pub(super) struct Chat {
    template: Template,
    /// What is wrong with the model's own template, once that is known.
    complaint: Option<String>,
}

/// A conversation ready to be computed.
#[derive(Debug)]
pub(super) struct LaidOut {
    pub(super) tokens: Vec<LlamaToken>,
    /// Whether the prompt ends in the tag that opens a thought.
    pub(super) thinks: bool,
    /// Messages that did not fit.
    pub(super) dropped: usize,
}

impl Chat {
    /// From the metadata of `model`. A model without a template, or with one that is no Jinja, gets
    /// the commonest layout.
    pub(super) fn of(model: &LlamaModel) -> Self {
        let vocab = model.vocab();
        let (bos, eos) = (text_of(&vocab, vocab.bos()), text_of(&vocab, vocab.eos()));
        let own = model
            .chat_template(None)
            .ok()
            .and_then(|template| template.to_string().ok());
        let Some(own) = own else {
            return Self {
                template: Template::new(CHATML, bos, eos).unwrap_or_default(),
                complaint: Some("it has no chat template, so the commonest one is used".to_owned()),
            };
        };
        match Template::new(&own, bos.clone(), eos.clone()) {
            Ok(template) => Self {
                template,
                complaint: None,
            },
            Err(error) => Self {
                template: Template::new(CHATML, bos, eos).unwrap_or_default(),
                complaint: Some(complaint(&error)),
            },
        }
    }

    /// What a person should know about the model's template.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Lays the conversation out within `room_tokens`. The oldest turns that do not fit are left out;
    /// system messages and the last message stay.
    ///
    /// # Errors
    /// A sentence, when even these do not fit, or there is no message.
    pub(super) fn lay_out(
        &mut self,
        conversation: &Conversation,
        vocab: &LlamaVocab<'_>,
        room_tokens: usize,
    ) -> Result<LaidOut, String> {
        if conversation.messages.is_empty() {
            return Err("the conversation is empty; say something".to_owned());
        }
        let mut dropped = 0;
        loop {
            let messages = without_oldest(&conversation.messages, dropped);
            let pieces = self.render(&messages, conversation.think);
            let tokens = encode(vocab, &pieces);
            if tokens.len() <= room_tokens {
                return Ok(LaidOut {
                    tokens,
                    thinks: opens_thought(&pieces),
                    dropped: conversation.messages.len() - messages.len(),
                });
            }
            dropped += 1;
            if without_oldest(&conversation.messages, dropped).len() == messages.len() {
                return Err(format!(
                    "the message has {} tokens and there is room for {room_tokens}; send less, or \
                     set a larger context",
                    tokens.len()
                ));
            }
        }
    }

    /// By the model's template; when that fails by the commonest, and the failure is remembered.
    fn render(&mut self, messages: &[&Message], think: bool) -> Vec<Piece> {
        match self.template.render(messages, think) {
            Ok(pieces) => pieces,
            Err(error) => {
                tracing::warn!(error, "the chat template does not render");
                self.complaint = Some(complaint(&error));
                self.template = self.template.commonest();
                self.template.render(messages, think).unwrap_or_default()
            }
        }
    }
}

fn complaint(error: &str) -> String {
    format!("its chat template fails ({error}), so the commonest one is used")
}

/// The conversation without its `turns` oldest turns: a turn is a user's message and what follows it
/// up to the next one.
fn without_oldest(messages: &[Message], turns: usize) -> Vec<&Message> {
    let starts: Vec<_> = (0..messages.len())
        .filter(|&at| messages.get(at).is_some_and(|m| m.speaker == Speaker::User))
        .collect();
    let newest = messages.len().saturating_sub(1);
    let keep_from = match turns {
        0 => 0,
        _ => starts.get(turns).copied().unwrap_or(newest).min(newest),
    };
    let keeps =
        |at: usize, message: &Message| at >= keep_from || message.speaker == Speaker::System;
    messages
        .iter()
        .enumerate()
        .filter(|&(at, message)| keeps(at, message))
        .map(|(_, message)| message)
        .collect()
}

fn opens_thought(pieces: &[Piece]) -> bool {
    matches!(pieces.last(), Some(Piece::Template(text)) if text.trim_end().ends_with("<think>"))
}

/// The token as the template writes it; empty when the model has none.
fn text_of(vocab: &LlamaVocab<'_>, token: LlamaToken) -> String {
    if token.0 < 0 {
        return String::new();
    }
    String::from_utf8_lossy(&vocab.token_to_piece(token, true, None)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_turns_go_and_system_and_the_newest_stay() {
        use Speaker::{Assistant, System, User};
        let said = [
            (System, "s"),
            (User, "1"),
            (Assistant, "a"),
            (User, "2"),
            (Assistant, "b"),
            (User, "3"),
        ];
        let messages = said.map(|(speaker, text)| Message::new(speaker, text));
        for (turns, expect) in [(0, "s1a2b3"), (1, "s2b3"), (2, "s3"), (3, "s3"), (9, "s3")] {
            let kept = without_oldest(&messages, turns);
            let texts: String = kept.iter().map(|message| message.text.as_str()).collect();
            assert_eq!(texts, expect, "{turns} turns");
        }
        let alone = [Message::new(User, "1")];
        assert_eq!(without_oldest(&alone, 1).len(), 1);
    }

    #[test]
    fn a_thought_is_open_only_where_the_template_ends_in_its_tag() {
        let template = |text: &str| Piece::Template(text.to_owned());
        let cases = [
            (vec![template("<|im_start|>assistant\n<think>\n")], true),
            (
                vec![template("<|im_start|>assistant\n<think>\n\n</think>\n\n")],
                false,
            ),
            (vec![Piece::Words("<think>".to_owned())], false),
            (vec![], false),
        ];
        for (pieces, expect) in cases {
            assert_eq!(opens_thought(&pieces), expect, "{pieces:?}");
        }
    }
}
