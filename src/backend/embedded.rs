//! The in-process engine: llama.cpp on a thread of its own.
//!
//! Called by the router through [`Backend`]. Several models are in memory at once, as far as it goes,
//! each with its own cache, and take turns in one line. Cheap where it counts: what the cache holds of a
//! prompt is not computed again, also where it stands at another place since, a cancel breaks a step off
//! in its middle, and whoever waits for a completion goes before a chat that is being written, which goes
//! on afterwards.
//!
//! | file | idea |
//! |---|---|
//! | `worker` | the thread: which model works on what, which models are in memory |
//! | `worker/engine` | one model at work: place, compute, put aside |
//! | `worker/caches` | a small context for what is typed, a large one for what is talked about |
//! | `chat` | a conversation laid out by the model's own template |
//! | `embedder` | texts to vectors |
//! | `super::queue` | who goes first |
//! | `job` | one generation, resumable between any two steps |
//! | `cache`, `slots` | the context and the books of what it holds |
//! | `kept` | cached prompts on disk |
//! | `healing`, `typed`, `recall` | a typed part that ends inside a token, without computing more per key |
//! | `choice`, `draft` | the next token, and guesses at more that are checked in the same step |
//! | `splice` | which parts of a cached prompt a new one has at other places |
//! | `text`, `tokens` | bytes to text, segments to tokens |
//! | `interrupt`, `stretch` | breaking a step off in its middle, unless who comes has use for it |
//! | `speed` | measured speed, chunk size, prompt budget |
//! | `kernels` | our own matrix products in the place of llama.cpp's |
//! | `threads` | fewer of them while others want the cores |
//! | `gguf`, `weights`, `headers`, `gpu` | the file: header, checks, load, and where to |
//! | `options` | how the engine uses the machine |
//! | `reference` | llama.cpp alone, for comparison |
//! | `shared`, `stream`, `standings` | what the async side holds |
//!
//! Invariants: only the thread touches the model; nothing is printed; a panic there ends the engine
//! and not the server.

mod cache;
mod chat;
mod choice;
mod draft;
mod embedder;
mod gguf;
mod gpu;
mod headers;
mod healing;
mod interrupt;
mod job;
mod kept;
mod kernels;
mod options;
mod recall;
mod reference;
mod shared;
mod slots;
mod speed;
mod splice;
mod standings;
mod stream;
mod stretch;
use super::text;
mod threads;
mod tokens;
mod turning;
mod typed;
mod weights;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;

use crate::backend::{Capabilities, EmbedRequest, Embeddings, Prompt, Standing};

use self::headers::Headers;
pub use self::options::{Drafting, EngineOptions, Splicing};
pub use self::reference::{Reference, reference};
use self::shared::Shared;
pub use self::speed::Speed;
pub use self::standings::EngineState;
use self::standings::Known;
use self::stream::ChunkReceiver;
use self::weights::Header;
use super::pool::{Device, Seat, in_turn};
use super::{
    Backend, BackendError, ChunkStream, Installed, Priority, PromptBudget, Request, Urgency,
};

/// Weights on this machine's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedModel {
    /// The name in requests, such as `qwen2.5-coder-1.5b`.
    pub name: String,
    /// A GGUF file.
    pub path: PathBuf,
    /// The file's content hash, where the caller knows it.
    pub digest: Option<String>,
}

/// The in-process engine. Dropping it ends its thread, within one step, and every stream.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
    headers: Arc<Headers>,
    /// Where other backends use this machine too.
    seat: Option<Arc<Seat>>,
    /// `None` when the system gave no thread, or after the end.
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Starts the engine's thread. Loads nothing yet. `name` is the backend's, from the settings;
    /// `models` says which weights are there now, and is asked again at every probe.
    pub fn new(
        name: impl Into<String>,
        models: impl Fn() -> Vec<EmbeddedModel> + Send + Sync + 'static,
        options: EngineOptions,
    ) -> Self {
        let shared = Arc::new(Shared::new(name.into(), models, options));
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ghostline-engine".to_owned())
            .spawn(move || worker::run(&of_thread))
            .inspect_err(|error| {
                tracing::error!(%error, "no thread for the engine");
                shared.queue.close();
            })
            .ok();
        Self {
            shared,
            headers: Arc::default(),
            seat: None,
            thread,
        }
    }

    /// Shares `device` with the backends that are made for it: what nobody types for begins where none of
    /// them completes, and they know when this engine does.
    #[must_use]
    pub fn on_device(mut self, device: Arc<Device>) -> Self {
        // It takes in what comes while it computes, and knows itself who goes first.
        self.seat = Some(Arc::new(Seat::new(device, true)));
        self
    }

    /// What the engine does with a model now.
    pub fn state(&self, model: &str) -> EngineState {
        self.known(model).state
    }

    /// Follows whether the engine works on something that somebody asked for.
    pub fn watch_at_work(&self) -> watch::Receiver<bool> {
        self.shared.watch_at_work()
    }

    /// What a person should know about a loaded model's chat template.
    pub fn complaint(&self, model: &str) -> Option<String> {
        self.known(model).complaint
    }

    /// How fast a loaded model is here; `None` while it is not.
    pub fn speed(&self, model: &str) -> Option<Speed> {
        self.known(model).speed
    }

    fn known(&self, model: &str) -> Known {
        let found = self.shared.find(model);
        found.map_or_else(
            |_| Known::default(),
            |model| self.shared.standings.of(&model.path),
        )
    }

    /// Decode calls since the start: a chunk of a prompt, or one generated token each; those that were
    /// broken off included.
    pub fn steps_decoded(&self) -> u64 {
        self.shared.steps_decoded.load(Ordering::Relaxed)
    }

    /// Tokens computed since the start, of prompts and of answers.
    pub fn tokens_decoded(&self) -> u64 {
        self.shared.tokens_decoded.load(Ordering::Relaxed)
    }

    /// Tokens of drafts since the start: those that were computed, and of them those that were right.
    pub fn tokens_drafted(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (
            read(&self.shared.tokens_drafted),
            read(&self.shared.tokens_of_drafts),
        )
    }

    /// Tokens of prompts since the start that were cached at another place and moved. They count among
    /// [`Finish::cached_tokens`](super::Finish::cached_tokens) as well.
    pub fn tokens_moved(&self) -> u64 {
        self.shared.tokens_moved.load(Ordering::Relaxed)
    }

    /// Tokens of [`tokens_moved`](Self::tokens_moved) whose keys were turned here. llama.cpp turns those of
    /// models and devices where the look at load does not find that both ways agree.
    pub fn tokens_turned(&self) -> u64 {
        self.shared.tokens_turned.load(Ordering::Relaxed)
    }

    /// Tokens of cached prompts that have not seen the text that stands in front of them now, because
    /// they or others before them were moved.
    pub fn tokens_stale(&self) -> u64 {
        self.shared.tokens_stale.load(Ordering::Relaxed)
    }

    /// Tokens computed anew since the start, while nobody waited, because they had been moved.
    pub fn tokens_refreshed(&self) -> u64 {
        self.shared.tokens_refreshed.load(Ordering::Relaxed)
    }
}

impl Drop for Embedded {
    /// Waits for the thread: at the process's end llama.cpp must not compute any more.
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.interrupt.closing();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Backend for Embedded {
    fn name(&self) -> &str {
        &self.shared.name
    }

    /// Files that are missing or no GGUF files are left out.
    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        let shared = Arc::clone(&self.shared);
        let headers = Arc::clone(&self.headers);
        let reading = tokio::task::spawn_blocking(move || {
            shared
                .list_models()
                .iter()
                .filter_map(|model| headers.installed(model))
                .collect()
        });
        reading
            .map(|read| read.map_err(|error| self.shared.failed(error.to_string())))
            .boxed()
    }

    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        let shared = Arc::clone(&self.shared);
        let submitted = shared.submit_load(model);
        async move {
            submitted?
                .await
                .unwrap_or_else(|_| Err(shared.interrupted()))
        }
        .boxed()
    }

    fn prefill(&self, request: Request) -> BoxFuture<'static, Result<(), BackendError>> {
        let mut stream = self.stream(Request {
            max_tokens: 0,
            priority: Priority::WarmUp,
            ..request
        });
        async move {
            while let Some(chunk) = stream.next().await {
                chunk?;
            }
            Ok(())
        }
        .boxed()
    }

    fn stream(&self, request: Request) -> ChunkStream {
        let urgency = Urgency::new(request.priority);
        self.stream_raisable(request, &urgency)
    }

    fn stream_raisable(&self, request: Request, urgency: &Arc<Urgency>) -> ChunkStream {
        if let Prompt::Chat(conversation) = &request.prompt
            && conversation.messages.iter().any(|m| !m.images.is_empty())
        {
            let error = BackendError::Unsupported {
                backend: self.shared.name.clone(),
                model: request.model,
                what: "look at images",
            };
            return futures_util::stream::once(async { Err(error) }).boxed();
        }
        let priority = request.priority;
        let chunks = Box::pin(ChunkReceiver::Unsent(
            Arc::clone(&self.shared),
            Box::new(request),
            Arc::clone(urgency),
        ));
        match &self.seat {
            Some(seat) => in_turn(Arc::clone(seat), priority, chunks),
            None => chunks,
        }
    }

    fn standing(&self, model: &str) -> Standing {
        let known = self.known(model);
        let remarks: Vec<_> = known
            .place_remark
            .into_iter()
            .chain(known.complaint)
            .collect();
        Standing {
            loaded_percent: match known.state {
                EngineState::Loading { percent } => Some(percent),
                _ => None,
            },
            remark: (!remarks.is_empty()).then(|| remarks.join("; ")),
        }
    }

    fn busy(&self) -> Option<Duration> {
        Some(self.shared.busy.total())
    }

    fn standing_changes(&self) -> Option<watch::Receiver<u64>> {
        Some(self.shared.standings.changes())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fim: true,
            chat: true,
            vision: false,
            embedding: true,
            continues: false,
            counts_tokens: true,
            moves_cached: true,
            hands_over: true,
            heals: true,
        }
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<Embeddings, BackendError>> {
        async move {
            let _turn = match &self.seat {
                Some(seat) => Some(seat.turn(request.priority).await),
                None => None,
            };
            let done = self.shared.submit_embed(request)?;
            done.await
                .unwrap_or_else(|_| Err(self.shared.interrupted()))
        }
        .boxed()
    }

    /// Small until the first load of a model for completions has measured the machine, then what its
    /// speed allows, and the same to the end of the run: a budget that changes moves the window and makes
    /// what is cached worthless.
    fn prompt_budget(&self) -> PromptBudget {
        self.shared
            .budget
            .get()
            .copied()
            .unwrap_or(PromptBudget::SMALLEST)
    }

    /// Half of the cells: the rest keeps what completions have cached.
    fn window_tokens(&self) -> Option<usize> {
        Some(self.shared.options.context_tokens as usize / 2)
    }
}
