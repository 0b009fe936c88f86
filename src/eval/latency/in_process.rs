//! The work of a key without the pipes, on one core: a change applied and a prompt built; whether a
//! completion is shown.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::backend::MODEL;
use super::source::{Source, uri};
use crate::backend::{PromptBudget, StopReason};
use crate::document::{Document, Edit};
use crate::inline::{Completion, Gate, GateCase, Source as InlineSource, Trace};
use crate::prompt::fim::{PREFIX_ONLY, family_of};
use crate::prompt::{render, window};

/// How long is measured: enough for tens of thousands of rounds.
const TIME: Duration = Duration::from_secs(1);
/// The document around the judged completions.
const LINES_JUDGED: usize = 1_000;
/// The longest completion judged: about what 64 tokens hold.
const MOST_WORDS: usize = 48;
/// As the Ollama backend asks for.
const BUDGET: PromptBudget = PromptBudget::UNMEASURED;

/// Judgements of the gate that are timed one by one.
const JUDGEMENTS: usize = 20_000;
/// A gate that has seen enough to judge: any weights cost the same.
const TRAINED: &str = r#"{
    "weights": [-0.5, -0.4, 0.2, 0.1, 0.3, 0.6, -0.2, 0.1], "accepted": 300, "rejected": 700
}"#;

/// How long the gate takes to decide about completions of one word to many lines.
pub(super) fn gate_judgements() -> Vec<Duration> {
    let source = Source::new(LINES_JUDGED);
    let document = Document::new(&uri(LINES_JUDGED), 1, "rust", source.text());
    let mut gate = Gate::from_json(TRAINED);
    let at = source.cursor(0);
    let offset = document.text.line_to_byte(at.line) + at.column;
    let cases: Vec<GateCase> = (1..=MOST_WORDS)
        .filter_map(|words| GateCase::new(completion(words, offset), &document, offset))
        .collect();
    cases
        .iter()
        .cycle()
        .take(JUDGEMENTS)
        .map(|case| {
            let started = Instant::now();
            black_box(gate.judge(black_box(case)));
            started.elapsed()
        })
        .collect()
}

/// A completion of so many words, four to a line.
fn completion(words: usize, offset: usize) -> Completion {
    let text = (1..=words)
        .map(|n| {
            if n % 4 == 0 {
                "accumulated\n"
            } else {
                "sum + "
            }
        })
        .collect();
    Completion {
        id: 1,
        range_bytes: offset..offset,
        insert_text: text,
        whole: true,
        source: InlineSource::Cache,
        trace: Trace {
            model: MODEL.into(),
            backend: "scripted".into(),
            prompt_tokens: None,
            prompt_estimated: false,
            cached_tokens: None,
            generated_tokens: 0,
            first_token: None,
            total: Duration::ZERO,
            stop: StopReason::Stop,
        },
    }
}

/// Changes applied, each followed by a prompt as a backend gets it, per second and core.
pub(super) fn did_change_and_prompt_per_second(lines: usize) -> f64 {
    let mut source = Source::new(lines);
    let mut document = Document::new(&uri(lines), 1, "rust", source.text());
    let family = family_of(MODEL, None).unwrap_or(&PREFIX_ONLY);
    let started = Instant::now();
    let mut rounds = 0_u32;
    while started.elapsed() < TIME {
        let at = source.cursor(rounds as usize);
        let offset = document.text.line_to_byte(at.line) + at.column;
        let end = document.apply(&Edit {
            range_bytes: Some(offset..offset),
            text: "x".to_owned(),
        });
        source.typed(super::editor::Cursor {
            column: at.column + 1,
            ..at
        });
        // The store keeps one and hands out another, as after every change.
        let snapshot = document.clone();
        let cut = window::cut(
            &snapshot.text,
            end,
            BUDGET.prefix_tokens,
            BUDGET.suffix_tokens,
        );
        black_box(render(&family.lay_out(cut.above, cut.typed, cut.after)));
        rounds += 1;
    }
    f64::from(rounds) / started.elapsed().as_secs_f64()
}
