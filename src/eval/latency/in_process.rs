//! The work of a key without the pipes: a change applied and a prompt built, on one core.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::backend::MODEL;
use super::source::{Source, uri};
use crate::document::{Document, Edit};
use crate::prompt::fim::{PREFIX_ONLY, family_of};
use crate::prompt::{render, window};

/// How long is measured: enough for tens of thousands of rounds.
const TIME: Duration = Duration::from_secs(1);
/// As the Ollama backend asks for; see its `PROMPT_BUDGET`.
const PREFIX_TOKENS: usize = 1024;
const SUFFIX_TOKENS: usize = 256;

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
        let cut = window::cut(&snapshot.text, end, PREFIX_TOKENS, SUFFIX_TOKENS);
        black_box(render(&family.lay_out(cut.above, cut.typed, cut.after)));
        rounds += 1;
    }
    f64::from(rounds) / started.elapsed().as_secs_f64()
}
