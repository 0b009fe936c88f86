//! `ghostline bench latency`: what the server itself costs per key.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::cli::{Exit, output};
use crate::eval::latency::{self, Options, Report, verdicts};

/// Arguments of `ghostline bench latency`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Samples of each latency.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: u32,
    /// Idle time before each key, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub pause_ms: u64,
    /// Also write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Fail when a figure does not reach what is asked of it.
    #[arg(long)]
    pub check: bool,
}

/// Measures this very program.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let options = Options {
        program: std::env::current_exe().context("cannot find the running program")?,
        samples: usize::try_from(args.samples)?,
        pause: Duration::from_millis(args.pause_ms),
    };
    let report = tokio::task::spawn_blocking(move || latency::measure(&options)).await??;
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let all_reached = show(&report);
    Ok(if args.check && !all_reached {
        Exit::Failed
    } else {
        Exit::Success
    })
}

/// Prints the table; whether every bar is reached.
fn show(report: &Report) -> bool {
    let machine = &report.machine;
    let load = |load: Option<f64>| load.map_or_else(|| "?".to_owned(), |load| load.to_string());
    output::line(&format!(
        "{} samples, {} build, {} × {}, load {} to {}",
        report.samples,
        machine.build,
        machine.cores,
        machine.cpu.as_deref().unwrap_or(machine.arch),
        load(machine.load_1min),
        load(report.load_1min_at_end),
    ));
    let alone = report.machine_alone_ms;
    output::line(&format!(
        "{:<30}{:>12.3} ms  p95 {:.3}, p99 {:.3}",
        "the machine alone, p50", alone.p50, alone.p95, alone.p99,
    ));
    let memory = report.memory_us;
    output::line(&format!(
        "{:<30}{:>12.3} µs  at once {:.3}",
        "128 KiB after a pause, p50", memory.after_pause.p50, memory.at_once.p50,
    ));
    let mut all_reached = true;
    for verdict in verdicts(report) {
        all_reached &= verdict.reached;
        let figure = if verdict.measured < 1000.0 {
            format!("{:.3}", verdict.measured)
        } else {
            format!("{:.0}", verdict.measured)
        };
        output::line(&format!(
            "{:<30}{figure:>12} {:<4}{:<10}{}",
            verdict.name,
            verdict.unit,
            verdict.asked,
            if verdict.reached { "" } else { "missed" },
        ));
    }
    if let Some(rss_bytes) = report.rss_bytes {
        output::line(&format!(
            "{:<30}{:>12} MiB",
            "memory of the server",
            rss_bytes >> 20
        ));
    }
    all_reached
}
