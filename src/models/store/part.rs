//! The `.part` file: the first bytes of a model, from whichever sources.
//!
//! Used by the sources, through [`super::super::pull`]. Every source serves the same bytes, so any
//! of them carries on where another stopped. Each write happens on a blocking thread that holds the
//! lock: a dropped fetch never writes after somebody else took over.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Lock, ModelsError, blocking, failed};

/// An open `.part` file.
#[derive(Debug)]
pub(in crate::models) struct Part {
    writer: PartWriter,
    len_bytes: u64,
}

/// Appends from a blocking thread. Holds the lock as long as it lives.
#[derive(Debug, Clone)]
pub(in crate::models) struct PartWriter {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    lock: Lock,
}

impl Part {
    /// Opens or creates the file. One that is longer than `size_bytes` is not what it should be
    /// and is emptied.
    pub(in crate::models) fn open(
        path: PathBuf,
        lock: Lock,
        size_bytes: u64,
    ) -> Result<Self, ModelsError> {
        let open = || {
            let file = File::options().create(true).append(true).open(&path)?;
            let mut len_bytes = file.metadata()?.len();
            if len_bytes > size_bytes {
                file.set_len(0)?;
                len_bytes = 0;
            }
            Ok((file, len_bytes))
        };
        let (file, len_bytes) = open().map_err(|error| failed("open", &path, error))?;
        Ok(Self {
            writer: PartWriter {
                open: Arc::new(Open { path, file, lock }),
            },
            len_bytes,
        })
    }

    /// How much is there.
    pub(in crate::models) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// The file's name.
    pub(in crate::models) fn path(&self) -> &Path {
        &self.writer.open.path
    }

    /// The lock this file is written under.
    pub(in crate::models) fn lock(&self) -> Lock {
        self.writer.open.lock.clone()
    }

    /// Adds `batch` at the end.
    pub(in crate::models) async fn append(&mut self, batch: Vec<u8>) -> Result<(), ModelsError> {
        let count_bytes = batch.len() as u64;
        let writer = self.writer.clone();
        blocking::run(move || writer.append(&batch)).await?;
        self.len_bytes += count_bytes;
        Ok(())
    }

    /// For bytes that come from a blocking thread; [`Part::appended`] must follow.
    pub(in crate::models) fn writer(&self) -> PartWriter {
        self.writer.clone()
    }

    /// Counts what went through [`Part::writer`].
    pub(in crate::models) fn appended(&mut self, count_bytes: u64) {
        self.len_bytes += count_bytes;
    }

    /// Forgets what is there.
    pub(in crate::models) fn restart(&mut self) -> Result<(), ModelsError> {
        let open = &self.writer.open;
        open.file
            .set_len(0)
            .map_err(|error| failed("empty", &open.path, error))?;
        self.len_bytes = 0;
        Ok(())
    }

    /// Removes the file.
    pub(in crate::models) fn discard(self) -> Result<(), ModelsError> {
        let path = self.path().to_owned();
        drop(self.writer);
        std::fs::remove_file(&path).map_err(|error| failed("remove", &path, error))
    }

    /// Gives the file its final name, on disk for good. The caller has checked the hash.
    pub(in crate::models) async fn install(self, destination: &Path) -> Result<(), ModelsError> {
        let destination = destination.to_owned();
        blocking::run(move || {
            let Open { path, file, .. } = &*self.writer.open;
            file.sync_all()
                .map_err(|error| failed("sync", path, error))?;
            std::fs::rename(path, &destination)
                .map_err(|error| failed("create", &destination, error))?;
            // Makes the rename last. Only Unix can open a directory; where it fails the file is
            // there all the same.
            if cfg!(unix)
                && let Some(Err(error)) = destination
                    .parent()
                    .map(|dir| File::open(dir).and_then(|dir| dir.sync_all()))
            {
                tracing::debug!(%error, "cannot sync the directory of models");
            }
            Ok(())
        })
        .await
    }
}

impl PartWriter {
    /// Adds `batch` at the end. Blocks.
    pub(in crate::models) fn append(&self, batch: &[u8]) -> Result<(), ModelsError> {
        (&self.open.file)
            .write_all(batch)
            .map_err(|error| failed("write", &self.open.path, error))
    }
}
