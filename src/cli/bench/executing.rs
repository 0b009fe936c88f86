//! What `bench infill` and `bench humaneval` share: data, model, sandbox, progress and output.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::cli::{Exit, Usage, output};
use crate::config::{Candidate, Role};
use crate::eval::passing::{Report, Setting, Task};
use crate::eval::passing_page;
use crate::eval::problem::{self, Problem};
use crate::eval::sandbox::{Interpreter, Limits, Sandbox};
use crate::host::LocalHost;
use crate::models::{self, Store};
use crate::router::{RoleState, Route, Router};
use crate::server::Host as _;

/// Arguments of both.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The problems: a file of JSON lines, plain or gzipped
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Only so many problems, drawn with the seed
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Of the draw
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// `1.5b` or `0.5b` for an embedded model, or `[backend/]model`; without it what the settings say
    #[arg(long)]
    pub model: Option<String>,
    /// The Python 3 that runs the tests
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    pub python: String,
    /// Run what the model wrote with your own rights, where it cannot be confined
    #[arg(long)]
    pub unconfined: bool,
    /// Write one JSON object to this file, `-` for stdout alone
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with a plot to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a tab-separated line per problem to this file
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// Go on with the result in the file of `--json`, which is written after every problem
    #[arg(long, requires = "json")]
    pub resume: bool,
    /// Write what the model wrote to this file, a JSON object a line
    #[arg(long, value_name = "FILE")]
    pub texts: Option<PathBuf>,
}

/// How often backends are asked for the model: a busy machine misses a first answer.
const LOOKS: usize = 3;

/// The routes' background task; ends with the benchmark.
pub(super) struct Checks(tokio::task::JoinHandle<()>);

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Says how to fetch a model of the catalogue.
pub(super) fn not_installed(name: &str) -> Exit {
    output::note(&format!(
        "ghostline: {name} is not installed; fetch it with `ghostline models pull {name}`"
    ));
    Exit::NoBackend
}

impl Common {
    /// The problems drawn. `what` says what kind of file is missing.
    pub(super) fn problems(&self, what: &str) -> anyhow::Result<Vec<Problem>> {
        let Some(path) = &self.data else {
            bail!(Usage(format!(
                "the problems are not part of ghostline: give them with --data FILE, {what}"
            )));
        };
        let problems = problem::read(path)
            .map_err(|error| Usage(format!("--data: {:#}", anyhow::Error::from(error))))?;
        Ok(problem::draw(problems, self.limit, self.seed))
    }

    /// The data's name in reports.
    pub(super) fn data_name(&self) -> String {
        let name = self.data.as_deref().and_then(Path::file_name);
        name.unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where programs run.
    pub(super) async fn sandbox(&self) -> anyhow::Result<Sandbox> {
        let launcher = std::env::current_exe().context("cannot find the running program")?;
        let interpreter = Interpreter::find(&self.python)
            .await
            .map_err(|error| Usage(error.to_string()))?;
        let limits = Limits::default();
        if self.unconfined {
            output::note("ghostline: programs that the model writes run with your own rights");
            return Ok(Sandbox::unconfined(launcher, interpreter, limits));
        }
        Ok(Sandbox::confined(launcher, interpreter, limits).await?)
    }

    /// The loaded model that is to be measured; the exit code where there is none.
    pub(super) async fn route(&self) -> anyhow::Result<Result<(Arc<Route>, Checks), Exit>> {
        let host = LocalHost::new();
        let folder = std::env::current_dir().context("cannot find the current folder")?;
        let (settings, mut problems) = host.settings(Some(&folder), None);
        let (mut choices, more) = host.choices(&settings);
        problems.extend(more);
        for problem in &problems {
            output::note(problem);
        }
        if let Some(name) = &self.model {
            let candidate = match models::find(name) {
                Ok(model) if Store::open_default()?.path_of(model).is_none() => {
                    return Ok(Err(not_installed(model.name)));
                }
                Ok(model) => Candidate {
                    backend: Some("embedded".to_owned()),
                    model: model.name.to_owned(),
                },
                Err(_) => Candidate::parse(name, &settings.backends)
                    .map_err(|why| Usage(format!("--model: {why}")))?,
            };
            choices.candidates.insert(Role::Completion, vec![candidate]);
        }
        choices
            .candidates
            .retain(|&role, _| role == Role::Completion);
        let router = Router::new(choices);
        let checks = Checks(tokio::spawn(router.clone().run()));
        for _ in 0..LOOKS {
            if let Some(route) = router.ready(Role::Completion).await {
                return Ok(Ok((route, checks)));
            }
            // A backend that is slow to answer is asked again.
            router.check().await;
        }
        if let RoleState::Unavailable(why) = router.route(Role::Completion) {
            output::note(&format!("ghostline: {why}"));
        }
        Ok(Err(Exit::NoBackend))
    }

    /// The tasks of an earlier run of the same kind that was broken off.
    fn done_before(&self, setting: &Setting) -> anyhow::Result<Vec<Task>> {
        let Some(path) = self
            .json
            .as_deref()
            .filter(|path| self.resume && path.exists())
        else {
            return Ok(Vec::new());
        };
        let shown = path.display();
        let text = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
        let before: Value =
            serde_json::from_slice(&text).map_err(|e| Usage(format!("{shown} is no JSON: {e}")))?;
        let now = serde_json::to_value(setting)?;
        for key in [
            "bench",
            "data",
            "seed",
            "model",
            "max_tokens",
            "moved_lines",
        ] {
            if before.get(key) != now.get(key) {
                bail!(Usage(format!(
                    "{shown} is of another {key}; leave --resume away, or name another file"
                )));
            }
        }
        let tasks = before.get("tasks").cloned().unwrap_or_default();
        serde_json::from_value(tasks)
            .map_err(|e| Usage(format!("{shown} holds no tasks: {e}")).into())
    }

    /// Writes what was asked for.
    fn write(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.html {
            write(path, &passing_page::html(report)?)?;
        }
        if let Some(path) = &self.table {
            write(path, &report.task_table())?;
        }
        if let Some(path) = &self.texts {
            write(path, &report.texts())?;
        }
        let json = to_json(report)?;
        match &self.json {
            Some(path) if path == Path::new("-") => {
                output::line(json.trim_end());
                return Ok(());
            }
            Some(path) => write(path, &json)?,
            None => {}
        }
        output::line(report.table().trim_end());
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A result that grows, and is kept in the file of `--json` as it does: an interruption loses nothing.
pub(super) struct Results<'c> {
    common: &'c Common,
    setting: Setting,
    names: &'c [&'c str],
    tasks: RefCell<Vec<Task>>,
    progress: Progress,
}

impl<'c> Results<'c> {
    /// Begins with what was done before, and gives the problems that are left.
    pub(super) fn begin(
        common: &'c Common,
        setting: Setting,
        names: &'c [&'c str],
        mut problems: Vec<Problem>,
    ) -> anyhow::Result<(Self, Vec<Problem>)> {
        let mut tasks = common.done_before(&setting)?;
        tasks.retain(|task| problems.iter().any(|p| p.task_id == task.task));
        let progress = Progress::new(problems.len(), tasks.len());
        problems.retain(|problem| tasks.iter().all(|t| t.task != problem.task_id));
        let results = Self {
            common,
            setting,
            names,
            tasks: RefCell::new(tasks),
            progress,
        };
        Ok((results, problems))
    }

    /// A problem is done.
    pub(super) fn add(&self, task: &Task) {
        self.tasks.borrow_mut().push(task.clone());
        self.progress.done(task);
        let kept = match &self.common.json {
            Some(path) if path != Path::new("-") => {
                to_json(&self.report()).and_then(|json| write(path, &json))
            }
            _ => Ok(()),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "what was done so far could not be kept");
        }
    }

    fn report(&self) -> Report {
        let tasks = self.tasks.borrow().clone();
        Report::new(self.setting.clone(), self.names, tasks)
    }

    /// Writes and prints what was asked for.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let report = self.report();
        drop(self.progress);
        self.common.write(&report)
    }
}

fn to_json(report: &Report) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

/// Of how many problems a log has a line.
const LOG_STEP: u64 = 10;

/// A bar on a terminal, a line now and then elsewhere.
struct Progress(ProgressBar);

impl Progress {
    fn new(problems: usize, done: usize) -> Self {
        // Hidden by itself where stderr is no terminal. No colours, so NO_COLOR has nothing to switch off.
        let bar = ProgressBar::new(problems as u64).with_position(done as u64);
        if let Ok(style) = ProgressStyle::with_template("[{wide_bar}] {pos}/{len} {eta} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// A problem is done.
    fn done(&self, task: &Task) {
        self.0.set_message(task.task.clone());
        self.0.inc(1);
        let (done, all) = (self.0.position(), self.0.length().unwrap_or_default());
        if self.0.is_hidden() && (done.is_multiple_of(LOG_STEP) || done == all) {
            output::note(&format!("{done} of {all} problems"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        common: Common,
    }

    fn setting(seed: u64) -> Setting {
        Setting {
            bench: "infill",
            data: "d".into(),
            seed,
            model: "m".into(),
            backend: "b".into(),
            max_tokens: 64,
            moved_lines: None,
            python: "3".into(),
            sandbox: "none",
        }
    }

    #[test]
    fn a_broken_off_run_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        let line = ["x", "--resume", "--json", path.to_str().unwrap()];
        let Line { common } = Line::parse_from(line);
        assert_eq!(common.done_before(&setting(1)).unwrap(), []);
        let task = Task {
            task: "T/1".into(),
            solution_lines: 1,
            attempts: [].into(),
        };
        let report = Report::new(setting(1), &["raw"], vec![task.clone()]);
        write(&path, &to_json(&report).unwrap()).unwrap();
        assert_eq!(common.done_before(&setting(1)).unwrap(), [task]);
        let error = common.done_before(&setting(2)).unwrap_err().to_string();
        assert!(error.contains("another seed"), "{error}");
    }
}
