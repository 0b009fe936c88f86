//! Types a script through a policy, key by key, on the runtime's paused clock.
//!
//! Each step goes the way of the server's `didChange`: [`Store::update`], [`Document::apply`], then the
//! policy is told. After a key a completion is asked for at the cursor and the answer is awaited beside
//! the next keys; the next key comes after a gap of [`rhythm`], whatever happens. A
//! ghost counts as shown when it comes before the next edit.
//!
//! Every policy is replayed twice: once by a person who types all of the trace, and once by one who
//! accepts a ghost that is exactly the rest of the line, or whole lines, of what is typed next. Only
//! what comes after accepting is taken from the second.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::ready;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::keys::KeyList;
use super::oracle::{Ledger, Oracle, OracleOptions};
use super::policy::{Ghost, Name, Policy};
use super::report::Report;
use super::script::{Kind, Script, Step};
use super::trace::{Trace, TraceError};
use super::{figures, rhythm, wanted};
use crate::config::Settings;
use crate::document::{Document, Edit, Store};
use crate::inline::{Ask, Update};

/// The document that is typed.
const URI: &str = "file:///replay.rs";
/// How long the last answer is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// Characters of a ghost that must be what is typed next for it to be right.
const RIGHT_CHARS: usize = 8;
/// Shortest ghost that is accepted, in characters: shorter ones are typed sooner than read.
const ACCEPTED_CHARS: usize = 3;

/// What is replayed.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the trace is called in the report.
    pub trace_name: String,
    /// The oracle.
    pub oracle: OracleOptions,
    /// Whose answers are measured.
    pub policies: Vec<Name>,
    /// Of gaps and oracle.
    pub seed: u64,
    /// Only so many keys of the trace.
    pub limit_keys: Option<usize>,
    /// The engine's settings.
    pub settings: Arc<Settings>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The trace is broken.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The system gave no runtime.
    #[error("cannot start a runtime")]
    Runtime(#[from] std::io::Error),
    /// A thread panicked.
    #[error("a replay broke off; this is a bug")]
    BrokeOff,
}

/// Replays `trace` with every policy, in parallel. Blocks; must not be called on a runtime's worker.
/// The second value lists each key of the first pass, for whoever asks why a figure is what it is.
pub fn replay(trace: &Trace, options: &Options) -> Result<(Report, Vec<KeyList>), ReplayError> {
    let mut script = Script::new(trace, options.limit_keys)?;
    paused()?.block_on(wanted::mark(&mut script, URI, &options.settings));
    let script = &script;
    let passes = std::thread::scope(|scope| {
        let threads: Vec<_> = options
            .policies
            .iter()
            .map(|&name| {
                let pass = move |accepts| scope.spawn(move || one(script, options, name, accepts));
                (name, pass(false), pass(true))
            })
            .collect();
        let joined = threads.into_iter().map(|(name, typing, accepting)| {
            let typing = typing.join().map_err(|_| ReplayError::BrokeOff)??;
            let accepting = accepting.join().map_err(|_| ReplayError::BrokeOff)??;
            Ok((name.as_str(), typing, accepting))
        });
        joined.collect::<Result<Vec<_>, ReplayError>>()
    })?;
    let policies = passes
        .iter()
        .map(|(name, typing, accepting)| figures::of_policy(name, typing, accepting))
        .collect();
    let lists = passes
        .iter()
        .map(|(name, typing, _)| KeyList::new(name, script, typing))
        .collect();
    Ok((Report::new(options, script, policies), lists))
}

fn one(
    script: &Script,
    options: &Options,
    name: Name,
    accepts: bool,
) -> Result<Outcome, ReplayError> {
    let runtime = paused()?;
    Ok(runtime.block_on(async {
        let oracle = Oracle::new(options.oracle, options.seed);
        let (policy, grown) = name.build(&oracle, &options.settings);
        let mut person = Person::new(script, policy.as_ref(), &oracle, options.seed);
        person.accepts = accepts;
        tokio::spawn(grow(grown, person.screen.clone(), oracle.clone()));
        person.type_all().await
    }))
}

/// One thread and a clock that moves only when nothing else can.
fn paused() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
}

/// What one pass found.
#[derive(Debug)]
pub struct Outcome {
    /// One per key, in order.
    pub keys: Vec<KeyRecord>,
    /// What the oracle generated.
    pub ledger: Ledger,
    /// Answers for another text than the one on the screen, or for another place than the cursor.
    pub stale_items: u64,
    /// Ghosts that were accepted.
    pub accepts: u64,
}

/// From where the cursor came to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Just left of it.
    SameLine,
    /// The line above.
    NewLine,
    /// Elsewhere: the step before did not end here.
    Jumped,
}

impl Came {
    fn to(step: &Step) -> Self {
        match (step.continues, step.same_line && step.kind != Kind::Enter) {
            (false, _) => Self::Jumped,
            (true, true) => Self::SameLine,
            (true, false) => Self::NewLine,
        }
    }
}

/// What happened at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The step of the script.
    pub step: usize,
    /// Whether the trigger rules want a completion.
    pub wanted: bool,
    /// Where the cursor was before.
    pub came: Came,
    /// Whether it is the first at which a completion is wanted after accepting one.
    pub after_accept: bool,
    /// Until the next edit.
    pub gap: Duration,
    /// From the key to its ghost, if one was there before the next edit.
    pub ghost_after: Option<Duration>,
    /// The ghost.
    pub ghost: Option<String>,
    /// Whether the ghost's beginning is what was typed next.
    pub right: bool,
}

/// The screen: what is shown for which version.
#[derive(Debug, Default)]
struct Screen {
    version: i32,
    ghost: Option<(Ghost, Duration)>,
    stale_items: u64,
}

/// Draws what has grown since it was answered, as an editor does.
async fn grow(mut grown: UnboundedReceiver<Update>, screen: Arc<Mutex<Screen>>, oracle: Oracle) {
    while let Some(Update {
        document,
        completion,
    }) = grown.recv().await
    {
        let mut screen = lock(&screen);
        let here = screen.version == document.version;
        match &mut screen.ghost {
            Some((ghost, _)) if here && ghost.range_bytes == completion.range_bytes => {
                oracle.shown(&completion.insert_text);
                ghost.text = completion.insert_text;
            }
            // An editor drops what is for a text that is no more, by its version.
            _ => screen.stale_items += u64::from(here),
        }
    }
}

/// Types the script.
struct Person<'s> {
    script: &'s Script,
    policy: &'s dyn Policy,
    oracle: &'s Oracle,
    seed: u64,
    accepts: bool,
    store: Store,
    screen: Arc<Mutex<Screen>>,
    open: Option<JoinHandle<()>>,
    keys: Vec<KeyRecord>,
    accepted: u64,
    /// A ghost was accepted and no completion has been wanted since.
    just_accepted: bool,
}

impl<'s> Person<'s> {
    fn new(script: &'s Script, policy: &'s dyn Policy, oracle: &'s Oracle, seed: u64) -> Self {
        let store = Store::default();
        store.open(Document::new(URI, 0, "rust", &script.start));
        Self {
            script,
            policy,
            oracle,
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

    async fn type_all(mut self) -> Outcome {
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
        }
        sleep(PATIENCE).await;
        let stale_items = lock(&self.screen).stale_items;
        Outcome {
            keys: self.keys,
            ledger: self.oracle.ledger(),
            stale_items,
            accepts: self.accepted,
        }
    }

    /// Makes the edits that lead to the text after step `index`, and asks as an editor would.
    fn make(&mut self, index: usize, step: &Step, edits: &[Edit], asks: bool, gap: Duration) {
        self.oracle.look_ahead(index, &step.before, &step.future);
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
        }
        self.policy.changed(&document, offset_bytes);
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
            came: Came::to(step),
            after_accept: self.just_accepted && step.is_wanted() && !jump,
            gap,
            ghost_after: None,
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
        let (screen, oracle) = (self.screen.clone(), self.oracle.clone());
        let draw = move |ghost: Option<Ghost>| {
            let Some(ghost) = ghost else { return };
            let mut screen = lock(&screen);
            // The cursor is at the end of the edit: a range elsewhere is not of this place.
            if screen.version != version || ghost.range_bytes != (offset_bytes..offset_bytes) {
                screen.stale_items += 1;
                return;
            }
            oracle.shown(&ghost.text);
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
        let (ghost, after) = lock(&self.screen).ghost.take()?;
        let key = self.keys.last_mut()?;
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

fn is_right(ghost: &str, future: &str) -> bool {
    let mut typed = future.chars();
    ghost
        .chars()
        .take(RIGHT_CHARS)
        .all(|c| typed.next() == Some(c))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
