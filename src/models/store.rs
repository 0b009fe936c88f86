//! Where weights are kept: one directory, files named by their content.
//!
//! `sha256-HASH.gguf` is a model; `.part` beside it is a fetch that is not done, `.wheels` its
//! scratch directory, `names/` the person's own names (see `named`), `.lock` the lock whoever writes any of them holds. Called by [`super::pull`],
//! the command line and the embedded engine.
//!
//! Invariant: the final name appears by one rename, after the hash was checked and the bytes were
//! synced. Lock files stay: removing one would let two processes hold "the" lock.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use etcetera::BaseStrategy as _;
use sha2::{Digest as _, Sha256};

use super::{Event, MODELS, Model, ModelsError, Progress, blocking};

mod lock;
mod part;

pub(super) use lock::Lock;
pub(super) use part::{Part, PartWriter};

/// Large enough that system calls do not count, small enough to report often.
pub(super) const BATCH_BYTES: usize = 1024 * 1024;

/// The directory of models.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    /// Bytes the file system offers this user; replaced in tests.
    available_bytes: fn(&Path) -> io::Result<u64>,
}

impl Store {
    /// The user's store: `$GHOSTLINE_CACHE_DIR/models`, or `ghostline/models` in the system's
    /// cache directory (`$XDG_CACHE_HOME`, `~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`).
    /// Creates nothing.
    ///
    /// # Errors
    ///
    /// [`ModelsError::NoCacheDir`] when neither exists.
    pub fn open_default() -> Result<Self, ModelsError> {
        let system = etcetera::base_strategy::choose_native_strategy().ok();
        default_dir(
            std::env::var_os("GHOSTLINE_CACHE_DIR"),
            system.map(|dirs| dirs.cache_dir()),
        )
        .map(Self::at)
        .ok_or(ModelsError::NoCacheDir)
    }

    /// A store in `dir`, which need not exist yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            available_bytes: |dir| fs4::available_space(dir),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where `model` belongs, installed or not.
    pub fn path_for(&self, model: &Model) -> PathBuf {
        self.file(model, "gguf")
    }

    /// Where `model` is, if it is installed. Looks at the size only; [`verify`] hashes.
    pub fn path_of(&self, model: &Model) -> Option<PathBuf> {
        let path = self.path_for(model);
        let found = fs::metadata(&path).ok()?;
        (found.is_file() && found.len() == model.size_bytes).then_some(path)
    }

    /// How much of an unfinished fetch is there.
    pub fn partial_bytes(&self, model: &Model) -> u64 {
        fs::metadata(self.part_path(model)).map_or(0, |found| found.len())
    }

    /// Every installed model, in the catalogue's order.
    pub fn installed(&self) -> Vec<(&'static Model, PathBuf)> {
        MODELS
            .iter()
            .filter_map(|model| Some((model, self.path_of(model)?)))
            .collect()
    }

    /// Removes `model` and what an unfinished fetch left; answers how many bytes of them.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Missing`] when there was nothing, [`ModelsError::Busy`] while it is fetched.
    pub fn remove(&self, model: &Model) -> Result<u64, ModelsError> {
        if !self.dir.is_dir() {
            return Err(ModelsError::Missing { model: model.name });
        }
        let _lock = Lock::try_take(&self.lock_path(model))?
            .ok_or(ModelsError::Busy { model: model.name })?;
        remove_dir(&self.scratch_dir(model))?;
        let mut freed_bytes = None;
        for path in [self.path_for(model), self.part_path(model)] {
            if let Ok(found) = fs::metadata(&path) {
                fs::remove_file(&path).map_err(|error| failed("remove", &path, error))?;
                *freed_bytes.get_or_insert(0) += found.len();
            }
        }
        freed_bytes.ok_or(ModelsError::Missing { model: model.name })
    }

    /// Creates the directory.
    pub(super) fn create(&self) -> Result<(), ModelsError> {
        fs::create_dir_all(&self.dir).map_err(|error| failed("create", &self.dir, error))
    }

    /// Refuses when the file system has less than `needed_bytes` left. A file system that does not
    /// tell is believed to have room.
    pub(super) fn check_space(&self, needed_bytes: u64) -> Result<(), ModelsError> {
        match (self.available_bytes)(&self.dir) {
            Ok(available_bytes) if available_bytes < needed_bytes => Err(ModelsError::NoSpace {
                dir: self.dir.clone(),
                needed_bytes,
                available_bytes,
            }),
            _ => Ok(()),
        }
    }

    /// What `error` means while `model` is fetched, the rest of which takes `scratch_bytes` beside itself: a
    /// full disk is told with what is kept and what is missing.
    pub(super) fn in_fetch(
        &self,
        model: &Model,
        scratch_bytes: u64,
        error: ModelsError,
    ) -> ModelsError {
        if !matches!(error, ModelsError::DiskFull { .. }) {
            return error;
        }
        let kept_bytes = self.partial_bytes(model);
        ModelsError::FilledUp {
            path: self.part_path(model),
            kept_bytes,
            needed_bytes: model.size_bytes.saturating_sub(kept_bytes) + scratch_bytes,
            available_bytes: (self.available_bytes)(&self.dir).unwrap_or(0),
        }
    }

    pub(super) fn part_path(&self, model: &Model) -> PathBuf {
        self.file(model, "part")
    }

    pub(super) fn lock_path(&self, model: &Model) -> PathBuf {
        self.file(model, "lock")
    }

    pub(super) fn scratch_dir(&self, model: &Model) -> PathBuf {
        self.file(model, "wheels")
    }

    fn file(&self, model: &Model, extension: &str) -> PathBuf {
        self.file_of(model.sha256, extension)
    }

    /// The file of that content.
    pub(super) fn file_of(&self, sha256: &str, extension: &str) -> PathBuf {
        self.dir.join(format!("sha256-{sha256}.{extension}"))
    }

    /// The same store on a file system with this much room.
    #[cfg(test)]
    pub(super) fn with_available(self, available_bytes: fn(&Path) -> io::Result<u64>) -> Self {
        Self {
            available_bytes,
            ..self
        }
    }
}

/// Hashes the installed file again.
///
/// # Errors
///
/// [`ModelsError::Missing`], [`ModelsError::Damaged`].
pub async fn verify(
    store: &Store,
    model: &Model,
    progress: &dyn Progress,
) -> Result<PathBuf, ModelsError> {
    let path = store
        .path_of(model)
        .ok_or(ModelsError::Missing { model: model.name })?;
    let found = hash(&path, None, model.size_bytes, progress).await?;
    if found == model.sha256 {
        return Ok(path);
    }
    Err(ModelsError::Damaged {
        model: model.name,
        path,
        expected: model.sha256,
        found,
    })
}

/// SHA-256 of a file, in lower-case hexadecimal. Holds `lock` until the file is read, even when
/// the future is dropped before.
pub(super) async fn hash(
    path: &Path,
    lock: Option<Lock>,
    total_bytes: u64,
    progress: &dyn Progress,
) -> Result<String, ModelsError> {
    let file = path.to_owned();
    let work = move |report: &mut dyn FnMut(u64)| {
        let _lock = lock;
        let mut hasher = Sha256::new();
        let mut done_bytes = 0;
        let mut source = fs::File::open(file)?;
        let mut batch = vec![0; BATCH_BYTES];
        loop {
            let count = match io::Read::read(&mut source, &mut batch) {
                Ok(0) => return Ok(hex(&hasher.finalize())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(batch.get(..count).unwrap_or_default());
            done_bytes += count as u64;
            report(done_bytes);
        }
    };
    blocking::counted(work, |done_bytes| {
        progress.on(Event::Verifying {
            done_bytes,
            total_bytes,
        });
    })
    .await
    .map_err(|error| failed("read", path, error))
}

/// Removes a directory and what is in it, if it is there.
pub(super) fn remove_dir(dir: &Path) -> Result<(), ModelsError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", dir, error)),
        _ => Ok(()),
    }
}

/// An error of the file system, for people.
pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> ModelsError {
    let path = path.to_owned();
    // A quota that is used up is a full disk to whom it belongs.
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ModelsError::DiskFull {
            doing,
            path,
            source,
        },
        _ => ModelsError::Io {
            doing,
            path,
            source,
        },
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// An empty variable counts as absent. A relative path is taken from the working directory, once.
fn default_dir(own: Option<OsString>, system: Option<PathBuf>) -> Option<PathBuf> {
    match own.filter(|dir| !dir.is_empty()) {
        Some(dir) => std::path::absolute(PathBuf::from(dir))
            .ok()
            .map(|dir| dir.join("models")),
        None => system.map(|dir| dir.join("ghostline").join("models")),
    }
}

#[cfg(test)]
mod tests;
