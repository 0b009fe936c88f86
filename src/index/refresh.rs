//! Brings the index up to the files: all of a workspace, or some that changed.
//!
//! Called by `keeper` on a thread that may block. Only what is another than when it was indexed is read.
//! Invariant: a file's record is on the disk before it is in memory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::chunk::chunks;
use super::corpus::{Corpus, FileName};
use super::files::{self, Found};
use super::store::{ChunkRecord, FileRecord, Store, StoreError, key_of};
use super::text::passage;
use super::words::counts;
use crate::config::{IndexSettings, PrivacySettings, Settings};
use crate::document::language::language_id;
use crate::kept_out::Files;

/// Files of one transaction: a second's work that a kill may cost.
const BATCH_FILES: usize = 256;

/// The workspace and its rules; made anew when one of them changes.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) folders: Vec<PathBuf>,
    pub(super) stores: Vec<Store>,
    pub(super) settings: IndexSettings,
    privacy: PrivacySettings,
}

impl Workspace {
    /// The folders' stores are in `dir`.
    pub(super) fn new(folders: &[PathBuf], settings: &Settings, dir: &Path) -> Self {
        Self {
            stores: folders
                .iter()
                .map(|folder| Store::of(folder, dir))
                .collect(),
            folders: folders.to_owned(),
            settings: settings.index.clone(),
            privacy: settings.privacy.clone(),
        }
    }

    /// Whether these settings and folders ask for another.
    pub(super) fn differs(&self, folders: &[PathBuf], settings: &Settings) -> bool {
        self.folders != folders
            || self.settings != settings.index
            || self.privacy != settings.privacy
    }

    /// Where a file is.
    pub(super) fn path_of(&self, name: &FileName) -> Option<PathBuf> {
        Some(self.folders.get(usize::from(name.0))?.join(&*name.1))
    }

    /// The text of a chunk that is embedded, and its code.
    pub(super) fn passage(&self, path: &str, heads: &[String], code: &str) -> String {
        passage(path, heads, code, self.privacy.redact_secrets)
    }

    /// Whether keys and tokens are taken out of what is shown.
    pub(super) fn redacts(&self) -> bool {
        self.privacy.redact_secrets
    }

    /// Every file: new and changed ones are cut up, missing ones go. Calls `each` with how many files of
    /// how many are looked at. Ends early when `stop` says so.
    pub(super) fn scan(
        &self,
        corpus: &RwLock<Corpus>,
        each: impl Fn(usize, usize),
        stop: impl Fn() -> bool,
    ) -> Result<(), StoreError> {
        let rules = Files::new(&self.privacy, &self.folders);
        for (number, (folder, store)) in (0_u16..).zip(self.folders.iter().zip(&self.stores)) {
            let found = files::walk(folder, &rules, &self.settings);
            let there: HashSet<&str> = found.iter().map(|f| f.path.as_str()).collect();
            let gone: Vec<FileName> = {
                let corpus = corpus.read().unwrap_or_else(PoisonError::into_inner);
                let gone = |name: &&FileName| name.0 == number && !there.contains(&*name.1);
                corpus.names().filter(gone).cloned().collect()
            };
            put(corpus, number, store, Vec::new(), &gone)?;
            let mut done = 0;
            for batch in found.chunks(BATCH_FILES) {
                if stop() {
                    return Ok(());
                }
                let new: Vec<_> = batch
                    .iter()
                    .filter(|found| !is_known(corpus, number, found))
                    .filter_map(|found| self.record(folder, found))
                    .collect();
                put(corpus, number, store, new, &[])?;
                done += batch.len();
                each(done, found.len());
            }
        }
        Ok(())
    }

    /// Some files, by path: changed, new or gone. A path that is or was a folder stands for all in it: who
    /// watches tells of a folder that is moved and not of what is in it.
    pub(super) fn update(
        &self,
        corpus: &RwLock<Corpus>,
        paths: &HashSet<PathBuf>,
    ) -> Result<(), StoreError> {
        let rules = Files::new(&self.privacy, &self.folders);
        for (number, (folder, store)) in (0_u16..).zip(self.folders.iter().zip(&self.stores)) {
            let (mut new, mut gone) = (Vec::new(), Vec::new());
            for path in paths.iter().filter(|path| path.starts_with(folder)) {
                if let Some(inside) = files::look_inside(folder, path, &rules, &self.settings) {
                    let unknown = inside.iter().filter(|f| !is_known(corpus, number, f));
                    new.extend(unknown.filter_map(|found| self.record(folder, found)));
                    // Another folder of that name may have stood there.
                    let known = below(corpus, number, folder, path).into_iter();
                    gone.extend(known.filter(|name| !folder.join(name.1.as_ref()).exists()));
                    continue;
                }
                match files::look(folder, path, &rules, &self.settings) {
                    Some(found) if is_known(corpus, number, &found) => {}
                    Some(found) => new.extend(self.record(folder, &found)),
                    None => gone.extend(below(corpus, number, folder, path)),
                }
            }
            put(corpus, number, store, new, &gone)?;
        }
        Ok(())
    }

    fn record(&self, folder: &Path, found: &Found) -> Option<(String, FileRecord)> {
        let path = folder.join(&found.path);
        // What is no text keeps a record, so that it is not read again.
        let text = match files::read(&path) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => {
                tracing::debug!(%error, path = %path.display(), "a file cannot be read and is not indexed");
                return None;
            }
        };
        Some((found.path.clone(), self.cut(found, &text)))
    }

    /// The record of a file with this text.
    pub(super) fn cut(&self, found: &Found, text: &str) -> FileRecord {
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let chunk = |chunk: super::chunk::Chunk| {
            let code = text.get(chunk.bytes.clone()).unwrap_or_default();
            let passage = self.passage(&found.path, &chunk.heads, code);
            ChunkRecord {
                key: key_of(&passage),
                lines: (number(chunk.lines.start), number(chunk.lines.end)),
                bytes: (number(chunk.bytes.start), number(chunk.bytes.end)),
                words: counts(&passage),
            }
        };
        FileRecord {
            stamp: found.stamp,
            key: key_of(text),
            chunks: chunks(language_id(Path::new(&found.path)), text)
                .into_iter()
                .map(chunk)
                .collect(),
        }
    }
}

/// The known files that are at `path` or below it.
fn below(corpus: &RwLock<Corpus>, number: u16, folder: &Path, path: &Path) -> Vec<FileName> {
    let Some(inside) = path.strip_prefix(folder).ok().and_then(Path::to_str) else {
        return Vec::new();
    };
    let inside = inside.replace('\\', "/");
    let corpus = corpus.read().unwrap_or_else(PoisonError::into_inner);
    let is_below = |name: &&FileName| {
        let rest = name.1.strip_prefix(&inside);
        name.0 == number && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    corpus.names().filter(is_below).cloned().collect()
}

/// Puts records and takes files out: on the disk, then in memory.
fn put(
    corpus: &RwLock<Corpus>,
    number: u16,
    store: &Store,
    new: Vec<(String, FileRecord)>,
    gone: &[FileName],
) -> Result<(), StoreError> {
    let paths: Vec<String> = gone.iter().map(|name| name.1.as_ref().to_owned()).collect();
    store.put_files(&new, &paths)?;
    for (path, record) in new {
        // One at a time, so that a search does not wait for all.
        let mut corpus = corpus.write().unwrap_or_else(PoisonError::into_inner);
        corpus.put(&(number, Arc::from(path)), &record);
    }
    if !gone.is_empty() {
        let mut corpus = corpus.write().unwrap_or_else(PoisonError::into_inner);
        for name in gone {
            corpus.remove(name);
        }
    }
    Ok(())
}

fn is_known(corpus: &RwLock<Corpus>, number: u16, found: &Found) -> bool {
    let corpus = corpus.read().unwrap_or_else(PoisonError::into_inner);
    let name = (number, Arc::from(found.path.as_str()));
    corpus
        .known(&name)
        .is_some_and(|(stamp, _)| stamp == found.stamp)
}
