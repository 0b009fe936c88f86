//! Where a problem's program has its hole, and how a person comes to it.

use crate::eval::chance::{Chance, fingerprint};
use crate::eval::problem::Problem;

/// A program with a hole, as an editor would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    /// The text above and left of it.
    pub(super) before: String,
    /// The text right of and below it.
    pub(super) after: String,
    /// Lines of the known solution.
    pub(super) solution_lines: usize,
}

impl Hole {
    /// The hole of a problem. Where its solution is whole lines, an empty line is the hole: that is what
    /// a person has there. A problem without a suffix gets a hole of its known solution's lines, two or
    /// more where there are so many, drawn with `seed`.
    pub(super) fn of(problem: &Problem, seed: u64) -> Self {
        let Problem {
            prompt,
            canonical_solution: solution,
            ..
        } = problem;
        let (before, solution, after) = if let Some(suffix) = &problem.suffix {
            (prompt.clone(), solution.as_str(), suffix.clone())
        } else {
            let (start, end) = drawn_lines(solution, &problem.task_id, seed);
            let (rest, below) = solution.split_at(end);
            let (above, lines) = rest.split_at(start);
            ([prompt, above].concat(), lines, below.to_owned())
        };
        let whole_lines = solution.ends_with('\n') && (before.is_empty() || before.ends_with('\n'));
        Self {
            solution_lines: solution.lines().count(),
            after: if whole_lines {
                ["\n", after.as_str()].concat()
            } else {
                after
            },
            before,
        }
    }

    /// The program with `text` in the hole.
    pub(super) fn filled_with(&self, text: &str) -> String {
        [self.before.as_str(), text, self.after.as_str()].concat()
    }

    /// The same with another problem's whole function below, as in a file of more than one.
    pub(super) fn above(mut self, other: &Problem) -> Self {
        let Problem {
            prompt,
            canonical_solution: solution,
            suffix,
            ..
        } = other;
        let suffix = suffix.as_deref().unwrap_or_default();
        self.after.truncate(self.after.trim_end().len());
        for part in ["\n\n\n", prompt.trim_start(), solution, suffix] {
            self.after.push_str(part);
        }
        self
    }

    /// The program as it was before each of the last `lines` lines above the hole was written, blank ones
    /// left out: the text, and the cursor behind the line's indentation. The hole's own line is not there
    /// yet.
    pub(super) fn way(&self, lines: usize) -> Vec<(String, usize)> {
        let end = self.before.rfind('\n').map_or(0, |at| at + 1);
        let above = self.before.get(..end).unwrap_or_default();
        let below = (self.after.split_once('\n')).map_or("", |(_, below)| below);
        let mut end = above.len();
        let mut way = Vec::new();
        for line in above.split_inclusive('\n').rev() {
            end -= line.len();
            if way.len() < lines && !line.trim().is_empty() {
                let cursor = end + line.len() - line.trim_start().len();
                let typed = self.before.get(..cursor).unwrap_or_default();
                way.push(([typed, "\n", below].concat(), cursor));
            }
        }
        way.reverse();
        way
    }
}

/// Some lines of `text`, as bytes.
fn drawn_lines(text: &str, task_id: &str, seed: u64) -> (usize, usize) {
    let mut at = 0;
    let mut starts = Vec::new();
    for line in text.split_inclusive('\n') {
        if !line.trim().is_empty() {
            starts.push((at, at + line.len()));
        }
        at += line.len();
    }
    let ranges: Vec<(usize, usize)> = starts
        .iter()
        .enumerate()
        .flat_map(|(n, &(start, _))| {
            let ends = starts.iter().skip(n + usize::from(starts.len() > 1));
            ends.map(move |&(_, end)| (start, end))
        })
        .collect();
    let mut chance = Chance::new(seed, "hole", fingerprint(task_id.as_bytes()));
    chance.pick(&ranges).copied().unwrap_or((0, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::problem::tests::half;

    #[test]
    fn a_hole_of_whole_lines_is_an_empty_line() {
        let hole = Hole::of(&half("T/0"), 1);
        assert_eq!(hole.filled_with(""), "def half(n):\n\n    return h\n");
        assert_eq!(
            hole.filled_with("    h = n // 2"),
            "def half(n):\n    h = n // 2\n    return h\n"
        );
        let mut inner = half("T/0");
        inner.prompt = "def half(n):\n    h = n ".into();
        inner.canonical_solution = "// 2".into();
        inner.suffix = Some("\n    return h\n".into());
        let hole = Hole::of(&inner, 1);
        assert_eq!(
            hole.filled_with("// 2"),
            "def half(n):\n    h = n // 2\n    return h\n"
        );
    }

    #[test]
    fn a_problem_without_a_suffix_gets_a_hole_of_several_lines() {
        let mut problem = half("T/0");
        problem.suffix = None;
        problem.canonical_solution = "    a = 1\n\n    b = 2\n    return n // b\n".into();
        let whole = [problem.prompt.as_str(), &problem.canonical_solution].concat();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let hole = Hole::of(&problem, seed);
            assert!(hole.solution_lines >= 2, "{hole:?}");
            assert!(whole.starts_with(&hole.before), "{hole:?}");
            assert!(whole.ends_with(hole.after.strip_prefix('\n').unwrap()));
            assert_eq!(hole, Hole::of(&problem, seed));
            seen.insert(hole.before);
        }
        assert_eq!(seen.len(), 2, "both places where two lines begin");
        problem.canonical_solution = "    return n // 2\n".into();
        assert_eq!(Hole::of(&problem, 1).solution_lines, 1);
    }

    #[test]
    fn the_way_to_a_hole_is_the_lines_above_it() {
        let hole = |before: &str, after: &str| Hole {
            before: before.to_owned(),
            after: after.to_owned(),
            solution_lines: 1,
        };
        let whole = hole("def f(n):\n\n    a = 1\n", "\n    return a\n");
        let below = "\n    return a\n";
        assert_eq!(
            whole.way(9),
            [
                (below.to_owned(), 0),
                (["def f(n):\n\n    ", below].concat(), 15),
            ]
        );
        assert_eq!(whole.way(1).len(), 1);
        // The rest of the hole's line comes with it.
        let inner = hole("a = 1\nb = f(", ")\nc\n");
        assert_eq!(inner.way(9), [("\nc\n".to_owned(), 0)]);
        let two = whole.clone().above(&half("T/1"));
        assert_eq!(
            two.filled_with("    a += 1"),
            "def f(n):\n\n    a = 1\n    a += 1\n    return a\n\n\n\
             def half(n):\n    h = n // 2\n    return h\n"
        );
        assert_eq!(hole("b = ", "\n").way(9), []);
        assert_eq!(hole("", "").way(9), []);
    }
}
