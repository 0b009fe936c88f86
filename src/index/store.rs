//! The index on disk: one redb file for each workspace folder, beside the cache.
//!
//! Called by `index` and `refresh`, on threads that may block. Files and vectors are written apart: a
//! vector is kept under the hash of its text, so whatever the program died of, a file's record is there
//! whole or not at all, and only vectors that were never written are missing. The file is open for one
//! piece of work at a time, so that several processes, an editor's server and a command, share it.
//!
//! Invariants: every write is one transaction, on the disk when it returns; a file that is not ours or is
//! damaged is put aside and begun anew, never trusted.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError,
    TableDefinition, TableHandle as _,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::words::Term;

/// Grows when records, chunks or words are made another way: then everything is made anew.
const FORMAT: u32 = 1;
/// How long another process may have the file before we give up: its longest piece of work is reading all.
const PATIENCE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(5);
/// Pages kept in memory while the file is open. The default is a gigabyte.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

const FILES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("files");
/// Tables of vectors, one for each model: its name follows.
const VECTORS: &str = "vectors/";

/// A text's address: the beginning of its SHA-256.
pub(super) type Key = [u8; 16];

/// The address of a text.
pub(super) fn key_of(text: &str) -> Key {
    let hash = Sha256::digest(text.as_bytes());
    let mut key = Key::default();
    key.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    key
}

/// When a file was changed and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) modified_ns: u64,
    pub(super) len: u64,
}

/// A file as it was indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    pub(super) stamp: Stamp,
    /// Of its text.
    pub(super) key: Key,
    pub(super) chunks: Vec<ChunkRecord>,
}

/// A chunk as it was indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChunkRecord {
    /// Of the text that is embedded.
    pub(super) key: Key,
    /// Lines, from 0, the end not included; and bytes.
    pub(super) lines: (u32, u32),
    pub(super) bytes: (u32, u32),
    pub(super) words: Vec<(Term, u8)>,
}

/// What can go wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it, for longer than any work takes.
    #[error("the index {path} is in use by another process; try again when it is done")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot use the index {path}; if it stays so, delete that file")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the library said.
        #[source]
        source: Box<redb::Error>,
    },
    /// Its folder cannot be made.
    #[error("cannot make the folder of the index {path}")]
    Folder {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// The file of one folder.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// One piece of work at a time in this process; other processes are waited for.
    working: Mutex<()>,
}

impl Store {
    /// The store of the workspace folder `root` in the folder `dir`. Touches nothing.
    pub(super) fn of(root: &Path, dir: &Path) -> Self {
        let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let key = key_of(&real.to_string_lossy());
        Self {
            path: dir.join(format!("{:032x}-v{FORMAT}.redb", u128::from_be_bytes(key))),
            working: Mutex::default(),
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Every file's record.
    pub(super) fn files(&self, mut each: impl FnMut(&str, FileRecord)) -> Result<(), StoreError> {
        self.work(|database| {
            let reading = database.begin_read()?;
            let Some(table) = there(reading.open_table(FILES))? else {
                return Ok(());
            };
            for entry in table.iter()? {
                let (path, record) = entry?;
                // A record that cannot be read is no record: its file counts as new.
                if let Ok(record) = rmp_serde::from_slice(record.value()) {
                    each(path.value(), record);
                }
            }
            Ok(())
        })
    }

    /// Writes and removes files' records.
    pub(super) fn put_files(
        &self,
        changed: &[(String, FileRecord)],
        removed: &[String],
    ) -> Result<(), StoreError> {
        if changed.is_empty() && removed.is_empty() {
            return Ok(());
        }
        self.write(|writing| {
            let mut table = writing.open_table(FILES)?;
            for path in removed {
                table.remove(path.as_str())?;
            }
            for (path, record) in changed {
                if let Ok(bytes) = rmp_serde::to_vec(record) {
                    table.insert(path.as_str(), bytes.as_slice())?;
                }
            }
            Ok(())
        })
    }

    /// Every vector of `model`.
    pub(super) fn vectors(
        &self,
        model: &str,
        mut each: impl FnMut(&Key, &[f32]),
    ) -> Result<(), StoreError> {
        let name = format!("{VECTORS}{model}");
        self.work(|database| {
            let reading = database.begin_read()?;
            let Some(table) = there(reading.open_table(vectors(&name)))? else {
                return Ok(());
            };
            let mut numbers = Vec::new();
            for entry in table.iter()? {
                let (key, value) = entry?;
                unpack(value.value(), &mut numbers);
                each(key.value(), &numbers);
            }
            Ok(())
        })
    }

    /// Those of `keys` that `model` has a vector for: another process may have made them.
    pub(super) fn some_vectors(
        &self,
        model: &str,
        keys: &[Key],
    ) -> Result<Vec<(Key, Vec<f32>)>, StoreError> {
        let name = format!("{VECTORS}{model}");
        self.work(|database| {
            let reading = database.begin_read()?;
            let Some(table) = there(reading.open_table(vectors(&name)))? else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for key in keys {
                if let Some(value) = table.get(key)? {
                    let mut numbers = Vec::new();
                    unpack(value.value(), &mut numbers);
                    found.push((*key, numbers));
                }
            }
            Ok(found)
        })
    }

    /// Writes vectors of `model`.
    pub(super) fn put_vectors(
        &self,
        model: &str,
        new: &[(Key, Vec<f32>)],
    ) -> Result<(), StoreError> {
        let name = format!("{VECTORS}{model}");
        self.write(|writing| {
            let mut table = writing.open_table(vectors(&name))?;
            for (key, numbers) in new {
                table.insert(key, pack(numbers).as_slice())?;
            }
            Ok(())
        })
    }

    /// Removes vectors that no text in `used` has, and those of other models than `model`.
    pub(super) fn sweep(&self, model: &str, used: &HashSet<Key>) -> Result<(), StoreError> {
        let name = format!("{VECTORS}{model}");
        self.write(|writing| {
            let others: Vec<_> = writing
                .list_tables()?
                .filter(|table| table.name().starts_with(VECTORS) && table.name() != name)
                .collect();
            for table in others {
                writing.delete_table(table)?;
            }
            writing
                .open_table(vectors(&name))?
                .retain(|key, _| used.contains(key))?;
            Ok(())
        })
    }

    /// Forgets files' records, so that every file is cut up anew; vectors stay.
    pub(super) fn forget_files(&self) -> Result<(), StoreError> {
        self.write(|writing| {
            writing.delete_table(FILES)?;
            Ok(())
        })
    }

    fn write(
        &self,
        act: impl Fn(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        self.work(|database| {
            let mut writing = database.begin_write()?;
            // After a kill the file opens at once, without reading all of it.
            writing.set_quick_repair(true);
            act(&writing)?;
            writing.commit()?;
            Ok(())
        })
    }

    /// Opens the file, works, and closes it.
    fn work<T>(
        &self,
        mut act: impl FnMut(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let _working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |source: redb::Error| StoreError::Failed {
            path: self.path.clone(),
            source: Box::new(source),
        };
        let database = self.open()?;
        act(&database).map_err(failed)
    }

    fn open(&self) -> Result<Database, StoreError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(|source| StoreError::Folder {
                path: self.path.clone(),
                source,
            })?;
        }
        let since = Instant::now();
        let mut renewed = false;
        loop {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES);
            match builder.create(&self.path) {
                Ok(database) => return Ok(database),
                Err(DatabaseError::DatabaseAlreadyOpen) if since.elapsed() < PATIENCE => {
                    std::thread::sleep(RETRY);
                }
                Err(DatabaseError::DatabaseAlreadyOpen) => {
                    return Err(StoreError::InUse {
                        path: self.path.clone(),
                    });
                }
                Err(error) if is_damage(&error) && !renewed => {
                    tracing::warn!(%error, path = %self.path.display(), "the index is damaged and is made anew");
                    renewed = true;
                    let _ = fs::remove_file(&self.path);
                }
                Err(error) => {
                    return Err(StoreError::Failed {
                        path: self.path.clone(),
                        source: Box::new(error.into()),
                    });
                }
            }
        }
    }
}

/// Whether the file itself is at fault, not the system.
fn is_damage(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::UpgradeRequired(_)
        | DatabaseError::RepairAborted
        | DatabaseError::Storage(StorageError::Corrupted(_)) => true,
        DatabaseError::Storage(StorageError::Io(error)) => matches!(
            error.kind(),
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

fn vectors(name: &str) -> TableDefinition<'_, &'static Key, &'static [u8]> {
    TableDefinition::new(name)
}

/// A table, or nothing where nobody wrote one yet.
fn there<T>(opened: Result<T, redb::TableError>) -> Result<Option<T>, redb::Error> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a number of a vector of length 1 is multiplied with, to be kept in two bytes.
const UNIT: f32 = 32_768.0;

/// Two bytes a number, closer than what is compared.
fn pack(numbers: &[f32]) -> Vec<u8> {
    let short = |&x: &f32| {
        #[expect(clippy::cast_possible_truncation, reason = "clamped")]
        let short = (x * UNIT).round().clamp(-UNIT, UNIT - 1.0) as i16;
        short.to_le_bytes()
    };
    numbers.iter().flat_map(short).collect()
}

fn unpack(bytes: &[u8], numbers: &mut Vec<f32>) {
    numbers.clear();
    let (pairs, _) = bytes.as_chunks::<2>();
    numbers.extend(
        pairs
            .iter()
            .map(|&pair| f32::from(i16::from_le_bytes(pair)) / UNIT),
    );
}

#[cfg(test)]
mod tests;
