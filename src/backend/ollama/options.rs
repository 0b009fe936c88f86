//! How an Ollama is used; made by the settings.

use std::time::Duration;

use crate::backend::Limits;

/// How an Ollama is used. One set per backend, the same for all its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OllamaOptions {
    /// Context length in tokens. Memory grows with it, and up to 4096 Ollama works in batches of 512
    /// tokens, which is how finely it notices a cancelled request.
    pub num_ctx: u32,
    /// How long a model that completes stays loaded after a request.
    pub keep_alive: KeepAlive,
    /// Context length of models that hold conversations, in tokens; for one that completes as well,
    /// the larger of the two.
    pub chat_num_ctx: u32,
    /// How long a model stays loaded that holds conversations and nothing else.
    pub chat_keep_alive: KeepAlive,
    /// How long a model stays loaded that embeds texts and nothing else.
    pub embed_keep_alive: KeepAlive,
    /// Limits of each wait for a loaded model.
    pub limits: Limits,
    /// Limit for a whole load.
    pub load: Duration,
    /// How long a loaded model may answer none of several requests before it is examined.
    pub silence: Duration,
    /// How long an examined model may take to one token before it is loaded anew.
    pub examination: Duration,
}

impl Default for OllamaOptions {
    fn default() -> Self {
        Self {
            num_ctx: 4096,
            keep_alive: KeepAlive::Forever,
            // A few files and their discussion. 768 MiB for a 30B model of the Qwen3 family.
            chat_num_ctx: 8192,
            // Large models: Ollama gives up the shortest first when memory is short, and what a person
            // types must not wait for the others.
            chat_keep_alive: KeepAlive::For(Duration::from_mins(30)),
            embed_keep_alive: KeepAlive::For(Duration::from_hours(1)),
            limits: Limits::default(),
            // Ollama's own limit is 5 minutes without progress.
            load: Duration::from_mins(10),
            // Longer than the prompt of a completion takes on a processor (4 s, the embedded engine's
            // bound), so that a slow machine is seldom examined.
            silence: Duration::from_secs(10),
            // One character is computed within a second anywhere; the rest is for a prompt that was
            // given up and is still computed, as Ollama does up to 0.24.
            examination: Duration::from_secs(20),
        }
    }
}

/// How long Ollama keeps a model after its last request. It unloads the shortest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeepAlive {
    /// This long, rounded up to whole seconds.
    For(Duration),
    /// Until something else needs the memory.
    Forever,
}

impl KeepAlive {
    /// Unload now.
    pub(super) const NO_LONGER: Self = Self::For(Duration::ZERO);
}
