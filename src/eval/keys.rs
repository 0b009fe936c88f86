//! Key by key: what a policy showed, when, and what was typed. For whoever tunes the engine.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::figures::Asked;
use super::oracle::Generated;
use super::replay::Outcome;
use super::script::Script;
use crate::metrics::ms;

/// Characters of the line before the cursor, of the ghost and of what was typed that are listed.
const SHOWN_CHARS: usize = 48;

/// The first line of a list.
pub const HEADING: &str = "policy\tstep\tkey\tskip\tgap_ms\tghost_ms\tasked\tnew_prompt_tokens\ttokens\tright\tline\tghost\ttyped\tgenerated\n";

/// Tab-separated lines, one per key, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyList(pub String);

impl KeyList {
    pub(super) fn new(policy: &str, script: &Script, outcome: &Outcome) -> Self {
        let asked = Asked::of(outcome);
        let mut cost: HashMap<usize, Cost> = HashMap::new();
        for generated in &outcome.ledger.generations {
            cost.entry(generated.key).or_default().add(generated);
        }
        let mut list = String::new();
        for key in &outcome.keys {
            let Some(step) = script.steps.get(key.step) else {
                continue;
            };
            let skip = step.skip.map_or("-".to_owned(), |skip| format!("{skip:?}"));
            let ghost_ms = key
                .ghost_after
                .map_or("-".to_owned(), |t| ms(t).to_string());
            let Cost {
                prompt,
                tokens,
                texts,
            } = cost.remove(&key.step).unwrap_or_default();
            let ghost = key.ghost.as_deref().unwrap_or("-");
            let line = step.before.rsplit('\n').next().unwrap_or_default();
            let line = line.chars().rev().take(SHOWN_CHARS).collect::<String>();
            let line = line.chars().rev().collect::<String>();
            let _ = writeln!(
                list,
                "{policy}\t{}\t{:?}\t{skip}\t{}\t{ghost_ms}\t{}\t{prompt}\t{tokens}\t{}\t{}\t{}\t{}\t{texts}",
                key.step,
                step.kind,
                key.gap.as_millis(),
                u8::from(asked.before_ghost(key)),
                u8::from(key.right),
                visible(&line),
                visible(ghost),
                visible(&step.future),
            );
        }
        Self(list)
    }
}

/// What was generated during a step.
#[derive(Debug, Default)]
struct Cost {
    prompt: u32,
    tokens: u32,
    /// One a generation: who waited, tokens generated and of these shown, the text.
    texts: String,
}

impl Cost {
    fn add(&mut self, generated: &Generated) {
        self.prompt += generated.computed_tokens.unwrap_or_default();
        self.tokens += generated.tokens;
        let _ = write!(
            self.texts,
            "[{:?} {}/{} {}]",
            generated.priority,
            generated.tokens,
            generated.shown_tokens,
            visible(&generated.text)
        );
    }
}

/// The beginning of a text on one line and without tabs.
fn visible(text: &str) -> String {
    let beginning: String = text.chars().take(SHOWN_CHARS).collect();
    beginning.escape_debug().to_string()
}
