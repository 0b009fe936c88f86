//! The JSON of llama.cpp's server, as much of it as is used. Fields that some version leaves out are
//! optional.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backend::Request;

/// Longest generation in milliseconds, counted by the server from the first token and applied after
/// the first new line. A completion that takes longer helps nobody; the request that asked may be gone
/// without the server having noticed.
const LONGEST_GENERATION_MS: u32 = 10_000;

/// What of the last event is wanted: it repeats the prompt otherwise.
const LAST_FIELDS: &[&str] = &[
    "content",
    "stop",
    "stop_type",
    "timings",
    "tokens_evaluated",
    "tokens_predicted",
];

/// Body of `POST /completion`.
#[derive(Debug, Serialize)]
pub(super) struct Completion<'a> {
    /// A string, or an array of strings and tokens.
    prompt: &'a Value,
    /// Never 0: that computes the prompt and generates nothing.
    n_predict: u32,
    stop: &'a [String],
    stream: bool,
    cache_prompt: bool,
    temperature: f32,
    /// The likeliest token and nothing else: no other sampler runs.
    top_k: u32,
    samplers: [&'static str; 1],
    /// A server may be started with another default.
    repeat_penalty: f32,
    t_max_predict_ms: u32,
    /// Every event says what the prompt cost: most completions are cut before their last one.
    timings_per_token: bool,
    response_fields: &'static [&'static str],
}

/// Body of `POST /completion` that measures how fast a prompt is computed.
#[derive(Debug, Serialize)]
pub(super) struct Measurement {
    pub(super) prompt: Vec<u32>,
    /// 1: what comes after the prompt is not wanted, and 0 is read differently by some versions.
    pub(super) n_predict: u32,
    pub(super) stream: bool,
    pub(super) cache_prompt: bool,
}

impl<'a> Completion<'a> {
    pub(super) fn new(prompt: &'a Value, request: &'a Request) -> Self {
        Self {
            prompt,
            n_predict: request.max_tokens.max(1),
            stop: &request.stop,
            stream: true,
            cache_prompt: true,
            temperature: 0.0,
            top_k: 1,
            samplers: ["top_k"],
            repeat_penalty: 1.0,
            t_max_predict_ms: LONGEST_GENERATION_MS,
            timings_per_token: true,
            response_fields: LAST_FIELDS,
        }
    }
}

/// An event of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CompletionEvent {
    pub(super) content: String,
    pub(super) stop: bool,
    pub(super) stop_type: Option<String>,
    pub(super) tokens_evaluated: Option<u32>,
    pub(super) tokens_predicted: Option<u32>,
    pub(super) timings: Option<Timings>,
    pub(super) error: Option<Value>,
}

/// What an answer cost, in tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Timings {
    /// Of the prompt, cached.
    #[serde(rename = "cache_n")]
    pub(super) cached: Option<u32>,
    /// Of the prompt, computed.
    #[serde(rename = "prompt_n")]
    pub(super) computed: Option<u32>,
    /// How long that took, in milliseconds.
    #[serde(rename = "prompt_ms")]
    pub(super) computed_ms: Option<f64>,
    #[serde(rename = "predicted_n")]
    pub(super) generated: Option<u32>,
}

impl Timings {
    /// Tokens of the prompt that were computed, and how long it took.
    pub(super) fn prompt(&self) -> Option<(u32, Duration)> {
        let took = Duration::try_from_secs_f64(self.computed_ms? / 1e3).ok()?;
        Some((self.computed?, took))
    }
}

/// Body of `POST /tokenize`.
#[derive(Debug, Serialize)]
pub(super) struct Tokenize<'a> {
    pub(super) content: &'a str,
    pub(super) add_special: bool,
    pub(super) parse_special: bool,
}

/// Answer of `POST /tokenize`.
#[derive(Debug, Deserialize)]
pub(super) struct Tokens {
    pub(super) tokens: Vec<u32>,
}

/// Answer of `GET /health`.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    pub(super) status: String,
}

/// Answer of `GET /props`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Props {
    pub(super) total_slots: Option<usize>,
    pub(super) model_alias: Option<String>,
    pub(super) model_path: Option<String>,
    /// Such as `Q4_K - Medium`.
    pub(super) model_ftype: Option<String>,
    /// The text of the token that ends a generation.
    pub(super) eos_token: Option<String>,
    /// Absent or empty where the model has none.
    chat_template: Option<String>,
    modalities: Option<Modalities>,
    default_generation_settings: DefaultSettings,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Modalities {
    vision: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct DefaultSettings {
    n_ctx: Option<usize>,
}

impl Props {
    /// Tokens of one slot.
    pub(super) fn context_tokens(&self) -> Option<usize> {
        self.default_generation_settings.n_ctx
    }

    /// Whether it was taught to hold a conversation. The server has a template of its own for a model
    /// that brings none, so only an empty one tells.
    pub(super) fn chat(&self) -> Option<bool> {
        let template = self.chat_template.as_ref()?;
        template.is_empty().then_some(false)
    }

    /// Whether it was started with what a model needs to see images; not told by older versions.
    pub(super) fn vision(&self) -> Option<bool> {
        self.modalities.as_ref()?.vision
    }

    /// The alias that the server was started with, or the file's name without folders and `.gguf`.
    pub(super) fn model_name(&self) -> String {
        let named = [&self.model_alias, &self.model_path];
        let mut named = named.into_iter().flatten().filter(|name| !name.is_empty());
        let name = named.next().map_or("default", String::as_str);
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        file.strip_suffix(".gguf").unwrap_or(file).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_by_alias_or_file() {
        for (alias, path, expect) in [
            (Some("coder"), Some("/m/a.gguf"), "coder"),
            (Some("/m/a.gguf"), Some("/m/a.gguf"), "a"),
            (Some(""), Some("C:\\m\\a-q4_k_m.gguf"), "a-q4_k_m"),
            (None, None, "default"),
        ] {
            let props = Props {
                model_alias: alias.map(str::to_owned),
                model_path: path.map(str::to_owned),
                ..Props::default()
            };
            assert_eq!(props.model_name(), expect);
        }
    }
}
