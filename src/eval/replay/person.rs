//! The person who types the script, with the screen in front of them.
//!
//! Works on the runtime's clock, paused or not.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::ready;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::document::{Document, Edit, Store};
use crate::eval::oracle::{Ledger, Oracle};
use crate::eval::policy::{Ghost, Grown, Policy};
use crate::eval::rhythm;
use crate::eval::script::{Script, Step};
use crate::inline::Ask;

use super::record::{Came, KeyRecord, Outcome};

/// The document that is typed.
pub(in crate::eval) const URI: &str = "file:///replay.rs";
/// Characters of a ghost that must be what is typed next for it to be right.
const RIGHT_CHARS: usize = 8;
/// Shortest ghost that is accepted, in characters: shorter ones are typed sooner than read.
const ACCEPTED_CHARS: usize = 3;

/// What is written down of the generations of a pass.
pub(in crate::eval) trait Books: Send + Sync + Debug {
    /// Step `key` is about to be made, and the document will have this version. `before` is the end of
    /// the text before the cursor then, `future` what the person types from there on.
    fn look_ahead(&self, key: usize, version: i32, before: &str, future: &str);

    /// The cursor goes to where step `key` will be made.
    fn turn_to(&self, key: usize);

    /// A ghost of this text was shown.
    fn shown(&self, text: &str);

    /// What was generated so far.
    fn ledger(&self) -> Ledger;
}

impl Books for Oracle {
    fn look_ahead(&self, key: usize, _: i32, before: &str, future: &str) {
        Self::look_ahead(self, key, before, future);
    }

    fn turn_to(&self, key: usize) {
        Self::turn_to(self, key);
    }

    fn shown(&self, text: &str) {
        Self::shown(self, text);
    }

    fn ledger(&self) -> Ledger {
        Self::ledger(self)
    }
}

/// The screen: what is shown for which version.
#[derive(Debug, Default)]
struct Screen {
    version: i32,
    ghost: Option<(Ghost, Duration)>,
    /// When the answer came that there is none.
    nothing: Option<Duration>,
    stale_items: u64,
}

/// Draws what has grown since it was answered, as an editor does.
async fn grow<G: Into<Grown>>(
    mut grown: UnboundedReceiver<G>,
    screen: Arc<Mutex<Screen>>,
    books: Arc<dyn Books>,
) {
    while let Some(grown) = grown.recv().await {
        let Grown {
            version,
            ghost: longer,
        } = grown.into();
        let mut screen = lock(&screen);
        let here = screen.version == version;
        match &mut screen.ghost {
            Some((ghost, _)) if here && ghost.range_bytes == longer.range_bytes => {
                books.shown(&longer.text);
                ghost.text = longer.text;
            }
            // An editor drops what is for a text that is no more, by its version.
            _ => screen.stale_items += u64::from(here),
        }
    }
}

/// Types the script.
pub(in crate::eval) struct Person<'s> {
    script: &'s Script,
    policy: &'s dyn Policy,
    books: Arc<dyn Books>,
    seed: u64,
    /// Whether a ghost that is what is typed next is accepted.
    pub(in crate::eval) accepts: bool,
    store: Store,
    screen: Arc<Mutex<Screen>>,
    open: Option<JoinHandle<()>>,
    keys: Vec<KeyRecord>,
    accepted: u64,
    /// A ghost was accepted and no completion has been wanted since.
    just_accepted: bool,
}

impl<'s> Person<'s> {
    pub(in crate::eval) fn new(
        script: &'s Script,
        policy: &'s dyn Policy,
        books: Arc<dyn Books>,
        seed: u64,
    ) -> Self {
        let store = Store::default();
        store.open(Document::new(URI, 0, "rust", &script.start));
        Self {
            script,
            policy,
            books,
            seed,
            accepts: false,
            store,
            screen: Arc::default(),
            open: None,
            keys: Vec::with_capacity(script.steps.len()),
            accepted: 0,
            just_accepted: false,
        }
    }

    /// Draws what comes out of `grown` over what it has grown from.
    pub(in crate::eval) fn draws<G: Into<Grown> + Send + 'static>(
        &self,
        grown: UnboundedReceiver<G>,
    ) {
        tokio::spawn(grow(grown, self.screen.clone(), self.books.clone()));
    }

    /// Types the script; waits for the last answer for `patience`.
    pub(in crate::eval) async fn type_all(mut self, patience: Duration) -> Outcome {
        let mut at = Instant::now();
        let mut next = (0, None);
        while let Some(step) = self.script.steps.get(next.0) {
            let (index, accepted) = next;
            let gap = rhythm::gap(self.seed, index);
            // The accepting key stands in the place of all the steps it saves.
            let edits = accepted.as_ref().map_or(&*step.edits, std::slice::from_ref);
            self.accepted += u64::from(accepted.is_some());
            self.just_accepted |= accepted.is_some();
            let asks = step.is_key() || accepted.is_some();
            self.make(index, step, edits, asks, gap);
            at += gap;
            sleep_until(at).await;
            let shown = self.settle(step);
            next = shown
                .and_then(|ghost| self.accept(index, step, &ghost))
                .map_or((index + 1, None), |(last, edit)| (last, Some(edit)));
            if let Some(there) = self.jump(&next) {
                self.go(next.0, there);
                at += rhythm::gap(self.seed, self.script.steps.len() + next.0);
                sleep_until(at).await;
            }
        }
        sleep(patience).await;
        let stale_items = lock(&self.screen).stale_items;
        Outcome {
            keys: self.keys,
            ledger: self.books.ledger(),
            stale_items,
            accepts: self.accepted,
            chat: None,
        }
    }

    /// Where the cursor has to go before the next step, if that does not go on where it is.
    fn jump(&self, next: &(usize, Option<Edit>)) -> Option<usize> {
        let (index, accepted) = next;
        let step = self.script.steps.get(*index)?;
        let there = step.edits.first()?.range_bytes.as_ref()?.end;
        (accepted.is_none() && !step.continues).then_some(there)
    }

    /// Takes the cursor there, to step `index`: an editor drops the ghost and cancels the open request.
    fn go(&mut self, index: usize, there: usize) {
        self.books.turn_to(index);
        lock(&self.screen).ghost = None;
        if let Some(open) = self.open.take() {
            open.abort();
        }
        if let Some(document) = self.store.snapshot(URI) {
            self.policy.cursor_moved(&document, there);
        }
    }

    /// Makes the edits that lead to the text after step `index`, and asks as an editor would.
    fn make(&mut self, index: usize, step: &Step, edits: &[Edit], asks: bool, gap: Duration) {
        let version = lock(&self.screen).version + 1;
        self.books
            .look_ahead(index, version, &step.before, &step.future);
        let updated = self.store.update(URI, |document| {
            let mut end = 0;
            for edit in edits {
                end = document.apply(edit);
            }
            document.version += 1;
            end
        });
        let Some((document, offset_bytes)) = updated else {
            return;
        };
        {
            let mut screen = lock(&self.screen);
            screen.version = document.version;
            screen.ghost = None;
            screen.nothing = None;
        }
        self.policy.changed(&document, offset_bytes, edits);
        if !asks {
            // An editor cancels the request for the text that is no more.
            if let Some(open) = self.open.take() {
                open.abort();
            }
            self.just_accepted = false;
            return;
        }
        let jump = !step.continues;
        self.keys.push(KeyRecord {
            step: index,
            wanted: step.is_wanted(),
            goes_on: step.goes_on(),
            came: Came::to(step),
            came_lines: step.came_lines,
            after_accept: self.just_accepted && step.is_wanted() && !jump,
            gap,
            at: Instant::now(),
            ghost_after: None,
            nothing_after: None,
            ghost: None,
            right: false,
        });
        if step.is_wanted() || jump {
            self.just_accepted = false;
        }
        // An older request is settled by this one, not cancelled: both must leave nothing stale.
        self.open = Some(self.ask(document, offset_bytes, step.is_wanted()));
    }

    fn ask(&self, document: Document, offset_bytes: usize, wanted: bool) -> JoinHandle<()> {
        let version = document.version;
        let asked = Instant::now();
        let mut answer = self.policy.complete(
            Ask {
                document,
                offset_bytes,
                explicit: false,
                selected: None,
            },
            wanted,
        );
        // Messages are heard in order: this request is known before an older one can wake up.
        let at_once = (&mut answer).now_or_never();
        let (screen, books) = (self.screen.clone(), self.books.clone());
        let draw = move |ghost: Option<Ghost>| {
            let mut screen = lock(&screen);
            let Some(ghost) = ghost else {
                if screen.version == version {
                    screen.nothing = Some(asked.elapsed());
                }
                return;
            };
            // The cursor is at the end of the edit: a range elsewhere is not of this place.
            if screen.version != version || ghost.range_bytes != (offset_bytes..offset_bytes) {
                screen.stale_items += 1;
                return;
            }
            books.shown(&ghost.text);
            screen.ghost = Some((ghost, asked.elapsed()));
        };
        tokio::spawn(match at_once {
            Some(answered) => {
                draw(answered);
                ready(()).left_future()
            }
            None => answer.map(draw).right_future(),
        })
    }

    /// Books what is on the screen when the next edit comes.
    fn settle(&mut self, step: &Step) -> Option<Ghost> {
        let (ghost, nothing) = {
            // Both stay on the screen until the edit, or the jump: after the last key none comes.
            let screen = lock(&self.screen);
            (screen.ghost.clone(), screen.nothing)
        };
        let key = self.keys.last_mut()?;
        // A step that is no key leaves the last one as it was.
        key.nothing_after = nothing.or(key.nothing_after);
        let (ghost, after) = ghost?;
        key.ghost_after = Some(after);
        key.ghost = Some(ghost.text.clone());
        key.right = is_right(&ghost.text, &step.future);
        Some(ghost)
    }

    /// The edit that accepts `ghost`, shown after step `index`, and the step to which it leads; `None`
    /// when this person types on.
    fn accept(&self, index: usize, step: &Step, ghost: &Ghost) -> Option<(usize, Edit)> {
        let rest = step.future.strip_prefix(ghost.text.as_str())?;
        let whole_lines = rest.is_empty() || rest.starts_with('\n');
        let long_enough = ghost.text.trim().chars().count() >= ACCEPTED_CHARS;
        if !(self.accepts && whole_lines && long_enough) {
            return None;
        }
        let last = self.script.typed_by(index, &ghost.text)?;
        let edit = Edit {
            range_bytes: Some(ghost.range_bytes.clone()),
            text: ghost.text.clone(),
        };
        Some((last, edit))
    }
}

pub(super) fn is_right(ghost: &str, future: &str) -> bool {
    let mut typed = future.chars();
    ghost
        .chars()
        .take(RIGHT_CHARS)
        .all(|c| typed.next() == Some(c))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
