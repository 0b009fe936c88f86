//! Ollama's lists of models, as much of them as is used.

use serde::Deserialize;

/// Answer of `/api/tags` and `/api/ps`.
#[derive(Debug, Deserialize)]
pub(super) struct Tags {
    /// Older versions say `null` when there is nothing.
    pub(super) models: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) size: Option<u64>,
    pub(super) size_vram: Option<u64>,
    pub(super) digest: Option<String>,
    pub(super) details: Option<Details>,
    pub(super) context_length: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub(super) quantization_level: Option<String>,
}

pub(super) fn known(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
