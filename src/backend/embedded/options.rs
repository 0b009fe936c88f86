//! How the in-process engine uses the machine.

use std::path::PathBuf;
use std::time::Duration;

/// How long a model stays in memory unused: longer than a meeting, so that whoever comes back finds it,
/// and short enough that an editor left open over night holds no gigabyte.
const UNUSED: Duration = Duration::from_hours(1);

/// How the engine uses the machine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads that compute; `None` for the physical cores less one, and at least 1. llama.cpp's
    /// threads spin while they wait for each other, so one of them that loses its core to a compiler
    /// stops all: on a busy machine with 2 cores 2 threads gave 5 tokens per second and 1 thread 24
    /// (`SmolLM2`, November 2026).
    pub threads: Option<usize>,
    /// Tokens that all cached prompts and answers of one model may have; at most what the model was
    /// trained for. Costs 28 KiB of memory per token for Qwen2.5-Coder 1.5B. Where the machine is slow,
    /// completions have up to half as many of their own beside.
    pub context_tokens: u32,
    /// Unloads a model that nobody used for so long; `None` keeps it. The next request loads it again.
    pub unload_after: Option<Duration>,
    /// The most memory, in bytes, that all models may take together; `None` for what is free. Beyond it
    /// the model unused for longest gives way.
    pub memory_bytes: Option<u64>,
    /// Where cached prompts are kept on disk, so that the next run and a reload begin with them; `None`
    /// keeps none. Holds what was in the prompts of completions.
    pub state_dir: Option<PathBuf>,
    /// Goes back to the last sure token boundary of a typed part, and lets the model spell the word's
    /// beginning again in tokens of its own choice. Off only to measure what it gives.
    pub healing: bool,
    /// Whether what is likely to come, because the text has it already, is computed with the next token.
    pub drafting: Drafting,
    /// What becomes of text that stands at another place than when it was cached, as after Enter.
    pub splicing: Splicing,
}

/// What becomes of cached text that a new prompt has at another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Splicing {
    /// It is computed. An answer is then the same whatever was asked before.
    Off,
    /// It is moved, and computed anew while nobody waits.
    #[default]
    Refreshed,
    /// It is moved and stays so, for measurements.
    Unrefreshed,
}

/// Guesses at the next tokens. They change when an answer comes, and on processors never what it is; on a
/// graphics device, where nobody measured it, sums in another order may decide between near equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drafting {
    /// One token after the other.
    Off,
    /// As far as it saves time, by what was seen so far.
    #[default]
    Paying,
    /// As long as they get, for tests.
    Always,
}

impl Default for EngineOptions {
    /// 8,192 tokens: a chat, and two files at the largest prompt budget. 224 MiB for the 1.5B model.
    fn default() -> Self {
        Self {
            threads: None,
            context_tokens: 8192,
            unload_after: Some(UNUSED),
            memory_bytes: None,
            state_dir: None,
            healing: true,
            drafting: Drafting::default(),
            splicing: Splicing::default(),
        }
    }
}

impl EngineOptions {
    /// The number of threads after defaults.
    pub fn thread_count(&self) -> usize {
        // A container may be given fewer cores than there are.
        let cores = num_cpus::get_physical().min(num_cpus::get());
        self.threads
            .unwrap_or_else(|| cores.saturating_sub(1))
            .max(1)
    }
}
