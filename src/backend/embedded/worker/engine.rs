//! One model at work: place, compute, put aside.
//!
//! Called by the worker through [`Resident`](super::resident::Resident). Between two steps, which are one
//! chunk of prompt or one token, it looks whether the job was given up, the engine is closing, or somebody
//! more important waits; a step can be broken off for the same reasons.

use std::time::{Duration, Instant};

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use super::super::cache::{Extended, Next, Refreshed};
use super::super::chat::Chat;
use super::super::choice::Choosing;
use super::super::draft::{self, Drafts, Guess};
use super::super::embedder::Embedder;
use super::super::healing::Pieces;
use super::super::job::{Accepted, Job};
use super::super::kept::Kept;
use super::super::shared::Shared;
use super::super::slots::Moving;
use super::super::speed::{Pace, Speed};
use super::super::stretch::Stretch;
use super::super::threads::Threads;
use super::super::{Drafting, EmbeddedModel};
use super::Ready;
use super::caches::{Caches, Purpose};
use super::resident::Weights;
use crate::backend::{Priority, StopReason};

/// What a state on disk depends on beside the model: the layout of llama.cpp's states and the numbers
/// that its kernels give. The version of llama-cpp-sys-2.
const STATE_VERSION: &str = "0.1.161";

/// Everything about a loaded model.
pub(super) struct Engine<'a> {
    pub(super) shared: &'a Shared,
    pub(super) model: &'a EmbeddedModel,
    pub(super) vocab: LlamaVocab<'a>,
    /// `None` when token healing is off.
    pieces: Option<Pieces>,
    pub(super) weights: &'a LlamaModel,
    pub(super) chat: Chat,
    /// Made when the first text is embedded.
    pub(super) embedder: Option<Embedder<'a>>,
    pub(super) caches: Caches<'a>,
    pub(super) speed: Speed,
    threads: Threads,
    /// `None` where nothing is kept.
    kept: Option<Kept>,
    drafts: Drafts,
    refresh_pace: Pace,
    given_up: GivenUp,
    /// Whether steps of prompts may be broken off at any time, as the last one showed.
    breakable: bool,
    /// What it added to the count of stale tokens.
    shown_stale: usize,
}

/// Paces of prompts whose askers give up before a chunk of them is computed.
#[derive(Debug, Default)]
struct GivenUp {
    /// Of those that a person waits for.
    waited_for: Pace,
    /// Of what is computed ahead, which most keys end.
    ahead: Pace,
}

impl GivenUp {
    fn of(&mut self, priority: Priority) -> &mut Pace {
        match priority {
            Priority::Prefetch | Priority::WarmUp => &mut self.ahead,
            Priority::Completion | Priority::Chat | Priority::Embedding => &mut self.waited_for,
        }
    }
}

/// What became of a job.
pub(super) enum Turn {
    Ended,
    /// Somebody more important waits.
    PutAside,
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        self.shared.show_stale(self.shown_stale, 0);
        self.keep_prompts();
    }
}

impl<'a> Engine<'a> {
    /// # Errors
    /// What llama.cpp says.
    pub(super) fn of(weights: &'a Weights) -> Result<Self, String> {
        let (shared, model) = (&*weights.shared, &weights.loaded);
        let options = &shared.options;
        let (caches, speed) = Caches::new(model, options, &shared.interrupt, weights.first)?;
        let vocab = model.vocab();
        Ok(Self {
            shared,
            model: &weights.model,
            pieces: options.healing.then(|| Pieces::of(&vocab)),
            vocab,
            weights: model,
            chat: Chat::of(model),
            embedder: None,
            caches,
            speed,
            threads: Threads::new(options.thread_count(), Instant::now()),
            kept: options
                .state_dir
                .as_deref()
                .map(|root| Kept::of(root, &weights.model, STATE_VERSION)),
            drafts: Drafts::new(speed),
            refresh_pace: Pace::default(),
            given_up: GivenUp::default(),
            breakable: false,
            shown_stale: 0,
        })
    }

    pub(super) fn speed(&self) -> Speed {
        self.speed
    }

    /// Computes a chunk anew. `false` when there is nothing to do.
    pub(super) fn refresh(&mut self, ready: &Ready) -> bool {
        let chunk_tokens = self.refresh_pace.chunk_tokens(self.speed);
        let Some(cache) = self.caches.typing() else {
            return false;
        };
        let before = cache.computed_tokens();
        let working = self.shared.busy.working();
        let interrupt = &self.shared.interrupt;
        let step = cache.deaf().map(|deaf| interrupt.nobodys_work(deaf));
        // Whoever came before the step began is not told that it did.
        let refreshed = if self.shared.queue.is_empty(|task| ready.allows(task)) {
            cache.refresh(chunk_tokens)
        } else {
            Ok(Refreshed::Interrupted)
        };
        drop((step, working));
        match refreshed {
            Ok(Refreshed::Chunk) => {
                self.refresh_pace.speed_up(false);
                let computed = cache.computed_tokens() - before;
                self.shared.count_refreshed(computed);
                self.show_stale();
            }
            Ok(Refreshed::Interrupted) => self.refresh_pace.slow_down(),
            Ok(Refreshed::Nothing) => return false,
            Err(message) => {
                tracing::warn!(%message, "cannot refresh the cache");
                return false;
            }
        }
        true
    }

    /// Prompt and answer are one loop: compute what is not computed of the history; once all is, the
    /// last logits give the next token, which joins the history.
    pub(super) fn generate(&mut self, job: &mut Job, ready: &Ready) -> Result<Turn, String> {
        self.lay_out(job)?;
        let pieces = self.pieces.as_ref();
        let capacity_tokens = self.caches.capacity_tokens() as usize;
        job.encode_prompt(&self.vocab, pieces, capacity_tokens)?;
        let talks = job.priority() == Priority::Chat;
        let purpose = self.caches.purpose_of(job.most_tokens(), talks);
        let moving = moving(job.priority(), purpose);
        if job.cached_tokens.is_none() && moving != Moving::Never {
            self.load_kept(&job.history)?;
        }
        let cache = self.caches.of(purpose)?;
        let placed = cache.place(&job.history, job.prompt_tokens(), moving)?;
        if job.cached_tokens.is_none() {
            let turned_here = cache.has_turned();
            self.shared.count_moved(placed.moved_tokens, turned_here);
            job.pace = *self.given_up.of(job.priority());
        }
        job.note_cached(placed.cached_tokens);
        if job.generates_nothing() && placed.cached_tokens >= job.history.len() {
            job.finish(StopReason::Length);
            return Ok(Turn::Ended);
        }
        let drafting = self.shared.options.drafting;
        let mut undecided = false;
        loop {
            let cache = self.caches.of(purpose)?;
            let chunk = job.pace.chunk(self.speed, self.breakable);
            let step = cache.next_step(placed.slot, job.history.len(), chunk);
            let (beside, is_last) = (step.len(), step.end == job.history.len());
            let interruptible = cache.deaf().map(|deaf| {
                let prompt = job.prompt.as_ref().filter(|_| !job.is_answering());
                let stretch = prompt.and_then(|p| Stretch::of(p, &self.vocab, &job.history, step));
                let interrupt = &self.shared.interrupt;
                interrupt.work(job.number, job.priority(), deaf, stretch)
            });
            // Looked at after the step began: whoever came before is not told that it did.
            if job.is_abandoned() || self.shared.queue.is_closed() {
                return Ok(Turn::Ended);
            }
            let waits = |priority| {
                let queue = &self.shared.queue;
                queue.waits_before(priority, |task| ready.allows(task))
            };
            if waits(job.priority()) {
                return Ok(Turn::PutAside);
            }
            let guess = guess_at(job).filter(|_| drafting != Drafting::Off);
            let draftable = |guess: &[LlamaToken]| job.draftable(&self.vocab, guess);
            let guess_now = guess.filter(|_| !undecided && is_last);
            let draft = (self.drafts).of(guess_now, drafting, beside, draftable);
            let before = cache.computed_tokens();
            let started = Instant::now();
            let choosing = Choosing {
                vocab: &self.vocab,
                pieces: self.pieces.as_ref(),
                typed: &job.typed,
                remembers: job.is_completion(),
                recalls: !job.generates_nothing(),
            };
            let step = cache.extend(placed.slot, &job.history, draft, chunk, choosing)?;
            drop(interruptible);
            let elapsed = started.elapsed();
            let computed = cache.computed_tokens() - before;
            self.note_step(computed, elapsed);
            if let Extended::Next(next) = &step {
                undecided = next.undecided;
                self.note_guess(job, guess, computed, next);
                if job.is_answering() {
                    self.note_draft(draft.len(), next.tokens.len(), computed, elapsed);
                }
            }
            // Before the asker hears of the end, so that it can wait for the refresh.
            self.show_stale();
            match step {
                Extended::Partly => {
                    job.pace.speed_up(self.breakable);
                    self.given_up.of(job.priority()).speed_up(false);
                }
                Extended::Interrupted => {
                    job.pace.slow_down();
                    if job.is_abandoned() && !job.is_answering() {
                        self.given_up.of(job.priority()).slow_down();
                    }
                }
                Extended::Next(_) if job.generates_nothing() => {
                    job.finish(StopReason::Length);
                    return Ok(Turn::Ended);
                }
                Extended::Next(next) => {
                    for token in next.tokens {
                        if job.accept(&self.vocab, token) == Accepted::Finished {
                            return Ok(Turn::Ended);
                        }
                    }
                }
                Extended::Full => {
                    job.finish(StopReason::Length);
                    return Ok(Turn::Ended);
                }
            }
        }
    }

    /// Puts what was kept of a prompt into the cache, where that is quicker than computing it.
    fn load_kept(&mut self, history: &[LlamaToken]) -> Result<(), String> {
        let Some(kept) = &mut self.kept else {
            return Ok(());
        };
        let cache = self.caches.of(Purpose::Typing)?;
        let cached = cache.cached_prefix(history);
        let per_second = self.speed.prompt_tokens_per_second;
        let Some(found) = kept.find(history, cached, per_second) else {
            return Ok(());
        };
        let loaded = if kept.check(&found.path) {
            cache.load(&found.path, found.len)
        } else {
            Ok(false)
        };
        match loaded {
            Ok(loaded) => tracing::debug!(loaded, tokens = found.common, "a kept prompt"),
            Err(message) => {
                tracing::warn!(%message, "a kept prompt cannot be read");
                kept.forget(&found.path);
            }
        }
        Ok(())
    }

    /// Keeps the prompts that are worth it. The sequences are cut for that: it is the end.
    fn keep_prompts(&mut self) {
        let (Some(kept), Some(cache)) = (&mut self.kept, self.caches.typing()) else {
            return;
        };
        for slot in cache.keepable() {
            let Ok((tokens, bytes)) = cache.cut_to_keep(slot) else {
                return;
            };
            let per_second = self.speed.prompt_tokens_per_second;
            if kept.has(&tokens) || !Kept::is_worth(tokens.len(), bytes, per_second) {
                continue;
            }
            if let Err(message) = kept.keep(&tokens, |path| cache.save(slot, path)) {
                tracing::warn!(%message, "a prompt cannot be kept on disk");
                return;
            }
        }
    }

    /// A step computed so many tokens, 0 when it was broken off.
    fn note_step(&mut self, tokens: u64, elapsed: Duration) {
        if tokens > 0 {
            self.shared.count_step(tokens);
        }
        match tokens {
            0 => {}
            1 => self.follow_the_load(elapsed),
            _ => self.breakable = self.was_breakable(),
        }
    }

    /// What came where there was a guess. Of what was typed only where something was computed: where all is
    /// remembered, it is mostly a part of a word that was looked at with the keys before.
    fn note_guess(&mut self, job: &Job, guess: Option<Guess<'_>>, computed: u64, next: &Next) {
        if job.is_answering() || computed > 0 {
            self.drafts.learn(guess, &next.tokens);
        }
    }

    /// A step of an answer, with such a draft, gave so many tokens: of one, and the draft where there was one;
    /// of more where it was put aside before.
    fn note_draft(&mut self, draft: usize, tokens: usize, computed: u64, elapsed: Duration) {
        let computed = usize::try_from(computed).unwrap_or(usize::MAX);
        if computed == 1 || computed == 1 + draft {
            self.shared.count_drafted(computed - 1, tokens);
            self.drafts.stepped(computed, elapsed);
        }
    }

    /// Whether the last step could be broken off at any time: a graphics device does not ask within one, a
    /// processor does in each layer.
    fn was_breakable(&self) -> bool {
        self.shared.interrupt.times_asked() >= u64::from(self.weights.n_layer())
    }

    /// A step of one token took so long: fewer threads may be better, or more.
    fn follow_the_load(&mut self, elapsed: Duration) {
        if let Some(threads) = self.threads.stepped(elapsed, Instant::now()) {
            tracing::debug!(threads, "another number of threads");
            self.caches.set_threads(threads);
        }
    }

    fn show_stale(&mut self) {
        let stale = self.caches.typing().map_or(0, |c| c.stale_tokens());
        self.shared.show_stale(self.shown_stale, stale);
        self.shown_stale = stale;
    }
}

/// What may come next: in an answer that is begun what stood behind the same tokens, and before it what was
/// typed. Not in what is computed ahead: it begins where a text ended, which is spelled out otherwise.
fn guess_at(job: &Job) -> Option<Guess<'_>> {
    if job.is_answering() {
        draft::guess(&job.history)
    } else if job.priority() == Priority::Completion {
        Guess::typed(&job.typed)
    } else {
        None
    }
}

/// When cells of a prompt may be moved: an answer to a chat is not built on cells that saw other text, and a
/// warm-up is wanted by nobody yet.
fn moving(priority: Priority, purpose: Purpose) -> Moving {
    match priority {
        _ if purpose != Purpose::Typing => Moving::Never,
        Priority::Chat => Moving::Never,
        Priority::WarmUp => Moving::ForMost,
        _ => Moving::Always,
    }
}
