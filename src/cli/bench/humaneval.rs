//! `ghostline bench humaneval`: functions that the model writes from their docstring, executed.

use super::executing::{Common, Results};
use crate::cli::Exit;
use crate::eval::humaneval::{self, MAX_TOKENS};
use crate::eval::passing::Setting;

/// What `--data` must be.
const DATA: &str = "JSON lines (plain or gzipped) with task_id, prompt, canonical_solution, test and \
                    entry_point, such as HumanEval.jsonl.gz of github.com/openai/human-eval";

/// Arguments of `ghostline bench humaneval`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What all benchmarks of this kind take.
    #[command(flatten)]
    pub common: Common,
    /// Most tokens of a function
    #[arg(long, default_value_t = MAX_TOKENS, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: u32,
}

/// Generates, executes and reports.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let Args { common, max_tokens } = &args;
    let problems = common.problems(DATA)?;
    let sandbox = common.sandbox().await?;
    let (route, _checks) = match common.route().await? {
        Ok(route) => route,
        Err(exit) => return Ok(exit),
    };
    let setting = Setting {
        bench: "humaneval",
        data: common.data_name(),
        seed: common.seed,
        model: route.model.clone(),
        backend: route.backend.name().to_owned(),
        max_tokens: *max_tokens,
        moved_lines: None,
        python: sandbox.python_version().to_owned(),
        sandbox: sandbox.name(),
    };
    let names = [route.model.as_str()];
    let (results, problems) = Results::begin(common, setting, &names, problems)?;
    let done = |task: &_| results.add(task);
    humaneval::run(&route, names[0], *max_tokens, &sandbox, &problems, done).await?;
    results.finish()?;
    Ok(Exit::Success)
}
