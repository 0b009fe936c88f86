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

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep_until};

use super::live::Live;
use super::place::Place;
use super::trigger::Files;
use crate::backend::{Chunk, ChunkStream, Priority, Request};
use crate::config::{Role, Settings};
use crate::context::{Active, Context, Gatherer, Seen, Wish};
use crate::document::Document;
use crate::prompt::{Block, Segment, window};
use crate::router::{RoleState, Route, Router};

/// Without a key for so long, the person thinks or reads: one gap in a hundred between keys is longer.
/// llama.vim changes its ring after the same time.
const IDLE: Duration = Duration::from_secs(3);
/// The same for a document without a block: there is only the window to compute anew.
const FIRST_IDLE: Duration = Duration::from_secs(1);
/// How long to wait for a generation that still runs then.
const BUSY: Duration = Duration::from_millis(250);

/// The blocks, and what makes them.
#[derive(Debug)]
pub(super) struct Surroundings {
    shared: Arc<Shared>,
    /// Ends with the engine.
    task: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct Shared {
    context: Context,
    /// Frozen: each is replaced as a whole.
    blocks: DashMap<Arc<str>, Arc<Block>>,
    woken: Notify,
    /// The warm-up in flight. A std mutex, held for an exchange.
    warming: Mutex<Option<JoinHandle<()>>>,
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
        if let Some(task) = self.task.get() {
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
            warming: Mutex::default(),
            parts,
        };
        Self {
            shared: Arc::new(shared),
            task: OnceLock::new(),
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
        self.wake();
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

    /// The prompt for a document and a cursor, with the block that is ready.
    pub(super) fn prompt(
        &self,
        route: &Route,
        document: &Document,
        offset_bytes: usize,
    ) -> Vec<Segment> {
        let block = self.shared.blocks.get(&document.uri).map(|b| b.clone());
        prompt(route, document, offset_bytes, block.as_deref())
    }

    /// The stream of a generation, which begins when a warm-up in flight has ended.
    pub(super) fn after_warm_up(&self, stream: ChunkStream) -> ChunkStream {
        let Some(warming) = self.shared.stop_warming() else {
            return stream;
        };
        let ended = async move {
            // Ends with the drop of its stream.
            let _ = warming.await;
            stream
        };
        futures_util::stream::once(ended).flatten().boxed()
    }

    /// Wakes the task, and starts it at the first event, where there is a runtime.
    fn wake(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.task.get_or_init(|| {
                let shared = Arc::clone(&self.shared);
                runtime.spawn(shared.run()).abort_handle()
            });
        }
        self.shared.woken.notify_one();
    }
}

/// Cuts the window and lays it out behind the block. Text is cut before it is
/// laid out, so no sentinel is ever cut.
fn prompt(
    route: &Route,
    document: &Document,
    offset_bytes: usize,
    block: Option<&Block>,
) -> Vec<Segment> {
    let budget = route.backend.prompt_budget();
    // A block made for a faster backend is too much for this one.
    let block = block.filter(|block| block.tokens() <= budget.context_tokens);
    let mut window = window::cut(
        &document.text,
        offset_bytes,
        budget.prefix_tokens,
        budget.suffix_tokens,
    );
    window.typed.truncate(window.typed.trim_end().len());
    let block = block.map(|block| block.beside(&window));
    route
        .family
        .lay_out_with(block.as_deref(), window.above, window.typed, window.after)
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
            if self.replace(&active, block) {
                self.warm(&active, &route);
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

    /// Whether a block for the document is of any use.
    fn wants(&self, active: &Active, route: &Route) -> bool {
        let settings = self.parts.settings.load();
        let document = &active.document;
        let disabled = &settings.inline.disabled_languages;
        settings.inline.enabled
            && !disabled.iter().any(|id| **id == *document.language_id)
            && route.backend.prompt_budget().context_tokens > 0
            && self.parts.files.load().refusal(&document.uri).is_none()
    }

    fn gather(&self, gatherer: &mut Gatherer, active: &Active, route: &Route) -> Option<Block> {
        let Active {
            document,
            offset_bytes,
            ..
        } = active;
        let budget = route.backend.prompt_budget();
        let window = window::cut(
            &document.text,
            *offset_bytes,
            budget.prefix_tokens,
            budget.suffix_tokens,
        );
        let line = document
            .text
            .byte_to_line((*offset_bytes).min(document.text.len_bytes()));
        let settings = self.parts.settings.load();
        let files = self.parts.files.load();
        let (seen, copied) = self.context.snapshot();
        let wish = Wish {
            document,
            offset_bytes: *offset_bytes,
            window_lines: line.saturating_sub(window.above.lines().count())
                ..line + window.after.lines().count().max(1),
            budget_tokens: budget.context_tokens,
            settings: &settings.context,
            redact_secrets: settings.privacy.redact_secrets,
            folders: files.folders(),
            allowed: &|uri| files.refusal(uri).is_none(),
        };
        gatherer.gather(&wish, &seen, copied.as_ref())
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
        let before = self.blocks.get(uri).map(|block| block.clone());
        if before.as_deref() == block.as_ref() {
            return false;
        }
        match block {
            Some(block) => self.blocks.insert(uri.clone(), Arc::new(block)),
            None => self.blocks.remove(uri).map(|(_, block)| block),
        };
        true
    }

    /// Lets the backend compute the prompt for where the person is.
    fn warm(&self, active: &Active, route: &Arc<Route>) {
        let Active {
            document,
            offset_bytes,
            ..
        } = active;
        if Place::at(document, *offset_bytes).is_none() {
            return;
        }
        let block = self.blocks.get(&document.uri).map(|block| block.clone());
        let mut stream = route.backend.stream(Request {
            model: route.model.clone(),
            prompt: prompt(route, document, *offset_bytes, block.as_deref()).into(),
            max_tokens: 1,
            stop: Vec::new(),
            priority: Priority::WarmUp,
        });
        let warming = tokio::spawn(async move {
            loop {
                match stream.next().await {
                    None | Some(Ok(Chunk::Done(_))) => break,
                    Some(Ok(_)) => {}
                    // A completion that fails the same way is reported.
                    Some(Err(error)) => {
                        tracing::debug!(%error, "the new front of a prompt was not computed");
                        break;
                    }
                }
            }
        });
        let mut slot = self.warming.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(warming);
    }

    /// Ends the warm-up in flight; what is returned ends when the backend is free.
    fn stop_warming(&self) -> Option<JoinHandle<()>> {
        let mut slot = self.warming.lock().unwrap_or_else(PoisonError::into_inner);
        let warming = slot.take().filter(|warming| !warming.is_finished())?;
        warming.abort();
        Some(warming)
    }
}

#[cfg(test)]
mod tests;
