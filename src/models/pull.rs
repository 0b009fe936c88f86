//! Fetching a model: sources in order, one `.part` file, one hash at the end.
//!
//! Called by `ghostline models pull`, `ghostline demo` and the server. Dropping the future stops
//! the fetch; what is there is kept and the next one carries on.

use std::path::PathBuf;
use std::time::Duration;

use super::catalogue::Model;
use super::error::{ModelsError, SourceError, SourceFailure};
use super::source::{Fetch, Stopped};
use super::store::{Lock, Part, Store, hash};
use super::{Event, Progress};

/// Hugging Face; `HF_ENDPOINT` replaces it, as in their own tools
/// (<https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables>).
const HUGGING_FACE: &str = "https://huggingface.co";

/// A host that answers does so in well under a second; a person should not wait longer than this
/// for the next source.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// No byte for so long means that none will come; a mobile connection changes cells in less.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Doubles with each failure in a row.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The Python that is on everybody's path: Windows installers leave out the `3`.
const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// How to reach the sources.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// Base address of Hugging Face or a mirror.
    pub hugging_face: String,
    /// The Python interpreter whose pip fetches wheels.
    pub python: PathBuf,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the next byte.
    pub stall_timeout: Duration,
    /// Pause before a broken connection is tried again; doubles with each failure in a row.
    pub retry_pause: Duration,
}

impl Default for Fetcher {
    fn default() -> Self {
        Self {
            hugging_face: HUGGING_FACE.to_owned(),
            python: PYTHON.into(),
            connect_timeout: CONNECT_TIMEOUT,
            stall_timeout: STALL_TIMEOUT,
            retry_pause: RETRY_PAUSE,
        }
    }
}

impl Fetcher {
    /// The defaults, with `HF_ENDPOINT` from the process's environment. A workspace's `.env` has
    /// no say in where weights come from.
    pub fn from_env() -> Self {
        let endpoint = std::env::var("HF_ENDPOINT")
            .ok()
            .filter(|value| !value.is_empty());
        endpoint.map_or_else(Self::default, |hugging_face| Self {
            hugging_face,
            ..Self::default()
        })
    }

    /// The weights come as they are: a compressed answer could not be resumed.
    pub(super) fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .user_agent(concat!("ghostline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.stall_timeout)
            .no_gzip()
            .build()
    }

    /// As [`pull`], from these places.
    ///
    /// # Errors
    ///
    /// As [`pull`].
    pub async fn pull(
        &self,
        store: &Store,
        model: &Model,
        progress: &dyn Progress,
    ) -> Result<PathBuf, ModelsError> {
        if let Some(path) = store.path_of(model) {
            return Ok(path);
        }
        store.create()?;
        let lock = Lock::take(&store.lock_path(model), || progress.on(Event::Waiting)).await?;
        // Whoever held the lock may have fetched it.
        if let Some(path) = store.path_of(model) {
            return Ok(path);
        }
        let mut failures = Vec::new();
        for &source in model.sources {
            let fetch = Fetch {
                fetcher: self,
                store,
                model,
                source,
                progress,
            };
            match from_source(&fetch, &lock).await {
                Ok(path) => return Ok(path),
                Err(Stopped::Store(error)) => return Err(error),
                Err(Stopped::Source(error)) => {
                    let source = fetch.label();
                    let reason = error.to_string();
                    tracing::info!(model = model.name, source, reason, "source failed");
                    progress.on(Event::SourceFailed {
                        source: &source,
                        reason: &reason,
                    });
                    failures.push(SourceFailure { source, error });
                }
            }
        }
        Err(ModelsError::AllSourcesFailed {
            model: model.name,
            sha256: model.sha256,
            path: store.path_for(model),
            failures,
        })
    }
}

/// Fetches `model` into `store` and answers where it is. Returns at once when it is there; waits
/// while another process fetches it; carries on where an earlier fetch stopped.
///
/// # Errors
///
/// [`ModelsError::AllSourcesFailed`] names every source and why; [`ModelsError::NoSpace`] comes
/// before anything is fetched, [`ModelsError::FilledUp`] where the disk fills up on the way;
/// [`ModelsError::Io`] is the store's.
pub async fn pull(
    store: &Store,
    model: &Model,
    progress: &dyn Progress,
) -> Result<PathBuf, ModelsError> {
    Fetcher::from_env().pull(store, model, progress).await
}

/// Fetches what is missing from one source, checks the hash, installs.
async fn from_source(fetch: &Fetch<'_>, lock: &Lock) -> Result<PathBuf, Stopped> {
    let Fetch {
        store,
        model,
        progress,
        ..
    } = *fetch;
    let in_fetch = |stopped| match stopped {
        Stopped::Store(error) => {
            Stopped::Store(store.in_fetch(model, fetch.scratch_bytes(), error))
        }
        stopped @ Stopped::Source(_) => stopped,
    };
    loop {
        let part = Part::open(store.part_path(model), lock.clone(), model.size_bytes);
        let mut part = part.map_err(|error| in_fetch(error.into()))?;
        let kept_bytes = part.len_bytes();
        if kept_bytes < model.size_bytes {
            store.check_space(model.size_bytes - kept_bytes + fetch.scratch_bytes())?;
            progress.on(Event::Trying {
                source: &fetch.label(),
                kept_bytes,
            });
            fetch.run(&mut part).await.map_err(in_fetch)?;
        }
        let found = hash(part.path(), Some(part.lock()), model.size_bytes, progress).await?;
        if found == model.sha256 {
            let path = store.path_for(model);
            let installed = part.install(&path).await;
            installed.map_err(|error| in_fetch(error.into()))?;
            return Ok(path);
        }
        part.discard()?;
        // What was kept may have been the wrong part: this source gets a chance of its own. The
        // next round starts from zero, so there is no third.
        if kept_bytes == 0 {
            return Err(SourceError::Hash {
                expected: model.sha256,
                found,
            }
            .into());
        }
    }
}

#[cfg(test)]
mod tests;
