//! How a program ended, and what that says about it.

use std::process::ExitStatus;

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// By itself, or by a signal.
    Exited {
        status: ExitStatus,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    },
    /// It had taken all the time there is.
    TooLong,
    /// It printed or wrote more than allowed.
    TooMuchOutput,
}

/// What became of a program. Only [`Outcome::Passed`] is a success; the others help to find out why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It ran to its last line.
    Passed,
    /// An assertion did not hold.
    WrongAnswer,
    /// Python could not read it.
    SyntaxError,
    /// A name is not defined.
    NameError,
    /// Another exception ended it.
    Exception,
    /// It ended itself before its last line.
    EndedEarly,
    /// It needed more time than allowed.
    Timeout,
    /// It needed more memory than allowed.
    OutOfMemory,
    /// It printed or wrote more than allowed.
    TooMuchOutput,
    /// A signal ended it.
    Killed,
}

impl Outcome {
    /// Its name in tables, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::WrongAnswer => "wrong-answer",
            Self::SyntaxError => "syntax-error",
            Self::NameError => "name-error",
            Self::Exception => "exception",
            Self::EndedEarly => "ended-early",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out-of-memory",
            Self::TooMuchOutput => "too-much-output",
            Self::Killed => "killed",
        }
    }

    /// Reads an ending; `passed` is what the last line of the program prints.
    pub(super) fn of(ending: &Ending, passed: &str) -> Self {
        let (status, stdout, stderr) = match ending {
            Ending::TooLong => return Self::Timeout,
            Ending::TooMuchOutput => return Self::TooMuchOutput,
            Ending::Exited {
                status,
                stdout,
                stderr,
            } => (status, stdout, stderr),
        };
        if memchr::memmem::find(stdout, passed.as_bytes()).is_some() {
            return Self::Passed;
        }
        match status.code() {
            None if ended_by_cpu_limit(*status) => Self::Timeout,
            None => Self::Killed,
            Some(0) => Self::EndedEarly,
            Some(_) => Self::of_exception(&String::from_utf8_lossy(stderr)),
        }
    }

    /// The exception is named at the beginning of a line of its own; the last such line counts.
    fn of_exception(stderr: &str) -> Self {
        let name = stderr
            .lines()
            .rev()
            .filter_map(|line| line.split([':', ' ']).next())
            .find(|word| {
                word.ends_with("Error") || word.ends_with("Exit") || word.ends_with("Exception")
            });
        match name {
            Some("AssertionError") => Self::WrongAnswer,
            Some("SyntaxError" | "IndentationError" | "TabError") => Self::SyntaxError,
            Some("NameError" | "UnboundLocalError") => Self::NameError,
            Some("MemoryError") => Self::OutOfMemory,
            Some(_) => Self::Exception,
            None => Self::EndedEarly,
        }
    }
}

/// Whether the signal is the one for too much processor time.
#[cfg(unix)]
fn ended_by_cpu_limit(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal() == Some(rustix::process::Signal::XCPU.as_raw())
}

#[cfg(not(unix))]
fn ended_by_cpu_limit(_: ExitStatus) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_exception_counts() {
        for (stderr, expected) in [
            ("Traceback:\n  File\nAssertionError\n", Outcome::WrongAnswer),
            ("IndentationError: unexpected indent", Outcome::SyntaxError),
            (
                "NameError: name 'x' is not defined. Did you mean: 'y'?",
                Outcome::NameError,
            ),
            ("MemoryError\n", Outcome::OutOfMemory),
            (
                "KeyError: 1\n\nDuring handling\n\nAssertionError: told so",
                Outcome::WrongAnswer,
            ),
            ("ZeroDivisionError: division by zero", Outcome::Exception),
            ("", Outcome::EndedEarly),
        ] {
            assert_eq!(Outcome::of_exception(stderr), expected, "{stderr:?}");
        }
    }

    #[test]
    fn the_name_is_the_one_in_json() {
        for outcome in [
            Outcome::Passed,
            Outcome::WrongAnswer,
            Outcome::TooMuchOutput,
        ] {
            let json = serde_json::to_string(&outcome).unwrap();
            assert_eq!(json, format!("\"{}\"", outcome.name()));
        }
    }
}
