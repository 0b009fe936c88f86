//! `ghostline bench draft`: what guesses at the next tokens are worth, on real weights.

use crate::cli::{Exit, output};
use crate::eval::draft::{self, Figures, Options, Report};

use super::splice;

/// Arguments of `ghostline bench draft`.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    on: splice::Args,
    /// Tokens of each answer
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..=512))]
    tokens: u32,
}

/// Measures and prints.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let json = args.on.json.clone();
    let (on, family) = args.on.resolve()?;
    let options = Options {
        on,
        tokens: args.tokens,
    };
    let report = draft::measure(&options, family).await?;
    splice::write(json.as_deref(), &report)?;
    show(&report);
    Ok(Exit::Success)
}

fn show(report: &Report) {
    let lines = report.repetitive.lines + report.others.lines;
    output::line(&format!(
        "{}, {lines} lines, {}",
        report.model,
        report.machine.summary()
    ));
    output::line(&format!("{:<40}{:>12}{:>12}", "", "repetitive", "others"));
    let row = |name: &str, figure: &dyn Fn(&Figures) -> String| {
        let (repetitive, others) = (figure(&report.repetitive), figure(&report.others));
        output::line(&format!("{name:<40}{repetitive:>12}{others:>12}"));
    };
    row("lines", &|f| f.lines.to_string());
    row("tokens a second, one by one", &|f| {
        format!("{:.1}", f64::from(f.tokens) / f.plain_s)
    });
    row("tokens a second, with drafts", &|f| {
        format!("{:.1}", f64::from(f.tokens) / f.drafted_s)
    });
    row("times as fast", &|f| format!("{:.2}", f.speed_up()));
    row("the same answer", &|f| format!("{}", f.same));
    output::line(&format!(
        "{} tokens drafted, {} of them right",
        report.drafted_tokens, report.right_tokens
    ));
}
