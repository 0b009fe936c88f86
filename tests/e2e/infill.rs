//! `ghostline bench infill`, `humaneval` and `compare`: the engine and the sandbox with a model whose
//! text is known, the errors of the program, and the committed results.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use ghostline::backend::{
    Backend, BackendError, Chunk, ChunkStream, Finish, Installed, PromptBudget, Request, StopReason,
};
use ghostline::eval::humaneval;
use ghostline::eval::infilling::Filler;
use ghostline::eval::infilling::moved::Fillers;
use ghostline::eval::passing::Task;
use ghostline::eval::problem::Problem;
use ghostline::eval::sandbox::Outcome;
use ghostline::prompt::Segment;
use ghostline::router::Route;
use tokio::process::Command;

use super::sandbox::sandbox;

const MODEL: &str = "qwen2.5-coder-0.5b";

/// Always says the same, in pieces, and keeps what it was asked.
#[derive(Debug, Default)]
struct Says {
    text: &'static str,
    asked: Mutex<Vec<Request>>,
}

impl Backend for Says {
    fn name(&self) -> &'static str {
        "says"
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        async { Ok(()) }.boxed()
    }

    fn stream(&self, request: Request) -> ChunkStream {
        self.asked.lock().unwrap().push(request);
        let pieces: Vec<String> = self.text.split_inclusive(' ').map(str::to_owned).collect();
        let done = Chunk::Done(Finish {
            stop: StopReason::Stop,
            ..Finish::default()
        });
        let prompt = Chunk::Prompt {
            prompt_tokens: 9,
            cached_tokens: Some(2),
            estimated: false,
        };
        let text = pieces.into_iter().map(Chunk::Text);
        let chunks = [prompt].into_iter().chain(text).chain([done]);
        futures_util::stream::iter(chunks.map(Ok)).boxed()
    }

    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget {
            prefix_tokens: 16,
            suffix_tokens: 16,
            context_tokens: 0,
        }
    }
}

fn says(text: &'static str) -> Arc<Says> {
    let asked = Mutex::default();
    Arc::new(Says { text, asked })
}

fn route(text: &'static str) -> Route {
    Route::of(says(text), MODEL)
}

fn half(prompt: &str, solution: &str, suffix: &str) -> Problem {
    Problem {
        task_id: "Half/0".into(),
        prompt: prompt.into(),
        suffix: Some(suffix.into()),
        canonical_solution: solution.into(),
        test: "def check(candidate):\n    assert candidate(8) == 4\n".into(),
        entry_point: "half".into(),
    }
}

/// Outcomes of the raw text and of the engine's, for a hole and what the model says.
async fn outcomes(problem: Problem, text: &'static str) -> Option<[(Outcome, String); 2]> {
    let sandbox = sandbox().await?;
    let filler = Filler::new(&route(text), 64, 1);
    let tasks = filler.run(&sandbox, &[problem], |_| {}).await.unwrap();
    let [Task { attempts, .. }] = tasks.as_slice() else {
        panic!("{tasks:?}")
    };
    Some(["raw", "engine"].map(|name| (attempts[name].outcome, attempts[name].text.clone())))
}

#[tokio::test]
async fn a_hole_is_filled_and_executed_in_both_ways() {
    for (problem, text, raw, engine) in [
        // Both right.
        (
            half("def half(n):\n", "    h = n // 2\n", "    return h\n"),
            "    h = n // 2",
            Outcome::Passed,
            Outcome::Passed,
        ),
        // The model goes on into what stands below; the engine ends it.
        (
            half(
                "def half(n):\n    n = n\n",
                "    h = n // 2\n",
                "    return h\n",
            ),
            "    h = n // 2\n    return h\n    h = [",
            Outcome::SyntaxError,
            Outcome::Passed,
        ),
        // In the middle of a line, after a space that the prompt leaves away.
        (
            half("def half(n):\n    return n ", "// 2", "\n"),
            " // 2",
            Outcome::Passed,
            Outcome::Passed,
        ),
        // Both wrong.
        (
            half("def half(n):\n", "    h = n // 2\n", "    return h\n"),
            "    h = n",
            Outcome::WrongAnswer,
            Outcome::WrongAnswer,
        ),
    ] {
        let shown = format!("{problem:?} {text:?}");
        let Some([(got_raw, raw_text), (got_engine, _)]) = outcomes(problem, text).await else {
            return;
        };
        assert_eq!(raw_text, text, "{shown}");
        assert_eq!((got_raw, got_engine), (raw, engine), "{shown}");
    }
}

#[tokio::test]
async fn the_lines_above_a_hole_are_written_before_it_is_filled() {
    let Some(sandbox) = sandbox().await else {
        return;
    };
    let problem = half(
        "def half(n):\n    m = n\n",
        "    h = m // 2\n",
        "    return h\n",
    );
    let [computed, moved] = [says("    h = m // 2"), says("    h = m")];
    let routes = [&computed, &moved].map(|says| Route::of(says.clone(), MODEL));
    let fillers = Fillers::new(routes.each_ref(), 64, 1, 2);
    let below = Problem {
        entry_point: "third".into(),
        ..half("def third(n):\n", "    return n // 3\n", "")
    };
    let all = [problem.clone(), below];
    let problems = [problem];
    let run = fillers.run(&sandbox, &problems, &all, |_| {});
    let tasks = run.await.unwrap();
    let outcome = |name: &str| tasks[0].attempts[name].outcome;
    assert_eq!(outcome("computed"), Outcome::Passed);
    assert_eq!(outcome("moved"), Outcome::WrongAnswer);
    assert_eq!(tasks[0].attempts["moved"].computed_tokens, Some(7));
    // (the line above the cursor, tokens of the answer)
    let asked = |says: &Says| {
        let asked = says.asked.lock().unwrap();
        let above = |request: &Request| {
            let text = request.prompt.segments().iter().find_map(|s| match s {
                Segment::Text(text) => Some(text.clone()),
                Segment::Special(_) => None,
            });
            let text = text.unwrap_or_default();
            let line = text.lines().next_back().unwrap_or_default().to_owned();
            (line, request.max_tokens)
        };
        asked.iter().map(above).collect::<Vec<_>>()
    };
    let hole = ("    m = n".to_owned(), 64);
    let last = ("def half(n):".to_owned(), 1);
    assert_eq!(asked(&computed), [last.clone(), hole.clone()]);
    // Of the first line, nothing stands above.
    let first = ("    return n // 3".to_owned(), 1);
    assert_eq!(asked(&moved), [first, last, hole]);
}

#[tokio::test]
async fn functions_are_written_to_their_end_and_executed() {
    let Some(sandbox) = sandbox().await else {
        return;
    };
    let mut problem = half("def half(n):\n", "    return n // 2\n", "");
    problem.suffix = None;
    for (text, outcome) in [
        ("    return n // 2\n\nhalf = None\n", Outcome::Passed),
        ("    return n\n", Outcome::WrongAnswer),
    ] {
        let problems = [problem.clone()];
        let route = route(text);
        let run = humaneval::run(&route, "m", 64, &sandbox, &problems, |_| {});
        let tasks = run.await.unwrap();
        assert_eq!(tasks[0].attempts["m"].outcome, outcome, "{text:?}");
    }
}

async fn ghostline(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ghostline"))
        .arg("bench")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn without_data_the_program_says_what_is_missing() {
    for (bench, field) in [("infill", "suffix"), ("humaneval", "prompt")] {
        let (code, stdout, stderr) = ghostline(&[bench]).await;
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stdout.is_empty(), "{stdout}");
        for part in ["--data FILE", field, "canonical_solution"] {
            assert!(stderr.contains(part), "{part} in {stderr}");
        }
        let (code, _, stderr) = ghostline(&[bench, "--data", "no-such-file"]).await;
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("no-such-file"), "{stderr}");
    }
}

#[tokio::test]
async fn compare_fails_when_the_newer_result_is_worse() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, outcome: &str| {
        let task =
            |n| format!(r#"{{"task":"T/{n}","attempts":{{"engine":{{"outcome":"{outcome}"}}}}}}"#);
        let tasks: Vec<String> = (0..8).map(task).collect();
        let path = folder.path().join(name);
        let json = format!(r#"{{"bench":"infill","tasks":[{}]}}"#, tasks.join(","));
        std::fs::write(&path, json).unwrap();
        path.display().to_string()
    };
    let (good, bad) = (file("good", "passed"), file("bad", "timeout"));
    for (a, b, expected) in [(&good, &bad, 1), (&bad, &good, 0), (&good, &good, 0)] {
        let (code, stdout, stderr) = ghostline(&["compare", a, b]).await;
        assert_eq!(code, Some(expected), "{stdout}{stderr}");
        assert_eq!(stdout.contains("worse"), expected == 1, "{stdout}");
    }
    let (code, _, stderr) = ghostline(&["compare", &good, "no-such-file"]).await;
    assert_eq!(code, Some(2), "{stderr}");
}

/// The results kept beside the tests, so that a change of the engine shows as a difference.
#[test]
fn in_the_kept_results_the_engine_is_no_worse_than_the_model() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/infill");
    let tables = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for table in tables {
        let text = std::fs::read_to_string(table.path()).unwrap();
        let mut rows = text.lines().filter(|line| !line.starts_with('#'));
        let columns: Vec<&str> = rows.next().unwrap().split('\t').collect();
        let column = |name| columns.iter().position(|&c| c == name).unwrap();
        let (raw, engine) = (column("raw"), column("engine"));
        let (mut raw_passed, mut engine_passed) = (0, 0);
        for row in rows {
            let cells: Vec<&str> = row.split('\t').collect();
            assert_eq!(cells.len(), columns.len(), "{row}");
            raw_passed += usize::from(cells[raw] == "passed");
            engine_passed += usize::from(cells[engine] == "passed");
        }
        let path = table.path();
        assert!(
            engine_passed >= raw_passed,
            "{engine_passed} < {raw_passed} in {path:?}"
        );
        for (name, passed) in [("raw", raw_passed), ("engine", engine_passed)] {
            let heading = format!("# {name}: {passed} passed");
            assert!(text.contains(&heading), "{heading} in {path:?}");
        }
    }
}
