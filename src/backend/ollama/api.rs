//! Ollama's JSON, as much of it as is used. Fields that some version leaves out are optional.
//!
//! Source: `api/types.go` of Ollama, versions 0.6 to 0.34, read 2026-08 to 2026-11.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::KeepAlive;
use crate::backend::failure::error_text;

/// Body of `POST /api/generate`.
#[derive(Debug, Serialize)]
pub(super) struct Generate<'a> {
    pub(super) model: &'a str,
    /// Without a prompt the model is loaded and nothing is generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt: Option<&'a str>,
    /// No template: the prompt is ours to the last character. Also spares the `context` array.
    pub(super) raw: bool,
    pub(super) stream: bool,
    pub(super) keep_alive: KeepAlive,
    pub(super) options: RunOptions<'a>,
}

/// Body of `POST /api/chat`.
#[derive(Debug, Serialize)]
pub(super) struct Chat<'a> {
    pub(super) model: &'a str,
    pub(super) messages: Vec<ChatMessage<'a>>,
    pub(super) stream: bool,
    pub(super) keep_alive: KeepAlive,
    /// Only ever `false`: a model that thinks does so when nothing is said, and one that does not
    /// refuses `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) think: Option<bool>,
    pub(super) options: RunOptions<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct ChatMessage<'a> {
    pub(super) role: &'static str,
    pub(super) content: &'a str,
    /// Base64 of the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) images: Vec<String>,
}

/// Body of `POST /api/embed`. Without texts the model is loaded and nothing is embedded.
#[derive(Debug, Serialize)]
pub(super) struct Embed<'a> {
    pub(super) model: &'a str,
    pub(super) input: Vec<&'a str>,
    pub(super) truncate: bool,
    pub(super) keep_alive: KeepAlive,
    pub(super) options: EmbedOptions,
}

#[derive(Debug, Serialize)]
pub(super) struct EmbedOptions {
    pub(super) num_ctx: u32,
}

/// Answer of `POST /api/embed`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Embedded {
    pub(super) embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<u64>,
    load_duration: Option<u64>,
}

impl Embedded {
    pub(super) fn prompt_tokens(&self) -> u32 {
        count(self.prompt_eval_count)
    }

    pub(super) fn load(&self) -> Option<Duration> {
        self.load_duration.map(Duration::from_nanos)
    }
}

/// `num_ctx` and `repeat_penalty` are always said: a request that differs in `num_ctx` makes Ollama
/// load the model again, and what is left out takes a default that has moved between versions.
#[derive(Debug, Serialize)]
pub(super) struct RunOptions<'a> {
    pub(super) num_ctx: u32,
    /// Left out, it is what the model's makers wrote into its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f32>,
    /// 1.0 is off. The default was 1.1 up to 0.32, which punishes code for being regular.
    pub(super) repeat_penalty: f32,
    /// Never 0: Ollama takes that for "no limit".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) num_predict: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) stop: &'a [String],
}

impl Serialize for KeepAlive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Forever => serializer.serialize_i64(-1),
            // Up: 0 would unload at once.
            Self::For(duration) => serializer
                .serialize_u64(duration.as_secs() + u64::from(duration.subsec_nanos() > 0)),
        }
    }
}

/// A line of a generation, or the single object when `stream` is off.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GenerateLine {
    response: Option<String>,
    /// In place of `response` in a chat.
    message: Option<MessageLine>,
    error: Option<Value>,
    pub(super) done: bool,
    pub(super) done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    prompt_eval_duration: Option<u64>,
    eval_count: Option<u64>,
    load_duration: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MessageLine {
    content: Option<String>,
    thinking: Option<String>,
}

impl GenerateLine {
    /// The text of this line; a closing line may carry some too.
    pub(super) fn take_text(&mut self) -> Option<String> {
        let message = self.message.as_mut().and_then(|said| said.content.take());
        let text = self.response.take().or(message);
        text.filter(|text| !text.is_empty())
    }

    /// What the model thinks, in versions that tell it apart.
    pub(super) fn take_thinking(&mut self) -> Option<String> {
        let thought = self.message.as_mut()?.thinking.take();
        thought.filter(|text| !text.is_empty())
    }

    /// What went wrong, in the server's words.
    pub(super) fn error(&self) -> Option<String> {
        self.error.as_ref().map(error_text)
    }

    pub(super) fn prompt_tokens(&self) -> u32 {
        count(self.prompt_eval_count)
    }

    /// Time spent computing the prompt, loading not included.
    pub(super) fn prompt_took(&self) -> Duration {
        Duration::from_nanos(self.prompt_eval_duration.unwrap_or(0))
    }

    pub(super) fn generated_tokens(&self) -> u32 {
        count(self.eval_count)
    }

    /// Time spent loading the model, absent when zero.
    pub(super) fn load(&self) -> Option<Duration> {
        self.load_duration.map(Duration::from_nanos)
    }
}

fn count(tokens: Option<u64>) -> u32 {
    u32::try_from(tokens.unwrap_or(0)).unwrap_or(u32::MAX)
}

/// Answer of `GET /api/version`.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) version: String,
}

/// Answer of `GET /api/tags` and `GET /api/ps`.
#[derive(Debug, Deserialize)]
pub(super) struct Tags<T> {
    /// Older versions say `null` when there is nothing.
    pub(super) models: Option<Vec<T>>,
}

/// A model on disk.
#[derive(Debug, Deserialize)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) size: Option<u64>,
    pub(super) digest: Option<String>,
    pub(super) details: Option<Details>,
    /// From 0.30.
    pub(super) capabilities: Option<Vec<String>>,
}

impl Tag {
    /// What stays the same under another name.
    pub(super) fn content(&self) -> &str {
        let digest = self.digest.as_deref().filter(|digest| !digest.is_empty());
        digest.unwrap_or(&self.name)
    }
}

/// A model in memory.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) digest: Option<String>,
    size: u64,
    size_vram: u64,
    /// From 0.12.
    pub(super) context_length: Option<u64>,
}

impl Loaded {
    /// The share on the GPU, as `ollama ps` rounds it down.
    pub(super) fn gpu_percent(&self) -> u64 {
        // A server that tells no sizes is taken at its best.
        let share = self.size_vram.saturating_mul(100).checked_div(self.size);
        share.unwrap_or(100)
    }
}

/// Body of `POST /api/show`.
#[derive(Debug, Serialize)]
pub(super) struct ShowBody<'a> {
    pub(super) model: &'a str,
}

/// Answer of `POST /api/show`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Show {
    /// Ollama's own.
    pub(super) template: Option<String>,
    /// From 0.6.4.
    pub(super) capabilities: Option<Vec<String>>,
    /// The file's header.
    pub(super) model_info: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub(super) family: Option<String>,
    pub(super) quantization_level: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_table() {
        let cases = [
            (KeepAlive::Forever, "-1"),
            (KeepAlive::For(Duration::from_mins(30)), "1800"),
            (KeepAlive::For(Duration::from_millis(1)), "1"),
            (KeepAlive::For(Duration::ZERO), "0"),
        ];
        for (keep_alive, expect) in cases {
            let json = serde_json::to_string(&keep_alive).expect("a number");
            assert_eq!(json, expect);
        }
    }
}
