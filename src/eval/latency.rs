//! What the server itself costs: the built program over its pipes, with the model's time taken off.
//!
//! Called by `cli/bench/latency`. [`measure`] starts the program as an editor does, with settings of
//! its own that lead to a scripted Ollama in this process. Both ends of every measured way
//! are in this process, so one clock times all of it.
//!
//! Invariants: a sample counts only if the answer is the text that was scripted for it, so that no
//! figure is of a way that was not taken; time stamps are taken where they make our figure larger, not
//! smaller. What the editor's end sends is made before its clock starts: that is no work of the server's.
//!
//! Between runs "server added" differs by more than most changes save: by where the system puts the three
//! processes, and by what else the machine does. To judge a change, look at the program's own part of it, from
//! the key to the request and from the answer to the ghost text, of two builds in turns:
//!
//! ```text
//! ghostline bench latency --samples 2000 &
//! perf record -e syscalls:sys_exit_read,syscalls:sys_enter_writev \
//!     -e syscalls:sys_exit_recvfrom,syscalls:sys_enter_write -p PID_OF_SERVE sleep 3
//! perf script     # read to writev, recvfrom to write
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::client::ClientError;

mod backend;
mod bars;
mod editor;
mod floor;
mod in_process;
mod measures;
mod memory;
mod report;
mod routed;
mod source;

pub use bars::{Verdict, verdicts};
pub use floor::relay;
pub use report::{Memory, Quantiles, Report};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program to start.
    pub program: PathBuf,
    /// Samples of each latency; at least 1.
    pub samples: usize,
    /// Idle time before each key. Without it the machine never goes to sleep between keys, which a
    /// person's typing lets it do.
    pub pause: Duration,
}

impl Options {
    /// Waits for the next key.
    async fn idle(&self) {
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
    }
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LatencyError {
    /// A folder, a port, a thread or a process could not be had.
    #[error("cannot {what}")]
    Set {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The conversation with the server broke.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The scripted backend does not serve the completion role.
    #[error("the server does not use the scripted backend: {status}")]
    NotServed {
        /// The server's status.
        status: String,
    },
    /// The answer is not the one that the measured way gives.
    #[error("{measure}: expected the answer {expected:?}, got {got:?}")]
    Answer {
        /// What was being measured.
        measure: &'static str,
        /// The scripted text, or what is left of it.
        expected: String,
        /// What came; `None` for no completion.
        got: Option<String>,
    },
    /// The scripted backend was not asked, or was asked where it should not have been.
    #[error("{measure}: {problem}")]
    Backend {
        /// What was being measured.
        measure: &'static str,
        /// What was seen.
        problem: &'static str,
    },
}

/// Gives an error of the system its context.
fn cannot(what: &'static str) -> impl FnOnce(std::io::Error) -> LatencyError {
    move |source| LatencyError::Set { what, source }
}

/// Measures everything; takes seconds to a minute. Blocks: it runs its own one-threaded runtime, so
/// that no other task's wake-ups are in the figures.
///
/// # Errors
/// [`LatencyError`] as soon as one answer is not what it should be.
pub fn measure(options: &Options) -> Result<Report, LatencyError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(cannot("start a runtime"))?;
    runtime.block_on(measures::all(options))
}

/// The folder that the measured server sees as its own: settings and cache, nothing of the person's.
fn settings(folder: &Path, url: &str) -> Result<PathBuf, LatencyError> {
    let path = folder.join("config.toml");
    let text = format!(
        "[backends.{name}]\nkind = \"ollama\"\nurls = [\"{url}\"]\n\n\
         [roles.completion]\ncandidates = [\"{name}/{model}\"]\n\n\
         [inline]\ndebounce = 0\nprefetch = false\n",
        name = backend::NAME,
        model = backend::MODEL,
    );
    std::fs::write(&path, text).map_err(cannot("write the settings"))?;
    Ok(path)
}
