//! The engine's thread: loads, places, computes, puts aside.
//!
//! Started by [`Embedded::new`](super::Embedded::new), ends when the queue closes. Model and context
//! live on this thread's stack, the context in a frame inside the model's, so the borrow between them
//! is an ordinary one and nothing has to be `Send`. Between two steps, which are one chunk of prompt
//! or one token, it looks whether the job was given up, the engine is closing, or somebody more
//! important waits; a step can be broken off for the same reasons.

use std::sync::Arc;
use std::time::{Duration, Instant};

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::vocab::LlamaVocab;

use super::cache::{Cache, Extended, Refreshed};
use super::healing::Pieces;
use super::job::{Accepted, Job, Task};
use super::queue::{Abandon, Popped, Ticket};
use super::shared::Shared;
use super::speed::{Pace, Speed};
use super::{EmbeddedModel, EngineState, weights};
use crate::backend::{BackendError, Priority, StopReason};

mod words;

/// The thread's body.
pub(super) fn run(shared: &Arc<Shared>) {
    let _closing = CloseAtEnd(shared);
    let mut next = None;
    loop {
        let (ticket, task) = match next.take() {
            Some(taken) => taken,
            None => match shared.queue.pop(None) {
                Popped::Item(ticket, task) => (ticket, task),
                Popped::Idle => continue,
                Popped::Closed => return,
            },
        };
        if !task.is_abandoned() {
            next = with_model(shared, ticket, task);
        }
    }
}

/// Closes the queue when the thread ends, also by a panic: nobody may wait for an engine that is gone.
struct CloseAtEnd<'a>(&'a Shared);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.queue.close();
        self.0.state.send_replace(if std::thread::panicking() {
            EngineState::Failed {
                model: String::new(),
                message: "the engine broke down; restart the server and report it".to_owned(),
            }
        } else {
            EngineState::Unloaded
        });
    }
}

/// Loads the task's model and works with it until it is unused for too long or another one is
/// wanted. Gives the task that wants the other one.
fn with_model(shared: &Arc<Shared>, ticket: Ticket, mut task: Task) -> Option<(Ticket, Task)> {
    let wanted = Arc::clone(task.model());
    let name = wanted.name.clone();
    shared.state.send_replace(EngineState::Loading {
        model: name.clone(),
        percent: 0,
    });
    let started = Instant::now();
    let closing = Arc::clone(shared);
    let context_tokens = shared.options.context_tokens;
    let progress = move |share| {
        closing.show_loaded(share);
        !closing.queue.is_closed()
    };
    let model = match weights::load(&name, &wanted.path, context_tokens, progress) {
        Ok(weights::Loaded { model, remark }) => {
            shared.place_remark.store(Arc::new(remark));
            model
        }
        Err(message) => {
            load_failed(shared, task, message);
            return None;
        }
    };
    let (cache, speed) = match prepare(shared, &model) {
        Ok(prepared) => prepared,
        Err(message) => {
            let message = format!("{message}; set a smaller context, or choose a smaller model");
            load_failed(shared, task, message);
            return None;
        }
    };
    let took = started.elapsed();
    tracing::info!(model = %name, ?took, ?speed, "loaded");
    if let Task::Generate(job) = &mut task {
        job.load = Some(took);
    }
    shared.speed.store(Arc::new(Some(speed)));
    shared.budget.get_or_init(|| speed.budget());
    shared
        .state
        .send_replace(EngineState::Ready { model: name });
    let mut engine = Engine {
        shared,
        model: &wanted,
        vocab: model.vocab(),
        pieces: shared.options.healing.then(|| Pieces::of(&model.vocab())),
        weights: &model,
        chat: super::chat::Chat::of(&model),
        embedder: None,
        cache,
        speed,
        refresh_pace: Pace::default(),
    };
    let next = engine.serve(ticket, task);
    drop(engine);
    shared.speed.store(Arc::new(None));
    shared.complaint.store(Arc::new(None));
    shared.place_remark.store(Arc::new(None));
    drop(model);
    shared.state.send_replace(EngineState::Unloaded);
    next
}

fn prepare<'model>(
    shared: &Shared,
    model: &'model LlamaModel,
) -> Result<(Cache<'model>, Speed), String> {
    let options = &shared.options;
    let threads = i32::try_from(options.thread_count()).unwrap_or(i32::MAX);
    let mut cache = Cache::new(
        weights::backend()?,
        model,
        options.context_tokens,
        threads,
        options.splicing,
        &shared.interrupt,
    )?;
    let speed = cache.measure()?;
    Ok((cache, speed))
}

fn load_failed(shared: &Shared, task: Task, message: String) {
    let model = task.model().name.clone();
    tracing::warn!(%model, %message, "cannot load");
    let state = EngineState::Failed {
        model: model.clone(),
        message: message.clone(),
    };
    shared.state.send_replace(state);
    task.fail(BackendError::Load { model, message });
}

/// Everything about the loaded model.
struct Engine<'a> {
    shared: &'a Shared,
    model: &'a EmbeddedModel,
    vocab: LlamaVocab<'a>,
    /// `None` when token healing is off.
    pieces: Option<Pieces>,
    weights: &'a LlamaModel,
    chat: super::chat::Chat,
    /// Made when the first text is embedded.
    embedder: Option<super::embedder::Embedder<'a>>,
    cache: Cache<'a>,
    speed: Speed,
    refresh_pace: Pace,
}

/// What became of a job.
enum Turn {
    Ended,
    /// Somebody more important waits.
    PutAside,
}

impl Engine<'_> {
    /// Works on what comes. Ends with a task for another model, or without one when idle or closed.
    fn serve(&mut self, ticket: Ticket, task: Task) -> Option<(Ticket, Task)> {
        let mut current = (ticket, task);
        loop {
            let (ticket, task) = current;
            if task.model().path != self.model.path {
                return Some((ticket, task));
            }
            let working = self.shared.busy.working();
            match task {
                Task::Load(load) => drop(load.done.send(Ok(()))),
                Task::Generate(mut job) => match self.work_on(&mut job, ticket) {
                    Ok(Turn::Ended) => {}
                    Ok(Turn::PutAside) => self.shared.queue.put_back(ticket, Task::Generate(job)),
                    Err(message) => job.fail(self.shared.failed(message)),
                },
                Task::Embed(mut job) => match self.embed(&mut job, ticket) {
                    Ok(Turn::Ended) => {}
                    Ok(Turn::PutAside) => self.shared.queue.put_back(ticket, Task::Embed(job)),
                    Err(message) => job.fail(self.shared.failed(message)),
                },
            }
            drop(working);
            current = match self.wait() {
                Popped::Item(ticket, task) => (ticket, task),
                Popped::Idle | Popped::Closed => return None,
            };
        }
    }

    /// Waits for work. Meanwhile computes anew what was spliced, chunk by chunk.
    fn wait(&mut self) -> Popped<Task> {
        loop {
            match self.shared.queue.pop(Some(Duration::ZERO)) {
                Popped::Idle => {}
                popped => return popped,
            }
            let chunk_tokens = self.refresh_pace.chunk_tokens(self.speed);
            let before = self.cache.computed_tokens();
            let working = self.shared.busy.working();
            let step = self.shared.interrupt.nobodys_work();
            // Whoever came before the step began is not told that it did.
            let refreshed = if self.shared.queue.is_empty() {
                self.cache.refresh(chunk_tokens)
            } else {
                Ok(Refreshed::Interrupted)
            };
            drop((step, working));
            match refreshed {
                Ok(Refreshed::Chunk) => {
                    self.refresh_pace.speed_up();
                    let computed = self.cache.computed_tokens() - before;
                    self.shared.count_refreshed(computed);
                    self.shared.show_stale(self.cache.stale_tokens());
                }
                Ok(Refreshed::Interrupted) => self.refresh_pace.slow_down(),
                Ok(Refreshed::Nothing) => break,
                Err(message) => {
                    tracing::warn!(%message, "cannot refresh the cache");
                    break;
                }
            }
        }
        self.shared.queue.pop(self.shared.unload_after())
    }

    /// Prompt and answer are one loop: compute what is not computed of the history; once all is, the
    /// last logits give the next token, which joins the history.
    fn work_on(&mut self, job: &mut Job, ticket: Ticket) -> Result<Turn, String> {
        self.lay_out(job)?;
        let pieces = self.pieces.as_ref();
        job.encode_prompt(&self.vocab, pieces, self.cache.capacity_tokens())?;
        // An answer that a person asked for is not built on cells that saw other text.
        let may_move = ticket.priority != Priority::Chat;
        let placed = self
            .cache
            .place(&job.history, job.prompt_tokens(), may_move)?;
        if job.cached_tokens.is_none() {
            self.shared.count_moved(placed.moved_tokens);
        }
        job.note_cached(placed.cached_tokens);
        if job.generates_nothing() && placed.cached_tokens + 1 >= job.history.len() {
            job.finish(StopReason::Length);
            return Ok(Turn::Ended);
        }
        loop {
            // The chunk of a completion's prompt is finished when nobody waits for it any more: the next
            // key asks for the same prompt and a little more.
            let ends_with_asker = ticket.priority != Priority::Completion || job.is_answering();
            let interruptible = self.cache.can_be_interrupted().then(|| {
                let interrupt = &self.shared.interrupt;
                interrupt.work(job.number, ticket.priority, ends_with_asker)
            });
            // Looked at after the step began: whoever came before is not told that it did.
            if job.is_abandoned() || self.shared.queue.is_closed() {
                return Ok(Turn::Ended);
            }
            if self.shared.queue.waits_before(ticket.priority) {
                return Ok(Turn::PutAside);
            }
            let chunk_tokens = job.pace.chunk_tokens(self.speed);
            let before = self.cache.computed_tokens();
            let choose = |logits: &[f32]| job.choose(pieces, logits);
            let step = self
                .cache
                .extend(placed.slot, &job.history, chunk_tokens, choose)?;
            drop(interruptible);
            let computed = self.cache.computed_tokens() - before;
            if computed > 0 {
                self.shared.count_step(computed);
            }
            // Before the asker hears of the end, so that it can wait for the refresh.
            self.shared.show_stale(self.cache.stale_tokens());
            match step {
                Extended::Partly => job.pace.speed_up(),
                Extended::Interrupted => job.pace.slow_down(),
                Extended::Next(_) if job.generates_nothing() => {
                    job.finish(StopReason::Length);
                    return Ok(Turn::Ended);
                }
                Extended::Next(token) => {
                    if job.is_at_typed_text() {
                        self.cache.remember(&job.history);
                    }
                    if job.accept(&self.vocab, token) == Accepted::Finished {
                        return Ok(Turn::Ended);
                    }
                }
                Extended::Full => {
                    job.finish(StopReason::Length);
                    return Ok(Turn::Ended);
                }
            }
        }
    }
}
