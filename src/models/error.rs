//! What can go wrong with weights.
//!
//! A [`SourceError`] ends one source and the next is tried; a [`ModelsError`] ends the whole thing.

use std::path::PathBuf;
use std::{fmt, io};

use super::MODELS;

/// Why a model cannot be had, checked or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// The catalogue has no such model.
    #[error("there is no model `{name}`{}; the models are {}", did_you_mean(*nearest), known())]
    Unknown {
        /// What was asked for.
        name: String,
        /// The name most like it.
        nearest: Option<&'static str>,
    },
    /// This user has no home directory.
    #[error("cannot tell where to keep models; set GHOSTLINE_CACHE_DIR")]
    NoCacheDir,
    /// Not installed.
    #[error("{model} is not installed; fetch it with `ghostline models pull {model}`")]
    Missing {
        /// The model's name.
        model: &'static str,
    },
    /// The installed file is not what it should be.
    #[error(
        "{} is damaged: its SHA-256 is {found}, not {expected}; \
         run `ghostline models rm {model}` and `ghostline models pull {model}`",
        path.display()
    )]
    Damaged {
        /// The model's name.
        model: &'static str,
        /// The file.
        path: PathBuf,
        /// The hash in the catalogue.
        expected: &'static str,
        /// The hash of the file.
        found: String,
    },
    /// A file that cannot be quantised.
    #[error("cannot quantise {}: {message}", path.display())]
    Quantize {
        /// The source.
        path: PathBuf,
        /// Why, ending in what to do where that is known.
        message: String,
    },
    /// A name that cannot be given.
    #[error("`{name}` cannot be a model's name: {why}")]
    Name {
        /// What was asked for.
        name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A model of the person's own is not what it was.
    #[error(
        "{} is damaged: its SHA-256 is {found}, not {expected}; run `ghostline models rm {name}` and \
         make it again with `ghostline models quantize`",
        path.display()
    )]
    NamedDamaged {
        /// The model's name.
        name: String,
        /// The file.
        path: PathBuf,
        /// The hash when it was made.
        expected: String,
        /// The hash of the file.
        found: String,
    },
    /// Another process is fetching it.
    #[error("{model} is being fetched by another process; try again when that is done")]
    Busy {
        /// The model's name.
        model: &'static str,
    },
    /// The disk is too full to begin.
    #[error(
        "{} has {} free and {} are needed; free some space, or set GHOSTLINE_CACHE_DIR to another disk",
        dir.display(), sized(*available_bytes), sized(*needed_bytes)
    )]
    NoSpace {
        /// Where models are kept.
        dir: PathBuf,
        /// What the rest of the fetch takes.
        needed_bytes: u64,
        /// What the file system offers this user.
        available_bytes: u64,
    },
    /// The disk filled up while the model was fetched. What came is kept.
    #[error(
        "the disk filled up: {} holds {}, {} more are needed and {} are free; free some space{}, then the \
         same command carries on from there; or set GHOSTLINE_CACHE_DIR to another disk, where it begins anew",
        path.display(), sized(*kept_bytes), sized(*needed_bytes), sized(*available_bytes),
        at_least(needed_bytes.saturating_sub(*available_bytes))
    )]
    FilledUp {
        /// The unfinished file.
        path: PathBuf,
        /// What it holds.
        kept_bytes: u64,
        /// What the rest of the fetch takes.
        needed_bytes: u64,
        /// What the file system offers this user.
        available_bytes: u64,
    },
    /// The disk is full.
    #[error(
        "cannot {doing} {}: the disk is full; free some space and run the same command again, or set \
         GHOSTLINE_CACHE_DIR to another disk", path.display()
    )]
    DiskFull {
        /// A verb, such as `write`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No source delivered.
    #[error(
        "cannot fetch {model}\n{}set HF_ENDPOINT to a mirror of Hugging Face, or put the file \
         (SHA-256 {sha256}) at {} yourself",
        listed(failures),
        path.display()
    )]
    AllSourcesFailed {
        /// The model's name.
        model: &'static str,
        /// Its hash, for whoever looks for the file elsewhere.
        sha256: &'static str,
        /// Where the file belongs.
        path: PathBuf,
        /// One per source, in the order they were tried.
        failures: Vec<SourceFailure>,
    },
    /// The store cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// A verb, such as `write`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A source that was given up.
#[derive(Debug)]
pub struct SourceFailure {
    /// The source's name for people.
    pub source: String,
    /// Why.
    pub error: SourceError,
}

/// Why a source did not deliver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No connection, or it broke.
    #[error("{}", in_words(.0))]
    Http(reqwest::Error),
    /// The server refused.
    #[error("the server answered {0}")]
    Status(reqwest::StatusCode),
    /// The server's answer to a range request makes no sense.
    #[error("the server sent another range than was asked for")]
    Range,
    /// The connection ended early.
    #[error("the connection closed after {got_bytes} of {expected_bytes} bytes")]
    Short {
        /// What is there.
        got_bytes: u64,
        /// The whole file.
        expected_bytes: u64,
    },
    /// The source has something else under this name.
    #[error("it has a file of {found_bytes} bytes where {expected_bytes} are expected")]
    Size {
        /// What the source has.
        found_bytes: u64,
        /// The catalogue's size.
        expected_bytes: u64,
    },
    /// All bytes came, and they are the wrong ones.
    #[error("the file's SHA-256 is {found}, not {expected}; it was removed")]
    Hash {
        /// The catalogue's hash.
        expected: &'static str,
        /// The hash of what came.
        found: String,
    },
    /// Python is not there.
    #[error("cannot run `{program}`; install Python 3 with pip")]
    Python {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// pip failed.
    #[error("pip cannot fetch {package}: {message}")]
    Pip {
        /// `name==version`.
        package: String,
        /// pip's own last word.
        message: String,
    },
    /// A wheel is not as expected.
    #[error("the wheel of {package} is not as expected: {message}")]
    Wheel {
        /// `name==version`.
        package: String,
        /// What is wrong.
        message: String,
    },
}

/// A size for people, in the units of the progress bar.
fn sized(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = bytes * 10 / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..0x10_0000 => format!("{bytes} bytes"),
        0x10_0000..0x4000_0000 => format!("{} MiB", tenths(1 << 20)),
        _ => format!("{} GiB", tenths(1 << 30)),
    }
}

fn at_least(short_bytes: u64) -> String {
    if short_bytes == 0 {
        String::new()
    } else {
        format!(", at least {}", sized(short_bytes))
    }
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest
        .map(|name| format!(", did you mean `{name}`"))
        .unwrap_or_default()
}

fn known() -> String {
    MODELS
        .iter()
        .map(|model| format!("`{}`", model.name))
        .collect::<Vec<_>>()
        .join(", ")
}

fn listed(failures: &[SourceFailure]) -> String {
    failures
        .iter()
        .flat_map(|failure| ["  ".to_owned(), failure.to_string(), "\n".to_owned()])
        .collect()
}

impl fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.error)
    }
}

/// reqwest's first words are "error sending request"; what a person needs is the innermost cause.
fn in_words(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() && error.is_connect() {
        "no connection in time"
    } else if error.is_timeout() {
        "nothing came for too long"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "the connection broke"
    };
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // A timeout's innermost cause says no more than `what`.
    if error.is_timeout() {
        what.to_owned()
    } else {
        format!("{what}: {innermost}")
    }
}

#[cfg(test)]
mod tests {
    use super::{at_least, sized};

    #[test]
    fn sizes_are_for_people() {
        for (bytes, expect) in [
            (0, "0 bytes"),
            (1_048_575, "1048575 bytes"),
            (1_048_576, "1.0 MiB"),
            (491_400_064, "468.6 MiB"),
            (1_117_320_768, "1.0 GiB"),
        ] {
            assert_eq!(sized(bytes), expect);
        }
        assert_eq!(at_least(0), "");
        assert_eq!(at_least(7), ", at least 7 bytes");
    }
}
