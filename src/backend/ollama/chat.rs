//! A conversation as `/api/chat` takes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Inner;
use super::api::{Chat, ChatMessage, RunOptions};
use super::residency::Needs;
use crate::backend::Conversation;

impl Inner {
    pub(super) fn chat_needs(&self) -> Needs {
        Needs {
            num_ctx: self.options.chat_num_ctx,
            keep_alive: self.options.chat_keep_alive,
            generates: true,
        }
    }
}

/// The body; of `stop` and `num_predict` what the asker said.
pub(super) fn body<'a>(
    model: &'a str,
    needs: Needs,
    conversation: &'a Conversation,
    num_predict: Option<u32>,
    stop: &'a [String],
) -> Chat<'a> {
    let messages = conversation.messages.iter().map(|message| ChatMessage {
        role: message.speaker.name(),
        content: &message.text,
        images: message
            .images
            .iter()
            .map(|image| STANDARD.encode(&image.bytes))
            .collect(),
    });
    Chat {
        model,
        messages: messages.collect(),
        stream: true,
        keep_alive: needs.keep_alive,
        think: (!conversation.think).then_some(false),
        options: RunOptions {
            num_ctx: needs.num_ctx,
            temperature: conversation.temperature,
            repeat_penalty: 1.0,
            num_predict,
            stop,
        },
    }
}
