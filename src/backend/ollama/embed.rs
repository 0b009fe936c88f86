//! Texts as `/api/embed` takes them, and the vectors it gives.
//!
//! Texts are cut here, because Ollama cuts them without a word, and some versions (0.13.5 to 0.15.6)
//! refuse them although told to cut. They go in batches, so that others get their turn in between.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::Inner;
use super::api::{Embed, EmbedOptions, Embedded};
use super::residency::Needs;
use crate::backend::vectors::{cut, normalise_all};
use crate::backend::{BackendError, EmbedRequest, Embeddings};

/// Longest text sent, in bytes. `nomic-embed-text` reads 2048 tokens, whatever `num_ctx` says, and code
/// makes of its vocabulary of English words about one token of two bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// Texts of one request: under a second of a small model's work on a CPU.
const BATCH_TEXTS: usize = 8;

impl Inner {
    fn embed_needs(&self) -> Needs {
        Needs {
            num_ctx: self.options.num_ctx,
            keep_alive: self.options.embed_keep_alive,
            generates: false,
        }
    }

    pub(super) async fn embed(
        self: &Arc<Self>,
        request: EmbedRequest,
    ) -> Result<Embeddings, BackendError> {
        let model = &request.model;
        let residency = self.residency(model);
        let needs = residency.need(self.embed_needs());
        let (texts, truncated) = cut(&request.texts, MAX_TEXT_BYTES);
        let mut embeddings = Embeddings {
            truncated,
            ..Embeddings::default()
        };
        for batch in texts.chunks(BATCH_TEXTS) {
            if !residency.is_warm() {
                self.load(model).await?;
            }
            let _permit = residency.slot.acquire(request.priority).await;
            let answer = self.embed_once(model, batch, needs).await;
            let answer = answer.inspect_err(|error| residency.failed(error))?;
            residency.answered(needs.keep_alive);
            embeddings.prompt_tokens += answer.prompt_tokens();
            embeddings.vectors.extend(answer.embeddings);
        }
        if embeddings.vectors.len() != request.texts.len() {
            let (got, sent) = (embeddings.vectors.len(), request.texts.len());
            let message = format!("{got} vectors for {sent} texts");
            return Err(self.asked(model).protocol(message));
        }
        normalise_all(&mut embeddings.vectors)
            .map_err(|message| self.asked(model).protocol(message))?;
        Ok(embeddings)
    }

    /// One answer in one piece; without texts it is a load.
    pub(super) async fn embed_once(
        &self,
        model: &str,
        texts: &[&str],
        needs: Needs,
    ) -> Result<Embedded, BackendError> {
        let body = Embed {
            model,
            input: texts.to_vec(),
            truncate: true,
            keep_alive: needs.keep_alive,
            options: EmbedOptions {
                num_ctx: needs.num_ctx,
            },
        };
        let limit = self.embed_limit(texts);
        let answer = self
            .endpoint
            .call(self.asked(model), "api/embed", &body, limit);
        timeout(limit, answer).await.unwrap_or_else(|_| {
            let message = format!("no vectors after {limit:?}");
            Err(self.asked(model).interrupted(message))
        })
    }

    fn embed_limit(&self, texts: &[&str]) -> Duration {
        if texts.is_empty() {
            self.options.load
        } else {
            self.options.limits.first_byte
        }
    }
}
