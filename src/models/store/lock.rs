//! The lock a process holds while it writes files of one model.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{ModelsError, failed};

/// How often a held lock is tried again. A fetch takes seconds at best; a person does not notice a
/// fifth of one. Polling, unlike a blocking wait on a thread, ends with the future.
const RETRY: Duration = Duration::from_millis(200);

/// Held until the last clone is dropped; the system releases it when the process dies.
#[derive(Debug, Clone)]
pub(in crate::models) struct Lock {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held(File);

impl Drop for Held {
    /// Closing is not enough: a child process that is just being started has a copy of the
    /// descriptor, and the lock would last until its `exec`.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "cannot unlock");
        }
    }
}

impl Lock {
    /// Takes the lock if nobody holds it, in this process or another.
    pub(in crate::models) fn try_take(path: &Path) -> Result<Option<Self>, ModelsError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|error| failed("open", path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self {
                _held: Arc::new(Held(file)),
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed("lock", path, error)),
        }
    }

    /// Takes the lock, after a wait if need be; `waiting` is called once before one.
    pub(in crate::models) async fn take(
        path: &Path,
        waiting: impl FnOnce(),
    ) -> Result<Self, ModelsError> {
        let mut waiting = Some(waiting);
        loop {
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
