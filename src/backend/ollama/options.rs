//! How an Ollama is used; made by the settings.

use std::time::Duration;

/// How an Ollama is used. One set per backend, the same for all its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OllamaOptions {
    /// Context length in tokens. Memory grows with it, and up to 4096 Ollama works in batches of 512
    /// tokens, which is how finely it notices a cancelled request.
    pub num_ctx: u32,
    /// How long a model stays loaded after a request.
    pub keep_alive: KeepAlive,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Until something else needs the memory.
    Forever,
    /// This long, rounded up to whole seconds.
    For(Duration),
}
