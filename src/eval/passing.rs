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
            python,
            sandbox,
        } = &self.setting;
        format!(
            "{bench}: {} problems of {data}, seed {seed}; {model} ({backend}), at most {max_tokens} \
             tokens; Python {python}, confined by {sandbox}",
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
            } = candidate;
            let _ = writeln!(
                out,
                "{name:<24}{passed:>5} of {problems:<5}{:>6.1} %   95 % interval {:.1} to {:.1} %",
                rate * 100.0,
                low * 100.0,
                high * 100.0,
            );
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
            ..
        } = &self.setting;
        let mut out = format!(
            "# {bench}: {data}, {} problems of seed {seed}, {model}, at most {max_tokens} tokens\n",
            self.tasks.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, a: Outcome, b: Outcome) -> Task {
        let attempt = |outcome| Attempt {
            outcome,
            stop: "stop".into(),
            lines: 1,
            text: "text".into(),
        };
        Task {
            task: name.into(),
            solution_lines: 1,
            attempts: [("raw".into(), attempt(a)), ("engine".into(), attempt(b))].into(),
        }
    }

    fn report() -> Report {
        let setting = Setting {
            bench: "infill",
            data: "d.jsonl".into(),
            seed: 1,
            model: "m".into(),
            backend: "b".into(),
            max_tokens: 64,
            python: "3.11.7".into(),
            sandbox: "none",
        };
        let tasks = vec![
            task("T/2", Outcome::WrongAnswer, Outcome::Passed),
            task("T/1", Outcome::Passed, Outcome::Passed),
            task("T/3", Outcome::Timeout, Outcome::SyntaxError),
        ];
        Report::new(setting, &["raw", "engine"], tasks)
    }

    #[test]
    fn shares_and_pairs_are_counted() {
        let report = report();
        let passed: Vec<u32> = report.candidates.iter().map(|c| c.passed).collect();
        assert_eq!(passed, [1, 2]);
        let [pair] = report.pairs.as_slice() else {
            panic!("{:?}", report.pairs)
        };
        assert_eq!((pair.only_a, pair.only_b), (0, 1));
        assert!(!pair.is_loss());
    }

    #[test]
    fn json_has_the_keys_that_results_are_compared_by() {
        let json = serde_json::to_value(report()).unwrap();
        for pointer in [
            "/machine/cores",
            "/candidates/0/name",
            "/candidates/1/problems",
            "/candidates/1/passed",
            "/candidates/1/rate",
            "/candidates/1/interval/1",
            "/pairs/0/a",
            "/pairs/0/b",
            "/pairs/0/only_a",
            "/pairs/0/only_b",
            "/pairs/0/p_value",
            "/pairs/0/difference",
            "/pairs/0/interval/0",
            "/tasks/0/attempts/raw/outcome",
            "/model",
        ] {
            assert!(json.pointer(pointer).is_some(), "{pointer} in {json}");
        }
        assert!(!json.to_string().contains("\"text\""), "{json}");
    }

    #[test]
    fn the_task_table_is_sorted_by_name() {
        let table = report().task_table();
        let rows: Vec<&str> = table.lines().filter(|l| l.starts_with("T/")).collect();
        assert_eq!(
            rows,
            [
                "T/1\t1\tpassed\tstop\t1\tpassed\tstop\t1",
                "T/2\t1\twrong-answer\tstop\t1\tpassed\tstop\t1",
                "T/3\t1\ttimeout\tstop\t1\tsyntax-error\tstop\t1",
            ]
        );
    }
}
