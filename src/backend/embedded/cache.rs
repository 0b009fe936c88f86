//! The llama.cpp context together with the books of what it holds.
//!
//! Owned by the engine's thread, called by the worker. Invariants: at every return the KV cache and
//! [`Slots`] agree exactly; cells are moved only in a sequence that shares them with no other. When
//! llama.cpp fails, both are emptied, so the next prompt is computed from its start rather than on top
//! of an unknown state.
//!
//! `place` finds what is cached of a prompt and moves what stands elsewhere; `extend` computes the rest of
//! it and the answer; `refresh` computes anew what was moved, when nobody waits; `keep` writes sequences
//! to files and reads them; `turn` moves them to other positions.

mod extend;
mod keep;
mod measure;
mod place;
mod refresh;
mod turn;

use std::num::NonZeroU32;
use std::sync::Arc;

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::{LlamaModel, RopeType};
use llama_cpp_2::token::LlamaToken;
use tracing::subscriber::NoSubscriber;

pub(super) use self::extend::{Extended, Next};
use self::refresh::Refresh;
pub(super) use self::refresh::Refreshed;
use super::Splicing;
use super::interrupt::Interrupt;
use super::recall::Recall;
use super::slots::Slots;
use super::speed::BATCH_TOKENS;
use super::splice::MOST_RUNS;
use super::turning::Turning;

/// Sequences kept at once: two or three files in turn, and a chat. They share the context's cells,
/// so one more costs nothing until it is used.
pub(super) const SEQUENCES: usize = 4;

/// Sequences for the runs of unfinished splices: two prompts can be put aside in the middle of one.
/// They come after the others.
const SPARE_SEQUENCES: usize = 2 * MOST_RUNS;

/// The sequence in which a prompt is computed anew.
const REFRESH_SEQUENCE: usize = SEQUENCES + SPARE_SEQUENCES;

/// What llama.cpp said when it failed.
pub(super) type Failure = String;

/// A context and its books.
pub(super) struct Cache<'model> {
    context: LlamaContext<'model>,
    model: &'model LlamaModel,
    batch: LlamaBatch<'static>,
    slots: Slots,
    recall: Recall,
    refresh: Refresh,
    /// Cells of the context, in tokens, shared by all sequences.
    capacity_tokens: usize,
    /// Whether a sequence can be cut and copied in part. A recurrent state cannot.
    divisible: bool,
    /// What becomes of cached text at other positions. Off where the model's keys cannot be turned.
    splicing: Splicing,
    /// Tokens computed since the start.
    computed_tokens: u64,
    /// How keys are turned here; `None` where llama.cpp does it.
    turning: Option<Turning>,
    /// Whether the next decode turns keys before it computes.
    turns_keys: bool,
    /// How often the context asks while it turns keys, where that is known.
    asks_while_turning: Option<u64>,
    /// The context asks it, so it must live longer: fields are dropped in this order.
    interrupt: Arc<Interrupt>,
}

/// `llama_decode`'s result when the abort callback said so. The cells of the batch are removed again
/// (llama.cpp's `llama.h`, November 2026).
const ABORTED: i32 = 2;

/// What became of a decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoded {
    Whole,
    Interrupted,
}

impl<'model> Cache<'model> {
    /// # Errors
    /// When llama.cpp cannot allocate the context.
    pub(super) fn new(
        backend: &LlamaBackend,
        model: &'model LlamaModel,
        context_tokens: u32,
        threads: i32,
        splicing: Splicing,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Self, Failure> {
        let batch_tokens = u32::try_from(BATCH_TOKENS).unwrap_or(u32::MAX);
        let mut params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(
                context_tokens.clamp(1, model.n_ctx_train()),
            ))
            .with_n_batch(batch_tokens)
            .with_n_ubatch(batch_tokens)
            .with_n_seq_max(u32::try_from(REFRESH_SEQUENCE + 1).unwrap_or(u32::MAX))
            .with_kv_unified(true)
            .with_n_threads(threads)
            .with_n_threads_batch(threads);
        Interrupt::listen(interrupt, &mut params);
        let context = model
            .new_context(backend, params)
            .map_err(|error| error.to_string())?;
        let capacity_tokens = context.n_ctx() as usize;
        let divisible = !model.is_recurrent() && !model.is_hybrid();
        // llama.cpp ends the process when it is to turn keys with several positions each.
        let turnable = matches!(model.rope_type(), Some(RopeType::Norm | RopeType::NeoX));
        Ok(Self {
            context,
            model,
            batch: LlamaBatch::new(BATCH_TOKENS, 1),
            slots: Slots::new(SEQUENCES),
            recall: Recall::default(),
            refresh: Refresh::default(),
            capacity_tokens,
            divisible,
            splicing: if divisible && turnable {
                splicing
            } else {
                Splicing::Off
            },
            computed_tokens: 0,
            turning: None,
            turns_keys: false,
            asks_while_turning: None,
            interrupt: Arc::clone(interrupt),
        })
    }

    /// Tokens computed since the start, prompts and answers, measurements left out.
    pub(super) fn computed_tokens(&self) -> u64 {
        self.computed_tokens
    }

    /// How often the next step goes on whatever it is told; `None` where it may not be broken off.
    pub(super) fn deaf(&self) -> Option<u64> {
        if self.turns_keys {
            self.asks_while_turning
        } else {
            Some(0)
        }
    }

    /// Lets so many threads compute from now on.
    pub(super) fn set_threads(&mut self, threads: usize) {
        super::threads::set(&mut self.context, threads);
    }

    /// Tokens of cached prompts that have not seen what is in front of them now.
    pub(super) fn stale_tokens(&self) -> usize {
        self.slots.stale_tokens()
    }

    /// Gives up sequences until `tokens` more fit. `false` when they do not fit beside `slot` alone.
    fn make_room(&mut self, slot: usize, tokens: usize) -> Result<bool, Failure> {
        while self.cells_in_use() + tokens > self.capacity_tokens {
            let gone = if self.refresh.is_begun() {
                self.drop_refresh(0)
            } else if let Some(victim) = self.slots.victim(slot) {
                self.cut(victim, 0)
            } else {
                return Ok(false);
            };
            self.or_forget(gone)?;
        }
        Ok(true)
    }

    /// Decodes `tokens` in the sequence from position `start` on, and gives logits after the last
    /// `with_logits` of them. The books are the caller's.
    fn decode(
        &mut self,
        slot: usize,
        start: usize,
        tokens: &[LlamaToken],
        with_logits: usize,
    ) -> Result<Decoded, Failure> {
        self.batch.clear();
        for (at, &token) in tokens.iter().enumerate() {
            let wants_logits = at + with_logits >= tokens.len();
            let at = i32::try_from(start + at).map_err(|error| error.to_string())?;
            self.batch
                .add(token, at, &[seq_id(slot)], wants_logits)
                .map_err(|error| error.to_string())?;
        }
        // llama.cpp logs each interruption as an error; what is one is told by the result.
        let decoded = tracing::subscriber::with_default(NoSubscriber::default(), || {
            self.context.decode(&mut self.batch)
        });
        self.turns_keys = false;
        match decoded {
            Ok(()) => Ok(Decoded::Whole),
            Err(DecodeError::Unknown(ABORTED)) => Ok(Decoded::Interrupted),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Never too low: a cell that two sequences share counts twice.
    fn cells_in_use(&self) -> usize {
        self.slots.total_tokens() + self.refresh.held_tokens()
    }

    /// Removes the cells of a sequence from position `keep` on. The books are the caller's.
    fn remove(&mut self, slot: usize, keep: usize) -> Result<(), Failure> {
        self.context
            .kv_cache_seq_rm(seq_id(slot), Some(position(keep)), None)
            .map_err(|error| error.to_string())
    }

    /// Empties cache and books after a failure.
    fn or_forget<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if result.is_err() {
            self.context.clear_kv_cache();
            self.slots.clear();
            self.recall.clear();
            self.refresh = Refresh::default();
        }
        result
    }
}

/// Slots are few.
fn seq_id(slot: usize) -> i32 {
    i32::try_from(slot).unwrap_or(i32::MAX)
}

/// Positions are below the context's size, a `u32`.
fn position(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
