//! Two places for one model: which one serves, when it is measured, and when it is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use super::*;
use crate::backend::{
    Backend, BackendError, Chunk, ChunkStream, Finish, Installed, PromptBudget, Request,
};
use crate::config::Candidate;
use crate::router::Roles;

/// A backend that computes at a speed.
#[derive(Debug)]
struct Paced {
    name: &'static str,
    /// Prompt and answer, in tokens per second; `None` fails.
    speed: Mutex<Option<(f64, f64)>>,
    size_bytes: Option<u64>,
    loads: AtomicUsize,
    /// Prompts that were sent.
    prompts: Arc<Mutex<Vec<Request>>>,
    running: Arc<AtomicUsize>,
}

/// Counts a stream for as long as it lives.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

const PROMPT_TOKENS: u32 = 128;
const GENERATED_TOKENS: u32 = 16;

fn paced(name: &'static str, speed: Option<(f64, f64)>) -> Paced {
    Paced {
        name,
        speed: Mutex::new(speed),
        size_bytes: Some(1_000_000_000),
        loads: AtomicUsize::new(0),
        prompts: Arc::default(),
        running: Arc::default(),
    }
}

impl Paced {
    fn asked(&self) -> usize {
        lock(&self.prompts).len()
    }

    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

impl Backend for Paced {
    fn name(&self) -> &str {
        self.name
    }
    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        let installed = Installed {
            name: "m:1".to_owned(),
            size_bytes: self.size_bytes,
            ..Installed::default()
        };
        Box::pin(std::future::ready(Ok(vec![installed])))
    }
    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(())))
    }
    fn stream(&self, request: Request) -> ChunkStream {
        lock(&self.prompts).push(request);
        let Some((prefill, decode)) = *lock(&self.speed) else {
            let backend = self.name.to_owned();
            let error = BackendError::Busy { backend };
            return futures_util::stream::iter([Err(error)]).boxed();
        };
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.running));
        let chunks =
            futures_util::stream::unfold((0, running), move |(sent, running)| async move {
                let seconds = match sent {
                    0 => f64::from(PROMPT_TOKENS) / prefill,
                    GENERATED_TOKENS.. => 0.0,
                    _ => 1.0 / decode,
                };
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
                let chunk = match sent {
                    0..GENERATED_TOKENS => Chunk::Text("x".to_owned()),
                    GENERATED_TOKENS => Chunk::Done(Finish {
                        prompt_tokens: PROMPT_TOKENS,
                        generated_tokens: GENERATED_TOKENS,
                        ..Finish::default()
                    }),
                    _ => return None,
                };
                Some((Ok(chunk), (sent + 1, running)))
            });
        chunks.boxed()
    }
    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget::UNMEASURED
    }
}

fn choices(
    backends: &[&Arc<Paced>],
    candidates: &[&str],
    calibration: &Arc<Calibration>,
) -> Choices {
    let candidate = |text: &&str| match text.split_once('/') {
        Some((backend, model)) => Candidate {
            backend: Some(backend.to_owned()),
            model: model.to_owned(),
        },
        None => Candidate {
            backend: None,
            model: (*text).to_owned(),
        },
    };
    let list: Vec<_> = candidates.iter().map(candidate).collect();
    let backends = backends
        .iter()
        .map(|&paced| paced.clone() as Arc<dyn Backend>);
    Choices {
        backends: backends.collect(),
        candidates: BTreeMap::from([(Role::Completion, list.clone()), (Role::Chat, list)]),
        calibration: Some(Arc::clone(calibration)),
        ..Choices::default()
    }
}

/// A router at work, ended with the test's runtime.
fn at_work(choices: Choices) -> (Arc<Router>, JoinHandle<()>) {
    let router = Router::new(choices);
    let running = tokio::spawn(Arc::clone(&router).run_calibrating());
    (router, running)
}

fn in_memory() -> Arc<Calibration> {
    Calibration::new(None, "this machine".to_owned())
}

/// Waits until `backend` serves completions.
async fn served_by(router: &Router, backend: &str) {
    let mut roles = router.subscribe();
    let is_it = |roles: &Roles| matches!(roles.get(&Role::Completion), Some(RoleState::Ready(route)) if route.backend.name() == backend);
    roles.wait_for(is_it).await.expect("the router lives");
}

fn serves(router: &Router, role: Role) -> String {
    let route = router.route(role);
    route
        .route()
        .expect("it is served")
        .backend
        .name()
        .to_owned()
}

/// Long enough for whatever would happen.
async fn much_later() {
    tokio::time::sleep(Duration::from_mins(10)).await;
}

#[tokio::test(start_paused = true)]
async fn the_clearly_quicker_place_serves() {
    // Candidates, speeds of `a` and `b`, who serves in the end, and whether anything was measured.
    type Row<'a> = (
        &'a [&'a str],
        Option<(f64, f64)>,
        Option<(f64, f64)>,
        &'a str,
        bool,
    );
    let rows: &[Row<'_>] = &[
        (
            &["m:1"],
            Some((100.0, 20.0)),
            Some((200.0, 40.0)),
            "b",
            true,
        ),
        (
            &["m:1"],
            Some((100.0, 20.0)),
            Some((105.0, 22.0)),
            "a",
            true,
        ),
        (
            &["m:1"],
            Some((200.0, 40.0)),
            Some((100.0, 20.0)),
            "a",
            true,
        ),
        // A completion is short: what counts is the answer.
        (
            &["m:1"],
            Some((400.0, 20.0)),
            Some((100.0, 40.0)),
            "b",
            true,
        ),
        (&["m:1"], Some((100.0, 20.0)), None, "a", true),
        (&["m:1"], None, Some((100.0, 20.0)), "a", true),
        // The person's order.
        (
            &["a/m:1"],
            Some((100.0, 20.0)),
            Some((900.0, 90.0)),
            "a",
            false,
        ),
        (
            &["a/m:1", "b/m:1"],
            Some((100.0, 20.0)),
            Some((900.0, 90.0)),
            "a",
            false,
        ),
        (
            &["m:1", "b/m:1"],
            Some((100.0, 20.0)),
            Some((900.0, 90.0)),
            "a",
            false,
        ),
    ];
    for (candidates, a, b, expect, measures) in rows {
        let (a, b) = (Arc::new(paced("a", *a)), Arc::new(paced("b", *b)));
        let (router, running) = at_work(choices(&[&a, &b], candidates, &in_memory()));
        served_by(&router, "a").await;
        much_later().await;
        let case = format!("{candidates:?} {a:?} {b:?}");
        assert_eq!(serves(&router, Role::Completion), *expect, "{case}");
        assert_eq!(a.asked() > 0, *measures, "{case}");
        assert_eq!(b.asked() > 0, *measures, "{case}");
        assert_eq!(a.running() + b.running(), 0, "{case}");
        running.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn each_place_is_asked_a_few_times_and_never_the_same() {
    let (a, b) = (
        Arc::new(paced("a", Some((100.0, 20.0)))),
        Arc::new(paced("b", Some((200.0, 40.0)))),
    );
    let (router, running) = at_work(choices(&[&a, &b], &["m:1"], &in_memory()));
    served_by(&router, "a").await;
    let mut roles = router.subscribe();
    while serves(&router, Role::Completion) == "a" {
        roles.changed().await.expect("the router lives");
        let state = router.route(Role::Completion);
        assert_eq!(state.name(), "ready", "nobody waits for the change");
    }
    much_later().await;
    running.abort();
    let mut beginnings = Vec::new();
    for request in lock(&a.prompts).iter().chain(&*lock(&b.prompts)) {
        let crate::backend::Prompt::Fim(segments) = &request.prompt else {
            panic!("a completion");
        };
        let text = segments[0].as_str();
        beginnings.push(text.lines().next().unwrap_or_default().to_owned());
        assert_eq!(request.priority, crate::backend::Priority::WarmUp);
        assert_eq!(request.max_tokens, GENERATED_TOKENS);
    }
    assert_eq!(beginnings.len(), 4, "once, in a process that goes on");
    beginnings.sort();
    beginnings.dedup();
    assert_eq!(beginnings.len(), 4);
    // Only completions are measured unasked; chat goes by the same figures.
    assert_eq!(serves(&router, Role::Chat), "b");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_a_model_ends_it() {
    let (a, b) = (
        Arc::new(paced("a", Some((100.0, 20.0)))),
        Arc::new(paced("b", Some((200.0, 40.0)))),
    );
    let (router, running) = at_work(choices(&[&a, &b], &["m:1"], &in_memory()));
    served_by(&router, "a").await;
    let mut asked = 0;
    for _ in 0..3 {
        while a.running() + b.running() == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(a.asked() + b.asked() > asked, "it begins again");
        router.asked();
        // The other task has its turn; no time passes.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(a.running() + b.running(), 0, "its stream is gone");
        asked = a.asked() + b.asked();
        assert_eq!(serves(&router, Role::Completion), "a");
    }
    // A chat that takes long.
    let chat = router.at_work();
    much_later().await;
    assert_eq!(a.asked() + b.asked(), asked, "somebody waits");
    drop(chat);
    served_by(&router, "b").await;
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_person_who_types_is_left_in_peace() {
    let (a, b) = (
        Arc::new(paced("a", Some((100.0, 20.0)))),
        Arc::new(paced("b", Some((200.0, 40.0)))),
    );
    let (router, running) = at_work(choices(&[&a, &b], &["m:1"], &in_memory()));
    for _ in 0..200 {
        tokio::time::sleep(REST / 2).await;
        router.asked();
    }
    assert_eq!(a.asked() + b.asked(), 0);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn what_was_measured_is_read_back() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("speeds.json");
    let calibration =
        |path: &Path, machine: &str| Calibration::new(Some(path.to_owned()), machine.to_owned());
    let (a, b) = (
        Arc::new(paced("a", Some((100.0, 20.0)))),
        Arc::new(paced("b", Some((200.0, 40.0)))),
    );
    let this = calibration(&path, "this");
    let (router, running) = at_work(choices(&[&a, &b], &["m:1"], &this));
    served_by(&router, "b").await;
    running.abort();
    let asked = a.asked() + b.asked();

    // The next process on this machine knows at once, another machine measures.
    for (machine, measures) in [("this", false), ("that", true)] {
        let again = calibration(&path, machine);
        let (router, running) = at_work(choices(&[&a, &b], &["m:1"], &again));
        let first = if measures { "a" } else { "b" };
        served_by(&router, first).await;
        much_later().await;
        assert_eq!(serves(&router, Role::Completion), "b");
        assert_eq!(a.asked() + b.asked() > asked, measures);
        running.abort();
    }

    // Measured by the doctor, a server that runs goes over to what is quicker now.
    let (router, running) = at_work(choices(&[&a, &b], &["m:1"], &this));
    served_by(&router, "b").await;
    *lock(&b.speed) = Some((50.0, 10.0));
    let doctor = choices(&[&a, &b], &["m:1"], &calibration(&path, "this"));
    let measured = calibrate(&doctor, Role::Completion).await;
    assert!(measured.iter().all(|one| one.speed.is_ok()), "{measured:?}");
    served_by(&router, "a").await;
    running.abort();
    assert!(calibrate(&doctor, Role::Embedding).await.is_empty());
}

/// As when an editor opens its windows again.
#[tokio::test(start_paused = true)]
async fn processes_that_start_together_measure_once() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("cache/speeds.json");
    let (a, b) = (
        Arc::new(paced("a", Some((100.0, 20.0)))),
        Arc::new(paced("b", Some((200.0, 40.0)))),
    );
    let start = || {
        let calibration = Calibration::new(Some(path.clone()), "this".to_owned());
        at_work(choices(&[&a, &b], &["m:1"], &calibration))
    };
    let windows = [start(), start(), start()];
    for (router, _) in &windows {
        served_by(router, "b").await;
    }
    much_later().await;
    assert_eq!((a.asked(), b.asked()), (2, 2));
    for (_, running) in &windows {
        running.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn large_models_are_not_loaded_twice_unasked() {
    let large = |name| Paced {
        size_bytes: Some(LARGEST_BYTES + 1),
        ..paced(name, Some((100.0, 20.0)))
    };
    let (a, b) = (Arc::new(large("a")), Arc::new(large("b")));
    let (router, running) = at_work(choices(&[&a, &b], &["m:1"], &in_memory()));
    served_by(&router, "a").await;
    much_later().await;
    assert_eq!(b.loads.load(Ordering::SeqCst) + a.asked() + b.asked(), 0);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_measured_is_left_alone_for_a_while() {
    let (a, b) = (
        Arc::new(paced("a", Some((100.0, 20.0)))),
        Arc::new(paced("b", None)),
    );
    let (router, running) = at_work(choices(&[&a, &b], &["m:1"], &in_memory()));
    served_by(&router, "a").await;
    much_later().await;
    assert_eq!(b.asked(), 1);
    *lock(&b.speed) = Some((200.0, 40.0));
    served_by(&router, "b").await;
    assert_eq!(a.asked(), 2, "what is known is not measured again");
    running.abort();
}
