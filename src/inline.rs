//! Inline completion: the way of a request from a cursor to a ghost text.
//!
//! [`Engine::complete`] is that way, top to bottom. Called by `server/inline_completion` and by
//! `cli/complete`; asks the router for a model and knows neither the protocol nor any backend.
//!
//! Invariants: a completion belongs to the place it was made for ([`place::fit`] decides); at most one
//! generation runs per engine; a request that is dropped or superseded leaves the generation running
//! for the next one, and a text that diverges ends it at once.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backend::{Priority, Request, StopReason};
use crate::config::{Role, Settings};
use crate::document::{Document, Edit};
use crate::metrics::Metrics;
use crate::prompt::window;
use crate::router::{Route, Router};

mod cache;
mod lines;
mod live;
mod place;
mod postprocess;
mod stop;
mod syntax;
mod trigger;

pub use live::Trace;
pub use trigger::Skip;

use cache::Cache;
use live::{Live, Rest, Waited, Watch};
use place::{Fit, Place};
use postprocess::Style;
use stop::Shape;
use syntax::{Indent, Syntax};
use trigger::Files;

/// A request for a completion.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The document as it was when the request came.
    pub document: Document,
    /// The cursor, in bytes.
    pub offset_bytes: usize,
    /// Whether a person asked, rather than the editor on a key.
    pub explicit: bool,
    /// The entry selected in the editor's completion list, which the completion must extend.
    pub selected: Option<Selected>,
}

/// An entry of the editor's completion list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// What it would replace, in bytes.
    pub range_bytes: Range<usize>,
    /// What it would insert.
    pub text: String,
}

/// A completion that belongs to the document it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What is replaced, in bytes; on one line.
    pub range_bytes: Range<usize>,
    /// What stands there afterwards; begins with what is replaced. Line ends are the document's.
    pub insert_text: String,
    /// Whether no more of it will come.
    pub whole: bool,
    /// Where it came from.
    pub source: Source,
    /// The generation behind it.
    pub trace: Trace,
}

/// Where a completion came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A text generated before.
    Cache,
    /// A generation that was running already.
    Joined,
    /// A generation of its own.
    Generated,
}

/// Why there is no completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// None is wanted here.
    Skipped(Skip),
    /// A newer request for the document came.
    Superseded,
    /// No backend serves the role.
    NoBackend,
    /// The backend failed; the router knows.
    Failed,
    /// The model had nothing to say that fits.
    Empty,
}

/// The completion engine: cache, the generation in flight, and who waits.
#[derive(Debug)]
pub struct Engine {
    router: Arc<Router>,
    settings: ArcSwap<Settings>,
    metrics: Arc<Metrics>,
    cache: Arc<Mutex<Cache>>,
    /// One generation at a time: a backend has one slot to give, and a second generation would only
    /// slow the first.
    live: Mutex<Option<Live>>,
    /// The newest request of each document.
    turns: DashMap<Arc<str>, CancellationToken>,
    /// What the grammars see at the places asked about.
    syntax: Syntax,
    /// Which files are kept out of prompts.
    files: ArcSwap<Files>,
}

impl Engine {
    /// An engine that has generated nothing yet.
    pub fn new(router: Arc<Router>, settings: Arc<Settings>, metrics: Arc<Metrics>) -> Self {
        Self {
            router,
            files: ArcSwap::from_pointee(Files::new(&settings.privacy, &[])),
            settings: ArcSwap::new(settings),
            metrics,
            cache: Arc::default(),
            live: Mutex::default(),
            turns: DashMap::new(),
            syntax: Syntax::default(),
        }
    }

    /// Uses other settings from the next request on.
    pub fn set_settings(&self, settings: Arc<Settings>) {
        let folders = self.files.load().folders().to_owned();
        self.files
            .store(Arc::new(Files::new(&settings.privacy, &folders)));
        self.settings.store(settings);
    }

    /// Reads the ignore files of these workspace folders from the next request on.
    pub fn set_folders(&self, folders: &[PathBuf]) {
        let privacy = &self.settings.load().privacy;
        self.files.store(Arc::new(Files::new(privacy, folders)));
    }

    /// Answers `ask`. Everything up to the first await happens in the order of the calls.
    pub async fn complete(&self, ask: Ask) -> Result<Completion, Nothing> {
        let started = Instant::now();
        let turn = self.begin_turn(&ask.document.uri);
        let answer = tokio::select! {
            biased;
            () = turn.cancelled() => Err(Nothing::Superseded),
            answer = self.answer(ask, started) => answer,
        };
        self.metrics.completion_answered(&answer, started.elapsed());
        answer
    }

    async fn answer(&self, ask: Ask, started: Instant) -> Result<Completion, Nothing> {
        let settings = self.settings.load_full();
        let Ask {
            document,
            offset_bytes,
            explicit,
            selected,
        } = ask;
        let target = Target::new(document, offset_bytes, selected);
        let place = Place::at(&target.document, target.offset_bytes)
            .ok_or(Nothing::Skipped(Skip::LongLine))?;
        let language_id = &target.document.language_id;
        trigger::check(&place, language_id, explicit, &settings, &self.files.load())
            .map_err(Nothing::Skipped)?;
        if let Some(completion) = self.cached(&place, &target) {
            return Ok(completion);
        }
        let deadline = started + settings.inline.deadline;
        if let Some(mut watch) = self.join(&place) {
            match watch.rest_at(&place, deadline).await {
                Err(Waited::Diverged) => {}
                waited => return target.complete(waited, &place, Source::Joined, &self.syntax),
            }
        }
        let route = self
            .router
            .ready(Role::Completion)
            .await
            .ok_or(Nothing::NoBackend)?;
        let mut watch = self.generate(&route, &place, &target, &settings);
        // The stream opens first; the parser works while the model does.
        tokio::task::yield_now().await;
        self.syntax.prepare(&target.document, target.offset_bytes);
        let waited = watch.rest_at(&place, deadline).await;
        target.complete(waited, &place, Source::Generated, &self.syntax)
    }

    fn cached(&self, place: &Place, target: &Target) -> Option<Completion> {
        let (entry, typed) = lock(&self.cache).find(place)?;
        let text = entry.text.get(typed..)?.to_owned();
        let rest = Rest {
            text,
            whole: true,
            trace: entry.trace,
        };
        target
            .complete(Ok(rest), place, Source::Cache, &self.syntax)
            .ok()
    }

    /// The generation in flight, if what was typed since agrees with it.
    fn join(&self, place: &Place) -> Option<Watch> {
        let live = lock(&self.live);
        let live = live.as_ref()?;
        match live.fit(place)? {
            Fit::Typed(_) | Fit::Ahead | Fit::Correcting => Some(live.watch()),
            Fit::Diverged => None,
        }
    }

    /// Starts a generation in the place of the one in flight, which ends.
    fn generate(
        &self,
        route: &Arc<Route>,
        place: &Place,
        target: &Target,
        settings: &Settings,
    ) -> Watch {
        let budget = route.backend.prompt_budget();
        let window = window::cut(
            &target.document.text,
            target.offset_bytes,
            budget.prefix_tokens,
            budget.suffix_tokens,
        );
        let prompt = route
            .family
            .lay_out(window.above, window.typed, window.after);
        let request = Request {
            model: route.model.clone(),
            prompt,
            max_tokens: settings.inline.max_tokens,
            stop: route.family.stops.iter().map(|&s| s.to_owned()).collect(),
            priority: Priority::Completion,
        };
        let trace = Trace {
            model: route.model.as_str().into(),
            backend: route.backend.name().into(),
            prompt_tokens: None,
            cached_tokens: None,
            generated_tokens: 0,
            first_token: None,
            total: std::time::Duration::ZERO,
            stop: StopReason::Cut,
        };
        let router = self.router.clone();
        let scene = self
            .syntax
            .scene(&target.document, target.offset_bytes, place);
        let multi_line = settings.inline.multi_line;
        let shape = Shape::of(place, &scene, multi_line, route.family.stops);
        let mut slot = lock(&self.live);
        // The old stream closes before the new one opens: nothing is queued at a backend.
        let live = Live::start(
            slot.take(),
            route.backend.stream(request),
            place.clone(),
            shape,
            trace,
            self.cache.clone(),
            move |error| router.report(&error),
        );
        let watch = live.watch();
        *slot = Some(live);
        watch
    }

    /// Whether a generation is running.
    pub fn is_busy(&self) -> bool {
        lock(&self.live).as_ref().is_some_and(Live::is_running)
    }

    /// Ends the generation in flight when it no longer fits `document`, whose last edit ended at
    /// `offset_bytes`. Costs nothing when none is in flight.
    pub fn document_changed(&self, document: &Document, offset_bytes: usize) {
        let mut slot = lock(&self.live);
        let Some(live) = slot.as_ref() else { return };
        if live.watch().origin.uri != document.uri {
            return;
        }
        let keep = Place::at(document, offset_bytes)
            .and_then(|now| live.fit(&now))
            .is_some_and(|fit| fit != Fit::Diverged);
        if !keep {
            slot.take();
        }
    }

    /// Ends everything that belongs to a document.
    pub fn document_closed(&self, uri: &str) {
        if let Some((_, turn)) = self.turns.remove(uri) {
            turn.cancel();
        }
        let mut slot = lock(&self.live);
        if slot
            .as_ref()
            .is_some_and(|live| live.watch().origin.uri.as_ref() == uri)
        {
            slot.take();
        }
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

/// Where the completion goes: the document as if the selected entry had been accepted, and what the
/// editor must replace.
#[derive(Debug)]
struct Target {
    document: Document,
    offset_bytes: usize,
    range_bytes: Range<usize>,
    selected: String,
}

impl Target {
    fn new(mut document: Document, offset_bytes: usize, selected: Option<Selected>) -> Self {
        let Some(Selected { range_bytes, text }) = selected else {
            return Self {
                document,
                offset_bytes,
                range_bytes: offset_bytes..offset_bytes,
                selected: String::new(),
            };
        };
        let edit = Edit {
            range_bytes: Some(range_bytes.clone()),
            text: text.clone(),
        };
        let offset_bytes = document.apply(&edit);
        Self {
            document,
            offset_bytes,
            range_bytes,
            selected: text,
        }
    }

    fn complete(
        &self,
        waited: Result<Rest, Waited>,
        place: &Place,
        source: Source,
        syntax: &Syntax,
    ) -> Result<Completion, Nothing> {
        let rest = waited.map_err(|why| match why {
            Waited::Failed => Nothing::Failed,
            Waited::Diverged | Waited::Empty => Nothing::Empty,
        })?;
        let style = Style {
            indent: Indent::near(&self.document.text, self.offset_bytes),
            cut_off: rest.whole && rest.trace.stop == StopReason::Length,
        };
        let shown = postprocess::shown(&rest.text, place, style).ok_or(Nothing::Empty)?;
        let shown = syntax
            .mend(&self.document, self.offset_bytes, shown)
            .ok_or(Nothing::Empty)?;
        let shown = postprocess::with_line_ends_of(&self.document, shown);
        Ok(Completion {
            range_bytes: self.range_bytes.clone(),
            insert_text: [self.selected.as_str(), shown.as_str()].concat(),
            whole: rest.whole,
            source,
            trace: rest.trace,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
