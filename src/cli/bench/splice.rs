//! `ghostline bench splice`: what moving cached text and keeping the anchor are worth, on real weights.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use crate::cli::{Exit, Usage, output};
use crate::eval::sitting::{self, Sitting};
use crate::eval::splice::{self, Options, Report, Variant};
use crate::eval::weights::Weights;
use crate::models::Store;
use crate::prompt::fim::{self, Family};

/// Arguments of `ghostline bench splice`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Source files; a block in the middle of each is written line by line
    #[arg(required_unless_present = "trace", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// An editing trace (github.com/josephg/editing-traces); lines of it are written as they were
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Parts of the trace, evenly over it
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..), requires = "trace")]
    pub sittings: u32,
    /// An installed model
    #[arg(long, default_value = "qwen2.5-coder-1.5b")]
    pub model: String,
    /// A GGUF file of that model, instead of the installed one
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Lines that are written in each file, and in each part of the trace
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..))]
    pub lines: u32,
    /// Threads that compute; the engine's own choice without it
    #[arg(long)]
    pub threads: Option<usize>,
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Args {
    /// What to measure on, and the model's family.
    pub(super) fn resolve(self) -> anyhow::Result<(Options, &'static Family)> {
        let family = fim::family_of(&self.model, None).ok_or_else(|| {
            Usage(format!(
                "--model: {} is of no known family; name one as `ghostline models list` does",
                self.model
            ))
        })?;
        let file = match self.weights {
            Some(file) => file,
            None => installed(&self.model)?,
        };
        let weights = Weights {
            model: self.model,
            file,
            threads: self.threads,
        };
        let (parts, lines) = (
            usize::try_from(self.sittings)?,
            usize::try_from(self.lines)?,
        );
        let of_file = |file: &PathBuf| sitting::of_file(file, lines);
        let mut sittings: Vec<Sitting> = self
            .files
            .iter()
            .map(of_file)
            .collect::<anyhow::Result<_>>()?;
        if let Some(trace) = &self.trace {
            sittings.extend(sitting::of_trace(trace, parts, lines)?);
        }
        let options = Options { weights, sittings };
        Ok((options, family))
    }
}

/// Measures and prints.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let json = args.json.clone();
    let (options, family) = args.resolve()?;
    let report = splice::measure(&options, family).await?;
    write(json.as_deref(), &report)?;
    show(&report);
    Ok(Exit::Success)
}

/// Writes a report as JSON where one is wanted.
pub(super) fn write(json: Option<&Path>, report: &impl Serialize) -> anyhow::Result<()> {
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(report)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The file of an installed model.
pub(super) fn installed(model: &str) -> anyhow::Result<PathBuf> {
    let store = Store::open_default()?;
    let installed = store.installed().into_iter();
    installed
        .filter(|(installed, _)| installed.name == model)
        .map(|(_, path)| path)
        .next()
        .with_context(|| {
            format!("{model} is not installed; fetch it with `ghostline models pull {model}`")
        })
}

fn show(report: &Report) {
    output::line(&format!(
        "{}, {} places, {}",
        report.model,
        report.places,
        report.machine.summary()
    ));
    let heads = ["computed", "moved", "anchor kept"];
    output::line(&format!(
        "{:<40}{:>12}{:>12}{:>12}",
        "", heads[0], heads[1], heads[2]
    ));
    let known = |figure: Option<f64>| figure.unwrap_or(f64::NAN);
    let row = |name: &str, figure: &dyn Fn(&Variant) -> f64, digits: usize| {
        let [full, spliced, anchored] =
            [&report.full, &report.spliced, &report.anchored].map(figure);
        output::line(&format!(
            "{name:<40}{full:>12.digits$}{spliced:>12.digits$}{anchored:>12.digits$}"
        ));
    };
    row(
        "prompt tokens computed, p50",
        &|v| known(v.computed_tokens.p50),
        0,
    );
    row(
        "prompt tokens computed, p95",
        &|v| known(v.computed_tokens.p95),
        0,
    );
    row(
        "prompt tokens computed, mean",
        &|v| v.computed_tokens_mean,
        1,
    );
    row("first token, p50, ms", &|v| known(v.first_token_ms.p50), 0);
    row("first token, p95, ms", &|v| known(v.first_token_ms.p95), 0);
    row("share of the next line reproduced", &|v| v.agreement, 3);
    for (name, end) in [("  less computed, interval from", 0), ("  to", 1)] {
        row(
            name,
            &|v| known(v.agreement_difference.map(|ends| ends[end])),
            3,
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of lines")]
    {
        row("lines reproduced whole", &|v| v.whole_lines as f64, 0);
        row("lines answered as computed", &|v| v.same as f64, 0);
    }
}
