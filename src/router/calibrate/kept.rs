//! Measured speeds on disk: one small JSON file in the user's cache, for all machines that share it.
//!
//! Written aside and renamed, so that nobody reads half of it. Of two processes that write at the same
//! time the later one wins; what is lost is measured again. A file that is damaged, or of another
//! version of this format, counts as none and is replaced by the next measurement.

use std::fs::{self, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::speed::Speed;
use crate::backend::Installed;
use crate::router::choice::same_content;

/// Of the file's form.
const VERSION: u32 = 1;

/// Largest file read, in bytes; a measurement takes some 300.
const MAX_BYTES: u64 = 1 << 20;

/// How long a measurement counts: drivers and servers are updated within a month.
const COUNTS_FOR: Duration = Duration::from_hours(30 * 24);

#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    version: u32,
    speeds: Vec<Record>,
}

/// One measurement, and of what.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    machine: String,
    backend: String,
    address: String,
    model: String,
    digest: Option<String>,
    size_bytes: Option<u64>,
    #[serde(flatten)]
    speed: Speed,
    measured_unix_s: u64,
}

/// A model at a backend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// The backend's name.
    pub(super) backend: &'a str,
    /// Where it is, without names and passwords; empty for this process.
    pub(super) address: &'a str,
    pub(super) model: &'a Installed,
}

impl Record {
    fn is_of_place(&self, machine: &str, subject: Subject<'_>) -> bool {
        self.machine == machine
            && self.backend == subject.backend
            && self.address == subject.address
            && self.model == subject.model.name
    }

    /// Whether the model is still the one that was measured, as far as is known.
    fn is_of_same(&self, model: &Installed) -> bool {
        let content = match (&self.digest, &model.digest) {
            (Some(then), Some(now)) => then == now || same_content(then, now),
            _ => true,
        };
        let size = match (self.size_bytes, model.size_bytes) {
            (Some(then), Some(now)) => then == now,
            _ => true,
        };
        content && size
    }

    /// A time in the future is a clock that was wrong.
    fn counts(&self, now_unix_s: u64) -> bool {
        let age_s = now_unix_s.checked_sub(self.measured_unix_s);
        age_s.is_some_and(|age_s| age_s < COUNTS_FOR.as_secs()) && self.speed.is_sound()
    }
}

/// The right to measure; ends when it is dropped, and with the process.
#[derive(Debug)]
pub(super) struct Alone {
    _lock: Option<fs::File>,
}

/// When the file was changed and its length; nothing when there is none.
type Stamp = Option<(SystemTime, u64)>;

/// The file, as it was read last.
#[derive(Debug)]
pub(super) struct Kept {
    /// `None` where nothing can be kept: then what was measured counts until the end of the process.
    path: Option<PathBuf>,
    machine: String,
    /// Held for a look, never while the file is read.
    read: Mutex<(Stamp, Vec<Record>)>,
}

impl Kept {
    /// Nothing is read yet. `machine` is all that makes speeds another machine's.
    pub(super) fn new(path: Option<PathBuf>, machine: String) -> Self {
        Self {
            path,
            machine,
            read: Mutex::default(),
        }
    }

    fn read(&self) -> std::sync::MutexGuard<'_, (Stamp, Vec<Record>)> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The measured speed, if there is one that counts now.
    pub(super) fn speed(&self, subject: Subject<'_>, now: SystemTime) -> Option<Speed> {
        let now = unix_s(now);
        let read = self.read();
        let of_place = |record: &&Record| record.is_of_place(&self.machine, subject);
        let record = read.1.iter().find(of_place)?;
        (record.is_of_same(subject.model) && record.counts(now)).then_some(record.speed)
    }

    /// Reads the file if it has changed. Blocks.
    pub(super) fn refresh(&self) {
        let stamp = self.stamp();
        if self.path.is_none() || self.read().0 == stamp {
            return;
        }
        let records = self.load();
        *self.read() = (stamp, records);
    }

    /// The right to measure, among all processes that share the file: editors that start together would slow
    /// each other. `None` while another one has it. Blocks for a moment only.
    pub(super) fn alone(&self) -> Option<Alone> {
        let Some(path) = &self.path else {
            return Some(Alone { _lock: None });
        };
        let open = || {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            let mut options = fs::File::options();
            let options = options.create(true).truncate(false).write(true);
            options.open(path.with_extension("lock"))
        };
        // Where nothing can be locked nothing can be kept either.
        let Ok(lock) = open() else {
            return Some(Alone { _lock: None });
        };
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            Ok(()) | Err(TryLockError::Error(_)) => Some(Alone { _lock: Some(lock) }),
        }
    }

    fn stamp(&self) -> Stamp {
        let found = fs::metadata(self.path.as_ref()?).ok()?;
        Some((found.modified().ok()?, found.len()))
    }

    fn load(&self) -> Vec<Record> {
        let Some(path) = &self.path else {
            return Vec::new();
        };
        let unusable = |why: &str| {
            let path = path.display();
            tracing::warn!(%path, why, "measured speeds are not used and will be measured again");
            Vec::new()
        };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => return unusable(&error.to_string()),
            Ok(found) if found.len() > MAX_BYTES => return unusable("the file is too large"),
            Ok(_) => {}
        }
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) => return unusable(&error.to_string()),
        };
        match serde_json::from_slice::<File>(&text) {
            Ok(file) if file.version == VERSION => file.speeds,
            Ok(_) => unusable("the file is of another version"),
            Err(error) => unusable(&error.to_string()),
        }
    }

    /// Keeps what was measured now, in the place of what was measured before. Blocks.
    pub(super) fn keep(&self, measured: &[(Subject<'_>, Speed)], now: SystemTime) {
        let mut records = if self.path.is_some() {
            self.load()
        } else {
            self.read().1.clone()
        };
        let now_s = unix_s(now);
        records.retain(|record| {
            let is_new =
                |(subject, _): &(Subject<'_>, Speed)| record.is_of_place(&self.machine, *subject);
            record.counts(now_s) && !measured.iter().any(is_new)
        });
        records.extend(measured.iter().map(|&(subject, speed)| Record {
            machine: self.machine.clone(),
            backend: subject.backend.to_owned(),
            address: subject.address.to_owned(),
            model: subject.model.name.clone(),
            digest: subject.model.digest.clone(),
            size_bytes: subject.model.size_bytes,
            speed,
            measured_unix_s: now_s,
        }));
        if let Err(error) = self.write(&records) {
            tracing::warn!(%error, "measured speeds could not be kept");
        }
        let stamp = self.stamp();
        *self.read() = (stamp, records);
    }

    fn write(&self, records: &[Record]) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let whole = File {
            version: VERSION,
            speeds: records.to_vec(),
        };
        serde_json::to_writer_pretty(&mut file, &whole)?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }
}

fn unix_s(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
