//! Inline completion: the way of a request from a cursor to a ghost text.
//!
//! [`Engine::complete`] is that way, top to bottom. Called by `server/inline_completion` and by
//! `cli/complete`; asks the router for a model and knows neither the protocol nor any backend.
//!
//! Invariants: a completion belongs to the place it was made for (`place::fit` decides); at most one
//! generation runs per engine; a request that is dropped or superseded leaves the generation running
//! for the next one, and a text that diverges ends it at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backend::Priority;
use crate::config::{MultiLine, Role, Settings};
use crate::metrics::Metrics;
use crate::router::Router;

mod ask;
mod braces;
mod cache;
mod change;
mod debounce;
mod gate;
mod generate;
mod growth;
mod lines;
mod live;
mod notice;
mod outcome;
mod place;
mod postprocess;
mod prefetch;
mod stop;
mod surroundings;
mod syntax;
mod target;
mod trigger;
mod wanted;
mod wrapped;

pub use ask::{Ask, Completion, Nothing, Selected, Source, Trace, Update};
pub use gate::{Gate, GateCase};
pub use notice::Generation;
pub(crate) use place::opener_of;
pub use trigger::Skip;

use cache::Cache;
use debounce::Rhythm;
use growth::Growth;
use live::{Live, Waited, Watch};
use outcome::Outcomes;
use place::{Fit, Place};
use surroundings::{Parts, Surroundings};
use syntax::Syntax;
use target::Target;
use trigger::Files;

/// Bits of a completion's number that count; those above tell the engine. Clients keep 53 bits exactly.
const ENGINE_BITS: u32 = 40;

/// The completion engine: cache, the generation in flight, and who waits.
#[derive(Debug)]
pub struct Engine {
    router: Arc<Router>,
    settings: Arc<ArcSwap<Settings>>,
    metrics: Arc<Metrics>,
    cache: Arc<Mutex<Cache>>,
    /// One generation at a time: a backend has one slot to give, and a second generation would only
    /// slow the first.
    live: Arc<Mutex<Option<Live>>>,
    /// Held by the task that reads the generation's stream.
    slot: Arc<Semaphore>,
    /// The newest request of each document; it ends with the next request or change.
    turns: DashMap<Arc<str>, CancellationToken>,
    rhythm: Mutex<Rhythm>,
    outcomes: Mutex<Outcomes>,
    next_id: AtomicU64,
    /// Where a ghost text that has grown since it was answered goes. With somebody listening, the
    /// first safe partial is answered at once.
    updates: Option<mpsc::UnboundedSender<Update>>,
    /// Where it is told what each generation cost.
    generations: Option<mpsc::UnboundedSender<Generation>>,
    /// What the grammars see at the places asked about.
    syntax: Arc<Syntax>,
    /// Which files are kept out of prompts.
    files: Arc<ArcSwap<Files>>,
    /// What stands in front of prompts.
    surroundings: Surroundings,
}

impl Engine {
    /// An engine that has generated nothing yet.
    pub fn new(router: Arc<Router>, settings: Arc<Settings>, metrics: Arc<Metrics>) -> Self {
        let files = Arc::new(ArcSwap::from_pointee(Files::new(&settings.privacy, &[])));
        let settings = Arc::new(ArcSwap::new(settings));
        let live = Arc::default();
        let surroundings = Surroundings::new(Parts {
            router: Arc::clone(&router),
            settings: Arc::clone(&settings),
            files: Arc::clone(&files),
            live: Arc::clone(&live),
        });
        Self {
            router,
            files,
            settings,
            surroundings,
            metrics,
            cache: Arc::default(),
            live,
            slot: Arc::new(Semaphore::new(1)),
            turns: DashMap::new(),
            rhythm: Mutex::default(),
            outcomes: Mutex::default(),
            next_id: AtomicU64::new(1),
            updates: None,
            generations: None,
            syntax: Arc::default(),
        }
    }

    /// Sends what grows after it was answered to `updates`.
    #[must_use]
    pub fn with_updates(mut self, updates: mpsc::UnboundedSender<Update>) -> Self {
        self.updates = Some(updates);
        self
    }

    /// Tells `generations` what each generation was and cost, when it has ended.
    #[must_use]
    pub fn with_generations(mut self, generations: mpsc::UnboundedSender<Generation>) -> Self {
        self.generations = Some(generations);
        self
    }

    /// Numbers its completions apart from those of engines with another `number`; without, it is 0.
    #[must_use]
    pub fn numbered_apart(mut self, number: usize) -> Self {
        self.next_id = AtomicU64::new(((number as u64) << ENGINE_BITS) + 1);
        self
    }

    /// Whether the completion `id` is one of this engine's.
    pub fn has_made(&self, id: u64) -> bool {
        self.next_id.load(Ordering::Relaxed) >> ENGINE_BITS == id >> ENGINE_BITS
    }

    /// Answers `ask`. Everything up to the first await happens in the order of the calls.
    pub async fn complete(self: &Arc<Self>, ask: Ask) -> Result<Completion, Nothing> {
        let started = Instant::now();
        let turn = self.begin_turn(&ask.document.uri);
        self.surroundings.touched(&ask.document, ask.offset_bytes);
        let answer = tokio::select! {
            biased;
            () = turn.cancelled() => Err(Nothing::Superseded),
            answer = self.answer(ask, started, &turn) => answer,
        };
        self.metrics.completion_answered(&answer, started.elapsed());
        answer
    }

    async fn answer(
        self: &Arc<Self>,
        ask: Ask,
        started: Instant,
        turn: &CancellationToken,
    ) -> Result<Completion, Nothing> {
        let settings = self.settings.load_full();
        let inline = &settings.inline;
        let explicit = ask.explicit;
        let target = Target::new(ask.document, ask.offset_bytes, ask.selected);
        let place = Place::at(&target.document, target.offset_bytes)
            .ok_or(Nothing::Skipped(Skip::LongLine))?;
        let language_id = &target.document.language_id;
        let skip = trigger::check(&place, language_id, explicit, &settings, &self.files.load());
        let skip = match skip {
            // No model is asked here, but a text that is being typed along goes on being shown.
            Err(skip) if skip.is_of_place() => Some(skip),
            other => other.map(|()| None).map_err(Nothing::Skipped)?,
        };
        let wait = lock(&self.rhythm).key(&place, explicit, inline.debounce);
        let wants_lines = explicit && inline.multi_line != MultiLine::Never && place.at_line_end();
        if let Some(completion) = self.cached(&place, &target, wants_lines) {
            let completion = self.shown(completion, &place, &target, explicit)?;
            self.prefetch_end_of(&place, &target, &completion, &settings);
            return Ok(completion);
        }
        let origin = place.origin();
        if !explicit && lock(&self.cache).is_barren(&origin) {
            return Err(Nothing::Empty);
        }
        let deadline = if self.updates.is_some() {
            started
        } else {
            started + inline.deadline
        };
        if let Some(mut watch) = self.join(&place, skip.is_none(), wants_lines) {
            let joined = (&mut watch, &place, &target, Source::Joined);
            match self.first_shown(joined, deadline).await {
                Err(Waited::Diverged) => {}
                waited => {
                    let completion = self.shown(waited?, &place, &target, explicit)?;
                    self.follow_up(&completion, watch, &place, target, turn);
                    return Ok(completion);
                }
            }
        }
        if let Some(skip) = skip {
            return Err(Nothing::Skipped(skip));
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let route = self
            .router
            .ready(Role::Completion)
            .await
            .ok_or(Nothing::NoBackend)?;
        let mut watch = self.generate(&route, origin, &target, &settings, explicit, None);
        sent().await;
        // The parser works while the model does.
        while self.syntax.prepare(&target.document, target.offset_bytes) {
            tokio::task::yield_now().await;
        }
        let generated = (&mut watch, &place, &target, Source::Generated);
        let completion = self.first_shown(generated, deadline).await?;
        if let Some(first) = completion.trace.first_token {
            lock(&self.rhythm).answered(first);
            self.surroundings.answered(&completion.trace, first);
        }
        let completion = self.shown(completion, &place, &target, explicit)?;
        self.follow_up(&completion, watch, &place, target, turn);
        Ok(completion)
    }

    /// Waits for the first part of a generation that may be shown at a place. A partial that does not
    /// fit there is no answer yet: more of it may.
    async fn first_shown(
        &self,
        (watch, place, target, source): (&mut Watch, &Place, &Target, Source),
        deadline: Instant,
    ) -> Result<Completion, Waited> {
        let mut rest = watch.rest_at(place, deadline).await?;
        loop {
            let (whole, text) = (rest.whole, rest.text.clone());
            match target.complete(rest, place, source, &self.syntax) {
                Some(completion) => return Ok(completion),
                None if whole => return Err(Waited::Empty),
                None => rest = watch.more_at(place, &text).await?,
            }
        }
    }

    /// Lets the gate judge a completion and gives it its id.
    fn shown(
        &self,
        mut completion: Completion,
        place: &Place,
        target: &Target,
        explicit: bool,
    ) -> Result<Completion, Nothing> {
        completion.id = self.next_id.fetch_add(1, Ordering::Relaxed);
        if completion.source == Source::Generated {
            lock(&self.rhythm).generation_ended(true);
        }
        let start = target.start(place);
        if lock(&self.outcomes).show(&completion, place, start, explicit) {
            Ok(completion)
        } else {
            Err(Nothing::HeldBack)
        }
    }

    /// Sees to what comes after an answer: growth of a partial, or the next completion ahead of need.
    fn follow_up(
        self: &Arc<Self>,
        completion: &Completion,
        watch: Watch,
        place: &Place,
        target: Target,
        turn: &CancellationToken,
    ) {
        if completion.whole {
            self.prefetch_end_of(place, &target, completion, &self.settings.load());
        } else if let Some(updates) = &self.updates {
            let growth = Growth {
                watch,
                place: place.clone(),
                target,
                syntax: Arc::clone(&self.syntax),
            };
            let (updates, shown) = (updates.clone(), completion.clone());
            let (turn, engine, teller) = (turn.clone(), self.clone(), self.clone());
            let send = move |update: Update| {
                teller.metrics.completion_grown(&update.completion);
                lock(&teller.outcomes).grown(&update.completion);
                updates.send(update).is_ok()
            };
            tokio::spawn(async move {
                let grown = turn.run_until_cancelled(growth.follow(shown, send)).await;
                if let Some(Some((growth, shown))) = grown {
                    let settings = engine.settings.load();
                    engine.prefetch_end_of(&growth.place, &growth.target, &shown, &settings);
                }
            });
        }
    }

    fn cached(&self, place: &Place, target: &Target, wants_lines: bool) -> Option<Completion> {
        let rest = lock(&self.cache).find(place, wants_lines)?;
        target.complete(rest, place, Source::Cache, &self.syntax)
    }

    /// The generation in flight, if what was typed since agrees with it; where no completion is `asked`
    /// for, only if it is ahead of the person already. Who wants lines is not given the rest of one.
    fn join(&self, place: &Place, asked: bool, wants_lines: bool) -> Option<Watch> {
        let live = lock(&self.live);
        let live = live.as_ref()?;
        if wants_lines && !live.multi_line {
            return None;
        }
        match live.fit(place)? {
            (Fit::Typed(_), ahead) if asked || ahead => {}
            (Fit::Ahead | Fit::Correcting, _) if asked => {}
            _ => return None,
        }
        // What was a guess has somebody who waits now.
        live.urgency.raise(Priority::Completion);
        live.joined(place);
        Some(live.watch())
    }

    /// Whether a backend is at work for a completion.
    pub fn is_busy(&self) -> bool {
        lock(&self.live).as_ref().is_some_and(Live::is_running)
    }

    /// Settles the older request of the document at once.
    fn begin_turn(&self, uri: &Arc<str>) -> CancellationToken {
        let turn = CancellationToken::new();
        if let Some(older) = self.turns.insert(uri.clone(), turn.clone()) {
            older.cancel();
        }
        turn
    }
}

/// Lets a request that was just made go out, and the server that gets it begin. A server on this machine is
/// mostly woken on the sender's core, where it would wait for as long as the sender goes on.
async fn sent() {
    // A handler that does not end at once is polled again at once; only after the second turn have others
    // had theirs.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    std::thread::yield_now();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
