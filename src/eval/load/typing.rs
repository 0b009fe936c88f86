//! Completions as somebody types, beside a chat and with cancels.
//!
//! A part of [`super`], called by it alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::super::chance::Chance;
use super::super::figures::Quantiles;
use super::{Cancelled, Options, quantiles};
use crate::backend::embedded::Embedded;
use crate::backend::{Backend, BackendError, Chunk, ChunkStream, Priority, Request};
use crate::prompt::Segment;
use crate::prompt::fim::Family;

/// What is typed: this very text.
pub(super) const TEXT: &str = include_str!("typing.rs");

/// Lines above and below the cursor in a prompt: some hundred tokens, so that a line asked for first
/// takes seconds and not a minute on one slow core.
const LINES_ABOVE: usize = 8;
const LINES_BELOW: usize = 4;

/// Words on one line before the next.
const WORDS_PER_LINE: usize = 8;

/// Between a ghost text and the next request: the mean gap of a typist's keys. A chat goes on in it.
const KEY_GAP: Duration = Duration::from_millis(138);

/// Tokens of a completion: half a line.
const COMPLETION_TOKENS: u32 = 8;

/// Tokens of an answer whose speed is measured.
pub(super) const DECODED_TOKENS: u32 = 64;

/// What all measurements use.
pub(super) struct Scene<'a> {
    pub(super) engine: &'a Arc<Embedded>,
    pub(super) options: &'a Options,
    pub(super) family: &'a Family,
}

/// One completion.
pub(super) struct Asked {
    first: Duration,
    whole: Duration,
    computed_tokens: u64,
}

/// Many completions.
pub(super) struct Typed {
    pub(super) first_ms: Quantiles,
    pub(super) whole_ms: Quantiles,
    /// Tokens computed for others meanwhile.
    pub(super) tokens_of_others: u64,
}

impl Scene<'_> {
    /// The prompt after so many `words` on line number `line` of the text. They come in an order of chance: what
    /// a model foresees would be answered from what is remembered of the key before.
    fn prompt(&self, line: usize, words: usize) -> Vec<Segment> {
        let lines: Vec<&str> = TEXT.lines().filter(|line| line.len() > 24).collect();
        let at = LINES_ABOVE + line % (lines.len() - LINES_ABOVE - LINES_BELOW);
        let above = join(lines.get(at - LINES_ABOVE..at)) + "\n";
        let below = join(lines.get(at + 1..=at + LINES_BELOW));
        let all: Vec<&str> = TEXT.split_whitespace().collect();
        let mut chance = Chance::new(self.options.seed, "words", 0);
        let words = (0..=words).filter_map(|_| chance.pick(&all).copied());
        let typed = ["   "]
            .into_iter()
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ");
        self.family.lay_out(above, typed, format!("\n{below}\n"))
    }

    pub(super) fn request(&self, prompt: Vec<Segment>, max_tokens: u32) -> Request {
        Request {
            model: self.options.model.0.clone(),
            prompt: prompt.into(),
            max_tokens,
            stop: Vec::new(),
            priority: Priority::Completion,
        }
    }

    pub(super) async fn ask(&self, line: usize, words: usize) -> Result<Asked, BackendError> {
        let started = Instant::now();
        let request = self.request(self.prompt(line, words), COMPLETION_TOKENS);
        let mut stream = self.engine.stream(request);
        let mut asked = Asked {
            first: Duration::ZERO,
            whole: Duration::ZERO,
            computed_tokens: 0,
        };
        while let Some(chunk) = stream.next().await {
            match chunk? {
                Chunk::Text(_) if asked.first.is_zero() => asked.first = started.elapsed(),
                Chunk::Done(finish) => {
                    let computed = finish.prompt_tokens - finish.cached_tokens.unwrap_or(0);
                    asked.computed_tokens = u64::from(computed + finish.generated_tokens);
                    break;
                }
                _ => {}
            }
        }
        asked.whole = started.elapsed();
        if asked.first.is_zero() {
            asked.first = asked.whole;
        }
        Ok(asked)
    }

    /// Types on some lines, which `purpose` does not choose: both runs ask for the same.
    pub(super) async fn type_along(&self, purpose: &str) -> Result<Typed, BackendError> {
        let before = self.engine.tokens_decoded();
        let mut all = Vec::new();
        for at in 0..self.options.requests {
            let line = self.line(at / WORDS_PER_LINE, purpose);
            all.push(self.ask(line, at % WORDS_PER_LINE).await?);
            tokio::time::sleep(KEY_GAP).await;
        }
        let own: u64 = all.iter().map(|asked| asked.computed_tokens).sum();
        let decoded = self.engine.tokens_decoded() - before;
        Ok(Typed {
            first_ms: quantiles(all.iter().map(|asked| asked.first)),
            whole_ms: quantiles(all.iter().map(|asked| asked.whole)),
            tokens_of_others: decoded.saturating_sub(own),
        })
    }

    /// A line's number. The two runs type on neighbouring lines: the same text, and nothing cached.
    fn line(&self, at: usize, purpose: &str) -> usize {
        let shift = usize::from(purpose == "beside");
        let drawn = Chance::new(self.options.seed, "line", at as u64).share();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 1000"
        )]
        let drawn = (drawn * 1000.0) as usize;
        drawn * 2 + shift
    }

    /// Cancels prompts and answers at any moment of theirs.
    pub(super) async fn cancel(&self) -> anyhow::Result<Cancelled> {
        let mut in_prompt = Vec::new();
        let mut in_answer = Vec::new();
        for at in 0..self.options.requests {
            let mut chance = Chance::new(self.options.seed, "cancel", at as u64);
            // Text that no other request has, so that all of it is computed.
            let mut prompt = self.prompt(at, 0);
            prompt.insert(0, Segment::Text(format!("// {at} {}\n", chance.share())));
            let mut stream = self.engine.stream(self.request(prompt, DECODED_TOKENS));
            let begins_with = stream.next().await.transpose()?;
            anyhow::ensure!(begins_with.is_some(), "the engine gave nothing");
            let answered = at % 2 == 1;
            if answered {
                while !matches!(
                    stream.next().await.transpose()?,
                    Some(Chunk::Text(_)) | None
                ) {}
            }
            tokio::time::sleep(Duration::from_secs_f64(0.1 * chance.share())).await;
            let took = self.until_idle(stream).await?;
            if answered {
                in_answer.push(took);
            } else {
                in_prompt.push(took);
            }
        }
        Ok(Cancelled {
            all: quantiles(in_prompt.iter().chain(&in_answer).copied()),
            in_prompt: quantiles(in_prompt),
            in_answer: quantiles(in_answer),
        })
    }

    async fn until_idle(&self, stream: ChunkStream) -> anyhow::Result<Duration> {
        let mut at_work = self.engine.watch_at_work();
        let cancelled = Instant::now();
        drop(stream);
        at_work.wait_for(|at_work| !at_work).await?;
        Ok(cancelled.elapsed())
    }
}

fn join(lines: Option<&[&str]>) -> String {
    lines.unwrap_or_default().join("\n")
}

/// Streams one long answer after the other.
pub(super) async fn chat(engine: Arc<Embedded>, model: String) {
    loop {
        let request = Request {
            model: model.clone(),
            prompt: vec![Segment::Text(
                "The numbers: 1, 2, 3, 4, 5, 6, 7,".to_owned(),
            )]
            .into(),
            max_tokens: 1024,
            stop: Vec::new(),
            priority: Priority::Chat,
        };
        let mut stream = engine.stream(request);
        while let Some(chunk) = stream.next().await {
            if let Err(error) = chunk {
                tracing::error!(%error, "the chat failed");
                return;
            }
        }
    }
}
