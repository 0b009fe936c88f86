//! Holes filled with everything computed, and with what the cache had at other positions moved.
//!
//! The lines above a hole are written one by one first, each asked for where it is written, with the text
//! below further down each time: that is what the in-process engine moves. Nothing is refreshed in between,
//! and finished lines are not kept where they were typed, so that a hole is filled behind as many moves as
//! there are lines. Below the program stands the next problem's function: a file goes on. That problem is
//! filled next, and what was computed of it here may be moved there too. Then both engines are asked the same,
//! and what each would insert is executed.
//!
//! Called by `cli/bench/infill`.

use futures_util::{StreamExt as _, stream};

use super::{Filled, Filler, Hole, InfillError, Ways, execute_all, inserted};
use crate::eval::passing::Task;
use crate::eval::problem::Problem;
use crate::eval::sandbox::Sandbox;
use crate::router::Route;

/// The candidates, in the order of reports.
pub const CANDIDATES: [&str; 2] = ["computed", "moved"];

/// Fills holes in both ways.
#[derive(Debug)]
pub struct Fillers {
    computed: Filler,
    moved: Filler,
    lines: usize,
}

impl Fillers {
    /// Two engines with the same model, of which the first moves nothing and the second does, and the
    /// `lines` lines above each hole.
    pub fn new([computed, moved]: [&Route; 2], max_tokens: u32, seed: u64, lines: usize) -> Self {
        Self {
            computed: Filler::new(computed, max_tokens, seed),
            moved: Filler::new(moved, max_tokens, seed),
            lines,
        }
    }

    /// Fills and executes every problem, each above the one that follows it in `all`, and shows each as it
    /// is done.
    ///
    /// # Errors
    /// When the model fails, or a program cannot be run.
    pub async fn run(
        &self,
        sandbox: &Sandbox,
        problems: &[Problem],
        all: &[Problem],
        done: impl Fn(&Task),
    ) -> Result<Vec<Task>, InfillError> {
        let filled = stream::iter(problems).then(|problem| {
            let others = all.iter().skip_while(move |other| other != &problem);
            let others = others.chain(all);
            let mut others = others.filter(|other| other.entry_point != problem.entry_point);
            self.fill(problem, others.next())
        });
        execute_all(sandbox, CANDIDATES, filled, done).await
    }

    async fn fill<'p>(
        &self,
        problem: &'p Problem,
        below: Option<&Problem>,
    ) -> Result<Ways<'p, 2>, InfillError> {
        let mut hole = Hole::of(problem, self.computed.seed);
        if let Some(below) = below {
            hole = hole.above(below);
        }
        // What was asked before changes no answer of the one that moves nothing: the last line is enough for
        // both to have the same in their caches.
        let computed = self.computed.fill_behind(problem, &hole, 1).await?;
        let moved = self.moved.fill_behind(problem, &hole, self.lines).await?;
        Ok((problem, hole.solution_lines, [computed, moved]))
    }
}

impl Filler {
    /// Writes the lines above a hole, then fills it.
    async fn fill_behind(
        &self,
        problem: &Problem,
        hole: &Hole,
        lines: usize,
    ) -> Result<Filled, InfillError> {
        let task = &problem.task_id;
        for (text, offset_bytes) in hole.way(lines) {
            // Only the prompt counts.
            self.recorder.say_at_most(1);
            drop(self.ask(task, &text, offset_bytes).await?);
        }
        self.recorder.say_at_most(u32::MAX);
        let (answer, recording) = self.ask_at(task, hole).await?;
        Ok(Filled {
            computed_tokens: recording.computed_tokens,
            ..inserted(task, hole, answer)?
        })
    }
}
