//! What moving cached text, and what keeping the anchor, is worth and what it costs: lines are written
//! with and without them, on real weights.
//!
//! At each place of a [`Sitting`] the in-process engine is asked as inline completion asks it: once with
//! everything behind the common prefix computed, once with it moved, and once with finished lines kept
//! where they were typed. Nothing is refreshed in between, so that a run is the same each time but for the
//! clock. What was answered is compared with the line that the person wrote.
//!
//! Called by `cli/bench/splice`.

use std::time::Instant;

use futures_util::StreamExt;
use serde::Serialize;

use super::figures::Quantiles;
use super::machine::Machine;
use super::sitting::{Place, Sitting};
use super::statistics::{Interval, mean_interval};
use super::weights::Weights;
use crate::backend::embedded::{Embedded, EngineOptions, Splicing};
use crate::backend::{Backend, BackendError, Chunk, Priority, Prompt, Request};
use crate::prompt::anchor::Anchor;
use crate::prompt::fim::Family;
use crate::prompt::window::{self, Window};

/// The most tokens of an answer: one line of code is compared.
const LINE_TOKENS: u32 = 24;

/// What is measured on what.
#[derive(Debug, Clone)]
pub struct Options {
    /// With what.
    pub weights: Weights,
    /// Where the engine is asked.
    pub sittings: Vec<Sitting>,
}

/// The figures.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Which weights.
    pub model: String,
    /// Places asked at, the first of each sitting left out: what was asked before is of elsewhere.
    pub places: usize,
    /// Everything behind the common prefix computed.
    pub full: Variant,
    /// What stands elsewhere moved.
    pub spliced: Variant,
    /// Finished lines kept where they were typed, and what stands elsewhere moved when they no longer are.
    pub anchored: Variant,
    /// What was answered at each place.
    pub answers: Vec<Line>,
}

/// A line and what each way made of it.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// What the person wrote.
    pub wanted: String,
    /// Everything computed.
    pub full: String,
    /// Moved.
    pub spliced: String,
    /// With the anchor kept.
    pub anchored: String,
}

/// The figures of one way to compute.
#[derive(Debug, Clone, Serialize)]
pub struct Variant {
    /// Prompt tokens computed per line.
    pub computed_tokens: Quantiles,
    /// The same on average.
    pub computed_tokens_mean: f64,
    /// From the request to the first token, in milliseconds.
    pub first_token_ms: Quantiles,
    /// The share of the person's line that the answer reproduces from its start, over all lines.
    pub agreement: f64,
    /// The 95 % interval of this less that of everything computed, lines taken as independent; `None` for
    /// fewer than two.
    pub agreement_difference: Option<Interval>,
    /// Lines that the answer has to the last character.
    pub whole_lines: usize,
    /// Lines for which it answered as with everything computed.
    pub same: usize,
}

/// One line asked for.
#[derive(Debug)]
struct Answer {
    text: String,
    wanted: String,
    begins_line: bool,
    computed_tokens: u32,
    first_token_ms: f64,
}

/// Measures.
///
/// # Errors
/// When the engine fails.
pub async fn measure(options: &Options, family: &Family) -> anyhow::Result<Report> {
    let machine = Machine::here();
    let mut figures = Vec::new();
    for (splicing, keeps_anchor) in [
        (Splicing::Off, false),
        (Splicing::Unrefreshed, false),
        (Splicing::Unrefreshed, true),
    ] {
        let engine = engine(options, splicing);
        engine.warm_up(&options.weights.model).await?;
        let mut answers = Vec::new();
        for sitting in &options.sittings {
            answers.extend(write(&engine, options, family, sitting, keeps_anchor).await?);
        }
        figures.push(answers);
    }
    let full = figures.first().map_or(&[][..], Vec::as_slice);
    let way = |n: usize| variant(figures.get(n).map_or(&[][..], Vec::as_slice), full);
    Ok(Report {
        machine,
        model: options.weights.model.clone(),
        places: full.len(),
        full: way(0),
        spliced: way(1),
        anchored: way(2),
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
    options.weights.engine(EngineOptions {
        splicing,
        ..EngineOptions::default()
    })
}

/// Asks at each place of a sitting.
async fn write(
    engine: &Embedded,
    options: &Options,
    family: &Family,
    sitting: &[Place],
    keeps_anchor: bool,
) -> Result<Vec<Answer>, BackendError> {
    let mut anchor = Anchor::default();
    let mut answers = Vec::new();
    for place in sitting {
        let mut window = window_at(engine, place);
        if keeps_anchor {
            window = anchor.keep(window);
            anchor = Anchor::of(&window);
        }
        let request = Request {
            model: options.weights.model.clone(),
            prompt: prompt(family, window),
            max_tokens: LINE_TOKENS,
            stop: family.stops.iter().map(|&stop| stop.to_owned()).collect(),
            priority: Priority::Completion,
        };
        answers.push(ask(engine, request, place).await?);
    }
    // What the cache has at the first is of elsewhere.
    Ok(answers.into_iter().skip(1).collect())
}

/// What inline completion shows the model at a place.
pub(super) fn window_at(engine: &Embedded, place: &Place) -> Window {
    let budget = engine.prompt_budget();
    let (prefix_tokens, suffix_tokens) = (budget.prefix_tokens, budget.suffix_tokens);
    window::cut(
        &place.document,
        place.offset_bytes,
        prefix_tokens,
        suffix_tokens,
    )
}

/// As inline completion asks.
pub(super) fn prompt(family: &Family, window: Window) -> Prompt {
    let window = window.without_blanks_at_cursor(true);
    let segments = family.lay_out(window.above, window.typed, window.after);
    segments.into()
}

async fn ask(engine: &Embedded, request: Request, place: &Place) -> Result<Answer, BackendError> {
    let started = Instant::now();
    let mut stream = engine.stream(request);
    let mut answer = Answer {
        text: String::new(),
        wanted: place.first_line(&place.wanted).to_owned(),
        begins_line: place.begins_line,
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
    answer.text = place.first_line(&answer.text).to_owned();
    Ok(answer)
}

fn variant(answers: &[Answer], full: &[Answer]) -> Variant {
    let shares: Vec<f64> = answers.iter().map(share).collect();
    let whole = |answer: &&Answer| answer.text.trim_end() == answer.wanted.trim_end();
    let pairs = answers.iter().zip(full);
    let computed = answers.iter().map(|a| f64::from(a.computed_tokens));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / ratio(values.len().max(1), 1);
    Variant {
        computed_tokens_mean: mean(&computed.clone().collect::<Vec<_>>()),
        computed_tokens: Quantiles::of(computed.collect()),
        first_token_ms: Quantiles::of(answers.iter().map(|a| a.first_token_ms).collect()),
        agreement: mean(&shares),
        agreement_difference: difference(answers, full),
        whole_lines: answers.iter().filter(whole).count(),
        same: pairs
            .filter(|(answer, full)| answer.text == full.text)
            .count(),
    }
}

/// How much of the person's text an answer has from its start.
fn share(answer: &Answer) -> f64 {
    let wanted = answer.wanted.chars();
    let length = wanted.clone().count();
    let same = wanted.zip(answer.text.chars()).take_while(|(a, b)| a == b);
    ratio(same.count(), length)
}

/// The interval of the difference in agreement. The places of one line are one value: they have much in common.
fn difference(answers: &[Answer], full: &[Answer]) -> Option<Interval> {
    let pairs: Vec<(&Answer, f64)> = answers
        .iter()
        .zip(full)
        .map(|(answer, full)| (answer, share(answer) - share(full)))
        .collect();
    let lines = pairs.chunk_by(|_, (next, _)| !next.begins_line);
    let means: Vec<f64> = lines
        .map(|line| line.iter().map(|(_, d)| d).sum::<f64>() / ratio(line.len(), 1))
        .collect();
    mean_interval(&means)
}

#[expect(clippy::cast_precision_loss, reason = "counts of characters and lines")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str, begins_line: bool) -> Answer {
        Answer {
            text: text.to_owned(),
            wanted: "abcd".to_owned(),
            begins_line,
            computed_tokens: 1,
            first_token_ms: 1.0,
        }
    }

    #[test]
    fn what_moving_costs_is_told_line_by_line() {
        let full = [
            answer("abcd", true),
            answer("abxx", false),
            answer("x", true),
        ];
        // Worse by a half and by a half, then better by a quarter.
        let moved = [answer("abxd", true), answer("x", false), answer("ax", true)];
        let figures = variant(&moved, &full);
        assert!((figures.agreement - 0.25).abs() < 1e-9, "{figures:?}");
        assert_eq!((figures.whole_lines, figures.same), (0, 0));
        let [low, high] = figures.agreement_difference.unwrap();
        let middle = f64::midpoint(low, high);
        assert!((middle + 0.125).abs() < 1e-9, "{low} {high}");
        assert_eq!(variant(&full, &full).whole_lines, 1);
        assert_eq!(
            variant(&full[..1], &full[..1]).agreement_difference,
            None,
            "one line has no spread"
        );
    }
}
