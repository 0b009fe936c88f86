//! The index in memory: files, chunks, their words and their vectors.
//!
//! Held by `index` behind a lock for as long as a search or a change takes. Chunks have numbers that are
//! never given twice; those of a changed file go and new ones come. What is gone is swept by loading anew.
//! 50,000 chunks take about 20 MB for words, 2 MB for places, and a byte a number for vectors.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::bm25::Words;
use super::rank::{Ranked, fuse};
use super::store::{FileRecord, Key, Stamp, Store, StoreError};
use super::vectors::{Fit, Vectors};
use super::words::Term;

/// How far down each ranking counts.
const DEPTH: usize = 200;
/// Fewer chunks that are gone are not worth a load.
const FEWEST_GONE: usize = 1_000;

/// A file: the number of its workspace folder, and its path there.
pub(super) type FileName = (u16, Arc<str>);

/// Where a chunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: FileName,
    /// Lines from 0, the end not included; and bytes.
    pub(super) lines: (u32, u32),
    pub(super) bytes: (u32, u32),
    pub(super) key: Key,
}

#[derive(Debug)]
struct Chunk {
    file: u32,
    lines: (u32, u32),
    bytes: (u32, u32),
    key: Key,
    gone: bool,
}

#[derive(Debug)]
struct File {
    name: FileName,
    stamp: Stamp,
    key: Key,
    chunks: Vec<u32>,
}

/// What is searched.
#[derive(Debug, Default)]
pub(super) struct Corpus {
    files: Vec<File>,
    by_name: HashMap<FileName, u32>,
    chunks: Vec<Chunk>,
    gone: usize,
    words: Words,
    /// The model whose vectors are held.
    model: Option<Arc<str>>,
    vectors: Vectors,
}

impl Corpus {
    /// What the stores of the workspace's folders hold, without vectors.
    pub(super) fn load(stores: &[Store]) -> Result<Self, StoreError> {
        let mut corpus = Self::default();
        for (folder, store) in (0..).zip(stores) {
            store.files(|path, record| corpus.put(&(folder, path.into()), &record))?;
        }
        Ok(corpus)
    }

    /// Puts a file in the place of what was known of it.
    pub(super) fn put(&mut self, name: &FileName, record: &FileRecord) {
        let file = if let Some(&file) = self.by_name.get(name) {
            file
        } else {
            let file = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
            self.files.push(File {
                name: name.clone(),
                stamp: record.stamp,
                key: record.key,
                chunks: Vec::new(),
            });
            self.by_name.insert(name.clone(), file);
            file
        };
        // A chunk whose text did not change has its vector already.
        let old: HashMap<Key, u32> = self.clear(file).into_iter().collect();
        let mut numbers = Vec::with_capacity(record.chunks.len());
        for chunk in &record.chunks {
            let number = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
            self.chunks.push(Chunk {
                file,
                lines: chunk.lines,
                bytes: chunk.bytes,
                key: chunk.key,
                gone: false,
            });
            self.words.add(number, chunk.words.iter().copied());
            if let Some(&old) = old.get(&chunk.key) {
                self.vectors.copy(old, number);
            }
            numbers.push(number);
        }
        for &old in old.values() {
            self.vectors.remove(old);
        }
        if let Some(slot) = self.files.get_mut(at(file)) {
            (slot.stamp, slot.key, slot.chunks) = (record.stamp, record.key, numbers);
        }
    }

    /// The file is gone.
    pub(super) fn remove(&mut self, name: &FileName) {
        if let Some(file) = self.by_name.remove(name) {
            for (_, chunk) in self.clear(file) {
                self.vectors.remove(chunk);
            }
        }
    }

    /// Takes the chunks of a file out, but for their vectors.
    fn clear(&mut self, file: u32) -> Vec<(Key, u32)> {
        let chunks = self
            .files
            .get_mut(at(file))
            .map(|file| std::mem::take(&mut file.chunks));
        let mut cleared = Vec::new();
        for number in chunks.unwrap_or_default() {
            if let Some(chunk) = self.chunks.get_mut(at(number)) {
                chunk.gone = true;
                self.gone += 1;
                self.words.remove(number);
                cleared.push((chunk.key, number));
            }
        }
        cleared
    }

    /// What is known of a file: its stamp and the hash of its text.
    pub(super) fn known(&self, name: &FileName) -> Option<(Stamp, Key)> {
        let file = self.files.get(at(*self.by_name.get(name)?))?;
        Some((file.stamp, file.key))
    }

    /// The names of all files.
    pub(super) fn names(&self) -> impl Iterator<Item = &FileName> {
        self.by_name.keys()
    }

    /// Takes the vectors of `model` from the stores, measured anew.
    pub(super) fn take_vectors(
        &mut self,
        model: &Arc<str>,
        stores: &[Store],
    ) -> Result<(), StoreError> {
        let keys = self.by_key();
        let mut fit = Fit::default();
        let mut dims = 0;
        for store in stores {
            store.vectors(model, |key, vector| {
                dims = if dims == 0 { vector.len() } else { dims };
                if vector.len() == dims && keys.contains_key(key) {
                    fit.see(vector);
                }
            })?;
        }
        let mut vectors = Vectors::fitted(&fit);
        for store in stores {
            store.vectors(model, |key, vector| {
                for &chunk in keys.get(key).into_iter().flatten() {
                    vectors.set(chunk, vector);
                }
            })?;
        }
        (self.model, self.vectors) = (Some(model.clone()), vectors);
        Ok(())
    }

    /// Begins anew with vectors that are measured as these are.
    pub(super) fn fit(&mut self, vectors: &[Vec<f32>]) {
        let mut fit = Fit::default();
        for vector in vectors {
            fit.see(vector);
        }
        self.vectors = Vectors::fitted(&fit);
    }

    /// The model whose vectors are held.
    pub(super) fn model(&self) -> Option<&Arc<str>> {
        self.model.as_ref()
    }

    /// Sets vectors of `model` by the texts' addresses, in every chunk that has such a text.
    pub(super) fn set_vectors(&mut self, new: &[(u32, Key, Vec<f32>)]) {
        for (chunk, key, vector) in new {
            let same = self
                .chunks
                .get(at(*chunk))
                .is_some_and(|c| c.key == *key && !c.gone);
            if same {
                self.vectors.set(*chunk, vector);
            }
        }
    }

    pub(super) fn has_vector(&self, chunk: u32) -> bool {
        self.vectors.has(chunk)
    }

    /// Whether the vectors should be taken anew: their measure is of too few.
    pub(super) fn wants_fit(&self) -> bool {
        self.vectors.wants_fit()
    }

    /// Whether so much is gone that a load is worth it.
    pub(super) fn wants_load(&self) -> bool {
        self.gone > FEWEST_GONE && self.gone * 3 > self.chunks.len()
    }

    /// At most `most` chunks without a vector, those of the files changed last first, none of `skipped`.
    pub(super) fn missing(&self, most: usize, skipped: &HashSet<Key>) -> Vec<(u32, Place)> {
        let mut files: Vec<&File> = self
            .files
            .iter()
            .filter(|file| file.chunks.iter().any(|&chunk| !self.vectors.has(chunk)))
            .collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.stamp.modified_ns));
        let missing = files.into_iter().flat_map(|file| &file.chunks);
        missing
            .filter(|&&chunk| !self.vectors.has(chunk))
            .filter_map(|&chunk| Some((chunk, self.place(chunk)?)))
            .filter(|(_, place)| !skipped.contains(&place.key))
            .take(most)
            .collect()
    }

    /// Where a chunk is.
    pub(super) fn place(&self, chunk: u32) -> Option<Place> {
        let chunk = self.chunks.get(at(chunk)).filter(|chunk| !chunk.gone)?;
        let file = self.files.get(at(chunk.file))?;
        Some(Place {
            file: file.name.clone(),
            lines: chunk.lines,
            bytes: chunk.bytes,
            key: chunk.key,
        })
    }

    /// The chunks for a query, the best first: by words, by meaning where a vector is given, or both.
    pub(super) fn search(
        &self,
        words: Option<&[Term]>,
        vector: Option<&[f32]>,
        weight: f32,
    ) -> Vec<Ranked> {
        let by_words = words
            .map(|terms| self.words.search(terms, DEPTH))
            .unwrap_or_default();
        let by_meaning = vector
            .map(|v| self.vectors.search(v, DEPTH))
            .unwrap_or_default();
        match (by_words.is_empty(), by_meaning.is_empty()) {
            (false, false) => fuse(&[(&by_words, 1.0), (&by_meaning, weight)]),
            (_, true) => fuse(&[(&by_words, 1.0)]),
            (true, false) => fuse(&[(&by_meaning, 1.0)]),
        }
    }

    /// Addresses of all texts.
    pub(super) fn keys(&self) -> HashSet<Key> {
        self.chunks
            .iter()
            .filter(|chunk| !chunk.gone)
            .map(|chunk| chunk.key)
            .collect()
    }

    /// Files, chunks and vectors held.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (
            self.by_name.len(),
            self.chunks.len() - self.gone,
            self.vectors.held(),
        )
    }

    fn by_key(&self) -> HashMap<Key, Vec<u32>> {
        let mut keys: HashMap<Key, Vec<u32>> = HashMap::with_capacity(self.chunks.len());
        for (number, chunk) in (0..).zip(&self.chunks) {
            if !chunk.gone {
                keys.entry(chunk.key).or_default().push(number);
            }
        }
        keys
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
