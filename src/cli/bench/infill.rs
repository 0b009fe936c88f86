//! `ghostline bench infill`: holes in programs, filled by the model and by the engine, and executed.

use super::executing::{Common, Results};
use crate::cli::Exit;
use crate::config::Settings;
use crate::eval::infilling::{CANDIDATES, Filler};
use crate::eval::passing::Setting;

#[cfg(feature = "embedded")]
mod moved;

/// What `--data` must be.
const DATA: &str = "JSON lines (plain or gzipped) with task_id, prompt, suffix, canonical_solution, \
                    test and entry_point, such as HumanEval-SingleLineInfilling.jsonl.gz of \
                    github.com/openai/human-eval-infilling; a line without a suffix gets a hole of \
                    several lines";

/// Arguments of `ghostline bench infill`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What all benchmarks of this kind take.
    #[command(flatten)]
    pub common: Common,
    /// Most tokens of a text; without it what the settings have by default
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: Option<u32>,
    /// Against itself instead.
    #[cfg(feature = "embedded")]
    #[command(flatten)]
    pub moved: moved::Args,
}

/// Fills, executes and reports.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let common = &args.common;
    let problems = common.problems(DATA)?;
    let sandbox = common.sandbox().await?;
    let max_tokens = args
        .max_tokens
        .unwrap_or_else(|| Settings::default().inline.max_tokens);
    #[cfg(feature = "embedded")]
    if let Some(lines) = args.moved.moved {
        return moved::run(&args, lines, problems, &sandbox, max_tokens).await;
    }
    let (route, _checks) = match common.route().await? {
        Ok(route) => route,
        Err(exit) => return Ok(exit),
    };
    let filler = Filler::new(&route, max_tokens, common.seed);
    let setting = Setting {
        bench: "infill",
        data: common.data_name(),
        seed: common.seed,
        model: route.model.clone(),
        backend: route.backend.name().to_owned(),
        max_tokens,
        moved_lines: None,
        python: sandbox.python_version().to_owned(),
        sandbox: sandbox.name(),
    };
    let (results, problems) = Results::begin(common, setting, &CANDIDATES, problems)?;
    filler
        .run(&sandbox, &problems, |task| results.add(task))
        .await?;
    results.finish()?;
    Ok(Exit::Success)
}
