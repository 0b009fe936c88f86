//! The index as a whole, over real files, with a backend that embeds by counting letters' pairs.

use std::fs;
use std::sync::atomic::AtomicUsize;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::*;
use crate::backend::{
    Backend, BackendError, Capabilities, ChunkStream, Embeddings, Installed, PromptBudget, Request,
};
use crate::config::Candidate;
use crate::router::Choices;

/// Embeds texts by their pairs of letters: like texts get like vectors.
#[derive(Debug, Default)]
struct Pairs {
    texts: AtomicUsize,
    fails: AtomicBool,
}

impl Backend for Pairs {
    fn name(&self) -> &'static str {
        "pairs"
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        let model = Installed {
            name: "pairs-embed".to_owned(),
            ..Installed::default()
        };
        std::future::ready(Ok(vec![model])).boxed()
    }

    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn stream(&self, _: Request) -> ChunkStream {
        Box::pin(futures_util::stream::empty())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            embedding: true,
            ..Capabilities::default()
        }
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<Embeddings, BackendError>> {
        if self.fails.load(Ordering::Relaxed)
            || request.texts.iter().any(|text| text.contains("poison"))
        {
            let error = BackendError::Failed {
                backend: "pairs".into(),
                message: "no".into(),
            };
            return std::future::ready(Err(error)).boxed();
        }
        self.texts.fetch_add(request.texts.len(), Ordering::Relaxed);
        let vectors = request.texts.iter().map(|text| vector(text)).collect();
        let embeddings = Embeddings {
            vectors,
            ..Embeddings::default()
        };
        std::future::ready(Ok(embeddings)).boxed()
    }

    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget::SMALLEST
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01_f32; 128];
    let letters: Vec<u8> = text
        .bytes()
        .filter(u8::is_ascii_alphabetic)
        .map(|b| b.to_ascii_lowercase())
        .collect();
    for pair in letters.windows(2) {
        let at = usize::from(pair[0]) * 31 + usize::from(pair[1]);
        vector[at % 128] += 1.0;
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

/// A workspace on the disk with its index.
struct Given {
    root: tempfile::TempDir,
    cache: tempfile::TempDir,
    backend: Arc<Pairs>,
    router: Arc<Router>,
    settings: Settings,
}

impl Given {
    async fn new(files: &[(&str, &str)]) -> Self {
        let backend = Arc::<Pairs>::default();
        let candidate = Candidate {
            backend: None,
            model: "pairs-embed".to_owned(),
        };
        let router = Router::new(Choices {
            backends: vec![backend.clone()],
            candidates: [(Role::Embedding, vec![candidate])].into(),
            ..Choices::default()
        });
        router.check().await;
        let given = Self {
            root: tempfile::tempdir().unwrap(),
            cache: tempfile::tempdir().unwrap(),
            backend,
            router,
            settings: Settings::default(),
        };
        for (path, text) in files {
            given.write(path, text);
        }
        given
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn index(&self) -> Index {
        let folders = [self.root.path().to_owned()];
        Index::new(
            self.router.clone(),
            &folders,
            &self.settings,
            Some(self.cache.path().to_owned()),
        )
    }

    async fn ready(&self) -> Index {
        let index = self.index();
        index.start();
        until(&index, |status| status.phase == Phase::Ready).await;
        index
    }

    fn embedded(&self) -> usize {
        self.backend.texts.load(Ordering::Relaxed)
    }
}

/// Waits for a status; real files are read, so time is real.
async fn until(index: &Index, holds: impl Fn(&Status) -> bool) {
    let mut status = index.subscribe();
    let wait = status.wait_for(|status| holds(status));
    let waited = timeout(Duration::from_secs(30), wait).await;
    assert!(waited.is_ok(), "{:?}", index.status());
}

async fn paths(index: &Index, query: &str) -> Vec<String> {
    let answer = index.search(query, 5).await.unwrap();
    answer.hits.into_iter().map(|hit| hit.shown_path).collect()
}

const FILES: &[(&str, &str)] = &[
    (
        "src/archive.rs",
        "/// Opens an archive of pictures.\nfn open_archive(path: &str) -> Archive {\n    read(path)\n}\n",
    ),
    (
        "src/socket.rs",
        "fn connect_socket(port: u16) -> Socket {\n    dial(port)\n}\n",
    ),
    (
        "docs/guide.md",
        "# Guide\n\nHow to bake bread with flour and water.\n",
    ),
    (".env", "API_KEY=a1B2c3D4e5F6g7H8\n"),
];

#[tokio::test]
async fn a_question_finds_the_place_and_its_text() {
    let given = Given::new(FILES).await;
    let index = given.ready().await;
    let status = index.status();
    assert_eq!(
        (status.files, status.chunks, status.embedded),
        (3, 3, 3),
        "{status:?}"
    );
    let answer = index.search("opening archives", 2).await.unwrap();
    assert_eq!(answer.note, None);
    assert_eq!(answer.hits[0].shown_path, "src/archive.rs");
    assert_eq!(answer.hits[0].lines, 0..4);
    assert!(answer.hits[0].text.starts_with("/// Opens"));
    assert!(answer.hits[0].score > 0.9 && answer.hits.len() == 2);
    // By meaning alone: no word is shared.
    assert_eq!(paths(&index, "conn sock dia").await[0], "src/socket.rs");
    assert!(matches!(
        index.search(" ", 5).await,
        Err(SearchError::Empty)
    ));
    let few = index.passages("archive socket bread", 40).await.unwrap();
    assert_eq!(few.hits.len(), 1, "{few:?}");
}

#[tokio::test]
async fn only_what_is_missing_is_embedded_again() {
    let given = Given::new(FILES).await;
    drop(given.ready().await);
    assert_eq!(given.embedded(), 3);
    let index = given.ready().await;
    assert_eq!(given.embedded(), 3, "all was on the disk");
    let changed = given.write(
        "src/socket.rs",
        "fn listen_socket(port: u16, backlog: u32) {}\n",
    );
    index.changed([changed, PathBuf::from("/elsewhere/x.rs")]);
    until(&index, |status| status.phase != Phase::Ready).await;
    until(&index, |status| status.phase == Phase::Ready).await;
    assert_eq!(given.embedded(), 4);
    assert_eq!(paths(&index, "backlog").await[0], "src/socket.rs");
    index.reindex();
    until(&index, |status| status.phase != Phase::Ready).await;
    until(&index, |status| {
        status.phase == Phase::Ready && status.embedded == 3
    })
    .await;
    assert_eq!(
        given.embedded(),
        5,
        "the texts are the same; one more was a question"
    );
    fs::remove_dir_all(given.root.path().join("src")).unwrap();
    index.changed([given.root.path().join("src")]);
    until(&index, |status| status.files == 1).await;
    assert!(
        !paths(&index, "socket")
            .await
            .contains(&"src/socket.rs".to_owned())
    );
}

#[tokio::test]
async fn a_folder_that_is_moved_takes_its_files_along() {
    let given = Given::new(FILES).await;
    let index = given.ready().await;
    given.write(".gitignore", "/built/\n");
    let root = given.root.path();
    for (from, to, now) in [
        ("src", "lib", "lib/socket.rs"),
        ("lib", "deep/er", "deep/er/socket.rs"),
    ] {
        fs::create_dir_all(root.join(to).parent().unwrap()).unwrap();
        fs::rename(root.join(from), root.join(to)).unwrap();
        let top = to.split('/').next().unwrap();
        index.changed([root.join(from), root.join(top)]);
        until(&index, |status| status.phase != Phase::Ready).await;
        until(&index, |status| status.phase == Phase::Ready).await;
        let found = paths(&index, "socket").await;
        assert!(found.contains(&now.to_owned()), "{found:?}");
        assert!(
            !found.iter().any(|path| path.starts_with(from)),
            "{found:?}"
        );
    }
    fs::rename(root.join("deep"), root.join("built")).unwrap();
    index.changed([root.join("deep"), root.join("built")]);
    until(&index, |status| status.files == 1).await;
}

#[tokio::test]
async fn a_file_that_changed_unseen_is_shown_as_it_is() {
    let given = Given::new(FILES).await;
    let index = given.ready().await;
    given.write(
        "src/archive.rs",
        "use std::fs;\n\nfn open_archive(path: &str, mode: Mode) -> Archive {\n    read(path)\n}\n",
    );
    let answer = index.search("open archive", 1).await.unwrap();
    assert!(answer.hits[0].text.contains("mode: Mode"), "{answer:?}");
    fs::remove_file(given.root.path().join("src/archive.rs")).unwrap();
    let answer = index.search("open archive", 1).await.unwrap();
    assert!(
        answer
            .hits
            .iter()
            .all(|hit| hit.shown_path != "src/archive.rs")
    );
}

#[tokio::test]
async fn without_a_model_words_alone_are_searched_and_it_is_said() {
    let mut given = Given::new(FILES).await;
    given.router = Router::new(Choices::default());
    let index = given.index();
    index.start();
    until(&index, |status| status.phase == Phase::NoModel).await;
    let answer = index.search("archive", 5).await.unwrap();
    assert_eq!(answer.hits[0].shown_path, "src/archive.rs");
    assert!(answer.note.unwrap().contains("words alone"));
    given.settings.index.embed = false;
    let off = given.ready().await;
    assert!(
        off.search("archive", 5)
            .await
            .unwrap()
            .note
            .unwrap()
            .contains("index.embed")
    );
}

#[tokio::test]
async fn a_text_that_cannot_be_embedded_does_not_hold_up_the_others() {
    let given = Given::new(&[
        ("a.md", "poison\n"),
        ("b.md", "bread\n"),
        ("c.md", "water\n"),
    ])
    .await;
    let index = given.ready().await;
    assert_eq!((index.status().chunks, index.status().embedded), (3, 2));
    assert_eq!(paths(&index, "poison").await[0], "a.md", "by its words");
}

#[tokio::test]
async fn a_failing_backend_is_said_and_words_still_answer() {
    let given = Given::new(FILES).await;
    given.backend.fails.store(true, Ordering::Relaxed);
    let index = given.index();
    index.start();
    until(&index, |status| matches!(status.phase, Phase::Failed(_))).await;
    assert_eq!(paths(&index, "bread").await[0], "docs/guide.md");
    assert!(index.status().sentence().contains("not up to date"));
}

#[tokio::test]
async fn what_is_switched_off_or_too_much_is_not_indexed() {
    let mut given = Given::new(FILES).await;
    given.settings.index.enabled = false;
    let index = given.index();
    index.start();
    assert!(matches!(index.search("x", 1).await, Err(SearchError::Off)));
    assert_eq!(index.stored_in(), Vec::<PathBuf>::new());
    let root = [PathBuf::from("/")];
    let all = Index::new(
        given.router.clone(),
        &root,
        &Settings::default(),
        Some(given.cache.path().to_owned()),
    );
    assert!(matches!(all.search("x", 1).await, Err(SearchError::Off)));
    // Switched on while running.
    let folders = [given.root.path().to_owned()];
    index.reconfigure(&folders, &Settings::default());
    until(&index, |status| status.phase == Phase::Ready).await;
    let mut ignoring = Settings::default();
    ignoring.privacy.ignore.push("docs/".to_owned());
    index.reconfigure(&folders, &ignoring);
    until(&index, |status| status.files == 2).await;
    index.reconfigure(&[], &ignoring);
    assert!(matches!(index.search("x", 1).await, Err(SearchError::Off)));
}

#[tokio::test]
async fn nothing_is_embedded_while_somebody_types() {
    let given = Given::new(FILES).await;
    let index = given.index();
    index.typed();
    index.start();
    until(&index, |status| status.phase == Phase::Embedding).await;
    assert_eq!(given.embedded(), 0);
    until(&index, |status| status.phase == Phase::Ready).await;
    assert_eq!(given.embedded(), 3);
}
