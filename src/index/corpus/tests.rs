//! Files put in, changed and taken out.

use super::super::store::{ChunkRecord, key_of};
use super::super::words::{counts, terms};
use super::*;

fn record(modified_ns: u64, texts: &[&str]) -> FileRecord {
    let chunk = |(n, text): (u32, &&str)| ChunkRecord {
        key: key_of(text),
        lines: (n, n + 1),
        bytes: (n * 10, n * 10 + 5),
        words: counts(text),
    };
    FileRecord {
        stamp: Stamp {
            modified_ns,
            len: 1,
        },
        key: key_of(&texts.concat()),
        chunks: (0..).zip(texts).map(chunk).collect(),
    }
}

fn name(path: &str) -> FileName {
    (0, path.into())
}

/// The paths and lines that these words find.
fn found(corpus: &Corpus, query: &str) -> Vec<(String, u32)> {
    let ranked = corpus.search(Some(&terms(query)), None, 1.0);
    let place = |r: &Ranked| {
        corpus
            .place(r.chunk)
            .map(|p| (p.file.1.to_string(), p.lines.0))
    };
    ranked.iter().filter_map(place).collect()
}

#[test]
fn a_changed_file_takes_the_place_of_the_old_one() {
    let mut corpus = Corpus::default();
    corpus.put(&name("a"), &record(1, &["open archive", "close archive"]));
    corpus.put(&name("b"), &record(2, &["open socket"]));
    assert_eq!(found(&corpus, "archive").len(), 2);
    corpus.put(&name("a"), &record(3, &["new thing", "close archive"]));
    assert_eq!(found(&corpus, "archive"), [("a".to_owned(), 1)]);
    assert_eq!(found(&corpus, "open"), [("b".to_owned(), 0)]);
    corpus.remove(&name("a"));
    corpus.remove(&name("a"));
    assert_eq!(found(&corpus, "archive"), []);
    assert_eq!(corpus.counts(), (1, 1, 0));
    assert_eq!(corpus.known(&name("a")), None);
    corpus.put(&name("a"), &record(4, &["archive"]));
    assert_eq!(corpus.counts(), (2, 2, 0));
}

#[test]
fn what_stays_keeps_its_vector_and_what_is_new_lacks_one() {
    let mut corpus = Corpus::default();
    corpus.put(&name("old"), &record(1, &["one"]));
    corpus.put(&name("new"), &record(2, &["two", "three"]));
    let missing = |corpus: &Corpus, skipped: &[&str]| -> Vec<(String, u32)> {
        let skipped = skipped.iter().map(|text| key_of(text)).collect();
        let missing = corpus.missing(9, &skipped);
        missing
            .iter()
            .map(|(_, p)| (p.file.1.to_string(), p.lines.0))
            .collect()
    };
    let of = |list: &[(&str, u32)]| {
        list.iter()
            .map(|(p, l)| ((*p).to_owned(), *l))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        missing(&corpus, &[]),
        of(&[("new", 0), ("new", 1), ("old", 0)])
    );
    assert_eq!(missing(&corpus, &["two"]), of(&[("new", 1), ("old", 0)]));
    for (chunk, place) in corpus.missing(2, &HashSet::new()) {
        corpus.set_vectors(&[
            (chunk, place.key, vec![1.0, 2.0]),
            (chunk, key_of("other"), vec![9.0]),
        ]);
    }
    assert_eq!(missing(&corpus, &[]), of(&[("old", 0)]));
    corpus.put(&name("new"), &record(3, &["changed", "three"]));
    assert_eq!(missing(&corpus, &[]), of(&[("new", 0), ("old", 0)]));
    assert_eq!(corpus.counts(), (2, 3, 1));
    corpus.remove(&name("new"));
    assert_eq!(corpus.counts(), (1, 1, 0));
}

#[test]
fn a_store_is_loaded_with_the_vectors_of_one_model() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [
        Store::of(std::path::Path::new("/a"), dir.path()),
        Store::of(std::path::Path::new("/b"), dir.path()),
    ];
    let one = record(1, &["open archive", "gone"]);
    stores[0]
        .put_files(&[("x.rs".into(), one.clone())], &[])
        .unwrap();
    stores[1].put_files(&[("x.rs".into(), one)], &[]).unwrap();
    let (archive, other) = (key_of("open archive"), key_of("unknown"));
    stores[0]
        .put_vectors("m", &[(archive, vec![1.0, 0.0]), (other, vec![0.0, 1.0])])
        .unwrap();
    stores[1].put_vectors("n", &[(archive, vec![1.0])]).unwrap();
    let mut corpus = Corpus::load(&stores).unwrap();
    assert_eq!(corpus.counts(), (2, 4, 0));
    corpus.take_vectors(&"m".into(), &stores).unwrap();
    assert_eq!(corpus.counts(), (2, 4, 2), "the text is in both folders");
    assert_eq!(corpus.model().map(|m| &**m), Some("m"));
    let ranked = corpus.search(None, Some(&[1.0, 0.1]), 1.0);
    assert_eq!(ranked.len(), 2);
    corpus.take_vectors(&"none".into(), &stores).unwrap();
    assert_eq!(corpus.counts(), (2, 4, 0));
    assert!(!corpus.wants_load());
}
