//! Moving sequences to other positions: here where the keys of the model turn as
//! [`turning`](crate::backend::embedded::turning) knows, by llama.cpp otherwise.

use llama_cpp_2::context::session::LlamaStateSeqFlags;
use llama_cpp_2::model::{LlamaModel, RopeType};
use llama_cpp_2::token::LlamaToken;

use super::{Cache, Failure, seq_id};
use crate::backend::embedded::Splicing;
use crate::backend::embedded::turning::{Turning, agree};

/// How far, and how many tokens are moved to see whether both ways agree.
const TRIED_BY: u16 = 100;
const TRIED_TOKENS: i32 = 2;

impl Cache<'_> {
    /// Finds out how text is moved here. Leaves nothing behind.
    pub(in crate::backend::embedded) fn prepare_to_move(&mut self) -> Result<(), Failure> {
        if self.splicing == Splicing::Off {
            return Ok(());
        }
        self.count_asks()?;
        // A graphics device turns all cells in less time than it takes to bring some here.
        if self.asks_while_turning.is_none() {
            return Ok(());
        }
        let Some(turning) = likely(self.model) else {
            return Ok(());
        };
        let tried = self.try_turning(&turning);
        let agrees = self.or_forget(tried)?;
        tracing::debug!(agrees, "keys of moved text are turned here");
        self.turning = agrees.then_some(turning);
        Ok(())
    }

    /// Whether the keys of all that was moved since the last step were turned here.
    pub(in crate::backend::embedded) fn has_turned(&self) -> bool {
        !self.turns_keys
    }

    /// Whether llama.cpp turns the same keys to the same, and takes back what was turned.
    fn try_turning(&mut self, turning: &Turning) -> Result<bool, Failure> {
        let tokens: Vec<_> = (1..=TRIED_TOKENS).map(LlamaToken::new).collect();
        self.decode(0, 0, &tokens, 1)?;
        let mut here = self.written(0);
        let understood = turning.turn(&mut here, TRIED_BY.into()).is_some();
        self.context
            .kv_cache_seq_add(0, None, None, TRIED_BY.into())
            .map_err(|error| error.to_string())?;
        // The step turns them first.
        let end = tokens.len() + usize::from(TRIED_BY);
        self.decode(0, end, &[LlamaToken::new(0)], 1)?;
        self.remove(0, end)?;
        let agrees = understood && agree(&here, &self.written(0));
        let taken = agrees && self.put(0, &here).is_ok() && self.written(0) == here;
        self.remove(0, 0)?;
        Ok(taken)
    }

    /// Moves a sequence, which shares its cells with no other.
    pub(super) fn shift(&mut self, sequence: usize, from: usize, to: usize) -> Result<(), Failure> {
        let signed = |at: usize| i32::try_from(at).unwrap_or(i32::MAX);
        let by = signed(to) - signed(from);
        if by == 0 {
            return Ok(());
        }
        if let Some(turning) = &self.turning {
            let mut cells = self.written(sequence);
            if turning.turn(&mut cells, by).is_some() {
                return self.put(sequence, &cells);
            }
        }
        self.turns_keys = true;
        self.context
            .kv_cache_seq_add(seq_id(sequence), None, None, by)
            .map_err(|error| error.to_string())
    }

    /// The cells of a sequence.
    fn written(&self, sequence: usize) -> Vec<u8> {
        let (sequence, flags) = (seq_id(sequence), LlamaStateSeqFlags::empty());
        let mut cells = vec![0; self.context.state_seq_get_size_ext(sequence, flags)];
        #[expect(unsafe_code, reason = "the safe wrapper hides the bytes")]
        // SAFETY: there is room for as much as llama.cpp says that it writes.
        let written = unsafe {
            self.context
                .state_seq_get_data_ext(cells.as_mut_ptr(), sequence, flags)
        };
        cells.truncate(written);
        cells
    }

    /// Gives a sequence these cells in place of its own.
    fn put(&mut self, sequence: usize, cells: &[u8]) -> Result<(), Failure> {
        let flags = LlamaStateSeqFlags::empty();
        #[expect(unsafe_code, reason = "the safe wrapper hides the bytes")]
        // SAFETY: llama.cpp wrote them itself, but for numbers of the same kind.
        let put = unsafe {
            self.context
                .state_seq_set_data_ext(cells, seq_id(sequence), flags)
        };
        put.then_some(())
            .ok_or_else(|| "the cells of a moved text are not taken back".to_owned())
    }
}

/// How the keys of the model turn, by what its file says of them.
fn likely(model: &LlamaModel) -> Option<Turning> {
    let halves = match model.rope_type()? {
        RopeType::NeoX => true,
        RopeType::Norm => false,
        _ => return None,
    };
    let of_model = |key: &str| model.meta_val_str(key).ok();
    let arch = of_model("general.architecture")?;
    let said = |key: &str| of_model(&format!("{arch}.{key}"));
    let count = |key: &str| said(key).and_then(|value| value.parse::<usize>().ok());
    let equal =
        usize::try_from(model.n_embd()).ok()? / usize::try_from(model.n_head()).ok()?.max(1);
    let head = count("attention.key_length").unwrap_or(equal);
    let turned = count("rope.dimension_count").unwrap_or(head);
    let base = said("rope.freq_base").and_then(|value| value.parse().ok());
    Turning::new(base.unwrap_or(10_000.0), head, turned, halves)
}
