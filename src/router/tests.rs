//! What serves a role while models come, go, change and fail to load.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::*;
use crate::backend::{ChunkStream, PromptBudget, Request, Standing};

/// A backend whose list, loads and remarks the test decides.
#[derive(Debug)]
struct Told {
    name: &'static str,
    models: Mutex<Vec<Installed>>,
    loads: Arc<AtomicUsize>,
    /// Loads end when there is a permit.
    gate: Arc<Semaphore>,
    fails: Mutex<bool>,
    remark: Mutex<Option<String>>,
    /// Too slow to say what it has.
    slow: Mutex<bool>,
}

impl Told {
    fn new(name: &'static str, models: &[(&str, &str)]) -> Arc<Self> {
        let told = Self {
            name,
            models: Mutex::default(),
            loads: Arc::default(),
            gate: Arc::new(Semaphore::new(100)),
            fails: Mutex::default(),
            remark: Mutex::default(),
            slow: Mutex::default(),
        };
        told.has(models);
        Arc::new(told)
    }

    fn has(&self, models: &[(&str, &str)]) {
        let installed = |(name, digest): &(&str, &str)| Installed {
            name: (*name).to_owned(),
            digest: Some((*digest).to_owned()),
            ..Installed::default()
        };
        *lock(&self.models) = models.iter().map(installed).collect();
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

impl Backend for Told {
    fn name(&self) -> &str {
        self.name
    }
    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        if *lock(&self.slow) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(Ok(lock(&self.models).clone())))
    }
    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let (gate, fails, model) = (self.gate.clone(), *lock(&self.fails), model.to_owned());
        let backend = self.name.to_owned();
        Box::pin(async move {
            gate.acquire().await.expect("open").forget();
            let message = "no".to_owned();
            if fails {
                Err(BackendError::Load {
                    backend,
                    model,
                    message,
                })
            } else {
                Ok(())
            }
        })
    }
    fn stream(&self, _: Request) -> ChunkStream {
        Box::pin(futures_util::stream::empty())
    }
    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget::UNMEASURED
    }
    fn standing(&self, _: &str) -> Standing {
        Standing {
            loaded_percent: None,
            remark: lock(&self.remark).clone(),
        }
    }
}

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbb";

fn router(backends: &[&Arc<Told>], candidates: &[&str]) -> Arc<Router> {
    let candidate = |model: &&str| Candidate {
        backend: None,
        model: (*model).to_owned(),
    };
    let backends = backends
        .iter()
        .map(|told| Arc::clone(told) as Arc<dyn Backend>);
    Router::new(Choices {
        backends: backends.collect(),
        candidates: BTreeMap::from([(
            Role::Completion,
            candidates.iter().map(candidate).collect(),
        )]),
        ..Choices::default()
    })
}

/// The model that serves completions, once nothing is being loaded.
async fn serves(router: &Arc<Router>) -> Option<String> {
    router.check().await;
    // Loads are tasks of their own; each has its turn.
    tokio::task::yield_now().await;
    let route = router.ready(Role::Completion).await?;
    Some(route.model.clone())
}

/// What serves completions cannot be loaded, `at` says.
async fn fails(router: &Arc<Router>, at: &str) {
    let route = router.ready(Role::Completion).await.expect("served");
    let error = BackendError::Load {
        backend: at.to_owned(),
        model: route.model.clone(),
        message: "it answers nothing".to_owned(),
    };
    router.report(&route, &error);
}

#[tokio::test]
async fn a_model_stays_the_same_under_another_name() {
    let ollama = Told::new("ollama", &[("first", A), ("second", B)]);
    let router = router(&[&ollama], &["first", "second"]);
    assert_eq!(serves(&router).await.as_deref(), Some("first"));
    ollama.has(&[("renamed", A), ("second", B)]);
    assert_eq!(serves(&router).await.as_deref(), Some("renamed"));
    ollama.has(&[("second", B)]);
    assert_eq!(serves(&router).await.as_deref(), Some("second"));
    let RoleState::Ready(route) = router.route(Role::Completion) else {
        panic!("not ready");
    };
    assert_eq!(
        route.explained(Role::Completion).as_deref(),
        Some("completion is served by second (ollama), because first is not there")
    );
    ollama.has(&[]);
    assert_eq!(serves(&router).await, None);
}

#[tokio::test]
async fn what_is_fetched_anew_is_loaded_anew() {
    let ollama = Told::new("ollama", &[("first", A)]);
    let router = router(&[&ollama], &["first"]);
    serves(&router).await;
    serves(&router).await;
    assert_eq!(ollama.loads(), 1);
    ollama.has(&[("first", B)]);
    serves(&router).await;
    assert_eq!(ollama.loads(), 2);
}

#[tokio::test]
async fn the_next_choice_goes_on_while_a_better_one_is_loaded() {
    let slow = Told::new("slow", &[]);
    let quick = Told::new("quick", &[("second", B)]);
    let router = router(&[&slow, &quick], &["first", "second"]);
    assert_eq!(serves(&router).await.as_deref(), Some("second"));
    slow.gate.acquire_many(100).await.expect("open").forget();
    slow.has(&[("first", A)]);
    for _ in 0..3 {
        assert_eq!(serves(&router).await.as_deref(), Some("second"));
    }
    assert_eq!(slow.loads(), 1, "one load, however often it is looked at");
    let mut roles = router.subscribe();
    slow.gate.add_permits(1);
    let is_first = |roles: &Roles| matches!(&roles[&Role::Completion], RoleState::Ready(r) if r.model == "first");
    roles.wait_for(is_first).await.expect("the router lives");
}

#[tokio::test(start_paused = true)]
async fn a_better_choice_that_cannot_be_loaded_disturbs_nobody() {
    let broken = Told::new("broken", &[("first", A)]);
    *lock(&broken.fails) = true;
    let good = Told::new("good", &[("second", B)]);
    let router = router(&[&broken, &good], &["first", "second"]);
    let checks = tokio::spawn(Arc::clone(&router).run());
    let mut roles = router.subscribe();
    let is_second = |roles: &Roles| matches!(&roles[&Role::Completion], RoleState::Ready(r) if r.model == "second");
    roles.wait_for(is_second).await.expect("the router lives");
    // It is tried again now and then, and completions go on.
    let started = Instant::now();
    while started.elapsed() < AFTER_FAILED_LOAD * 3 {
        tokio::time::sleep(RECHECK).await;
        assert!(is_second(&router.subscribe().borrow()));
    }
    assert!((2..=4).contains(&broken.loads()), "{}", broken.loads());
    checks.abort();
}

#[tokio::test]
async fn a_model_that_fails_while_serving_gives_way() {
    let ollama = Told::new("ollama", &[("first", A), ("second", B)]);
    let router = router(&[&ollama], &["first", "second"]);
    assert_eq!(serves(&router).await.as_deref(), Some("first"));
    fails(&router, "ollama").await;
    assert_eq!(serves(&router).await.as_deref(), Some("second"));
}

#[tokio::test]
async fn a_model_that_fails_at_one_backend_serves_at_another() {
    let (near, far) = (
        Told::new("near", &[("first", A)]),
        Told::new("far", &[("first", A)]),
    );
    let router = router(&[&near, &far], &[]);
    let first_at = |backend: &str| Candidate {
        backend: Some(backend.to_owned()),
        model: "first".to_owned(),
    };
    let candidates = [
        (Role::Completion, vec![first_at("near"), first_at("far")]),
        (Role::Chat, vec![first_at("far")]),
    ];
    lock(&router.choices).candidates = candidates.into();
    assert_eq!(serves(&router).await.as_deref(), Some("first"));
    // The endpoint of a backend with several.
    fails(&router, "near#2").await;
    assert_eq!(serves(&router).await.as_deref(), Some("first"));
    for role in [Role::Completion, Role::Chat] {
        let route = router.ready(role).await.expect("far has it");
        assert_eq!(route.backend.name(), "far", "{role}");
    }
}

#[tokio::test]
async fn why_nothing_serves_a_role_is_its_own_reason() {
    let ollama = Told::new("ollama", &[("first", A)]);
    let router = router(&[&ollama], &["first"]);
    let only = |model: &str| {
        vec![Candidate {
            backend: None,
            model: model.to_owned(),
        }]
    };
    let candidates = [
        (Role::Completion, only("first")),
        (Role::Chat, only("first")),
        (Role::Vision, only("eye")),
    ];
    lock(&router.choices).candidates = candidates.into();
    *lock(&ollama.fails) = true;
    assert_eq!(serves(&router).await, None);
    router.check().await;
    for (role, says) in [
        (Role::Completion, "ollama cannot load first: no"),
        (Role::Chat, "ollama cannot load first: no"),
        (
            Role::Vision,
            "no backend has one of its candidates; fetch one with `ghostline models pull eye`",
        ),
    ] {
        let RoleState::Unavailable(message) = router.route(role) else {
            panic!("{role} is served");
        };
        assert!(message.contains(says), "{role}: {message}");
    }
}

#[tokio::test]
async fn a_first_choice_that_cannot_be_loaded_is_not_said_to_be_missing() {
    let broken = Told::new("broken", &[("first", A)]);
    *lock(&broken.fails) = true;
    let good = Told::new("good", &[("second", B)]);
    let router = router(&[&broken, &good], &["first", "second"]);
    serves(&router).await;
    assert_eq!(serves(&router).await.as_deref(), Some("second"));
    let explained = || {
        let state = router.route(Role::Completion);
        state
            .route()
            .and_then(|route| route.explained(Role::Completion))
    };
    assert_eq!(
        explained().as_deref(),
        Some("completion is served by second (good), because first could not be loaded")
    );
    broken.has(&[]);
    serves(&router).await;
    assert_eq!(
        explained().as_deref(),
        Some("completion is served by second (good), because first is not there")
    );
}

/// As one is that reads a large model, or computes on all cores.
#[tokio::test(start_paused = true)]
async fn a_backend_that_is_slow_to_say_what_it_has_goes_on_serving() {
    let ollama = Told::new("ollama", &[("first", A)]);
    let router = router(&[&ollama], &["first"]);
    assert_eq!(serves(&router).await.as_deref(), Some("first"));
    *lock(&ollama.slow) = true;
    for _ in 0..MOST_SLOW_PROBES {
        assert_eq!(serves(&router).await.as_deref(), Some("first"));
    }
    assert_eq!(serves(&router).await, None, "it hangs");
    *lock(&ollama.slow) = false;
    assert_eq!(serves(&router).await.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_new_remark_wakes_the_status() {
    let ollama = Told::new("ollama", &[("first", A)]);
    let router = router(&[&ollama], &["first"]);
    serves(&router).await;
    router.check().await;
    let mut roles = router.subscribe();
    roles.mark_unchanged();
    router.check().await;
    assert!(!roles.has_changed().expect("the router lives"));
    *lock(&ollama.remark) = Some("it runs on the processor alone".to_owned());
    router.check().await;
    assert!(roles.has_changed().expect("the router lives"));
}
