//! One function per measure.

use std::time::{Duration, Instant};

use serde_json::json;

use super::backend::{Answer, Backend, Event};
use super::editor::{Cursor, Editor};
use super::report::{Quantiles, Report, median};
use super::source::Source;
use super::{LatencyError, Options, cannot, floor, in_process, memory, routed, settings};
use crate::eval::machine::Machine;

/// Lines of the document of most measures.
const LINES: usize = 10_000;
/// The two documents whose cost per key is compared.
const SMALL_LINES: usize = 1_000;
const LARGE_LINES: usize = 100_000;
/// Samples thrown away before each measure: connections, caches and branch predictors settle.
const WARM_UP: usize = 50;
/// A generated line that is typed key by key. Word characters only, so no key ends a completion.
const LINE: &str = "_accumulated_difference_of_all_the_weights_so_far";
/// Longest selection whose code actions are listed.
const MOST_SELECTED: usize = 200;
/// Starts of the program; the median counts.
const STARTS: usize = 11;
/// `didChange` notifications in the throughput measure, at least: about a second's worth.
const FEWEST_CHANGES: usize = 20_000;
/// A held answer's text: its beginning up to the dot may be shown before the rest is known.
const HELD: &str = "_never()typed";
const HELD_PARTIAL: &str = "_never()";
/// When that beginning is shown: as early as the settings allow.
const DIVERGENCE_DEADLINE_MS: u32 = 10;

/// Everything, on one server but for the starts.
pub(super) async fn all(options: &Options) -> Result<Report, LatencyError> {
    let machine = Machine::here();
    let folder = tempfile::tempdir().map_err(cannot("make a temporary folder"))?;
    let backend = Backend::start()?;
    let config = settings(folder.path(), &backend.url())?;
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let started = Instant::now();
        let editor = Editor::start(&options.program, &config).await?;
        starts.push(started.elapsed());
        editor.finish().await?;
    }
    let mut editor = Editor::start(&options.program, &config).await?;
    editor.wait_until_ready().await?;
    let mut run = Run {
        options,
        editor,
        backend,
    };
    let mut source = Source::new(LINES);
    run.editor.open(&source).await?;
    let server_added = run.server_added(&mut source).await?;
    let machine_alone = floor::measure(options, WARM_UP, &mut run.backend).await?;
    let memory_us = memory::measure(options.samples).await;
    let type_through = run.type_through(&mut source).await?;
    let divergence_to_close = run.divergence_to_close(&mut source).await?;
    let did_change_per_second = run.did_change_per_second(&mut source).await?;
    let action_list = run.action_list(&source).await?;
    let large_file_ratio = run.large_file_ratio().await?;
    let rss_bytes = run.editor.rss_bytes();
    run.editor.finish().await?;
    let routed = routed::measure(options.samples, &mut run.backend).await?;
    Ok(Report {
        router_us: Quantiles::of_us(routed.choice),
        chat_first_token_added_ms: Quantiles::of(routed.first_token),
        chat_delta_added_ms: Quantiles::of(routed.delta),
        samples: options.samples,
        server_added_ms: Quantiles::of(server_added),
        machine_alone_ms: Quantiles::of(machine_alone),
        memory_us,
        type_through_ms: Quantiles::of(type_through),
        divergence_to_close_ms: Quantiles::of(divergence_to_close),
        did_change_per_second,
        did_change_and_prompt_per_second: in_process::did_change_and_prompt_per_second(LINES),
        gate_us: Quantiles::of_us(in_process::gate_judgements()),
        action_list_ms: Quantiles::of(action_list),
        large_file_ratio,
        start_to_initialize_ms: median(starts),
        rss_bytes,
        load_1min_at_end: Machine::here().load_1min,
        machine,
    })
}

struct Run<'a> {
    options: &'a Options,
    editor: Editor,
    backend: Backend,
}

impl Run<'_> {
    /// A key on a fresh line each time, and a generation for it: what lies between the editor and the
    /// backend, both ways.
    async fn server_added(&mut self, source: &mut Source) -> Result<Vec<Duration>, LatencyError> {
        let mut samples = Vec::with_capacity(self.options.samples);
        for n in 0..self.options.samples + WARM_UP {
            let added = self.generated_key(source, n).await?;
            if n >= WARM_UP {
                samples.push(added);
            }
        }
        Ok(samples)
    }

    /// From before the change is written to after the answer is read, less the backend's time.
    async fn generated_key(
        &mut self,
        source: &mut Source,
        n: usize,
    ) -> Result<Duration, LatencyError> {
        const MEASURE: &str = "server added";
        let text = format!("_{n} * input[{n}]");
        self.backend.answer_next(Answer::Whole(text.clone()));
        let key = self.editor.key(source.cursor(n), "x")?;
        self.options.idle().await;
        let started = Instant::now();
        let ghost = self.editor.press(&key).await?;
        let took = started.elapsed();
        expect(MEASURE, &text, ghost)?;
        source.typed(key.cursor);
        let Some(Event::Sent { arrived, sent, .. }) = self.backend.event().await else {
            return Err(LatencyError::Backend {
                measure: MEASURE,
                problem: "the backend did not answer",
            });
        };
        Ok(took.saturating_sub(sent - arrived))
    }

    /// Typing along a generated line: every key is answered from what is there.
    async fn type_through(&mut self, source: &mut Source) -> Result<Vec<Duration>, LatencyError> {
        const MEASURE: &str = "type-through";
        let mut samples = Vec::with_capacity(self.options.samples);
        for episode in 0.. {
            self.backend.answer_next(Answer::Whole(LINE.to_owned()));
            let mut cursor = self.editor.insert(source.cursor(episode), "y").await?;
            let id = self.editor.ask(cursor).await?;
            expect(MEASURE, LINE, self.editor.ghost(id).await?)?;
            self.backend.event().await;
            let mut rest = LINE.chars();
            while let Some(typed) = rest.next()
                && !rest.as_str().is_empty()
            {
                let key = self.editor.key(cursor, typed.encode_utf8(&mut [0; 4]))?;
                self.options.idle().await;
                let started = Instant::now();
                let ghost = self.editor.press(&key).await?;
                samples.push(started.elapsed());
                cursor = key.cursor;
                expect(MEASURE, rest.as_str(), ghost)?;
            }
            source.typed(cursor);
            if self.backend.has_event() {
                return Err(LatencyError::Backend {
                    measure: MEASURE,
                    problem: "the backend was asked for what was there",
                });
            }
            if samples.len() >= self.options.samples + WARM_UP {
                break;
            }
        }
        samples.drain(..WARM_UP);
        samples.truncate(self.options.samples);
        Ok(samples)
    }

    /// From before the change that diverges is written to the backend's seeing the connection closed.
    async fn divergence_to_close(
        &mut self,
        source: &mut Source,
    ) -> Result<Vec<Duration>, LatencyError> {
        const MEASURE: &str = "divergence";
        let lost = || LatencyError::Backend {
            measure: MEASURE,
            problem: "the backend was not asked, or its stream not closed",
        };
        // The partial is answered early: it tells that the server has read what the text will leave.
        self.editor
            .configure(&json!({ "inline": { "deadline_ms": DIVERGENCE_DEADLINE_MS } }))
            .await?;
        let mut samples = Vec::with_capacity(self.options.samples);
        for n in 0..self.options.samples + WARM_UP {
            self.backend.answer_next(Answer::Held(HELD.to_owned()));
            let cursor = self.editor.insert(source.cursor(n), "z").await?;
            let id = self.editor.ask(cursor).await?;
            expect(MEASURE, HELD_PARTIAL, self.editor.ghost(id).await?)?;
            let Some(Event::Sent { .. }) = self.backend.event().await else {
                return Err(lost());
            };
            self.options.idle().await;
            let started = Instant::now();
            let cursor = self.editor.insert(cursor, "q").await?;
            let Some(Event::Closed(closed)) = self.backend.event().await else {
                return Err(lost());
            };
            source.typed(cursor);
            if n >= WARM_UP {
                samples.push(closed.saturating_duration_since(started));
            }
        }
        self.editor.configure(&json!({})).await?;
        Ok(samples)
    }

    /// Changes as fast as the server reads them; the completion at the end is for the text after all.
    async fn did_change_per_second(&mut self, source: &mut Source) -> Result<f64, LatencyError> {
        const MEASURE: &str = "didChange";
        let count = self.options.samples.max(FEWEST_CHANGES);
        let mut bodies = Vec::with_capacity(count);
        for n in 0..count {
            let at = source.cursor(n);
            bodies.push(self.editor.change(at, "w")?);
            source.typed(Cursor {
                column: at.column + 1,
                ..at
            });
        }
        let last = source.cursor(count - 1);
        self.backend.answer_next(Answer::Whole("_end".to_owned()));
        let started = Instant::now();
        self.editor.client.send_all_raw(&bodies).await?;
        let id = self.editor.ask(last).await?;
        let ghost = self.editor.ghost(id).await?;
        let took = started.elapsed();
        expect(MEASURE, "_end", ghost)?;
        let on_last_line = (0..count).filter(|&n| source.cursor(n).line == last.line);
        let typed = "w".repeat(on_last_line.count());
        match self.backend.event().await {
            Some(Event::Sent { prompt, .. }) if prompt.ends_with(&typed) => {}
            _ => {
                return Err(LatencyError::Backend {
                    measure: MEASURE,
                    problem: "the prompt does not end in what was typed",
                });
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        Ok(count as f64 / took.as_secs_f64())
    }

    /// Selections of every length up to [`MOST_SELECTED`] lines, so that no document or answer is the last
    /// one again.
    async fn action_list(&mut self, source: &Source) -> Result<Vec<Duration>, LatencyError> {
        let mut samples = Vec::with_capacity(self.options.samples);
        for n in 0..self.options.samples + WARM_UP {
            let selected = n % MOST_SELECTED + 1;
            let first = n * 7 % (LINES - MOST_SELECTED);
            self.options.idle().await;
            let started = Instant::now();
            let lines = (first, first + selected);
            let offered = self.editor.actions(source.lines(), lines).await?;
            let took = started.elapsed();
            if offered < 2 {
                return Err(LatencyError::Answer {
                    measure: "listing code actions",
                    expected: "several".to_owned(),
                    got: Some(offered.to_string()),
                });
            }
            if n >= WARM_UP {
                samples.push(took);
            }
        }
        Ok(samples)
    }

    /// The same key in a large and in a small document, in turns, so that what else the machine does
    /// hits both alike.
    async fn large_file_ratio(&mut self) -> Result<f64, LatencyError> {
        let mut small = Source::new(SMALL_LINES);
        let mut large = Source::new(LARGE_LINES);
        self.editor.open(&small).await?;
        self.editor.open(&large).await?;
        let (mut small_samples, mut large_samples) = (Vec::new(), Vec::new());
        for n in 0..self.options.samples + WARM_UP {
            let in_small = self.generated_key(&mut small, n).await?;
            let in_large = self.generated_key(&mut large, n).await?;
            if n >= WARM_UP {
                small_samples.push(in_small);
                large_samples.push(in_large);
            }
        }
        Ok(median(large_samples) / median(small_samples))
    }
}

fn expect(measure: &'static str, expected: &str, got: Option<String>) -> Result<(), LatencyError> {
    if got.as_deref() == Some(expected) {
        return Ok(());
    }
    Err(LatencyError::Answer {
        measure,
        expected: expected.to_owned(),
        got,
    })
}
