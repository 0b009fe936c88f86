//! Holes in programs, filled by the model alone and by the engine, and both executed.
//!
//! Called by `cli/bench/infill`. For each problem the real engine completes a document with the hole in
//! it, as when a person asks for it. One generation gives both texts: *raw* is all that the model said,
//! put in as it is; *raw-line* is the first line of that where the hole is one line, which any client can
//! cut; *engine* is what the engine would insert of it. So they differ in what is done with one text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::chance::{Chance, fingerprint};
use super::passing::{Attempt, Task};
use super::problem::Problem;
use super::recorder::{Recorder, Recording};
use super::sandbox::{Sandbox, SandboxError};
use crate::backend::{BackendError, StopReason};
use crate::config::{Debounce, Settings};
use crate::document::{Document, Edit};
use crate::inline::{Ask, Engine, Nothing};
use crate::prompt::Segment;
use crate::router::{Route, Router};

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

/// A program with a hole, as an editor would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hole {
    before: String,
    after: String,
    solution_lines: usize,
}

impl Hole {
    /// The hole of a problem. Where its solution is whole lines, an empty line is the hole: that is what
    /// a person has there. A problem without a suffix gets a hole of its known solution's lines, two or
    /// more where there are so many, drawn with `seed`.
    fn of(problem: &Problem, seed: u64) -> Self {
        let Problem {
            prompt,
            canonical_solution: solution,
            ..
        } = problem;
        let (before, solution, after) = if let Some(suffix) = &problem.suffix {
            (prompt.clone(), solution.as_str(), suffix.clone())
        } else {
            let (start, end) = drawn_lines(solution, &problem.task_id, seed);
            let (rest, below) = solution.split_at(end);
            let (above, lines) = rest.split_at(start);
            ([prompt, above].concat(), lines, below.to_owned())
        };
        let whole_lines = solution.ends_with('\n') && (before.is_empty() || before.ends_with('\n'));
        Self {
            solution_lines: solution.lines().count(),
            after: if whole_lines {
                ["\n", after.as_str()].concat()
            } else {
                after
            },
            before,
        }
    }

    fn filled_with(&self, text: &str) -> String {
        [self.before.as_str(), text, self.after.as_str()].concat()
    }
}

/// Some lines of `text`, as bytes.
fn drawn_lines(text: &str, task_id: &str, seed: u64) -> (usize, usize) {
    let mut at = 0;
    let mut starts = Vec::new();
    for line in text.split_inclusive('\n') {
        if !line.trim().is_empty() {
            starts.push((at, at + line.len()));
        }
        at += line.len();
    }
    let ranges: Vec<(usize, usize)> = starts
        .iter()
        .enumerate()
        .flat_map(|(n, &(start, _))| {
            let ends = starts.iter().skip(n + usize::from(starts.len() > 1));
            ends.map(move |&(_, end)| (start, end))
        })
        .collect();
    let mut chance = Chance::new(seed, "hole", fingerprint(task_id.as_bytes()));
    chance.pick(&ranges).copied().unwrap_or((0, text.len()))
}

/// Fills holes with one model.
#[derive(Debug)]
pub struct Filler {
    engine: Arc<Engine>,
    recorder: Arc<Recorder>,
    seed: u64,
}

/// A program filled in one way.
struct Filled {
    code: String,
    text: String,
    stop: &'static str,
}

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
            engine: Arc::new(Engine::new(router, Arc::new(settings), Arc::default())),
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
        let executed = filled
            .map_ok(|(problem, lines, filled)| execute(sandbox, problem, lines, filled))
            .try_buffered(AT_ONCE);
        let shown = executed.inspect_ok(done);
        shown.try_collect().await
    }

    /// The program filled in all ways.
    async fn fill<'p>(
        &self,
        problem: &'p Problem,
    ) -> Result<(&'p Problem, usize, [Filled; 3]), InfillError> {
        let task = || problem.task_id.clone();
        let hole = Hole::of(problem, self.seed);
        // A document of its own each, so that no text of one is known to another.
        let uri = format!("file:///infill/{}.py", problem.task_id);
        let mut document = Document::new(&uri, 0, "python", &hole.filled_with(""));
        let ask = Ask {
            document: document.clone(),
            offset_bytes: hole.before.len(),
            explicit: true,
            selected: None,
        };
        let answer = self.engine.complete(ask).await;
        let recorded = self.recorder.take().into_iter().next();
        let recording = recorded
            .ok_or_else(|| InfillError::NotAsked {
                task: task(),
                why: format!("{answer:?}"),
            })?
            .map_err(|source| InfillError::Backend {
                task: task(),
                source,
            })?;
        let misplaced = || InfillError::Misplaced { task: task() };
        let raw = raw(&hole, &recording, &recording.text).ok_or_else(misplaced)?;
        let line = if hole.solution_lines > 1 {
            &recording.text
        } else {
            first_line(&recording.text)
        };
        let raw_line = self::raw(&hole, &recording, line).ok_or_else(misplaced)?;
        let engine = match answer {
            Ok(completion) => {
                let edit = Edit {
                    range_bytes: Some(completion.range_bytes),
                    text: completion.insert_text,
                };
                document.apply(&edit);
                Filled {
                    code: document.text.to_string(),
                    text: edit.text,
                    stop: stop_name(completion.trace.stop),
                }
            }
            Err(Nothing::Empty | Nothing::HeldBack) => Filled {
                code: hole.filled_with(""),
                text: String::new(),
                stop: "nothing",
            },
            Err(why) => {
                return Err(InfillError::NotAsked {
                    task: task(),
                    why: format!("{why:?}"),
                });
            }
        };
        Ok((problem, hole.solution_lines, [raw, raw_line, engine]))
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

/// Runs the problem's test on each program.
async fn execute(
    sandbox: &Sandbox,
    problem: &Problem,
    solution_lines: usize,
    filled: [Filled; 3],
) -> Result<Task, InfillError> {
    let mut attempts = BTreeMap::new();
    let mut before = None;
    for (name, Filled { code, text, stop }) in CANDIDATES.into_iter().zip(filled) {
        let outcome = match &before {
            Some((same, outcome)) if *same == code => *outcome,
            _ => sandbox.run(&problem.program(&code)).await?,
        };
        before = Some((code, outcome));
        let attempt = Attempt {
            outcome,
            stop: stop.into(),
            lines: text.lines().count(),
            text,
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
    use crate::eval::problem::tests::half;

    #[test]
    fn a_hole_of_whole_lines_is_an_empty_line() {
        let hole = Hole::of(&half("T/0"), 1);
        assert_eq!(hole.filled_with(""), "def half(n):\n\n    return h\n");
        assert_eq!(
            hole.filled_with("    h = n // 2"),
            "def half(n):\n    h = n // 2\n    return h\n"
        );
        let mut inner = half("T/0");
        inner.prompt = "def half(n):\n    h = n ".into();
        inner.canonical_solution = "// 2".into();
        inner.suffix = Some("\n    return h\n".into());
        let hole = Hole::of(&inner, 1);
        assert_eq!(
            hole.filled_with("// 2"),
            "def half(n):\n    h = n // 2\n    return h\n"
        );
    }

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

    #[test]
    fn a_problem_without_a_suffix_gets_a_hole_of_several_lines() {
        let mut problem = half("T/0");
        problem.suffix = None;
        problem.canonical_solution = "    a = 1\n\n    b = 2\n    return n // b\n".into();
        let whole = [problem.prompt.as_str(), &problem.canonical_solution].concat();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let hole = Hole::of(&problem, seed);
            assert!(hole.solution_lines >= 2, "{hole:?}");
            assert!(whole.starts_with(&hole.before), "{hole:?}");
            assert!(whole.ends_with(hole.after.strip_prefix('\n').unwrap()));
            assert_eq!(hole, Hole::of(&problem, seed));
            seen.insert(hole.before);
        }
        assert_eq!(seen.len(), 2, "both places where two lines begin");
        problem.canonical_solution = "    return n // 2\n".into();
        assert_eq!(Hole::of(&problem, 1).solution_lines, 1);
    }
}
