//! The engine's thread: which model works on what, and which models are in memory.
//!
//! Started by [`Embedded::new`](super::Embedded::new), ends when the queue closes. All models share it
//! and its queue, so whoever waits for a completion goes first whatever model it is for. Weights are
//! read by a thread of their own meanwhile, one model at a time: nothing waits for a load but what needs
//! that model. Where memory is short the model unused for longest gives way, though never for work that
//! nobody waits for; one that nobody used for long is unloaded.

mod caches;
mod engine;
mod resident;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(super) use self::caches::typing_tokens;
use self::engine::Turn;
use self::resident::Resident;
use super::job::{Loaded, Task};
use super::shared::Shared;
use super::standings::{EngineState, Known};
use super::{EmbeddedModel, weights};
use crate::backend::queue::{Arrival, Popped, Work};
use crate::backend::{BackendError, Priority};

/// The thread's body.
pub(super) fn run(shared: &Arc<Shared>) {
    let _closing = CloseAtEnd(shared);
    let mut worker = Worker {
        shared,
        residents: Vec::new(),
        loader: None,
    };
    while let Some((arrival, task)) = worker.next_task() {
        if !task.is_abandoned() {
            worker.take(arrival, task);
        }
    }
    // llama.cpp must be silent at the process's end, so the loader's last word is waited for.
    if let Some(loader) = worker.loader.take() {
        drop(loader.join());
    }
}

/// Closes the queue when the thread ends, also by a panic: nobody may wait for an engine that is gone.
struct CloseAtEnd<'a>(&'a Shared);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.queue.close();
        self.0.standings.clear();
        if std::thread::panicking() {
            tracing::error!("the engine broke down; restart the server and report it");
        }
    }
}

/// Which work can be done at once.
pub(super) struct Ready {
    /// Of the models in memory.
    files: Vec<PathBuf>,
    /// A model is being read: no other one is begun.
    is_loading: bool,
}

impl Ready {
    pub(super) fn allows(&self, task: &Task) -> bool {
        matches!(task, Task::Loaded(_))
            || !self.is_loading
            || self.files.contains(&task.model().path)
    }
}

struct Worker<'a> {
    shared: &'a Arc<Shared>,
    /// The last used one is the last.
    residents: Vec<Resident>,
    /// Reads weights, and queues a [`Task::Loaded`] at its end.
    loader: Option<JoinHandle<()>>,
}

impl Worker<'_> {
    /// Waits for work. Meanwhile computes anew what was spliced, and unloads what nobody uses. `None`
    /// at the end.
    fn next_task(&mut self) -> Option<(Arrival, Task)> {
        let ready = self.ready();
        let is_ready = |task: &Task| ready.allows(task);
        self.shared.show_at_work(false);
        loop {
            match self.shared.queue.pop(Some(Duration::ZERO), is_ready) {
                Popped::Item(arrival, task) => return Some((arrival, task)),
                Popped::Closed => return None,
                Popped::Idle => {}
            }
            let mut residents = self.residents.iter_mut().rev();
            if !residents.any(|resident| resident.refresh(&ready)) {
                break;
            }
        }
        loop {
            match self.shared.queue.pop(self.until_unload(), is_ready) {
                Popped::Item(arrival, task) => return Some((arrival, task)),
                Popped::Closed => return None,
                Popped::Idle => self.unload_unused(),
            }
        }
    }

    fn ready(&self) -> Ready {
        let files = self.residents.iter().map(|r| r.model().path.clone());
        Ready {
            files: files.collect(),
            is_loading: self.loader.is_some(),
        }
    }

    /// Works on one task until it is done, or somebody more important waits.
    fn take(&mut self, arrival: Arrival, task: Task) {
        if let Task::Loaded(loaded) = task {
            return self.settle(*loaded);
        }
        let file = &task.model().path;
        let Some(at) = self.residents.iter().position(|r| r.model().path == *file) else {
            return self.begin_load(arrival, task);
        };
        let mut resident = self.residents.remove(at);
        resident.used_for(task.priority());
        self.residents.push(resident);
        let ready = self.ready();
        let Some(resident) = self.residents.last_mut() else {
            return;
        };
        self.shared.show_at_work(true);
        let _working = self.shared.busy.working();
        match task {
            Task::Loaded(_) => {}
            Task::Load(load) => drop(load.done.send(Ok(()))),
            Task::Generate(mut job) => match resident.generate(&mut job, &ready) {
                Ok(Turn::Ended) => {}
                Ok(Turn::PutAside) => self.shared.queue.put_back(arrival, Task::Generate(job)),
                Err(message) => job.fail(self.shared.failed(message)),
            },
            Task::Embed(mut job) => match resident.embed(&mut job, &ready) {
                Ok(Turn::Ended) => {}
                Ok(Turn::PutAside) => self.shared.queue.put_back(arrival, Task::Embed(job)),
                Err(message) => job.fail(self.shared.failed(message)),
            },
        }
    }

    /// Lets the task's model be read; the task waits for it in the queue.
    fn begin_load(&mut self, arrival: Arrival, task: Task) {
        let model = Arc::clone(task.model());
        let for_completion = task.is_for_completion();
        let priority = task.priority();
        let planned = self.plan(&model, priority);
        self.shared.queue.put_back(arrival, task);
        let plan = match planned {
            Ok(plan) => plan,
            Err(message) => return self.load_failed(&model, &message),
        };
        self.shared.standings.loading(&model.path, 0.0);
        let shared = Arc::clone(self.shared);
        let of_loader = Arc::clone(&model);
        let load = move || {
            let started = Instant::now();
            let (showing, file) = (Arc::clone(&shared), of_loader.path.clone());
            let progress = move |share| {
                showing.standings.loading(&file, share);
                !showing.queue.is_closed()
            };
            let weights = weights::load(&of_loader.name, &plan, progress);
            shared.queue.push_own(Task::Loaded(Box::new(Loaded {
                model: of_loader,
                weights,
                needed_bytes: plan.needed_bytes,
                remark: plan.remark,
                took: started.elapsed(),
                priority,
                for_completion,
            })));
        };
        let loader = std::thread::Builder::new().name("ghostline-loader".to_owned());
        match loader.spawn(load) {
            Ok(loader) => self.loader = Some(loader),
            Err(error) => self.load_failed(&model, &format!("no thread to load it: {error}")),
        }
    }

    /// Makes room for a model: those unused for longest give way, as far as the work allows.
    fn plan(&mut self, model: &EmbeddedModel, priority: Priority) -> Result<weights::Plan, String> {
        let plan = weights::plan(&model.path, self.shared.options.context_tokens)?;
        loop {
            let used = weights::Used {
                files_bytes: self.residents.iter().map(Resident::file_bytes).sum(),
                bytes: self.residents.iter().map(Resident::needed_bytes).sum(),
            };
            let Err(message) = plan.check(&used, self.shared.options.memory_bytes) else {
                return Ok(plan);
            };
            let gives_way = |resident: &Resident| resident.gives_way_to(priority);
            let Some(at) = self.residents.iter().position(gives_way) else {
                return Err(message);
            };
            self.unload(at, "to make room");
        }
    }

    /// Takes what the loader has read.
    fn settle(&mut self, loaded: Loaded) {
        if let Some(loader) = self.loader.take() {
            drop(loader.join());
        }
        let started = Instant::now();
        let model = Arc::clone(&loaded.model);
        let (read, for_completion) = (loaded.took, loaded.for_completion);
        let remark = loaded.remark.clone();
        let resident = match Resident::new(Arc::clone(self.shared), loaded) {
            Ok(resident) => resident,
            Err(message) => return self.load_failed(&model, &message),
        };
        let took = read + started.elapsed();
        let speed = resident.speed();
        tracing::info!(model = %model.name, ?took, ?speed, "loaded");
        if for_completion {
            self.shared.budget.get_or_init(|| speed.budget());
        }
        let known = Known {
            state: EngineState::Ready,
            speed: Some(speed),
            complaint: None,
            place_remark: remark,
        };
        self.shared.standings.set(&model.path, known);
        self.shared.queue.for_each(|task| {
            if let Task::Generate(job) = task
                && job.model.path == model.path
            {
                job.load = Some(took);
            }
        });
        self.residents.push(resident);
    }

    /// Tells everybody who waits for the model.
    fn load_failed(&self, model: &EmbeddedModel, message: &str) {
        tracing::warn!(model = %model.name, %message, "cannot load");
        self.shared.standings.failed(&model.path, message);
        let waiting = self
            .shared
            .queue
            .take(|task| task.model().path == model.path);
        for task in waiting {
            let error = BackendError::Load {
                backend: self.shared.name.clone(),
                model: task.model().name.clone(),
                message: message.to_owned(),
            };
            task.fail(error);
        }
    }

    fn unload(&mut self, at: usize, why: &str) {
        let resident = self.residents.remove(at);
        let model = Arc::clone(resident.model());
        drop(resident);
        self.shared.standings.unloaded(&model.path);
        tracing::info!(model = %model.name, why, "unloaded");
    }

    /// The time until a model will have been unused for too long.
    fn until_unload(&self) -> Option<Duration> {
        let after = self.shared.options.unload_after?;
        let unused = self.residents.iter().map(Resident::unused).max()?;
        Some(after.saturating_sub(unused))
    }

    fn unload_unused(&mut self) {
        let Some(after) = self.shared.options.unload_after else {
            return;
        };
        while let Some(at) = self.residents.iter().position(|r| r.unused() >= after) {
            self.unload(at, "nobody used it");
        }
    }
}
