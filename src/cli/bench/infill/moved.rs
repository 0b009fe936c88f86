//! `ghostline bench infill --moved`: the embedded engine against itself, with and without moving what it has
//! cached at other positions.

use std::sync::Arc;

use crate::backend::embedded::{EngineOptions, Splicing};
use crate::cli::bench::executing::{Results, not_installed};
use crate::cli::{Exit, Usage};
use crate::eval::infilling::moved::{CANDIDATES, Fillers};
use crate::eval::passing::Setting;
use crate::eval::problem::Problem;
use crate::eval::sandbox::Sandbox;
use crate::eval::weights::Weights;
use crate::models::{self, Store};
use crate::router::Route;

/// Arguments of its own.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Compare the embedded engine with itself instead: everything computed, and what is cached at other
    /// positions moved, after the LINES lines above each hole were written one by one; `--model` is one of
    /// the catalogue, `1.5b` without it
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..))]
    pub moved: Option<u32>,
    /// Threads that compute, with --moved; the engine's own choice without it
    #[arg(long, requires = "moved")]
    pub threads: Option<usize>,
}

/// Fills, executes and reports.
pub(super) async fn run(
    args: &super::Args,
    lines: u32,
    problems: Vec<Problem>,
    sandbox: &Sandbox,
    max_tokens: u32,
) -> anyhow::Result<Exit> {
    let common = &args.common;
    let model = models::find(common.model.as_deref().unwrap_or("1.5b"))
        .map_err(|why| Usage(format!("--model: {why}")))?;
    let Some(file) = Store::open_default()?.path_of(model) else {
        return Ok(not_installed(model.name));
    };
    let weights = Weights {
        model: model.name.to_owned(),
        file,
        threads: args.moved.threads,
    };
    let routes = [Splicing::Off, Splicing::Unrefreshed].map(|splicing| {
        let engine = weights.engine(EngineOptions {
            splicing,
            ..EngineOptions::default()
        });
        Route::of(Arc::new(engine), model.name)
    });
    let fillers = Fillers::new(
        routes.each_ref(),
        max_tokens,
        common.seed,
        usize::try_from(lines)?,
    );
    let setting = Setting {
        bench: "infill",
        data: common.data_name(),
        seed: common.seed,
        model: model.name.to_owned(),
        backend: "embedded".to_owned(),
        max_tokens,
        moved_lines: Some(lines),
        python: sandbox.python_version().to_owned(),
        sandbox: sandbox.name(),
    };
    let (results, left) = Results::begin(common, setting, &CANDIDATES, problems.clone())?;
    let done = |task: &_| results.add(task);
    fillers.run(sandbox, &left, &problems, done).await?;
    results.finish()?;
    Ok(Exit::Success)
}
