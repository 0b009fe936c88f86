//! The dialect's JSON, as much of it as is used. Fields that some server leaves out are optional.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::backend::{Conversation, Request};
use crate::prompt::{Message, Speaker};

/// How many stop strings the dialect allows.
const MOST_STOPS: usize = 4;

/// Body of `POST /v1/completions`.
#[derive(Debug, Serialize)]
pub(super) struct Completion<'a> {
    model: &'a str,
    prompt: &'a str,
    max_tokens: u32,
    /// 0 takes the likeliest token.
    temperature: f32,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    stream: bool,
    stream_options: StreamOptions,
}

/// Body of `POST /v1/chat/completions`.
#[derive(Debug, Serialize)]
pub(super) struct Chat<'a> {
    model: &'a str,
    messages: Vec<Value>,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    stream: bool,
    stream_options: StreamOptions,
    /// What vLLM and llama.cpp hand to the model's template.
    #[serde(
        rename = "chat_template_kwargs",
        skip_serializing_if = "Option::is_none"
    )]
    template_arguments: Option<Value>,
    /// vLLM's words for going on with the last message; llama.cpp does so by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    continue_final_message: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add_generation_prompt: Option<bool>,
}

/// Without this no counts come.
#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

const WITH_USAGE: StreamOptions = StreamOptions {
    include_usage: true,
};

pub(super) fn completion<'a>(request: &'a Request, prompt: &'a str) -> Completion<'a> {
    Completion {
        model: &request.model,
        prompt,
        max_tokens: request.max_tokens.max(1),
        temperature: 0.0,
        stop: first_stops(&request.stop),
        stream: true,
        stream_options: WITH_USAGE,
    }
}

pub(super) fn chat<'a>(request: &'a Request, conversation: &'a Conversation) -> Chat<'a> {
    let last = conversation.messages.last();
    let continues = last
        .is_some_and(|message| message.speaker == Speaker::Assistant)
        .then_some(true);
    Chat {
        model: &request.model,
        messages: conversation.messages.iter().map(message).collect(),
        max_tokens: request.max_tokens.max(1),
        temperature: conversation.temperature,
        stop: first_stops(&request.stop),
        stream: true,
        stream_options: WITH_USAGE,
        template_arguments: (!conversation.think).then(|| json!({ "enable_thinking": false })),
        continue_final_message: continues,
        add_generation_prompt: continues.map(|continues| !continues),
    }
}

fn first_stops(stops: &[String]) -> &[String] {
    stops.get(..MOST_STOPS).unwrap_or(stops)
}

fn message(message: &Message) -> Value {
    let role = message.speaker.name();
    if message.images.is_empty() {
        return json!({ "role": role, "content": message.text });
    }
    let images = message.images.iter().map(|image| {
        let url = format!(
            "data:{};base64,{}",
            image.mime,
            STANDARD.encode(&image.bytes)
        );
        json!({ "type": "image_url", "image_url": { "url": url } })
    });
    let text = json!({ "type": "text", "text": message.text });
    let parts: Vec<Value> = std::iter::once(text).chain(images).collect();
    json!({ "role": role, "content": parts })
}

/// An event of an answer, of either kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnswerEvent {
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<Usage>,
    /// llama.cpp's, with the last event.
    pub(super) timings: Option<Timings>,
    pub(super) error: Option<Value>,
    /// `error` in older vLLM, with `message` beside it.
    pub(super) object: Option<String>,
    pub(super) message: Option<String>,
}

/// What of the prompt was computed, in the words of llama.cpp's server.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Timings {
    prompt_n: Option<u32>,
    prompt_ms: Option<f64>,
}

impl Timings {
    /// Tokens, and how long they took.
    pub(super) fn prompt(self) -> Option<(u32, Duration)> {
        let took = Duration::try_from_secs_f64(self.prompt_ms? / 1e3).ok()?;
        Some((self.prompt_n?, took))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    text: Option<String>,
    delta: Option<Delta>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta {
    content: Option<String>,
    /// Of llama.cpp, LM Studio, and vLLM up to 0.10.
    reasoning_content: Option<String>,
    /// Of later vLLM.
    reasoning: Option<String>,
}

impl Choice {
    /// Generated text, thinking left out.
    pub(super) fn text(&self) -> &str {
        let content = self
            .delta
            .as_ref()
            .and_then(|delta| delta.content.as_deref());
        self.text.as_deref().or(content).unwrap_or_default()
    }

    /// Thinking that the server tells apart.
    pub(super) fn thinking(&self) -> &str {
        let delta = self.delta.as_ref();
        delta
            .and_then(|delta| {
                delta
                    .reasoning_content
                    .as_deref()
                    .or(delta.reasoning.as_deref())
            })
            .unwrap_or_default()
    }
}

/// What an answer cost.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    #[serde(rename = "prompt_tokens")]
    pub(super) prompt: u32,
    #[serde(rename = "completion_tokens")]
    pub(super) generated: u32,
    #[serde(rename = "prompt_tokens_details")]
    details: Option<UsageDetails>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct UsageDetails {
    cached_tokens: Option<u32>,
}

impl Usage {
    pub(super) fn cached(&self) -> Option<u32> {
        self.details.as_ref()?.cached_tokens
    }
}

/// Answer of `GET /v1/models`.
#[derive(Debug, Deserialize)]
pub(super) struct Models {
    pub(super) data: Vec<Model>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) id: String,
    /// vLLM's.
    max_model_len: Option<u32>,
    /// llama.cpp's.
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    n_ctx: Option<u32>,
}

impl Models {
    /// The models' contexts, where the server tells.
    pub(super) fn context_tokens(&self) -> impl Iterator<Item = (String, u32)> {
        self.data.iter().filter_map(|model| {
            let of_meta = || model.meta.as_ref().and_then(|meta| meta.n_ctx);
            Some((model.id.clone(), model.max_model_len.or_else(of_meta)?))
        })
    }
}

/// Body of `POST /v1/embeddings`.
#[derive(Debug, Serialize)]
pub(super) struct Embed<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'static str,
}

impl<'a> Embed<'a> {
    pub(super) fn new(model: &'a str, input: &'a [&'a str]) -> Self {
        Self {
            model,
            input,
            encoding_format: "float",
        }
    }
}

/// Answer of `POST /v1/embeddings`.
#[derive(Debug, Deserialize)]
pub(super) struct Embedded {
    pub(super) data: Vec<Vector>,
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Vector {
    #[serde(default)]
    index: usize,
    embedding: Vec<f32>,
}

impl Embedded {
    pub(super) fn prompt_tokens(&self) -> u32 {
        self.usage.as_ref().map_or(0, |usage| usage.prompt)
    }

    /// The vectors in the order of their texts.
    pub(super) fn vectors(mut self) -> impl Iterator<Item = Vec<f32>> {
        self.data.sort_by_key(|vector| vector.index);
        self.data.into_iter().map(|vector| vector.embedding)
    }
}
