//! Whole functions from their signature and docstring, executed: what a model can do by itself.
//!
//! Called by `cli/bench/humaneval`. The model goes on with the problem's text, greedily, and ends where
//! another statement begins at the left margin. One try each: the share of problems solved is pass@1.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::infilling::{AT_ONCE, InfillError, stop_name};
use super::passing::{Attempt, Task};
use super::problem::Problem;
use super::sandbox::Sandbox;
use crate::backend::{BackendError, Chunk, Priority, Request, StopReason};
use crate::prompt::Segment;
use crate::router::Route;

/// Most tokens of a function. Of the known solutions the longest has about 300.
pub const MAX_TOKENS: u32 = 512;

/// Writes and executes the function of every problem, and shows each as it is done. `name` is the
/// candidate's.
pub async fn run(
    route: &Route,
    name: &str,
    max_tokens: u32,
    sandbox: &Sandbox,
    problems: &[Problem],
    done: impl Fn(&Task),
) -> Result<Vec<Task>, InfillError> {
    let written = stream::iter(problems).then(|problem| async move {
        let written = write(route, problem, max_tokens).await;
        written
            .map(|written| (problem, written))
            .map_err(|source| InfillError::Backend {
                task: problem.task_id.clone(),
                source,
            })
    });
    let executed = written
        .map_ok(|(problem, (text, stop))| async move {
            let code = [problem.prompt.as_str(), &text].concat();
            let attempt = Attempt {
                outcome: sandbox.run(&problem.program(&code)).await?,
                stop: stop_name(stop).into(),
                lines: text.lines().count(),
                computed_tokens: None,
                text,
            };
            Ok(Task {
                task: problem.task_id.clone(),
                solution_lines: problem.canonical_solution.lines().count(),
                attempts: BTreeMap::from([(name.to_owned(), attempt)]),
            })
        })
        .try_buffered(AT_ONCE);
    executed.inspect_ok(done).try_collect().await
}

/// The function's body, and why it ended.
async fn write(
    route: &Route,
    problem: &Problem,
    max_tokens: u32,
) -> Result<(String, StopReason), BackendError> {
    let mut stream = route.backend.stream(Request {
        model: route.model.clone(),
        prompt: vec![Segment::Text(problem.prompt.clone())].into(),
        max_tokens,
        stop: route.family.stops.iter().map(|&s| s.to_owned()).collect(),
        priority: Priority::Completion,
    });
    let mut text = String::new();
    while let Some(chunk) = stream.next().await {
        match chunk? {
            Chunk::Prompt { .. } | Chunk::Thinking(_) => {}
            Chunk::Text(piece) => {
                text.push_str(&piece);
                if let Some(end) = end_of_body(&text) {
                    text.truncate(end);
                    return Ok((text, StopReason::Cut));
                }
            }
            Chunk::Done(finish) => return Ok((text, finish.stop)),
        }
    }
    Ok((text, StopReason::Cut))
}

/// Where the first line begins that stands at the left margin and closes nothing.
fn end_of_body(text: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let outside = line
            .chars()
            .next()
            .is_some_and(|c| !c.is_whitespace() && !matches!(c, ')' | ']' | '}'));
        if outside && start > 0 {
            return Some(start);
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_where_another_statement_begins() {
        for (text, body) in [
            ("    return 1\n\n\ndef b():\n", "    return 1\n\n\n"),
            ("    return 1\nprint(", "    return 1\n"),
            ("    return 1\n```\n", "    return 1\n"),
            (
                "    return [\n        1\n]\nx",
                "    return [\n        1\n]\n",
            ),
        ] {
            let end = end_of_body(text).unwrap();
            assert_eq!(text.split_at(end).0, body, "{text:?}");
        }
        for open in [
            "",
            "    a = 1\n",
            "    a = 1\n\n",
            "return 1",
            "    a(\n)\n",
        ] {
            assert_eq!(end_of_body(open), None, "{open:?}");
        }
    }
}
