//! What search costs on an index of any size, and how well each way of searching finds: for `ghostline
//! bench search`.
//!
//! The index of the costs is made of chance, stored, loaded and searched by the same code as a real one; only
//! its texts are no texts. The quality is measured over real ones, with a real model.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::corpus::Corpus;
use super::rank::Ranked;
use super::refresh::Workspace;
use super::store::{ChunkRecord, FileRecord, Key, Stamp, Store, StoreError, key_of};
use super::text::Manner;
use super::words::{Term, counts, terms};
use crate::backend::{BackendError, EmbedRequest, Priority};
use crate::config::Settings;
use crate::metrics::ms;
use crate::router::Route;

/// Chunks of a file, and words of a chunk that are different: as in this program's own source.
const CHUNKS_OF_FILE: usize = 10;
const WORDS_OF_CHUNK: usize = 60;
/// Different words of a large project; how often each is there falls with its rank.
const VOCABULARY: u32 = 50_000;
/// Words of a question.
const WORDS_OF_QUERY: usize = 8;
/// Files that are changed, one after the other.
const CHANGES: usize = 60;
/// Files written at once.
const BATCH: usize = 200;
/// What the vectors of the costs are kept under.
const MODEL: &str = "chance";

/// What an index of a size costs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Costs {
    /// Chunks.
    pub chunks: usize,
    /// Numbers of a vector.
    pub dims: usize,
    /// One search by both, after the question's vector is there; for each question.
    pub query_ms: Vec<f64>,
    /// By words alone, and by meaning alone.
    pub words_ms: Vec<f64>,
    /// See `words_ms`.
    pub vectors_ms: Vec<f64>,
    /// From the save of a file to its new words on the disk and in memory; for each save.
    pub refresh_ms: Vec<f64>,
    /// Keeping a batch of 16 new vectors.
    pub keep_ms: f64,
    /// Reading all from the disk.
    pub load_ms: f64,
    /// What the process holds more than before, in bytes.
    pub memory_bytes: Option<u64>,
    /// The file, in bytes.
    pub disk_bytes: u64,
}

/// Measures the index that [`fill`] made in `dir`, in another process, so that what it took to make it does
/// not count; `resident_bytes` tells what this process holds.
///
/// # Errors
/// The index cannot be stored there.
pub fn costs(
    dir: &Path,
    chunks: usize,
    dims: usize,
    queries: usize,
    resident_bytes: impl Fn() -> Option<u64>,
) -> Result<Costs, StoreError> {
    let mut chance = Chance(Pcg64Mcg::seed_from_u64(2));
    let workspace = workspace(dir);
    let source = dir.join(ROOT).join("changed.rs");
    let store = Store::of(&dir.join(ROOT), dir);
    let before = resident_bytes();
    let since = Instant::now();
    let mut corpus = Corpus::load(&workspace.stores)?;
    corpus.take_vectors(&MODEL.into(), &workspace.stores)?;
    let load_ms = ms(since.elapsed());
    let memory_bytes = resident_bytes()
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    let (mut query_ms, mut words_ms, mut vectors_ms) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..queries {
        let words: Vec<Term> = (0..WORDS_OF_QUERY).map(|_| word(&mut chance)).collect();
        let vector = direction(&mut chance, dims);
        query_ms.push(timed(|| corpus.search(Some(&words), Some(&vector), 1.0)));
        words_ms.push(timed(|| corpus.search(Some(&words), None, 1.0)));
        vectors_ms.push(timed(|| corpus.search(None, Some(&vector), 1.0)));
    }
    let corpus = RwLock::new(corpus);
    let mut refresh_ms = Vec::new();
    for n in 0..CHANGES {
        let text = include_str!("../index.rs").replace("corpus", &format!("corpus{n}"));
        let _ = std::fs::write(&source, text);
        let since = Instant::now();
        workspace.update(&corpus, &HashSet::from([source.clone()]))?;
        refresh_ms.push(ms(since.elapsed()));
    }
    let new: Vec<_> = (0..16)
        .map(|n| (key_of(&format!("new {n}")), direction(&mut chance, dims)))
        .collect();
    let since = Instant::now();
    store.put_vectors(MODEL, &new)?;
    let keep_ms = ms(since.elapsed());
    let disk_bytes = store.path().metadata().map_or(0, |meta| meta.len());
    Ok(Costs {
        chunks,
        dims,
        query_ms,
        words_ms,
        vectors_ms,
        refresh_ms,
        keep_ms,
        load_ms,
        memory_bytes,
        disk_bytes,
    })
}

/// The folder of the workspace that is not there.
const ROOT: &str = "workspace";

fn workspace(dir: &Path) -> Workspace {
    let root = dir.join(ROOT);
    // What cannot be written shows as a file that is not found.
    let _ = std::fs::create_dir_all(&root);
    Workspace::new(&[root], &Settings::default(), dir)
}

/// Draws from 0 up to, not including, 1.
struct Chance(Pcg64Mcg);

impl Chance {
    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }
}

fn timed(work: impl FnOnce() -> Vec<Ranked>) -> f64 {
    let since = Instant::now();
    std::hint::black_box(work());
    ms(since.elapsed())
}

/// Makes an index of `chunks` chunks in the empty folder `dir`.
///
/// # Errors
/// The index cannot be stored there.
pub fn fill(dir: &Path, chunks: usize, dims: usize) -> Result<(), StoreError> {
    let chance = &mut Chance(Pcg64Mcg::seed_from_u64(1));
    let made = workspace(dir);
    let Some(store) = made.stores.first() else {
        return Ok(());
    };
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let files = chunks.div_ceil(CHUNKS_OF_FILE);
    let mut left = chunks;
    for first in (0..files).step_by(BATCH) {
        let (mut records, mut vectors) = (Vec::new(), Vec::new());
        for file in first..(first + BATCH).min(files) {
            let count = left.min(CHUNKS_OF_FILE);
            left -= count;
            let chunks: Vec<ChunkRecord> = (0..count)
                .map(|n| {
                    let key = key_of(&format!("{file} {n}"));
                    vectors.push((key, direction(chance, dims)));
                    let mut words: Vec<(Term, u8)> =
                        (0..WORDS_OF_CHUNK).map(|_| (word(chance), 1)).collect();
                    words.sort_unstable();
                    words.dedup();
                    let (line, byte) = (number(n * 30), number(n * 1_000));
                    ChunkRecord {
                        key,
                        lines: (line, line + 30),
                        bytes: (byte, byte + 1_000),
                        words,
                    }
                })
                .collect();
            let stamp = Stamp {
                modified_ns: 1,
                len: 1,
            };
            records.push((
                format!("src/part{}/file{file}.rs", file % 50),
                FileRecord {
                    stamp,
                    key: Key::default(),
                    chunks,
                },
            ));
        }
        store.put_files(&records, &[])?;
        store.put_vectors(MODEL, &vectors)?;
    }
    Ok(())
}

/// A word, rare ones rarely: its rank is chance to the third power.
fn word(chance: &mut Chance) -> Term {
    let x = chance.unit();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below the vocabulary"
    )]
    let rank = (x * x * x * f64::from(VOCABULARY)) as u32;
    rank.wrapping_mul(0x9e37_79b9)
}

fn direction(chance: &mut Chance, dims: usize) -> Vec<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "between -1 and 1")]
    let number = |chance: &mut Chance| (chance.unit() * 2.0 - 1.0) as f32;
    let mut vector: Vec<f32> = (0..dims).map(|_| number(chance)).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
    for x in &mut vector {
        *x /= length;
    }
    vector
}

/// How well a way of searching finds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Recall {
    /// `bm25`, `embedding`, `hybrid`.
    pub name: &'static str,
    /// For each question, whether its text is among the first 5.
    pub found: Vec<bool>,
    /// The mean of 1 / rank, 0 beyond the 200th.
    pub mean_reciprocal_rank: f64,
}

/// The first so many count.
pub const RECALL_AT: usize = 5;

/// Why a quality cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    /// The model cannot embed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The vectors cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How the quality is measured.
#[derive(Debug, Default)]
pub struct Options<'p> {
    /// How much the ranking by meaning counts beside words; what search takes for the model when absent.
    pub weight: Option<f32>,
    /// A folder where vectors are kept: those of an earlier run are taken from there.
    pub vectors: Option<&'p Path>,
}

/// Looks for the text of each pair by its question, among the texts of all. `done` is told how many texts
/// are embedded.
///
/// # Errors
/// See [`RecallError`].
pub async fn recall(
    pairs: &[(String, String)],
    route: &Route,
    options: &Options<'_>,
    done: impl Fn(usize),
) -> Result<Vec<Recall>, RecallError> {
    let mut corpus = Corpus::default();
    let record = |text: &str| FileRecord {
        stamp: Stamp {
            modified_ns: 1,
            len: 1,
        },
        key: key_of(text),
        chunks: vec![ChunkRecord {
            key: key_of(text),
            lines: (0, 1),
            bytes: (0, 1),
            words: counts(text),
        }],
    };
    for (n, (_, text)) in pairs.iter().enumerate() {
        corpus.put(&(0, Arc::from(format!("{n}"))), &record(text));
    }
    let manner = Manner::of(&route.model);
    let texts: Vec<String> = pairs
        .iter()
        .map(|(_, text)| manner.document(text))
        .collect();
    let questions: Vec<String> = pairs
        .iter()
        .map(|(question, _)| manner.query(question))
        .collect();
    let weight = options.weight.unwrap_or(manner.weight);
    let all = [texts, questions].concat();
    let vectors = embedded(&all, route, options.vectors, done).await?;
    let (of_texts, of_questions) = vectors.split_at(pairs.len().min(vectors.len()));
    corpus.fit(of_texts);
    let numbered: Vec<_> = (0_u32..)
        .zip(of_texts)
        .filter_map(|(n, v)| Some((n, corpus.place(n)?.key, v.clone())))
        .collect();
    corpus.set_vectors(&numbered);
    let mut all = Vec::new();
    for (name, by_words, by_meaning) in [
        ("bm25", true, false),
        ("embedding", false, true),
        ("hybrid", true, true),
    ] {
        let (mut found, mut sum) = (Vec::new(), 0.0);
        for (n, ((question, _), vector)) in (0_u32..).zip(pairs.iter().zip(of_questions)) {
            let words = terms(question);
            let words = by_words.then_some(words.as_slice());
            let ranked = corpus.search(words, by_meaning.then_some(vector.as_slice()), weight);
            let rank = ranked.iter().position(|r| r.chunk == n);
            found.push(rank.is_some_and(|rank| rank < RECALL_AT));
            #[expect(clippy::cast_precision_loss, reason = "a rank")]
            let reciprocal = rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0));
            sum += reciprocal;
        }
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let mean_reciprocal_rank = sum / pairs.len().max(1) as f64;
        all.push(Recall {
            name,
            found,
            mean_reciprocal_rank,
        });
    }
    Ok(all)
}

/// The vectors of `texts`, those that `kept` holds from there.
async fn embedded(
    texts: &[String],
    route: &Route,
    kept: Option<&Path>,
    done: impl Fn(usize),
) -> Result<Vec<Vec<f32>>, RecallError> {
    let store = kept.map(|dir| Store::of(dir, dir));
    let mut vectors = Vec::new();
    for batch in texts.chunks(8) {
        let keys: Vec<Key> = batch.iter().map(|text| key_of(text)).collect();
        let known: HashMap<Key, Vec<f32>> = match &store {
            Some(store) => store
                .some_vectors(&route.model, &keys)?
                .into_iter()
                .collect(),
            None => HashMap::new(),
        };
        if let Some(all) = keys
            .iter()
            .map(|key| known.get(key).cloned())
            .collect::<Option<Vec<_>>>()
        {
            vectors.extend(all);
        } else {
            let asked = route.backend.embed(EmbedRequest {
                model: route.model.clone(),
                texts: batch.to_vec(),
                priority: Priority::Embedding,
            });
            let new = asked.await?.vectors;
            if let Some(store) = &store {
                let pairs: Vec<_> = keys.into_iter().zip(new.iter().cloned()).collect();
                store.put_vectors(&route.model, &pairs)?;
            }
            vectors.extend(new);
        }
        done(vectors.len());
    }
    Ok(vectors)
}
