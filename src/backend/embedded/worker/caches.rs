//! The contexts of one model: one for what is typed, and one for what is talked about.
//!
//! Text that is cached at another place is moved by turning its keys, and where llama.cpp does that it turns
//! those of every cell of a context, used or not: 196 ms for 8,192 cells (Qwen2.5-Coder 1.5B, two cores,
//! November 2026). So completions have a context that is no larger than their prompts need, and a
//! conversation puts none of them out. On a machine so fast that these prompts are long, both share one.

use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;

use super::super::cache::{Cache, Failure, SEQUENCES};
use super::super::interrupt::Interrupt;
use super::super::options::EngineOptions;
use super::super::speed::Speed;
use super::super::weights;
use crate::backend::PromptBudget;

/// The longest answer to a completion, in tokens, that a context is laid out for.
const ANSWER_TOKENS: usize = 128;

/// Prompts beside the cached ones: the one that is computed anew.
const REFRESHED: usize = 1;

/// Sizes are multiples of this, in tokens: llama.cpp pads what attention looks at to as many.
const STEP_TOKENS: usize = 256;

/// What a context is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Completions, guesses and warm-ups.
    Typing,
    /// All that is longer: chat and actions.
    Talk,
}

/// The contexts, each made when it is first needed.
pub(super) struct Caches<'a> {
    model: &'a LlamaModel,
    options: EngineOptions,
    interrupt: Arc<Interrupt>,
    threads: usize,
    typing: Option<Cache<'a>>,
    talk: Option<Cache<'a>>,
    /// Cells of the context for typing; `None` where it serves for all.
    typing_tokens: Option<u32>,
}

impl<'a> Caches<'a> {
    /// Makes the context for the first purpose, and measures it.
    ///
    /// # Errors
    /// What llama.cpp says.
    pub(super) fn new(
        model: &'a LlamaModel,
        options: &EngineOptions,
        interrupt: &Arc<Interrupt>,
        first: Purpose,
    ) -> Result<(Self, Speed), Failure> {
        let mut caches = Self {
            model,
            options: options.clone(),
            interrupt: Arc::clone(interrupt),
            threads: options.thread_count(),
            typing: None,
            talk: None,
            typing_tokens: None,
        };
        let whole = caches.capacity_tokens();
        // On slow machines, whose users wait for it, the first guess is right.
        let guess = match first {
            Purpose::Typing => typing_tokens(PromptBudget::SMALLEST, whole).unwrap_or(whole),
            Purpose::Talk => whole,
        };
        let mut cache = caches.make(guess)?;
        let speed = cache.measure()?;
        caches.typing_tokens = typing_tokens(speed.budget(), whole);
        let first = caches.or_shared(first);
        if caches.tokens_for(first) == guess {
            if first == Purpose::Typing {
                cache.prepare_to_move()?;
            }
            *caches.place(first) = Some(cache);
        } else {
            drop(cache);
            // Now, and not at the first key.
            caches.of(first)?;
        }
        Ok((caches, speed))
    }

    /// Which context is for a prompt with an answer of so many tokens together; `talks` for one that is
    /// no completion.
    pub(super) fn purpose_of(&self, tokens: usize, talks: bool) -> Purpose {
        let fits = tokens <= self.tokens_for(Purpose::Typing) as usize;
        self.or_shared(if talks || !fits {
            Purpose::Talk
        } else {
            Purpose::Typing
        })
    }

    /// A context, made if there is none.
    ///
    /// # Errors
    /// What llama.cpp says.
    pub(super) fn of(&mut self, purpose: Purpose) -> Result<&mut Cache<'a>, Failure> {
        if self.place(purpose).is_none() {
            let mut made = self.make(self.tokens_for(purpose))?;
            // Nothing is moved in the other one.
            if purpose == Purpose::Typing {
                made.prepare_to_move()?;
            }
            *self.place(purpose) = Some(made);
        }
        let place = self.place(purpose).as_mut();
        place.ok_or_else(|| "there is no context".to_owned())
    }

    fn place(&mut self, purpose: Purpose) -> &mut Option<Cache<'a>> {
        match purpose {
            Purpose::Typing => &mut self.typing,
            Purpose::Talk => &mut self.talk,
        }
    }

    fn tokens_for(&self, purpose: Purpose) -> u32 {
        match (purpose, self.typing_tokens) {
            (Purpose::Typing, Some(tokens)) => tokens,
            _ => self.capacity_tokens(),
        }
    }

    /// The context that serves a purpose: the one for typing, where that serves for all.
    fn or_shared(&self, purpose: Purpose) -> Purpose {
        self.typing_tokens.map_or(Purpose::Typing, |_| purpose)
    }

    /// The context for typing, if it was needed.
    pub(super) fn typing(&mut self) -> Option<&mut Cache<'a>> {
        self.typing.as_mut()
    }

    /// The most tokens that a prompt and its answer may have together.
    pub(super) fn capacity_tokens(&self) -> u32 {
        let most = self.options.context_tokens;
        most.clamp(1, self.model.n_ctx_train().max(1))
    }

    /// Lets so many threads compute from now on.
    pub(super) fn set_threads(&mut self, threads: usize) {
        self.threads = threads;
        for cache in self.typing.iter_mut().chain(&mut self.talk) {
            cache.set_threads(threads);
        }
    }

    fn make(&self, tokens: u32) -> Result<Cache<'a>, Failure> {
        let threads = i32::try_from(self.threads).unwrap_or(i32::MAX);
        let (backend, splicing) = (weights::backend()?, self.options.splicing);
        Cache::new(
            backend,
            self.model,
            tokens,
            threads,
            splicing,
            &self.interrupt,
        )
    }
}

/// How many cells completions need with prompts of this budget; `None` where that is not much less than
/// the `whole`.
pub(in crate::backend::embedded) fn typing_tokens(budget: PromptBudget, whole: u32) -> Option<u32> {
    let prompt = budget.prefix_tokens + budget.suffix_tokens + budget.context_tokens;
    let tokens = (SEQUENCES + REFRESHED) * (prompt + ANSWER_TOKENS);
    let tokens = u32::try_from(tokens.next_multiple_of(STEP_TOKENS)).unwrap_or(u32::MAX);
    (tokens <= whole / 2).then_some(tokens)
}

#[cfg(test)]
mod tests {
    use super::typing_tokens;
    use crate::backend::PromptBudget;

    #[test]
    fn completions_have_a_small_context_where_prompts_are_short() {
        for (tokens_per_second, whole, expected) in [
            (40.0, 8192, Some(2816)),
            (400.0, 8192, Some(3072)),
            (1_000.0, 8192, None),
            (40.0, 6144, Some(2816)),
            (40.0, 4096, None),
            (60_000.0, 8192, None),
        ] {
            let budget = PromptBudget::at_speed(tokens_per_second);
            let tokens = typing_tokens(budget, whole);
            assert_eq!(tokens, expected, "{tokens_per_second} {whole}");
        }
    }
}
