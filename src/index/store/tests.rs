//! Files and vectors written, read, damaged and shared.

use super::*;

fn record(text: &str) -> FileRecord {
    FileRecord {
        stamp: Stamp {
            modified_ns: 5,
            len: 7,
        },
        key: key_of(text),
        chunks: vec![ChunkRecord {
            key: key_of(text),
            lines: (0, 3),
            bytes: (0, 40),
            words: vec![(1, 2), (u32::MAX, 255)],
        }],
    }
}

fn files(store: &Store) -> Vec<(String, FileRecord)> {
    let mut all = Vec::new();
    store
        .files(|path, record| all.push((path.to_owned(), record)))
        .unwrap();
    all
}

fn held(store: &Store, model: &str) -> Vec<(Key, Vec<f32>)> {
    let mut all = Vec::new();
    store
        .vectors(model, |key, numbers| all.push((*key, numbers.to_vec())))
        .unwrap();
    all
}

#[test]
fn what_is_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::of(Path::new("/project"), dir.path());
    assert_eq!(files(&store), []);
    assert_eq!(held(&store, "m"), []);
    let (a, b) = (
        ("a.rs".to_owned(), record("a")),
        ("b.rs".to_owned(), record("b")),
    );
    store.put_files(&[a.clone(), b], &[]).unwrap();
    store.put_files(&[], &["b.rs".to_owned()]).unwrap();
    store
        .put_vectors("m", &[(key_of("a"), vec![0.5, -0.25])])
        .unwrap();
    store.put_vectors("n", &[(key_of("a"), vec![1.0])]).unwrap();
    let again = Store::of(Path::new("/project"), dir.path());
    assert_eq!(files(&again), [a]);
    assert_eq!(held(&again, "m"), [(key_of("a"), vec![0.5, -0.25])]);
    let some = again
        .some_vectors("m", &[key_of("b"), key_of("a")])
        .unwrap();
    assert_eq!(some.len(), 1);
    again.sweep("m", &HashSet::new()).unwrap();
    assert_eq!((held(&again, "m"), held(&again, "n")), (vec![], vec![]));
    again.forget_files().unwrap();
    assert_eq!(files(&again), []);
    assert_ne!(
        Store::of(Path::new("/other"), dir.path()).path(),
        again.path()
    );
}

#[test]
fn a_damaged_file_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::of(Path::new("/project"), dir.path());
    let a = ("a.rs".to_owned(), record("a"));
    for damage in [b"not a database".to_vec(), vec![0; 9_000], Vec::new()] {
        fs::write(store.path(), damage).unwrap();
        assert_eq!(files(&store), []);
        store.put_files(std::slice::from_ref(&a), &[]).unwrap();
        assert_eq!(files(&store).len(), 1);
    }
}

#[test]
fn two_that_write_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let store = Store::of(Path::new("/project"), dir.path());
            scope.spawn(move || {
                for n in 0..10 {
                    store
                        .put_files(&[(format!("{writer}-{n}"), record("x"))], &[])
                        .unwrap();
                }
            });
        }
    });
    let store = Store::of(Path::new("/project"), dir.path());
    assert_eq!(files(&store).len(), 30);
}
