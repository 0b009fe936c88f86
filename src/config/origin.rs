//! Where a value came from, and what was wrong with one.
//!
//! Made by the resolver; shown by `ghostline config`, the server's log and its one message.

use std::fmt;
use std::path::PathBuf;

use super::text::escaped;

/// Where a value came from.
///
/// Ordered by file and line, so that sorted problems read like the files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A settings file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1, where known.
        line: Option<usize>,
    },
    /// A variable of this process.
    Environment {
        /// The variable.
        name: String,
    },
    /// A variable of the workspace's `.env`.
    EnvFile {
        /// The file.
        path: PathBuf,
        /// Counted from 1, where known.
        line: Option<usize>,
        /// The variable.
        name: String,
    },
    /// The editor's settings.
    Editor,
    /// A list that one place added to and another began.
    Added {
        /// Who added.
        by: Box<Self>,
        /// Whose list it was.
        to: Box<Self>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |path: &PathBuf, line: &Option<usize>| {
            let path = escaped(&path.display().to_string());
            line.map_or(path.clone(), |line| format!("{path}:{line}"))
        };
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => f.write_str(&place(path, line)),
            Self::Environment { name } => write!(f, "environment {name}"),
            Self::EnvFile { path, line, name } => write!(f, "{} {name}", place(path, line)),
            Self::Editor => f.write_str("editor"),
            Self::Added { by, to } => write!(f, "{by}, added to {to}"),
        }
    }
}

/// Something about one value that could not be used; the value below it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What, ending in what to do where that is known.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}
