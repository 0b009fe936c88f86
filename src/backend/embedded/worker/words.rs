//! The engine's work that is no completion: conversations laid out, texts embedded.
//!
//! A part of `worker`, called by it alone.

use super::super::embedder::{EmbedJob, Embedded, Embedder};
use super::super::job::Job;
use super::Ready;
use super::engine::{Engine, Turn};

impl Engine<'_> {
    /// Makes tokens of a conversation that has none yet.
    pub(super) fn lay_out(&mut self, job: &mut Job) -> Result<(), String> {
        let Some(conversation) = job.conversation() else {
            return Ok(());
        };
        let room_tokens = job.prompt_room_tokens(self.caches.capacity_tokens() as usize);
        let laid_out = self.chat.lay_out(conversation, &self.vocab, room_tokens)?;
        if laid_out.dropped > 0 {
            tracing::info!(
                messages = laid_out.dropped,
                "the oldest messages do not fit"
            );
        }
        let standings = &self.shared.standings;
        standings.complain(&self.model.path, self.chat.complaint());
        job.begin_conversation(laid_out);
        Ok(())
    }

    /// Embeds text after text, chunk by chunk.
    pub(super) fn embed(&mut self, job: &mut EmbedJob, ready: &Ready) -> Result<Turn, String> {
        let threads = self.shared.options.thread_count();
        let embedder = match &mut self.embedder {
            Some(embedder) => embedder,
            none => none.insert(Embedder::new(self.weights, threads)?),
        };
        loop {
            if job.is_abandoned() || self.shared.queue.is_closed() {
                return Ok(Turn::Ended);
            }
            let queue = &self.shared.queue;
            if queue.waits_before(job.priority, |task| ready.allows(task)) {
                return Ok(Turn::PutAside);
            }
            match embedder.step(job, &self.vocab, self.speed.chunk_tokens)? {
                Embedded::Partly { tokens } => self.shared.count_step(tokens as u64),
                Embedded::All => {
                    job.finish();
                    return Ok(Turn::Ended);
                }
            }
        }
    }
}
