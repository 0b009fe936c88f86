//! `ghostline bench compare`: whether a result is worse than an older one.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::{Exit, Usage, output};
use crate::eval::compare;

/// Arguments of `ghostline bench compare`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The older result, as `--json` of a benchmark wrote it
    pub a: PathBuf,
    /// The newer result
    pub b: PathBuf,
    /// By which share a figure of `latency` or `replay` may get worse; programs that were executed are
    /// compared in pairs instead
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    pub tolerance: f64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Compares and fails when the newer result is worse.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let compared =
        compare::compare(&a, &b, args.tolerance).map_err(|error| Usage(error.to_string()))?;
    if args.json {
        output::line(&serde_json::to_string_pretty(&compared)?);
    } else {
        output::line(compared.table().trim_end());
    }
    Ok(if compared.worse {
        Exit::Failed
    } else {
        Exit::Success
    })
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|e| Usage(format!("cannot read {shown}: {e}")))?;
    serde_json::from_str(&text).map_err(|e| Usage(format!("{shown} is no JSON: {e}")).into())
}
