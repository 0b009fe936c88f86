//! Programming problems with tests of their own: read, and drawn.
//!
//! Two published forms, one JSON object a line, plain or gzipped: `HumanEval` (`prompt`,
//! `canonical_solution`) and infilling (`suffix` as well). Called by `cli/bench`; nothing of a data set
//! is part of this program.

use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use super::chance::{Chance, fingerprint};

/// Largest data set, in bytes of its text. The largest published one has 20 MB.
const MOST_BYTES: u64 = 256 << 20;

/// A problem and its test.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// Its name, such as `HumanEval/0`.
    pub task_id: String,
    /// The text before what is to be written.
    pub prompt: String,
    /// The text after it; absent where it is to be written to the end.
    pub suffix: Option<String>,
    /// One right text.
    pub canonical_solution: String,
    /// Defines `check(candidate)`.
    pub test: String,
    /// The function that is checked.
    pub entry_point: String,
}

/// A data set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A line is no problem.
    #[error(
        "{path}, line {line}: not a problem ({why}); each line is a JSON object with task_id, prompt, \
         canonical_solution, test, entry_point and, for infilling, suffix"
    )]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        why: String,
    },
    /// There is none.
    #[error("{path} has no problems; it may be too large (over 256 MiB) or empty")]
    Empty {
        /// The file.
        path: String,
    },
}

/// Reads all problems of a file.
pub fn read(path: &Path) -> Result<Vec<Problem>, ProblemError> {
    let shown = || path.display().to_string();
    let cannot = |source| ProblemError::Read {
        path: shown(),
        source,
    };
    let bytes = std::fs::read(path).map_err(cannot)?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(MOST_BYTES);
        unpacked.read_to_string(&mut text).map_err(cannot)?;
    } else {
        let mut plain = bytes.as_slice().take(MOST_BYTES);
        plain.read_to_string(&mut text).map_err(cannot)?;
    }
    let mut problems = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let problem = serde_json::from_str(line).map_err(|error| ProblemError::Line {
            path: shown(),
            line: n + 1,
            why: error.to_string(),
        })?;
        problems.push(problem);
    }
    if problems.is_empty() {
        return Err(ProblemError::Empty { path: shown() });
    }
    Ok(problems)
}

/// Draws `limit` of the problems, in the order of the draw. A larger limit adds to a smaller one, and a
/// problem's luck does not depend on which others there are.
pub fn draw(mut problems: Vec<Problem>, limit: Option<usize>, seed: u64) -> Vec<Problem> {
    let luck = |problem: &Problem| {
        let key = fingerprint(problem.task_id.as_bytes());
        Chance::new(seed, "problem", key).share()
    };
    problems.sort_by(|a, b| {
        luck(a)
            .total_cmp(&luck(b))
            .then_with(|| a.task_id.cmp(&b.task_id))
    });
    problems.truncate(limit.unwrap_or(usize::MAX));
    problems
}

impl Problem {
    /// The program that tests a solution: `code` and the problem's own test.
    pub fn program(&self, code: &str) -> String {
        let Self {
            test, entry_point, ..
        } = self;
        format!("{code}\n{test}\ncheck({entry_point})\n")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A problem of the test's own: `half(n)`.
    pub(in crate::eval) fn half(task_id: &str) -> Problem {
        Problem {
            task_id: task_id.into(),
            prompt: "def half(n):\n".into(),
            suffix: Some("    return h\n".into()),
            canonical_solution: "    h = n // 2\n".into(),
            test: "def check(candidate):\n    assert candidate(8) == 4\n".into(),
            entry_point: "half".into(),
        }
    }

    #[test]
    fn a_larger_draw_holds_the_smaller_one_in_the_same_order() {
        let all: Vec<Problem> = (0..50).map(|n| half(&format!("T/{n}"))).collect();
        let names = |limit, seed| -> Vec<String> {
            let drawn = draw(all.clone(), limit, seed);
            drawn.into_iter().map(|p| p.task_id).collect()
        };
        let ten = names(Some(10), 1);
        assert_eq!(names(Some(20), 1).split_at(10).0, ten);
        assert_ne!(names(Some(10), 2), ten);
        assert_eq!(names(None, 1).len(), 50);
        let mut fewer = all.clone();
        fewer.retain(|p| ten.contains(&p.task_id));
        fewer.reverse();
        let again: Vec<String> = draw(fewer, None, 1)
            .into_iter()
            .map(|p| p.task_id)
            .collect();
        assert_eq!(again, ten);
    }

    #[test]
    fn plain_and_gzipped_files_are_read_and_a_bad_line_is_named() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let line = r#"{"task_id":"T/1","prompt":"p","canonical_solution":"c","test":"t","entry_point":"e"}"#;
        std::fs::write(&path, format!("{line}\n\n{line}\n")).unwrap();
        let plain = read(&path).unwrap();
        assert_eq!((plain.len(), plain[0].suffix.as_deref()), (2, None));
        let file = std::fs::File::create(&path).unwrap();
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        write!(packed, "{line}\n{line}\n").unwrap();
        packed.finish().unwrap();
        assert_eq!(read(&path).unwrap(), plain);
        std::fs::write(&path, format!("{line}\n{{\"task_id\":1}}\n")).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("suffix"),
            "{error}"
        );
        std::fs::write(&path, "").unwrap();
        assert!(matches!(read(&path), Err(ProblemError::Empty { .. })));
    }
}
