//! Why an Ollama did not do what it was asked. Addresses in it carry no password.

use std::path::PathBuf;

use crate::backend::ollama::AddressError;

/// Why an Ollama did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OllamaError {
    /// Nobody answers.
    #[error(
        "no Ollama answers at {url}; start it with `ollama serve`, or install it from \
         https://ollama.com/download"
    )]
    Unreachable {
        /// Its address, without what may be a password.
        url: String,
    },
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It has no such model.
    #[error("the Ollama at {url} has no model {model}")]
    Missing {
        /// Its address.
        url: String,
        /// The model.
        model: String,
    },
    /// It said no.
    #[error("the Ollama at {url} cannot {doing}: {message}")]
    Refused {
        /// Its address.
        url: String,
        /// What was asked.
        doing: String,
        /// Its own words, shortened.
        message: String,
    },
    /// The answer is not Ollama's.
    #[error("{url} does not answer as an Ollama does: {message}; is a proxy in between?")]
    Protocol {
        /// Its address.
        url: String,
        /// What was wrong.
        message: String,
    },
    /// The connection ended, or nothing came for too long.
    #[error("the Ollama at {url} broke off: {message}; the same command carries on")]
    Interrupted {
        /// Its address.
        url: String,
        /// What was seen.
        message: String,
    },
    /// Its disk filled up on the way. Ollama keeps what came.
    #[error(
        "the disk of the Ollama at {url} is full: {message}; free some space there, then the same command \
         carries on, or set OLLAMA_MODELS for the Ollama server to another disk"
    )]
    DiskFull {
        /// Its address.
        url: String,
        /// Its own words, shortened.
        message: String,
    },
    /// Its disk is too full.
    #[error(
        "{} has {available_bytes} bytes free and {needed_bytes} are needed; free some space, or set \
         OLLAMA_MODELS for the Ollama server to another disk", dir.display()
    )]
    NoSpace {
        /// Where it keeps its models.
        dir: PathBuf,
        /// What the rest of the fetch takes.
        needed_bytes: u64,
        /// What the file system offers.
        available_bytes: u64,
    },
}

impl OllamaError {
    /// Whether the registry has no model of that name, so that another name may be tried. Ollama's
    /// words for a missing tag.
    pub fn is_unknown_tag(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains("file does not exist"))
    }
}
