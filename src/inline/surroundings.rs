//! What stands in front of prompts: gathered while nobody types, frozen while somebody does.
//!
//! The engine tells of every document event and takes the block that is ready; both cost the same
//! whatever the files. One background task waits for an idle moment, lets
//! [`Gatherer`](crate::context::Gatherer) make a new block on a thread of its own, puts it in the place
//! of the old one, and lets the backend compute the new front at the lowest priority, so that the next
//! key does not pay for it.
//!
//! Invariants: a block changes only in an idle moment and while no generation runs, so a completion and
//! the prefetch before it have one front; the warm-up is over before a generation begins, so a backend
//! never has two; a block never has more tokens than the backend's speed allows; nothing of a refused
//! file is in a block.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep_until};

use super::ask::Trace;
use super::live::Live;
use super::place::Place;
use super::trigger::Files;
use crate::config::{Role, Settings};
use crate::context::{Active, Context, Gatherer, Seen};
use crate::document::Document;
use crate::prompt::{Block, Segment};
use crate::router::{RoleState, Route, Router};

mod cold;
mod gathering;
mod layout;

/// Without a key for so long, the person thinks or reads: one gap in a hundred between keys is longer.
/// llama.vim changes its ring after the same time.
const IDLE: Duration = Duration::from_secs(3);
/// The same for a document without a block: there is only the window to compute anew.
const FIRST_IDLE: Duration = Duration::from_secs(1);
/// How long to wait for a generation that still runs then.
const BUSY: Duration = Duration::from_millis(250);

mod warmth;

use layout::{LaidOut, Wanted};
use warmth::Speed;
pub(super) use warmth::WarmUps;

/// The blocks, and what makes them.
#[derive(Debug)]
pub(super) struct Surroundings {
    shared: Arc<Shared>,
    /// End with the engine.
    tasks: OnceLock<[AbortHandle; 2]>,
}

#[derive(Debug)]
struct Shared {
    context: Context,
    /// Frozen: each is replaced as a whole.
    blocks: DashMap<Arc<str>, Arc<Block>>,
    /// Something happened after which a new block may be due.
    woken: Notify,
    /// The person did something in a document.
    touched: Notify,
    /// The last prompt that went to a backend: what it has cached. A std mutex, held for an exchange or
    /// a comparison.
    sent: Mutex<LaidOut>,
    /// How fast the backend begins to answer. A std mutex, held for a few sums.
    speed: Mutex<Speed>,
    /// The warm-up in flight. A std mutex, held for an exchange.
    warming: Mutex<Option<JoinHandle<()>>>,
    /// A warm-up ended.
    warmed: Notify,
    parts: Parts,
}

/// What the engine shares.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) router: Arc<Router>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) files: Arc<ArcSwap<Files>>,
    pub(super) live: Arc<Mutex<Option<Live>>>,
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        for task in self.tasks.get().into_iter().flatten() {
            task.abort();
        }
        drop(self.shared.stop_warming());
    }
}

impl Surroundings {
    pub(super) fn new(parts: Parts) -> Self {
        let shared = Shared {
            context: Context::default(),
            blocks: DashMap::new(),
            woken: Notify::new(),
            touched: Notify::new(),
            sent: Mutex::default(),
            speed: Mutex::default(),
            warming: Mutex::default(),
            warmed: Notify::new(),
            parts,
        };
        Self {
            shared: Arc::new(shared),
            tasks: OnceLock::new(),
        }
    }

    /// The files of this session, the one touched last first.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.context.snapshot().0
    }

    /// A document was opened.
    pub(super) fn opened(&self, document: &Document) {
        self.shared.context.opened(document);
    }

    /// The person is at byte `offset_bytes` of a document, which may have changed. Costs a few pointers.
    pub(super) fn touched(&self, document: &Document, offset_bytes: usize) {
        self.shared.context.touched(document, offset_bytes);
        self.shared.touched.notify_one();
        self.wake();
    }

    /// Whether that is where the person was last.
    pub(super) fn is_at(&self, uri: &str, offset_bytes: usize) -> bool {
        let active = self.shared.context.active();
        active.is_some_and(|a| &*a.document.uri == uri && a.offset_bytes == offset_bytes)
    }

    /// A document was closed.
    pub(super) fn closed(&self, uri: &str) {
        self.shared.context.closed(uri);
        self.shared.blocks.remove(uri);
    }

    /// The person copied text, of the document `uri` where the editor tells.
    pub(super) fn copied(&self, text: &str, uri: Option<&str>) {
        self.shared.context.copied(text, uri);
        self.wake();
    }

    /// Settings or folders changed: what they refuse now is gone at once.
    pub(super) fn refused_anew(&self) {
        let files = self.shared.parts.files.load();
        self.shared.blocks.retain(|_, block| {
            let refused = |uri: &Arc<str>| !uri.is_empty() && files.refusal(uri).is_some();
            !block.snippets.iter().any(|snippet| refused(&snippet.uri))
        });
    }

    /// The switches changed: blocks are made anew.
    pub(super) fn forget_blocks(&self) {
        self.shared.blocks.clear();
    }

    /// The prompt for a document and a cursor, with the block that is ready, which the caller sends. Who asks
    /// by hand waits for the usual window.
    pub(super) fn prompt(
        &self,
        route: &Route,
        document: &Document,
        offset_bytes: usize,
        explicit: bool,
    ) -> Vec<Segment> {
        let shared = &self.shared;
        let block = shared.block(&document.uri);
        let wanted = Wanted::new(route, document, offset_bytes, block.as_deref());
        let prompt = if explicit {
            shared.lay_out(&wanted)
        } else {
            shared.soonest(&wanted)
        };
        let segments = prompt.segments.clone();
        *shared.sent() = prompt;
        segments
    }

    /// A generation's `first` token came after that time.
    pub(super) fn answered(&self, trace: &Trace, first: Duration) {
        let (Some(all), Some(cached)) = (trace.prompt_tokens, trace.cached_tokens) else {
            return;
        };
        let speed = self.shared.speed.lock();
        let mut speed = speed.unwrap_or_else(PoisonError::into_inner);
        speed.learn(all.saturating_sub(cached), first);
    }

    /// What streams have to pass.
    pub(super) fn warm_ups(&self) -> WarmUps {
        WarmUps(Arc::clone(&self.shared))
    }

    /// Wakes the task, and starts it at the first event, where there is a runtime.
    fn wake(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.tasks.get_or_init(|| {
                let shared = || Arc::clone(&self.shared);
                let (blocks, warmth) = (shared().run(), shared().keep_warm());
                [
                    runtime.spawn(blocks).abort_handle(),
                    runtime.spawn(warmth).abort_handle(),
                ]
            });
        }
        self.shared.woken.notify_one();
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut gatherer = Gatherer::default();
        loop {
            self.woken.notified().await;
            let Some(active) = self.idle().await else {
                continue;
            };
            let RoleState::Ready(route) = self.parts.router.route(Role::Completion) else {
                continue;
            };
            if !self.wants(&active, &route) {
                continue;
            }
            let shared = Arc::clone(&self);
            let (of, by) = (active.clone(), Arc::clone(&route));
            let made = tokio::task::spawn_blocking(move || {
                let block = shared.gather(&mut gatherer, &of, &by);
                (gatherer, block)
            });
            let block;
            (gatherer, block) = made.await.unwrap_or_else(|error| {
                tracing::error!(%error, "gathering context broke off; this is a bug");
                (Gatherer::default(), None)
            });
            let (document, offset) = (&active.document, active.offset_bytes);
            if self.replace(&active, block) && Place::at(document, offset).is_some() {
                let block = self.block(&document.uri);
                let wanted = Wanted::new(&route, document, offset, block.as_deref());
                self.warm(&route, self.lay_out(&wanted));
            }
        }
    }

    /// Waits for an idle moment; `None` when nobody is in a document any more.
    async fn idle(&self) -> Option<Active> {
        loop {
            let active = self.context.active()?;
            let idle = if self.blocks.contains_key(&active.document.uri) {
                IDLE
            } else {
                FIRST_IDLE
            };
            let due = active.at + idle;
            let now = Instant::now();
            if now < due {
                sleep_until(due).await;
            } else if self.is_busy() {
                sleep_until(now + BUSY).await;
            } else {
                return Some(active);
            }
        }
    }

    fn is_busy(&self) -> bool {
        let live = self.parts.live.lock();
        let live = live.unwrap_or_else(PoisonError::into_inner);
        live.as_ref().is_some_and(Live::is_running)
    }

    fn block(&self, uri: &Arc<str>) -> Option<Arc<Block>> {
        self.blocks.get(uri).map(|block| block.clone())
    }

    fn sent(&self) -> MutexGuard<'_, LaidOut> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a block for the document is of any use.
    fn wants(&self, active: &Active, route: &Route) -> bool {
        route.backend.prompt_budget().context_tokens > 0 && self.serves(&active.document)
    }

    /// Whether anything of the document goes to a backend unasked.
    fn serves(&self, document: &Document) -> bool {
        let settings = self.parts.settings.load();
        let disabled = &settings.inline.disabled_languages;
        settings.inline.enabled
            && !disabled.iter().any(|id| **id == *document.language_id)
            && self.parts.files.load().refusal(&document.uri).is_none()
    }

    /// Puts a new block in the place of the old one, unless a key came meanwhile; true when the front of
    /// the prompt is another now.
    fn replace(&self, active: &Active, block: Option<Block>) -> bool {
        let still_idle = self.context.active().is_some_and(|now| now.at == active.at);
        if !still_idle || self.is_busy() {
            self.woken.notify_one();
            return false;
        }
        let uri = &active.document.uri;
        let before = self.block(uri);
        if before.as_deref() == block.as_ref() {
            return false;
        }
        match block {
            Some(block) => self.blocks.insert(uri.clone(), Arc::new(block)),
            None => self.blocks.remove(uri).map(|(_, block)| block),
        };
        true
    }
}

#[cfg(test)]
mod tests;
