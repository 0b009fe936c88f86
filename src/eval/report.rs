//! A replay's result: the JSON object and the table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::figures::{Figures, Quantiles, ratio};
use super::oracle::OracleOptions;
use super::replay::ChatFigures;
use super::script::Script;
use super::wall::{self, Wall};

/// Where it was measured. In virtual time the machine changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Such as `linux`.
    pub os: &'static str,
    /// Such as `x86_64`.
    pub arch: &'static str,
    /// Cores the process may use.
    pub cpus: usize,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        Self {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            cpus: num_cpus::get(),
        }
    }
}

/// Where it was measured: what matters of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// In virtual time.
    Virtual(Machine),
    /// In real time.
    Wall(super::machine::Machine),
}

/// The result of `ghostline bench replay`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Place,
    /// What was typed.
    pub trace: String,
    /// Of gaps and oracle.
    pub seed: u64,
    /// Edits, keys included.
    pub transactions: usize,
    /// Characters typed and lines ended.
    pub keys: usize,
    /// Of these, how many the trigger rules want a completion at.
    pub wanted_keys: usize,
    /// The share of the others.
    pub skipped_key_share: f64,
    /// Their number by the rule that skips them.
    pub skipped: BTreeMap<String, usize>,
    /// `virtual`: the runtime's clock, not the machine's; or `wall`.
    pub mode: &'static str,
    /// The backend, unless it was a real model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oracle: Option<OracleOptions>,
    /// What only real time tells.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Wall>,
    /// In the order asked for.
    pub policies: Vec<Figures>,
}

impl Report {
    pub(super) fn new(
        (trace_name, seed): (&str, u64),
        script: &Script,
        policies: Vec<Figures>,
    ) -> Self {
        let keys = script.steps.iter().filter(|s| s.is_key()).count();
        let wanted_keys = script
            .steps
            .iter()
            .filter(|s| s.is_key() && s.is_wanted())
            .count();
        let mut skipped = BTreeMap::new();
        for skip in script
            .steps
            .iter()
            .filter(|s| s.is_key())
            .filter_map(|s| s.skip)
        {
            *skipped.entry(format!("{skip:?}")).or_default() += 1;
        }
        Self {
            machine: Place::Virtual(Machine::here()),
            trace: trace_name.to_owned(),
            seed,
            transactions: script.steps.len(),
            keys,
            wanted_keys,
            skipped_key_share: ratio(keys - wanted_keys, keys),
            skipped,
            mode: "virtual",
            oracle: None,
            wall: None,
            policies,
        }
    }

    /// The table, a policy per column.
    pub fn table(&self) -> String {
        let mut out = self.heading();
        out.push('\n');
        let _ = write!(out, "{:LABEL$}", "");
        for policy in &self.policies {
            let _ = write!(out, "{:>COLUMN$}", short(policy.name));
        }
        out.push('\n');
        let rows: Vec<&Row> = if self.wall.is_some() {
            // One person types, and accepts nothing.
            let (typing, _) = ROWS.split_at(TYPING_ROWS);
            typing.iter().chain(wall::ROWS).collect()
        } else {
            ROWS.iter().collect()
        };
        let chat = self.policies.iter().any(|policy| policy.chat.is_some());
        let rows = rows.into_iter().chain(CHAT_ROWS.iter().filter(|_| chat));
        for (label, cell) in rows {
            let _ = write!(out, "{label:LABEL$}");
            for policy in &self.policies {
                let _ = write!(out, "{:>COLUMN$}", cell(policy));
            }
            out.push('\n');
        }
        if let Some(wall) = &self.wall {
            out.push_str(&wall.remarks());
        }
        out
    }

    /// What was replayed, in one sentence.
    pub fn heading(&self) -> String {
        let Self {
            trace,
            keys,
            wanted_keys,
            transactions,
            seed,
            oracle,
            ..
        } = self;
        let what = format!(
            "{trace}: {transactions} edits, {keys} keys, {wanted_keys} of them with a completion \
             wanted; seed {seed}"
        );
        let Some(OracleOptions {
            q,
            first_ms,
            token_ms,
            prefill_ms,
            slots,
            wrong,
        }) = oracle
        else {
            return what;
        };
        format!(
            "{what}; oracle q={q}, {first_ms} ms to the first token, {token_ms} ms per \
             token, {prefill_ms} ms per new prompt token, {slots} slot(s), wrong={wrong}"
        )
    }
}

/// Widths in characters.
const LABEL: usize = 40;
const COLUMN: usize = 20;

/// A row of the table: what it is called and what a policy has there.
pub(super) type Row = (&'static str, fn(&Figures) -> String);

/// How many of the rows are about typing; the others need the pass of a person who accepts.
const TYPING_ROWS: usize = 16;

/// The rows, in the order of importance.
const ROWS: &[Row] = &[
    ("right ghost, of all keys", |f| percent(f.right_ghost)),
    ("ghost before the next key", |f| {
        percent(f.ghost_before_next_key)
    }),
    ("  where more is typed on the line", |f| {
        percent(f.ghost_before_next_key_goes_on)
    }),
    ("key to ghost, p50 / p95 / p99 ms", |f| {
        three(&f.key_to_ghost_ms)
    }),
    ("ghost within 100 ms, where there is time", |f| {
        percent(f.ghost_within_100ms)
    }),
    ("  where more is typed on the line", |f| {
        percent(f.ghost_within_100ms_goes_on)
    }),
    ("  where a text may be shown", |f| {
        percent(f.showable_within_100ms)
    }),
    ("  no answer by then", |f| percent(f.unanswered_after_100ms)),
    ("answered without a new request", |f| {
        percent(f.no_new_request)
    }),
    ("requests per 1,000 keys", |f| {
        format!("{:.0}", f.requests_per_1000_keys)
    }),
    ("  of them prefetches", |f| {
        format!("{:.0}", f.prefetches_per_1000_keys)
    }),
    ("generated tokens per key", |f| {
        format!("{:.2}", f.tokens_per_key)
    }),
    ("  never shown", |f| percent(f.discarded_token_share)),
    ("new prompt tokens per same-line key", |f| {
        three(&f.prompt_tokens_computed_per_key)
    }),
    ("new prompt tokens per request", |f| {
        three(&f.prompt_tokens_computed_per_request)
    }),
    ("request to first token, ms", |f| three(&f.first_token_ms)),
    ("ghost after a jump, ms", |f| three(&f.after_jump_ms)),
    ("stale or misplaced", |f| f.stale_items.to_string()),
    ("ghost after accepting, ms", |f| three(&f.after_accept_ms)),
    ("  without a request", |f| percent(f.prefetch_hit_share)),
    ("generations at once, at most", |f| {
        f.most_generations_at_once.to_string()
    }),
];

/// Rows of the table where a chat went on beside a policy.
const CHAT_ROWS: &[Row] = &[
    ("chat, tokens per second", |f| {
        of_chat(f, |chat| format!("{:.1}", chat.tokens_per_second))
    }),
    ("  question to first token, ms", |f| {
        of_chat(f, |chat| three(&chat.first_token_ms))
    }),
    ("  answers to their end, failed", |f| {
        of_chat(f, |chat| format!("{}, {}", chat.answers, chat.failed))
    }),
];

fn of_chat(figures: &Figures, cell: impl Fn(&ChatFigures) -> String) -> String {
    figures.chat.as_ref().map_or_else(|| "–".to_owned(), cell)
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub(super) fn three(quantiles: &Quantiles) -> String {
    let Quantiles { p50, p95, p99, .. } = quantiles;
    let shown = |value: &Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.0}"));
    format!("{} / {} / {}", shown(p50), shown(p95), shown(p99))
}

fn short(name: &str) -> String {
    name.replace("-prefix-cache", "+cache")
}
