//! How an Ollama is used; made by the settings.

use std::time::Duration;

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
    /// Limit for making a connection.
    pub connect: Duration,
    /// Limit from sending a request to a loaded model to the first byte of the answer.
    pub first_byte: Duration,
    /// Limit between two pieces of an answer.
    pub stall: Duration,
    /// Limit for a whole load.
    pub load: Duration,
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
            // A machine in the same network answers within milliseconds; a wrong address shows soon.
            connect: Duration::from_secs(2),
            // 4096 tokens at 35 tokens per second: a 7B model on a laptop's processor.
            first_byte: Duration::from_mins(2),
            // One token takes under 2 s even where memory swaps; a prompt cache move takes a few.
            stall: Duration::from_secs(30),
            // Ollama's own limit is 5 minutes without progress.
            load: Duration::from_mins(10),
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
