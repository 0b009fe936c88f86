//! What drafts are worth: lines are completed with and without them, on real weights.
//!
//! At each place of a [`Sitting`](super::sitting::Sitting) the in-process engine is asked as inline completion
//! asks it, once with drafts and once token by token, in turn and both on the same prompt, of which nothing
//! is cached at another place. What counts is the time from the first token to the last, and that both say
//! the same. A line is *repetitive* where another line of the window begins with at least half of it.
//!
//! Called by `cli/bench/draft`.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde::Serialize;

use super::machine::Machine;
use super::sitting;
use super::splice;
use crate::backend::embedded::{Drafting, Embedded, EngineOptions, Splicing};
use crate::backend::{Backend, BackendError, Chunk, Priority, Prompt, Request};
use crate::prompt::fim::Family;

/// What is measured on what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Weights, places and threads.
    pub on: splice::Options,
    /// Tokens of each answer.
    pub tokens: u32,
}

/// The figures.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Which weights.
    pub model: String,
    /// Lines that stand in the window in another form already.
    pub repetitive: Figures,
    /// All others.
    pub others: Figures,
    /// Tokens of drafts that were computed.
    pub drafted_tokens: u64,
    /// Of these, those that were right.
    pub right_tokens: u64,
}

/// The figures of some lines.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Figures {
    /// Answers.
    pub lines: usize,
    /// Answers that are the same with and without drafts, to the last byte.
    pub same: usize,
    /// Tokens of the answers, the first of each left out: it comes with the prompt.
    pub tokens: u32,
    /// Seconds for these, token by token.
    pub plain_s: f64,
    /// Seconds for the same answers with drafts.
    pub drafted_s: f64,
}

impl Figures {
    /// How many times as fast drafts are.
    pub fn speed_up(&self) -> f64 {
        self.plain_s / self.drafted_s
    }

    fn add(&mut self, plain: &Answer, drafted: &Answer) {
        self.lines += 1;
        self.same += usize::from(plain.text == drafted.text);
        // Times are only comparable for as many tokens.
        if plain.tokens == drafted.tokens {
            self.tokens += plain.tokens.saturating_sub(1);
            self.plain_s += plain.decoding.as_secs_f64();
            self.drafted_s += drafted.decoding.as_secs_f64();
        }
    }
}

/// A place asked at.
struct Place {
    prompt: Prompt,
    repetitive: bool,
}

impl Place {
    fn of(place: &sitting::Place, engine: &Embedded, family: &Family) -> Self {
        let window = splice::window_at(engine, place);
        let line = place.line();
        let mut seen = window.above.lines().chain(window.after.lines());
        Self {
            repetitive: seen.any(|other| begins_like(other, &line)),
            prompt: splice::prompt(family, window),
        }
    }
}

struct Answer {
    text: String,
    tokens: u32,
    /// From the first text to the end.
    decoding: Duration,
}

/// Measures.
///
/// # Errors
/// When the engine fails.
pub async fn measure(options: &Options, family: &Family) -> anyhow::Result<Report> {
    let machine = Machine::here();
    let (plain, drafting) = (
        engine(options, Drafting::Off),
        engine(options, Drafting::Paying),
    );
    plain.warm_up(&options.on.weights.model).await?;
    drafting.warm_up(&options.on.weights.model).await?;
    let (mut repetitive, mut others) = (Figures::default(), Figures::default());
    for sitting in &options.on.sittings {
        for (at, place) in sitting.iter().enumerate() {
            let place = Place::of(place, &plain, family);
            let ask = |engine| ask(engine, options, place.prompt.clone(), family);
            // A machine that gets slower meanwhile does so for both.
            let (without, with) = if at % 2 == 0 {
                let without = ask(&plain).await?;
                (without, ask(&drafting).await?)
            } else {
                let with = ask(&drafting).await?;
                (ask(&plain).await?, with)
            };
            let figures = if place.repetitive {
                &mut repetitive
            } else {
                &mut others
            };
            figures.add(&without, &with);
        }
    }
    let (drafted_tokens, right_tokens) = drafting.tokens_drafted();
    Ok(Report {
        machine,
        model: options.on.weights.model.clone(),
        repetitive,
        others,
        drafted_tokens,
        right_tokens,
    })
}

fn engine(options: &Options, drafting: Drafting) -> Embedded {
    options.on.weights.engine(EngineOptions {
        drafting,
        splicing: Splicing::Off,
        ..EngineOptions::default()
    })
}

/// Whether both begin with at least half of `line`.
fn begins_like(other: &str, line: &str) -> bool {
    let (other, line) = (other.trim(), line.trim());
    let same = other.chars().zip(line.chars()).take_while(|(a, b)| a == b);
    same.count() * 2 >= line.chars().count()
}

async fn ask(
    engine: &Embedded,
    options: &Options,
    prompt: Prompt,
    family: &Family,
) -> Result<Answer, BackendError> {
    let mut stream = engine.stream(Request {
        model: options.on.weights.model.clone(),
        prompt,
        max_tokens: options.tokens,
        stop: family.stops.iter().map(|&stop| stop.to_owned()).collect(),
        priority: Priority::Completion,
    });
    let (mut text, mut first, mut tokens) = (String::new(), None, 0);
    while let Some(chunk) = stream.next().await {
        match chunk? {
            Chunk::Text(piece) => {
                first.get_or_insert_with(Instant::now);
                text.push_str(&piece);
            }
            Chunk::Done(finish) => {
                tokens = finish.generated_tokens;
                break;
            }
            Chunk::Prompt { .. } | Chunk::Thinking(_) => {}
        }
    }
    Ok(Answer {
        text,
        tokens,
        decoding: first.map_or(Duration::ZERO, |first| first.elapsed()),
    })
}

#[cfg(test)]
mod tests {
    use super::begins_like;

    #[test]
    fn a_line_is_repetitive_where_half_of_it_stands_elsewhere() {
        for (other, line, expect) in [
            ("let a = read(b)?;", "    let a = read(c)?;", true),
            ("let a = 1;", "for b in c {", false),
            ("    }", "}", true),
            ("", "x", false),
        ] {
            assert_eq!(begins_like(other, line), expect, "{other:?} {line:?}");
        }
    }
}
