//! What moving cached text, and what keeping the anchor, is worth and what it costs: source files are
//! written line by line, with and without them, on real weights.
//!
//! A block in the middle of each file is taken out and put back line by line, as a person writes it. For
//! each line the in-process engine is asked as inline completion asks it: with each line in front of the
//! text below as soon as it is finished, once with everything behind the common prefix computed and once
//! with it moved; and with finished lines kept where they were typed. Nothing is refreshed in between, so
//! that a run is the same each time but for the clock. What was answered is compared with the line that stands in the file.
//!
//! Called by `cli/bench/splice`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::StreamExt;
use ropey::Rope;
use serde::Serialize;

use super::block::Block;
use super::machine::Machine;
use crate::backend::embedded::{Embedded, EmbeddedModel, EngineOptions, Splicing};
use crate::backend::{Backend, BackendError, Chunk, Priority, Request};
use crate::prompt::anchor::Anchor;
use crate::prompt::fim::Family;
use crate::prompt::window::{self, Window};

/// The most tokens of an answer: one line of code is compared.
const LINE_TOKENS: u32 = 24;

/// What is measured on what.
#[derive(Debug, Clone)]
pub struct Options {
    /// The weights' name, for the family and the report.
    pub model: String,
    /// A GGUF file.
    pub weights: PathBuf,
    /// Source files.
    pub files: Vec<PathBuf>,
    /// Lines that are written in each file.
    pub lines: usize,
    /// Threads that compute; `None` for the engine's own choice.
    pub threads: Option<usize>,
}

/// The figures.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Which weights.
    pub model: String,
    /// Lines asked for, the first of each file left out: it is computed whole in any case.
    pub lines: usize,
    /// Everything behind the common prefix computed.
    pub full: Variant,
    /// What stands elsewhere moved.
    pub spliced: Variant,
    /// Finished lines kept where they were typed, and what stands elsewhere moved when they no longer are.
    pub anchored: Variant,
    /// What was answered to each line.
    pub answers: Vec<Line>,
}

/// A line of a file and what each way made of it.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// What stands in the file.
    pub wanted: String,
    /// Everything computed.
    pub full: String,
    /// Moved.
    pub spliced: String,
    /// With the anchor kept.
    pub anchored: String,
}

/// The figures of one way to compute.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Variant {
    /// Prompt tokens computed per line.
    pub computed_tokens: Quantiles,
    /// From the request to the first token, in milliseconds.
    pub first_token_ms: Quantiles,
    /// The share of the file's line that the answer reproduces from its start, over all lines.
    pub agreement: f64,
    /// Lines that the answer has to the last character.
    pub whole_lines: usize,
    /// Lines for which it answered as with everything computed.
    pub same: usize,
}

/// Of one figure over all lines.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Quantiles {
    /// The middle.
    pub p50: f64,
    /// Nineteen of twenty are below.
    pub p95: f64,
    /// The average.
    pub mean: f64,
}

/// One line asked for.
#[derive(Debug)]
struct Answer {
    text: String,
    wanted: String,
    computed_tokens: u32,
    first_token_ms: f64,
}

/// Measures.
///
/// # Errors
/// When a file cannot be read or is too short, or the engine fails.
pub async fn measure(options: &Options, family: &Family) -> anyhow::Result<Report> {
    let machine = Machine::here();
    let mut figures = Vec::new();
    for (splicing, keeps_anchor) in [
        (Splicing::Off, false),
        (Splicing::Unrefreshed, false),
        (Splicing::Unrefreshed, true),
    ] {
        let engine = engine(options, splicing);
        engine.warm_up(&options.model).await?;
        let mut answers = Vec::new();
        for file in &options.files {
            answers.extend(write(&engine, options, family, file, keeps_anchor).await?);
        }
        figures.push(answers);
    }
    let full = figures.first().map_or(&[][..], Vec::as_slice);
    let mut variants = figures.iter().map(|answers| variant(answers, full));
    let mut next = || variants.next().unwrap_or_default();
    Ok(Report {
        machine,
        model: options.model.clone(),
        lines: full.len(),
        full: next(),
        spliced: next(),
        anchored: next(),
        answers: lines(&figures),
    })
}

fn lines(figures: &[Vec<Answer>]) -> Vec<Line> {
    let [full, spliced, anchored] = figures else {
        return Vec::new();
    };
    let rows = full.iter().zip(spliced).zip(anchored);
    rows.map(|((full, spliced), anchored)| Line {
        wanted: full.wanted.clone(),
        full: full.text.clone(),
        spliced: spliced.text.clone(),
        anchored: anchored.text.clone(),
    })
    .collect()
}

fn engine(options: &Options, splicing: Splicing) -> Embedded {
    options.engine(EngineOptions {
        splicing,
        ..EngineOptions::default()
    })
}

impl Options {
    /// An engine with these weights and threads, and else as `engine` says.
    pub(super) fn engine(&self, engine: EngineOptions) -> Embedded {
        let model = EmbeddedModel {
            name: self.model.clone(),
            path: self.weights.clone(),
            digest: None,
        };
        let engine = EngineOptions {
            threads: self.threads,
            ..engine
        };
        Embedded::new("embedded", move || vec![model.clone()], engine)
    }
}

/// Writes the block in the middle of one file.
async fn write(
    engine: &Embedded,
    options: &Options,
    family: &Family,
    file: &Path,
    keeps_anchor: bool,
) -> anyhow::Result<Vec<Answer>> {
    let block = Block::read(file, options.lines)?;
    let mut anchor = Anchor::default();
    let mut answers = Vec::new();
    for at in block.range.clone() {
        let line = block.line(at);
        if line.trim().is_empty() {
            continue;
        }
        let (above, below) = (block.above(at), block.below());
        let indent = line.len() - line.trim_start().len();
        let (typed, wanted) = line.split_at(indent);
        let document = Rope::from_str(&format!("{above}{typed}\n{below}"));
        let offset_bytes = above.len() + typed.len();
        let mut window = window_at(engine, &document, offset_bytes);
        if keeps_anchor {
            window = anchor.keep(window);
            anchor = Anchor::of(&window);
        }
        let request = request(options, family, window);
        answers.push(ask(engine, request, wanted).await?);
    }
    // The first is computed whole by all.
    Ok(answers.into_iter().skip(1).collect())
}

fn window_at(engine: &Embedded, document: &Rope, offset_bytes: usize) -> Window {
    let budget = engine.prompt_budget();
    window::cut(
        document,
        offset_bytes,
        budget.prefix_tokens,
        budget.suffix_tokens,
    )
}

/// As inline completion asks.
fn request(options: &Options, family: &Family, window: Window) -> Request {
    let window = window.without_blanks_at_cursor(true);
    Request {
        model: options.model.clone(),
        prompt: family
            .lay_out(window.above, window.typed, window.after)
            .into(),
        max_tokens: LINE_TOKENS,
        stop: family.stops.iter().map(|&stop| stop.to_owned()).collect(),
        priority: Priority::Completion,
    }
}

async fn ask(engine: &Embedded, request: Request, wanted: &str) -> Result<Answer, BackendError> {
    let started = Instant::now();
    let mut stream = engine.stream(request);
    let mut answer = Answer {
        text: String::new(),
        wanted: wanted.to_owned(),
        computed_tokens: 0,
        first_token_ms: 0.0,
    };
    while let Some(chunk) = stream.next().await {
        match chunk? {
            Chunk::Prompt {
                prompt_tokens,
                cached_tokens,
                ..
            } => answer.computed_tokens = prompt_tokens - cached_tokens.unwrap_or(0),
            Chunk::Text(piece) => {
                if answer.text.is_empty() {
                    answer.first_token_ms = started.elapsed().as_secs_f64() * 1000.0;
                }
                answer.text.push_str(&piece);
                if answer.text.trim_start().contains('\n') {
                    break;
                }
            }
            Chunk::Thinking(_) => {}
            Chunk::Done(_) => break,
        }
    }
    let first_line = answer.text.trim_start().lines().next().unwrap_or_default();
    answer.text = first_line.to_owned();
    Ok(answer)
}

fn variant(answers: &[Answer], full: &[Answer]) -> Variant {
    let share = |answer: &Answer| {
        let wanted = answer.wanted.chars();
        let same = wanted.zip(answer.text.chars()).take_while(|(a, b)| a == b);
        ratio(same.count(), answer.wanted.chars().count())
    };
    let shares: Vec<f64> = answers.iter().map(share).collect();
    let whole = |answer: &&Answer| answer.text.trim_end() == answer.wanted.trim_end();
    let pairs = answers.iter().zip(full);
    Variant {
        computed_tokens: quantiles(
            answers
                .iter()
                .map(|answer| f64::from(answer.computed_tokens))
                .collect(),
        ),
        first_token_ms: quantiles(answers.iter().map(|answer| answer.first_token_ms).collect()),
        agreement: shares.iter().sum::<f64>() / ratio(shares.len().max(1), 1),
        whole_lines: answers.iter().filter(whole).count(),
        same: pairs
            .filter(|(answer, full)| answer.text == full.text)
            .count(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of characters and lines")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

fn quantiles(mut figures: Vec<f64>) -> Quantiles {
    figures.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let index = (figures.len() * percent / 100).min(figures.len().saturating_sub(1));
        figures.get(index).copied().unwrap_or_default()
    };
    Quantiles {
        p50: at(50),
        p95: at(95),
        mean: figures.iter().sum::<f64>() / ratio(figures.len().max(1), 1),
    }
}
