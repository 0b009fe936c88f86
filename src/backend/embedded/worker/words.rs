//! The engine's work that is no completion: conversations laid out, texts embedded.
//!
//! A part of `worker`, called by it alone.

use std::sync::Arc;

use super::super::embedder::{EmbedJob, Embedded, Embedder};
use super::super::job::Job;
use super::super::queue::Ticket;
use super::{Engine, Turn};

impl Engine<'_> {
    /// Makes tokens of a conversation that has none yet.
    pub(super) fn lay_out(&mut self, job: &mut Job) -> Result<(), String> {
        let Some(conversation) = job.conversation() else {
            return Ok(());
        };
        let room_tokens = job.prompt_room_tokens(self.cache.capacity_tokens());
        let laid_out = self.chat.lay_out(conversation, &self.vocab, room_tokens)?;
        if laid_out.dropped > 0 {
            tracing::info!(
                messages = laid_out.dropped,
                "the oldest messages do not fit"
            );
        }
        let complaint = self.chat.complaint().map(str::to_owned);
        self.shared.complaint.store(Arc::new(complaint));
        job.begin_conversation(laid_out);
        Ok(())
    }

    /// Embeds text after text, chunk by chunk.
    pub(super) fn embed(&mut self, job: &mut EmbedJob, ticket: Ticket) -> Result<Turn, String> {
        let threads = self.shared.options.thread_count();
        let embedder = match &mut self.embedder {
            Some(embedder) => embedder,
            none => none.insert(Embedder::new(self.weights, threads)?),
        };
        loop {
            if job.is_abandoned() || self.shared.queue.is_closed() {
                return Ok(Turn::Ended);
            }
            if self.shared.queue.waits_before(ticket.priority) {
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
