//! The engine's thread: loads, places, computes, puts aside.
//!
//! Started by [`Embedded::new`](super::Embedded::new), ends when the queue closes. Model and context
//! live on this thread's stack, the context in a frame inside the model's, so the borrow between them
//! is an ordinary one and nothing has to be `Send`. Between two steps, which are one chunk of prompt
//! or one token, it looks whether the job was given up, the engine is closing, or somebody more
//! important waits.

use std::sync::Arc;
use std::time::Instant;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::vocab::LlamaVocab;

use super::cache::{Cache, Extended};
use super::healing::Pieces;
use super::job::{Accepted, Job, Task};
use super::queue::{Abandon, Popped, Ticket};
use super::shared::Shared;
use super::speed::Speed;
use super::{EmbeddedModel, EngineState, weights};
use crate::backend::{BackendError, StopReason};

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
    });
    let started = Instant::now();
    let closing = Arc::clone(shared);
    let context_tokens = shared.options.context_tokens;
    let go_on = move || !closing.queue.is_closed();
    let model = match weights::load(&name, &wanted.path, context_tokens, go_on) {
        Ok(model) => model,
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
        cache,
        speed,
    };
    let next = engine.serve(ticket, task);
    drop(engine);
    shared.speed.store(Arc::new(None));
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
    let mut cache = Cache::new(weights::backend()?, model, options.context_tokens, threads)?;
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
    cache: Cache<'a>,
    speed: Speed,
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
            match task {
                Task::Load(load) => drop(load.done.send(Ok(()))),
                Task::Generate(mut job) => match self.work_on(&mut job, ticket) {
                    Ok(Turn::Ended) => {}
                    Ok(Turn::PutAside) => self.shared.queue.put_back(ticket, Task::Generate(job)),
                    Err(message) => job.fail(self.shared.failed(message)),
                },
            }
            current = match self.shared.queue.pop(self.shared.unload_after()) {
                Popped::Item(ticket, task) => (ticket, task),
                Popped::Idle | Popped::Closed => return None,
            };
        }
    }

    /// Prompt and answer are one loop: compute what is not computed of the history; once all is, the
    /// last logits give the next token, which joins the history.
    fn work_on(&mut self, job: &mut Job, ticket: Ticket) -> Result<Turn, String> {
        let pieces = self.pieces.as_ref();
        job.encode_prompt(&self.vocab, pieces, self.cache.capacity_tokens())?;
        let (slot, cached) = self.cache.place(&job.history)?;
        job.note_cached(cached);
        let mut held = cached;
        loop {
            if job.is_abandoned() || self.shared.queue.is_closed() {
                return Ok(Turn::Ended);
            }
            if self.shared.queue.waits_before(ticket.priority) {
                return Ok(Turn::PutAside);
            }
            let choose = |logits: &[f32]| job.choose(pieces, logits);
            let step = self
                .cache
                .extend(slot, &job.history, self.speed.chunk_tokens, choose)?;
            let now_held = self.cache.held_tokens(slot);
            if now_held > held {
                self.shared.count_step(now_held - held);
            }
            held = now_held;
            match step {
                Extended::Partly => {}
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
