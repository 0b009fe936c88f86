//! Sequences to and from files, see [`kept`](crate::backend::embedded::kept).

use std::path::Path;

use llama_cpp_2::context::session::LlamaStateSeqFlags;
use llama_cpp_2::token::LlamaToken;

use super::{Cache, Failure, seq_id};
use crate::common_prefix::common_prefix;

impl Cache<'_> {
    /// The most tokens at the start of `history` that one sequence holds.
    pub(in crate::backend::embedded) fn cached_prefix(&self, history: &[LlamaToken]) -> usize {
        let slots = (0..super::SEQUENCES).map(|slot| self.slots.tokens(slot));
        slots
            .map(|tokens| common_prefix(tokens, history))
            .max()
            .unwrap_or(0)
    }

    /// Sequences with prompts of completions as a computation would give them, the last used first.
    pub(in crate::backend::embedded) fn keepable(&self) -> Vec<usize> {
        if self.divisible {
            self.slots.keepable()
        } else {
            Vec::new()
        }
    }

    /// Cuts a sequence to what is to be kept of it, and gives that with its bytes.
    pub(in crate::backend::embedded) fn cut_to_keep(
        &mut self,
        slot: usize,
    ) -> Result<(Vec<LlamaToken>, usize), Failure> {
        let keep = self.slots.exact_prompt(slot);
        self.cut(slot, keep)?;
        let flags = LlamaStateSeqFlags::empty();
        let bytes = self.context.state_seq_get_size_ext(seq_id(slot), flags);
        Ok((self.slots.tokens(slot).to_vec(), bytes))
    }

    /// Writes a sequence to a file.
    pub(in crate::backend::embedded) fn save(
        &self,
        slot: usize,
        path: &Path,
    ) -> Result<(), Failure> {
        let tokens = self.slots.tokens(slot);
        self.context
            .state_seq_save_file(path, seq_id(slot), tokens)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Reads a sequence from a file, in the place of the one unused for longest. `false` where it does
    /// not fit.
    pub(in crate::backend::embedded) fn load(
        &mut self,
        path: &Path,
        len: usize,
    ) -> Result<bool, Failure> {
        let slot = self.slots.oldest();
        if len >= self.capacity_tokens {
            return Ok(false);
        }
        let loaded = self.try_load(slot, path, len);
        self.or_forget(loaded)
    }

    fn try_load(&mut self, slot: usize, path: &Path, len: usize) -> Result<bool, Failure> {
        self.cut(slot, 0)?;
        if !self.make_room(slot, len)? {
            return Ok(false);
        }
        let (tokens, _) = self
            .context
            .state_seq_load_file(path, seq_id(slot), len)
            .map_err(|error| error.to_string())?;
        self.slots.extend(slot, &tokens);
        self.slots.touch(slot, tokens.len(), true);
        Ok(true)
    }
}
