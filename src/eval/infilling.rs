//! Holes in programs, filled by the model alone and by the engine, and both executed.
//!
//! Called by `cli/bench/infill`. For each problem the real engine completes a document with the hole in
//! it, as when a person asks for it. One generation gives both texts: *raw* is all that the model said,
//! put in as it is; *raw-line* is the first line of that where the hole is one line, which any client can
//! cut; *engine* is what the engine would insert of it. So they differ in what is done with one text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::passing::{Attempt, Task};
use super::problem::Problem;
use super::recorder::{Recorder, Recording};
use super::sandbox::{Sandbox, SandboxError};
use crate::backend::{BackendError, StopReason};
use crate::config::{Debounce, Settings};
use crate::document::{Document, Edit};
use crate::inline::{Ask, Completion, Engine, Nothing};
use crate::prompt::Segment;
use crate::router::{Route, Router};

mod hole;
pub mod moved;

use hole::Hole;

/// The candidates, in the order of reports.
pub const CANDIDATES: [&str; 3] = ["raw", "raw-line", "engine"];

/// Nobody types: the whole text is waited for, however slow the model.
const PATIENCE: Duration = Duration::from_hours(1);
/// Problems whose programs run while the next one's text is generated.
pub(super) const AT_ONCE: usize = 2;

/// There is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InfillError {
    /// A program could not be run.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The model failed.
    #[error("{task}: the model gave no text")]
    Backend {
        /// The problem.
        task: String,
        /// What the backend said.
        #[source]
        source: BackendError,
    },
    /// The engine asked nobody.
    #[error("{task}: the engine did not ask the model: {why}")]
    NotAsked {
        /// The problem.
        task: String,
        /// Its answer.
        why: String,
    },
    /// The model was asked about another place.
    #[error("{task}: the prompt does not end where the hole begins, so its text has no place")]
    Misplaced {
        /// The problem.
        task: String,
    },
}

/// Fills holes with one model.
#[derive(Debug)]
pub struct Filler {
    router: Arc<Router>,
    settings: Arc<Settings>,
    recorder: Arc<Recorder>,
    seed: u64,
}

/// A program filled in one way.
struct Filled {
    code: String,
    text: String,
    stop: &'static str,
    computed_tokens: Option<u32>,
}

/// What the engine made of what the model said.
type Answer = (Result<Completion, Nothing>, Recording);

impl Filler {
    /// The engine with its default settings in front of `route`'s model.
    pub fn new(route: &Route, max_tokens: u32, seed: u64) -> Self {
        let recorder = Arc::new(Recorder::new(route.backend.clone()));
        let router = Router::serving(Route {
            backend: recorder.clone(),
            ..route.clone()
        });
        let mut settings = Settings::default();
        settings.inline.enabled = true;
        settings.inline.deadline = PATIENCE;
        settings.inline.debounce = Debounce::Fixed(Duration::ZERO);
        settings.inline.prefetch = false;
        settings.inline.max_tokens = max_tokens;
        Self {
            router,
            settings: Arc::new(settings),
            recorder,
            seed,
        }
    }

    /// Fills and executes every problem, and shows each as it is done.
    pub async fn run(
        &self,
        sandbox: &Sandbox,
        problems: &[Problem],
        done: impl Fn(&Task),
    ) -> Result<Vec<Task>, InfillError> {
        let filled = stream::iter(problems).then(|problem| self.fill(problem));
        execute_all(sandbox, CANDIDATES, filled, done).await
    }

    /// The program filled in all ways.
    async fn fill<'p>(&self, problem: &'p Problem) -> Result<Ways<'p, 3>, InfillError> {
        let task = &problem.task_id;
        let hole = Hole::of(problem, self.seed);
        let (answer, recording) = self.ask_at(task, &hole).await?;
        let misplaced = || InfillError::Misplaced { task: task.clone() };
        let raw = raw(&hole, &recording, &recording.text).ok_or_else(misplaced)?;
        let line = if hole.solution_lines > 1 {
            &recording.text
        } else {
            first_line(&recording.text)
        };
        let raw_line = self::raw(&hole, &recording, line).ok_or_else(misplaced)?;
        let engine = inserted(task, &hole, answer)?;
        Ok((problem, hole.solution_lines, [raw, raw_line, engine]))
    }

    /// Asks for what is in the hole.
    async fn ask_at(&self, task: &str, hole: &Hole) -> Result<Answer, InfillError> {
        self.ask(task, &hole.filled_with(""), hole.before.len())
            .await
    }

    /// Asks for a completion of one text.
    async fn ask(
        &self,
        task: &str,
        text: &str,
        offset_bytes: usize,
    ) -> Result<Answer, InfillError> {
        let ask = Ask {
            document: Document::new(&format!("file:///infill/{task}.py"), 0, "python", text),
            offset_bytes,
            explicit: true,
            selected: None,
        };
        // An engine of its own, so that nothing asked before has a part in the prompt.
        let (router, settings) = (self.router.clone(), self.settings.clone());
        let engine = Arc::new(Engine::new(router, settings, Arc::default()));
        let answer = engine.complete(ask).await;
        let recorded = self.recorder.take().into_iter().next();
        let recording = recorded
            .ok_or_else(|| InfillError::NotAsked {
                task: task.to_owned(),
                why: format!("{answer:?}"),
            })?
            .map_err(|source| InfillError::Backend {
                task: task.to_owned(),
                source,
            })?;
        Ok((answer, recording))
    }
}

/// What the engine would insert.
fn inserted(
    task: &str,
    hole: &Hole,
    answer: Result<Completion, Nothing>,
) -> Result<Filled, InfillError> {
    match answer {
        Ok(completion) => {
            let mut document = Document::new("", 0, "python", &hole.filled_with(""));
            let edit = Edit {
                range_bytes: Some(completion.range_bytes),
                text: completion.insert_text,
            };
            document.apply(&edit);
            Ok(Filled {
                code: document.text.to_string(),
                text: edit.text,
                stop: stop_name(completion.trace.stop),
                computed_tokens: None,
            })
        }
        Err(Nothing::Empty | Nothing::HeldBack) => Ok(Filled {
            code: hole.filled_with(""),
            text: String::new(),
            stop: "nothing",
            computed_tokens: None,
        }),
        Err(why) => Err(InfillError::NotAsked {
            task: task.to_owned(),
            why: format!("{why:?}"),
        }),
    }
}

/// The first line with anything on it.
fn first_line(text: &str) -> &str {
    let content = text.len() - text.trim_start().len();
    let end = text
        .get(content..)
        .and_then(|t| t.find('\n'))
        .map_or(text.len(), |at| content + at);
    text.get(..end).unwrap_or(text)
}

/// `text`, which is of what the model said, where its prompt ended; `None` where that is not the hole.
fn raw(hole: &Hole, recording: &Recording, text: &str) -> Option<Filled> {
    let typed = match recording.request.prompt.segments().last()? {
        Segment::Text(typed) => typed.as_str(),
        Segment::Special(_) => "",
    };
    let asked_at = asked_at(&hole.before, typed)?;
    Some(Filled {
        code: [asked_at, text, &hole.after].concat(),
        text: text.to_owned(),
        stop: if text.len() < recording.text.len() {
            stop_name(StopReason::Cut)
        } else {
            stop_name(recording.finish.stop)
        },
        computed_tokens: None,
    })
}

/// As much of the text `before` a hole as a prompt has that ends with what was `typed`; `None` where it ends
/// elsewhere. The engine may leave away the blanks left of the cursor, which the model says itself then.
fn asked_at<'t>(before: &'t str, typed: &str) -> Option<&'t str> {
    let blanks = [' ', '\t'];
    let asked_at = if typed.ends_with(blanks) {
        before
    } else {
        before.trim_end_matches(blanks)
    };
    let agrees = if typed.is_empty() {
        asked_at.is_empty() || asked_at.ends_with('\n')
    } else {
        asked_at.ends_with(typed)
    };
    agrees.then_some(asked_at)
}

/// The reason's name in tables.
pub(super) const fn stop_name(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Stop => "stop",
        StopReason::Length => "length",
        StopReason::Cut => "cut",
    }
}

/// A problem, the lines of its known solution, and its program filled in several ways.
type Ways<'p, const N: usize> = (&'p Problem, usize, [Filled; N]);

/// Executes programs as they are filled, and shows each problem as it is done.
async fn execute_all<'p, const N: usize>(
    sandbox: &Sandbox,
    names: [&str; N],
    filled: impl Stream<Item = Result<Ways<'p, N>, InfillError>>,
    done: impl Fn(&Task),
) -> Result<Vec<Task>, InfillError> {
    let executed = filled
        .map_ok(|ways| execute(sandbox, names, ways))
        .try_buffered(AT_ONCE);
    executed.inspect_ok(done).try_collect().await
}

/// Runs the problem's test on each program.
async fn execute<const N: usize>(
    sandbox: &Sandbox,
    names: [&str; N],
    (problem, solution_lines, filled): Ways<'_, N>,
) -> Result<Task, InfillError> {
    let mut attempts = BTreeMap::new();
    let mut before = None;
    for (name, filled) in names.into_iter().zip(filled) {
        let outcome = match &before {
            Some((same, outcome)) if *same == filled.code => *outcome,
            _ => sandbox.run(&problem.program(&filled.code)).await?,
        };
        before = Some((filled.code, outcome));
        let attempt = Attempt {
            outcome,
            stop: filled.stop.into(),
            lines: filled.text.lines().count(),
            computed_tokens: filled.computed_tokens,
            text: filled.text,
        };
        attempts.insert(name.to_owned(), attempt);
    }
    Ok(Task {
        task: problem.task_id.clone(),
        solution_lines,
        attempts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_where_its_prompt_ended() {
        // (text before the hole, end of the prompt, where the text goes)
        for (before, typed, expect) in [
            ("a\n    b = ", "    b =", Some("a\n    b =")),
            ("a\n    ", "", Some("a\n")),
            ("a\n    ", "    ", Some("a\n    ")),
            ("a\n    ", "a\n    ", Some("a\n    ")),
            ("a\n", "", Some("a\n")),
            ("", "", Some("")),
            ("a", "", None),
            ("a\n    b", "    c", None),
            ("a\n\t", "  ", None),
        ] {
            assert_eq!(asked_at(before, typed), expect, "{before:?} {typed:?}");
        }
    }
}
