//! Texts to vectors, by a model that is loaded.
//!
//! Called by the engine's thread. A text is computed in chunks in a context of its own, so that nothing
//! cached for completions is lost and a completion goes in between; the vectors of its tokens are
//! pooled here, because llama.cpp pools within one batch only. Invariants: a vector has length 1; a
//! text's vector does not depend on what was computed before it or in between.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{LlamaContextParams, LlamaPoolingType};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;
use tokio::sync::oneshot;

use super::{EmbeddedModel, weights};
use crate::backend::vectors::normalise;
use crate::backend::{BackendError, Embeddings, Priority};

/// Longest text, in tokens: a long function. What a vector says of a longer text is little.
const MAX_TEXT_TOKENS: usize = 512;

/// Tokens of a step, at most. Each gives a vector, and with some versions of llama.cpp a row of logits:
/// 600 KB for a vocabulary of 150,000 tokens.
const MAX_STEP_TOKENS: usize = 64;

/// What of a text's tokens becomes its vector (`{architecture}.pooling_type`, llama.cpp's `llama.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooling {
    Mean,
    First,
    Last,
}

impl Pooling {
    /// By the metadata's number; the mean where nothing is said.
    fn of(pooling_type: Option<&str>) -> Self {
        match pooling_type {
            Some("2") => Self::First,
            Some("3") => Self::Last,
            _ => Self::Mean,
        }
    }
}

/// A context for embedding.
pub(super) struct Embedder<'model> {
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    pooling: Pooling,
    /// The job whose text the context holds a beginning of.
    holds: Option<u64>,
}

/// What one step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedded {
    /// There is more to compute.
    Partly {
        /// Tokens computed.
        tokens: usize,
    },
    /// Every text has its vector.
    All,
}

/// Texts to embed, begun or not.
#[derive(Debug)]
pub(super) struct EmbedJob {
    id: u64,
    pub(super) model: Arc<EmbeddedModel>,
    pub(super) priority: Priority,
    texts: Vec<String>,
    done: Option<oneshot::Sender<Result<Embeddings, BackendError>>>,
    out: Embeddings,
    text: Option<Text>,
}

/// The text in work.
#[derive(Debug)]
struct Text {
    tokens: Vec<LlamaToken>,
    held: usize,
    pooled: Vec<f32>,
}

impl EmbedJob {
    pub(super) fn new(
        model: Arc<EmbeddedModel>,
        priority: Priority,
        texts: Vec<String>,
        done: oneshot::Sender<Result<Embeddings, BackendError>>,
    ) -> Self {
        static JOBS: AtomicU64 = AtomicU64::new(0);
        Self {
            id: JOBS.fetch_add(1, Ordering::Relaxed),
            model,
            priority,
            texts,
            done: Some(done),
            out: Embeddings::default(),
            text: None,
        }
    }

    /// Whether the future was dropped.
    pub(super) fn is_abandoned(&self) -> bool {
        self.done.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(super) fn fail(mut self, error: BackendError) {
        if let Some(done) = self.done.take() {
            drop(done.send(Err(error)));
        }
    }

    pub(super) fn finish(&mut self) {
        if let Some(done) = self.done.take() {
            drop(done.send(Ok(std::mem::take(&mut self.out))));
        }
    }

    /// The text in work, or the next one, cut to what is computed of it.
    fn text(&mut self, vocab: &LlamaVocab<'_>) -> Result<Option<Text>, String> {
        if let Some(text) = self.text.take() {
            return Ok(Some(text));
        }
        let at = self.out.vectors.len();
        let Some(text) = self.texts.get(at) else {
            return Ok(None);
        };
        let mut tokens = Vec::new();
        if vocab.should_add_bos() {
            tokens.push(vocab.bos());
        }
        tokens.extend(vocab.tokenize(text.as_bytes(), false, false));
        if tokens.len() > MAX_TEXT_TOKENS {
            tokens.truncate(MAX_TEXT_TOKENS);
            self.out.truncated.push(at);
        }
        if tokens.is_empty() {
            return Err(format!("text {at} is empty; leave it out"));
        }
        Ok(Some(Text {
            tokens,
            held: 0,
            pooled: Vec::new(),
        }))
    }
}

impl<'model> Embedder<'model> {
    /// # Errors
    /// A sentence, when llama.cpp cannot allocate the context.
    pub(super) fn new(model: &'model LlamaModel, threads: usize) -> Result<Self, String> {
        let count = |tokens: usize| u32::try_from(tokens).unwrap_or(u32::MAX);
        let threads = i32::try_from(threads).unwrap_or(i32::MAX);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(count(MAX_TEXT_TOKENS)))
            .with_n_batch(count(MAX_STEP_TOKENS))
            .with_n_ubatch(count(MAX_STEP_TOKENS))
            .with_embeddings(true)
            .with_pooling_type(LlamaPoolingType::None)
            .with_n_threads(threads)
            .with_n_threads_batch(threads);
        let context = model
            .new_context(weights::backend()?, params)
            .map_err(|error| error.to_string())?;
        let pooling_type = model
            .meta_val_str("general.architecture")
            .and_then(|name| model.meta_val_str(&format!("{name}.pooling_type")))
            .ok();
        Ok(Self {
            context,
            batch: LlamaBatch::new(MAX_STEP_TOKENS, 1),
            pooling: Pooling::of(pooling_type.as_deref()),
            holds: None,
        })
    }

    /// Computes at most `chunk_tokens` more of the job's text.
    ///
    /// # Errors
    /// A sentence about what went wrong; the job cannot go on.
    pub(super) fn step(
        &mut self,
        job: &mut EmbedJob,
        vocab: &LlamaVocab<'_>,
        chunk_tokens: usize,
    ) -> Result<Embedded, String> {
        let Some(mut text) = job.text(vocab)? else {
            return Ok(Embedded::All);
        };
        if text.held == 0 || self.holds != Some(job.id) {
            // Another job was in between: its text took the place of this one.
            self.context.clear_kv_cache();
            text.held = 0;
            text.pooled.clear();
            self.holds = Some(job.id);
        }
        let tokens = self.compute(&mut text, chunk_tokens)?;
        if text.held < text.tokens.len() {
            job.text = Some(text);
            return Ok(Embedded::Partly { tokens });
        }
        if !normalise(&mut text.pooled) {
            return Err("the model gives no numbers; verify its file".to_owned());
        }
        job.out.prompt_tokens += u32::try_from(text.tokens.len()).unwrap_or(u32::MAX);
        job.out.vectors.push(text.pooled);
        Ok(Embedded::Partly { tokens })
    }

    /// Computes a chunk and pools it. Gives the number of its tokens.
    fn compute(&mut self, text: &mut Text, chunk_tokens: usize) -> Result<usize, String> {
        let left = text.tokens.get(text.held..).unwrap_or_default();
        let chunk = left
            .get(..chunk_tokens.clamp(1, MAX_STEP_TOKENS).min(left.len()))
            .unwrap_or_default();
        self.batch.clear();
        for (at, &token) in chunk.iter().enumerate() {
            let position = i32::try_from(text.held + at).map_err(|error| error.to_string())?;
            self.batch
                .add(token, position, &[0], true)
                .map_err(|error| error.to_string())?;
        }
        self.context
            .decode(&mut self.batch)
            .map_err(|error| error.to_string())?;
        for at in 0..chunk.len() {
            let row = i32::try_from(at).map_err(|error| error.to_string())?;
            let vector = self
                .context
                .embeddings_ith(row)
                .map_err(|error| error.to_string())?;
            pool(self.pooling, text.held + at, &mut text.pooled, vector);
        }
        let computed = chunk.len();
        text.held += computed;
        Ok(computed)
    }
}

/// Adds the vector of the token at `position`. A sum points where the mean does, and only that counts.
fn pool(pooling: Pooling, position: usize, pooled: &mut Vec<f32>, vector: &[f32]) {
    match pooling {
        Pooling::Mean if position > 0 => {
            for (sum, x) in pooled.iter_mut().zip(vector) {
                *sum += x;
            }
        }
        Pooling::First if position > 0 => {}
        Pooling::Mean | Pooling::First | Pooling::Last => vector.clone_into(pooled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_follows_the_metadata() {
        let cases = [
            (None, [6.0, 3.0]),
            (Some("1"), [6.0, 3.0]),
            (Some("0"), [6.0, 3.0]),
            (Some("2"), [1.0, 0.0]),
            (Some("3"), [3.0, 2.0]),
        ];
        for (pooling_type, expect) in cases {
            let mut pooled = Vec::new();
            for (position, vector) in [[1.0, 0.0], [2.0, 1.0], [3.0, 2.0]].iter().enumerate() {
                pool(Pooling::of(pooling_type), position, &mut pooled, vector);
            }
            assert_eq!(pooled, expect, "{pooling_type:?}");
        }
    }
}
