//! Types a script through a policy, key by key, on the runtime's paused clock.
//!
//! Each step goes the way of the server's `didChange`: `Store::update`, `Document::apply`, then the
//! policy is told. After a key a completion is asked for at the cursor and the answer is awaited beside
//! the next keys; the next key comes after a gap of `rhythm`, whatever happens. A
//! ghost counts as shown when it comes before the next edit.
//!
//! The recording holds edits alone. Where one does not go on where the last one ended, the cursor was
//! taken there by at least one key or click, which an editor sees: it gets a gap of its own, and the
//! policy is told of the move at its beginning, as by `ghostline/didMoveCursor`. The gap is a typing gap
//! (138 ms at the median), short for a move of the hand.
//!
//! Every policy is replayed twice: once by a person who types all of the trace, and once by one who
//! accepts a ghost that is exactly the rest of the line, or whole lines, of what is typed next. Only
//! what comes after accepting is taken from the second.
//!
//! With [`Options::chat`] the engine is replayed once more beside a chat: the oracle has one device then,
//! on which a real conversation (`talk`) asks for one answer after the other by way of the same router.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::keys::KeyList;
use super::oracle::{MODEL, Oracle, OracleOptions};
use super::policy::Name;
use super::report::Report;
use super::script::Script;
use super::trace::{Trace, TraceError};
use super::{figures, wanted};
use crate::config::Settings;
use crate::router::Router;

mod person;
mod record;
mod talk;

pub(super) use person::{Books, Person, URI};
pub use record::{Came, KeyRecord, Outcome};
pub use talk::ChatFigures;
use talk::talk;
pub(super) use talk::{QUESTIONS, Told};

/// What the engine is called in the report where a chat goes on beside it.
pub(super) const BESIDE_CHAT: &str = "engine-beside-chat";

/// How long the last answer is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

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
    /// Keys of the trace that are left out in front.
    pub from_key: usize,
    /// Only so many keys of the trace.
    pub limit_keys: Option<usize>,
    /// The engine's settings.
    pub settings: Arc<Settings>,
    /// The engine once more, beside a chat.
    pub chat: bool,
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
    let slice = (options.from_key, options.limit_keys);
    let script = &script_of(trace, slice, &options.settings)?;
    let mut runs: Vec<Run> = Vec::new();
    for &policy in &options.policies {
        let name = policy.as_str();
        runs.push(Run {
            name,
            policy,
            chat: false,
        });
        if options.chat && policy == Name::Engine {
            runs.push(Run {
                name: BESIDE_CHAT,
                policy,
                chat: true,
            });
        }
    }
    let passes = std::thread::scope(|scope| {
        let threads: Vec<_> = runs
            .iter()
            .map(|&run| {
                let pass = move |accepts| scope.spawn(move || one(script, options, run, accepts));
                (run.name, pass(false), pass(true))
            })
            .collect();
        let joined = threads.into_iter().map(|(name, typing, accepting)| {
            let typing = typing.join().map_err(|_| ReplayError::BrokeOff)??;
            let accepting = accepting.join().map_err(|_| ReplayError::BrokeOff)??;
            Ok((name, typing, accepting))
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
    let mut report = Report::new((&options.trace_name, options.seed), script, policies);
    report.oracle = Some(options.oracle);
    Ok((report, lists))
}

/// The slice of `trace` of so many keys from a key on, with where the trigger rules want completions.
pub(super) fn script_of(
    trace: &Trace,
    (from_key, limit_keys): (usize, Option<usize>),
    settings: &Arc<Settings>,
) -> Result<Script, ReplayError> {
    let mut script = Script::slice(trace, from_key, limit_keys)?;
    paused()?.block_on(wanted::mark(&mut script, URI, settings));
    Ok(script)
}

/// A policy, and whether a chat goes on beside it.
#[derive(Debug, Clone, Copy)]
struct Run {
    name: &'static str,
    policy: Name,
    chat: bool,
}

fn one(
    script: &Script,
    options: &Options,
    run: Run,
    accepts: bool,
) -> Result<Outcome, ReplayError> {
    let runtime = paused()?;
    Ok(runtime.block_on(async {
        let oracle = if run.chat {
            Oracle::sharing(options.oracle, options.seed)
        } else {
            Oracle::new(options.oracle, options.seed)
        };
        let router = Router::fixed_for_chat_too(Arc::new(oracle.clone()), MODEL);
        let told = Told::default();
        if run.chat {
            tokio::spawn(talk(Arc::clone(&router), told.clone()));
        }
        let (policy, grown) = run.policy.build(&oracle, router, &options.settings);
        let books: Arc<dyn Books> = Arc::new(oracle);
        let mut person = Person::new(script, policy.as_ref(), books, options.seed);
        person.accepts = accepts;
        person.draws(grown);
        let started = Instant::now();
        let mut outcome = person.type_all(PATIENCE).await;
        outcome.chat = run.chat.then(|| told.figures(started.elapsed()));
        outcome
    }))
}

/// One thread and a clock that moves only when nothing else can.
fn paused() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
}

#[cfg(test)]
mod tests;
