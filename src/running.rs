//! The servers that run on this machine: each keeps a small file that says what it uses.
//!
//! Written by the server's host whenever a role's model changes, read by `ghostline doctor`, which cannot
//! ask an editor's server anything. Holds names of models and folders, no text and no addresses. A file
//! counts while its process holds the lock beside it: the system lets go of that however the process ends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Largest file read, in bytes. A server in fifty folders writes some five thousand.
const MAX_BYTES: u64 = 1 << 20;

/// What one server uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// The version of ghostline.
    pub version: String,
    /// The editor, as it calls itself.
    pub editor: Option<String>,
    /// Its workspace folders.
    pub folders: Vec<Folder>,
}

/// What serves in one workspace folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// What serves each role, by the role's name.
    pub roles: BTreeMap<String, Serving>,
}

/// What serves a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// `starting`, `loading`, `ready` or `unavailable`.
    pub state: String,
    /// The model, where there is one.
    pub model: Option<String>,
    /// Its backend.
    pub backend: Option<String>,
}

impl Running {
    /// Its folder that `folder` is, is in, or holds.
    pub fn folder(&self, folder: &Path) -> Option<&Folder> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = real(folder);
        self.folders.iter().find(|own| {
            let own = real(&own.path);
            folder.starts_with(&own) || own.starts_with(&folder)
        })
    }
}

/// This process's file; gone when it is dropped.
#[derive(Debug)]
pub struct Announcement {
    folder: PathBuf,
    pid: u32,
    lock: File,
}

impl Announcement {
    /// Begins one in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// The folder or the lock cannot be had.
    pub fn begin(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let pid = std::process::id();
        let options = || {
            File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .to_owned()
        };
        let lock = options().open(lock_file(folder, pid))?;
        lock.lock()?;
        Ok(Self {
            folder: folder.to_owned(),
            pid,
            lock,
        })
    }

    /// Writes what the server uses now.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn say(&self, running: &Running) -> io::Result<()> {
        // Written aside and renamed: nobody reads half of it.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        serde_json::to_writer(&mut file, running)?;
        let path = status_file(&self.folder, self.pid);
        file.persist(path).map(drop).map_err(|error| error.error)
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let _ = fs::remove_file(status_file(&self.folder, self.pid));
        let _ = self.lock.unlock();
        let _ = fs::remove_file(lock_file(&self.folder, self.pid));
    }
}

/// The servers that run now, by process. Files of processes that are gone are removed.
pub fn all(folder: &Path) -> Vec<Running> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<Running> = entries
        .filter_map(|entry| {
            let path = entry.path();
            let pid = path
                .file_name()?
                .to_str()?
                .strip_suffix(".json")?
                .parse()
                .ok()?;
            if !is_held(&lock_file(folder, pid)) {
                let _ = fs::remove_file(&path);
                let _ = fs::remove_file(lock_file(folder, pid));
                return None;
            }
            if path.metadata().ok()?.len() > MAX_BYTES {
                return None;
            }
            serde_json::from_slice(&fs::read(&path).ok()?).ok()
        })
        .collect();
    found.sort_by_key(|running| running.pid);
    found
}

/// Where the files are: beside what the person set for caches, else in the session's runtime folder, else
/// in the usual cache.
pub fn folder() -> Option<PathBuf> {
    let cache = || {
        let store = crate::models::Store::open_default().ok()?;
        Some(store.dir().parent()?.join("servers"))
    };
    folder_of(
        std::env::var_os("GHOSTLINE_CACHE_DIR"),
        std::env::var_os("XDG_RUNTIME_DIR"),
        cache,
    )
}

fn folder_of(
    set: Option<OsString>,
    runtime: Option<OsString>,
    cache: impl FnOnce() -> Option<PathBuf>,
) -> Option<PathBuf> {
    let is_set = set.is_some_and(|set| !set.is_empty());
    let runtime = runtime
        .map(PathBuf::from)
        .filter(|path| path.is_dir() && !is_set);
    runtime.map(|path| path.join("ghostline")).or_else(cache)
}

fn is_held(path: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(path) else {
        return false;
    };
    match file.try_lock() {
        Ok(()) => {
            let _ = file.unlock();
            false
        }
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => false,
    }
}

fn status_file(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("{pid}.json"))
}

fn lock_file(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("{pid}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_there_as_long_as_it_runs() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("servers");
        assert_eq!(all(&folder), []);
        let own = Announcement::begin(&folder).expect("a lock");
        let running = Running {
            pid: std::process::id(),
            editor: Some("an editor".to_owned()),
            ..Running::default()
        };
        own.say(&running).expect("a file");
        own.say(&running).expect("again");
        assert_eq!(all(&folder), std::slice::from_ref(&running));
        drop(own);
        assert_eq!(all(&folder), []);
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_removed() {
        let home = tempfile::tempdir().expect("a folder");
        for (name, text) in [
            ("1.json", "{}"),
            ("1.lock", ""),
            ("2.json", "{}"),
            ("x.json", ""),
        ] {
            fs::write(home.path().join(name), text).expect("a file");
        }
        assert_eq!(all(home.path()), []);
        let left: Vec<_> = fs::read_dir(home.path())
            .expect("a folder")
            .filter_map(|entry| Some(entry.ok()?.file_name()))
            .collect();
        assert_eq!(left, ["x.json"], "what is not ours stays");
    }

    #[test]
    fn folders_above_and_below_are_served() {
        let home = tempfile::tempdir().expect("a folder");
        let inner = home.path().join("a/b");
        fs::create_dir_all(&inner).expect("a folder");
        let running = Running {
            folders: vec![Folder {
                path: home.path().join("a"),
                ..Folder::default()
            }],
            ..Running::default()
        };
        for (folder, serves) in [("a", true), ("a/b", true), ("", true), ("c", false)] {
            let found = running.folder(&home.path().join(folder));
            assert_eq!(found.is_some(), serves, "{folder}");
        }
    }

    #[test]
    fn the_runtime_folder_is_used_where_nothing_else_is_set() {
        let home = tempfile::tempdir().expect("a folder");
        let (runtime, cache) = (home.path().to_owned(), home.path().join("cache"));
        let there = || Some(runtime.clone().into_os_string());
        let own = runtime.join("ghostline");
        for (set, runtime, expect) in [
            (None, there(), &own),
            (Some("/x".into()), there(), &cache),
            (Some(OsString::new()), there(), &own),
            (None, None, &cache),
            (None, Some("no such folder".into()), &cache),
        ] {
            let got = folder_of(set, runtime, || Some(cache.clone()));
            assert_eq!(got.as_ref(), Some(expect));
        }
    }
}
