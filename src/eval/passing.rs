//! Which problems were solved by whom: tasks, shares, pairs, and their table and JSON.
//!
//! Called by `cli/bench/infill` and `cli/bench/humaneval`. Reports hold names and outcomes and no text of
//! a data set, so that they may be kept anywhere; only [`Report::texts`] does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::sandbox::Outcome;
use super::statistics::{Interval, Paired, wilson};

/// One candidate's try at one problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What the problem's own test said.
    pub outcome: Outcome,
    /// Why the text ended: `stop`, `length`, `cut`, or `nothing` where there was none.
    pub stop: Cow<'static, str>,
    /// Lines of the text.
    pub lines: usize,
    /// Tokens of its prompt that were computed, where that is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed_tokens: Option<u32>,
    /// The text, for whoever looks for the reason. Never part of a report.
    #[serde(skip)]
    pub text: String,
}

/// A problem and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The problem's name.
    pub task: String,
    /// Lines of the known solution.
    pub solution_lines: usize,
    /// By candidate.
    pub attempts: BTreeMap<String, Attempt>,
}

/// What was measured, and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// `infill` or `humaneval`.
    pub bench: &'static str,
    /// The data set's file name.
    pub data: String,
    /// Of the draw.
    pub seed: u64,
    /// The model, as its backend names it.
    pub model: String,
    /// The backend.
    pub backend: String,
    /// Most tokens of a text.
    pub max_tokens: u32,
    /// Lines above each hole that are written one by one first, where moved text is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_lines: Option<u32>,
    /// Python's version.
    pub python: String,
    /// What held the programs back.
    pub sandbox: &'static str,
}

/// How many problems a candidate solved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Problems tried.
    pub problems: u32,
    /// Problems solved.
    pub passed: u32,
    /// The share of these, from 0 to 1.
    pub rate: f64,
    /// The share's 95 % interval.
    pub interval: Interval,
    /// Tokens of a prompt that were computed, on average, where that is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computed_tokens: Option<f64>,
}

/// Two candidates on the same problems.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The first.
    pub a: String,
    /// The second.
    pub b: String,
    /// Problems that the first alone solved.
    pub only_a: u32,
    /// Problems that the second alone solved.
    pub only_b: u32,
    /// How likely a split so uneven is by chance.
    pub p_value: f64,
    /// The second's share less the first's.
    pub difference: f64,
    /// The difference's 95 % interval.
    pub interval: Interval,
}

impl Pair {
    /// Names a count.
    pub fn new(a: &str, b: &str, paired: Paired) -> Self {
        Self {
            a: a.to_owned(),
            b: b.to_owned(),
            only_a: paired.only_a,
            only_b: paired.only_b,
            p_value: paired.p_value(),
            difference: paired.difference(),
            interval: paired.interval(),
        }
    }

    /// Whether the second is worse, and not by chance.
    pub fn is_loss(&self) -> bool {
        self.difference < 0.0 && self.p_value < SIGNIFICANT
    }

    /// The pair as a sentence.
    pub fn sentence(&self) -> String {
        let Self {
            a,
            b,
            only_a,
            only_b,
            p_value,
            difference,
            interval: [low, high],
        } = self;
        format!(
            "{b} less {a}: {:+.1} points, 95 % interval {:+.1} to {:+.1}; {only_b} solved by {b} alone, \
             {only_a} by {a} alone; p = {p_value:.3}",
            difference * 100.0,
            low * 100.0,
            high * 100.0,
        )
    }
}

/// A difference that chance alone gives less often than this is one.
const SIGNIFICANT: f64 = 0.05;

/// The result of a benchmark that executes programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// What and how.
    #[serde(flatten)]
    pub setting: Setting,
    /// Everybody's share.
    pub candidates: Vec<Candidate>,
    /// Each candidate against those before it.
    pub pairs: Vec<Pair>,
    /// Every problem, by name.
    pub tasks: Vec<Task>,
}

impl Report {
    /// Counts. `names` are the candidates in order; each has an attempt at every task.
    pub fn new(setting: Setting, names: &[&str], mut tasks: Vec<Task>) -> Self {
        tasks.sort_by(|a, b| a.task.cmp(&b.task));
        let passed = |task: &Task, name: &str| {
            task.attempts
                .get(name)
                .is_some_and(|attempt| attempt.outcome == Outcome::Passed)
        };
        let problems = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        let candidates = names
            .iter()
            .map(|&name| {
                let passed = tasks.iter().filter(|task| passed(task, name)).count();
                let passed = u32::try_from(passed).unwrap_or(u32::MAX);
                Candidate {
                    name: name.to_owned(),
                    problems,
                    passed,
                    rate: f64::from(passed) / f64::from(problems).max(1.0),
                    interval: wilson(passed, problems),
                    computed_tokens: mean_computed(&tasks, name),
                }
            })
            .collect();
        let after = |n: usize| names.get(n + 1..).unwrap_or_default();
        let pairs = names
            .iter()
            .enumerate()
            .flat_map(|(n, a)| after(n).iter().map(move |b| (*a, *b)))
            .map(|(a, b)| {
                let both = tasks.iter().map(|task| (passed(task, a), passed(task, b)));
                Pair::new(a, b, Paired::of(both))
            })
            .collect();
        Self {
            machine: Machine::here(),
            setting,
            candidates,
            pairs,
            tasks,
        }
    }

    /// What was measured, in one sentence.
    pub fn heading(&self) -> String {
        let Setting {
            bench,
            data,
            seed,
            model,
            backend,
            max_tokens,
            moved_lines,
            python,
            sandbox,
        } = &self.setting;
        let behind = behind(*moved_lines);
        format!(
            "{bench}: {} problems of {data}, seed {seed}{behind}; {model} ({backend}), at most \
             {max_tokens} tokens; Python {python}, confined by {sandbox}",
            self.tasks.len()
        )
    }

    /// The table of shares and pairs.
    pub fn table(&self) -> String {
        let mut out = self.heading();
        out.push('\n');
        for candidate in &self.candidates {
            let Candidate {
                name,
                problems,
                passed,
                rate,
                interval: [low, high],
                computed_tokens,
            } = candidate;
            let _ = write!(
                out,
                "{name:<24}{passed:>5} of {problems:<5}{:>6.1} %   95 % interval {:.1} to {:.1} %",
                rate * 100.0,
                low * 100.0,
                high * 100.0,
            );
            if let Some(tokens) = computed_tokens {
                let _ = write!(out, "   {tokens:.1} prompt tokens computed");
            }
            out.push('\n');
        }
        for pair in &self.pairs {
            let _ = writeln!(out, "{}", pair.sentence());
        }
        out
    }

    /// A line per problem, tab-separated, under lines that say what was measured. The same for the
    /// same texts, wherever it was measured, so that a change shows as a difference of two files.
    pub fn task_table(&self) -> String {
        let Setting {
            bench,
            data,
            seed,
            model,
            max_tokens,
            moved_lines,
            ..
        } = &self.setting;
        let mut out = format!(
            "# {bench}: {data}, {} problems of seed {seed}{}, {model}, at most {max_tokens} tokens\n",
            self.tasks.len(),
            behind(*moved_lines)
        );
        for candidate in &self.candidates {
            let _ = writeln!(out, "# {}: {} passed", candidate.name, candidate.passed);
        }
        out.push_str("task\tsolution_lines");
        for Candidate { name, .. } in &self.candidates {
            let _ = write!(out, "\t{name}\t{name}_stop\t{name}_lines");
        }
        out.push('\n');
        for task in &self.tasks {
            let _ = write!(out, "{}\t{}", task.task, task.solution_lines);
            for candidate in &self.candidates {
                match task.attempts.get(&candidate.name) {
                    Some(Attempt {
                        outcome,
                        stop,
                        lines,
                        ..
                    }) => {
                        let _ = write!(out, "\t{}\t{stop}\t{lines}", outcome.name());
                    }
                    None => out.push_str("\t\t\t"),
                }
            }
            out.push('\n');
        }
        out
    }

    /// A JSON object a line with what was written for each problem, to find out why one failed.
    pub fn texts(&self) -> String {
        let mut out = String::new();
        for task in &self.tasks {
            for (name, attempt) in &task.attempts {
                let line = serde_json::json!({
                    "task": task.task,
                    "candidate": name,
                    "outcome": attempt.outcome,
                    "text": attempt.text,
                });
                let _ = writeln!(out, "{line}");
            }
        }
        out
    }
}

/// How a hole was come to.
fn behind(moved_lines: Option<u32>) -> String {
    moved_lines.map_or(String::new(), |lines| {
        format!(", behind {lines} lines written one by one")
    })
}

/// Of one candidate; `None` where nobody measured it.
fn mean_computed(tasks: &[Task], name: &str) -> Option<f64> {
    let attempts = tasks.iter().filter_map(|task| task.attempts.get(name));
    let tokens: Vec<u32> = attempts
        .filter_map(|attempt| attempt.computed_tokens)
        .collect();
    let count = u32::try_from(tokens.len()).ok().filter(|&n| n > 0)?;
    Some(tokens.into_iter().map(f64::from).sum::<f64>() / f64::from(count))
}

#[cfg(test)]
mod tests;
