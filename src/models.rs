//! Weights on this machine: which models there are, where they come from, where they are kept.
//!
//! Called by `ghostline models`, by the embedded engine and by the server. [`find`] looks a
//! [`Model`] up in the catalogue, [`Store`] says where it is, [`pull`] fetches it, [`verify`]
//! hashes it again.
//!
//! Invariants: a file under its final name has its full size and had the right hash when it was
//! put there; only the hash makes a source trusted; nothing that was fetched is ever run.

mod ollama_store;
pub use ollama_store::{OllamaModel, models_in, ollama_models};

mod blocking;
mod catalogue;
mod error;
mod named;
pub mod ollama;
mod pull;
pub mod quantize;
mod source;
mod store;
pub mod wanted;

pub use catalogue::{MODELS, Model, Source, find};
pub use error::{ModelsError, SourceError, SourceFailure};
pub use named::{Named, check_name, verify_named};
pub use pull::{Fetcher, pull};
pub use store::{Store, verify};

/// What happens while a model is fetched or verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another process or task fetches this model; we wait until it is done.
    Waiting,
    /// A source is tried.
    Trying {
        /// Its name for people.
        source: &'a str,
        /// What is there already and is not fetched again.
        kept_bytes: u64,
    },
    /// The source broke off and is tried again from where it stopped.
    Retrying {
        /// Its name for people.
        source: &'a str,
        /// What went wrong.
        reason: &'a str,
    },
    /// Bytes arrived. Comes often, and may fall back when a source cannot resume.
    Fetched {
        /// What is there now.
        done_bytes: u64,
        /// The whole file.
        total_bytes: u64,
    },
    /// A step that is not counted in bytes, in the words of whoever does it.
    Doing {
        /// Such as `writing manifest`.
        what: &'a str,
    },
    /// The source is given up; the next one follows, if there is one.
    SourceFailed {
        /// Its name for people.
        source: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// A model is being quantised.
    Tensors {
        /// Tensors done.
        done: u32,
        /// Tensors in all.
        total: u32,
    },
    /// The file is being hashed.
    Verifying {
        /// What is hashed.
        done_bytes: u64,
        /// The whole file.
        total_bytes: u64,
    },
}

/// Watches a fetch. Called from the task that fetches, so it must return at once.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn on(&self, event: Event<'_>);
}

impl<F: Fn(Event<'_>) + Send + Sync> Progress for F {
    fn on(&self, event: Event<'_>) {
        self(event);
    }
}
