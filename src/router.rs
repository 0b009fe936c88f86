//! Role → candidates → the backend and model that serve it now.
//!
//! A background task asks the backends what they have, gives each role the first candidate that is
//! there, and loads the model of the completion role ahead of need. Features only read: [`Router::route`]
//! is a lock-free look, [`Router::ready`] waits while a model loads.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::backend::{Backend, BackendError, Installed};
use crate::config::{Candidate, Role};
use crate::prompt::fim::{Family, PREFIX_ONLY, family_of};

pub mod survey;

/// How often backends are asked again while a role is not served by its first choice: soon enough
/// that a freshly started Ollama is found before somebody looks for the reason.
const RECHECK: Duration = Duration::from_secs(5);
/// How long one backend may take to say what it has.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a model that failed to load is left alone before it is tried again.
const AFTER_FAILED_LOAD: Duration = Duration::from_mins(1);

/// A model that serves a role.
#[derive(Debug)]
pub struct Route {
    /// Where it runs.
    pub backend: Arc<dyn Backend>,
    /// Its name there.
    pub model: String,
    /// How it is asked to fill in the middle.
    pub family: &'static Family,
    /// Whether an earlier candidate would have been preferred.
    pub fallback: bool,
    /// Whether neither metadata nor name told the family.
    pub family_unknown: bool,
}

/// How a role stands.
#[derive(Debug, Clone, Default)]
pub enum RoleState {
    /// Nobody was asked yet.
    #[default]
    Starting,
    /// The model is being loaded.
    Loading(Arc<Route>),
    /// Requests are served.
    Ready(Arc<Route>),
    /// No candidate is there; the sentence says what to do.
    Unavailable(String),
}

impl RoleState {
    /// The route, loaded or not.
    pub fn route(&self) -> Option<&Arc<Route>> {
        match self {
            Self::Loading(route) | Self::Ready(route) => Some(route),
            Self::Starting | Self::Unavailable(_) => None,
        }
    }
}

/// How every role stands.
pub type Roles = BTreeMap<Role, RoleState>;

/// What the router works from; replaced when settings change.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// The backends, in the order in which a candidate without a backend tries them.
    pub backends: Vec<Arc<dyn Backend>>,
    /// Candidates by role.
    pub candidates: BTreeMap<Role, Vec<Candidate>>,
}

/// Chooses models. Shared; its background task is [`Router::run`].
#[derive(Debug)]
pub struct Router {
    choices: Mutex<Choices>,
    failed: Mutex<HashMap<(String, String), (Instant, String)>>,
    roles: watch::Sender<Roles>,
    recheck: Notify,
}

impl Router {
    /// A router that has asked nobody yet.
    pub fn new(choices: Choices) -> Arc<Self> {
        let roles = choices
            .candidates
            .keys()
            .map(|&r| (r, RoleState::Starting))
            .collect();
        Arc::new(Self {
            choices: Mutex::new(choices),
            failed: Mutex::default(),
            roles: watch::Sender::new(roles),
            recheck: Notify::new(),
        })
    }

    /// A router whose completion role is served by `backend` for ever: for benchmarks and tests.
    pub fn fixed(backend: Arc<dyn Backend>, model: &str) -> Arc<Self> {
        let family = family_of(model, None);
        Self::serving(Route {
            backend,
            model: model.to_owned(),
            family: family.unwrap_or(&PREFIX_ONLY),
            fallback: false,
            family_unknown: family.is_none(),
        })
    }

    /// A router whose completion role is served by `route` for ever: for benchmarks.
    pub fn serving(route: Route) -> Arc<Self> {
        let router = Self::new(Choices::default());
        router.roles.send_modify(|roles| {
            roles.insert(Role::Completion, RoleState::Ready(Arc::new(route)));
        });
        router
    }

    /// Replaces backends and candidates, after settings changed.
    pub fn reconfigure(&self, choices: Choices) {
        *self.choices.lock().unwrap_or_else(PoisonError::into_inner) = choices;
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.recheck.notify_one();
    }

    /// Asks the backends again soon: something was installed.
    pub fn look_again(&self) {
        self.recheck.notify_one();
    }

    /// Follows how the roles stand.
    pub fn subscribe(&self) -> watch::Receiver<Roles> {
        self.roles.subscribe()
    }

    /// What serves `role` at this moment.
    pub fn route(&self, role: Role) -> RoleState {
        self.roles.borrow().get(&role).cloned().unwrap_or_default()
    }

    /// Waits until `role` can be served; `None` when nothing serves it.
    pub async fn ready(&self, role: Role) -> Option<Arc<Route>> {
        let mut roles = self.roles.subscribe();
        loop {
            match roles.borrow_and_update().get(&role) {
                Some(RoleState::Ready(route)) => return Some(route.clone()),
                Some(RoleState::Unavailable(_)) => return None,
                _ => {}
            }
            roles.changed().await.ok()?;
        }
    }

    /// Notes that a backend failed while serving: what is installed is looked at again.
    pub fn report(&self, error: &BackendError) {
        tracing::warn!(%error, "a backend failed");
        self.recheck.notify_one();
    }

    /// Asks the backends now and then, for ever. Dropping the future ends it.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.check().await;
            tokio::select! {
                () = self.recheck.notified() => {}
                () = tokio::time::sleep(RECHECK) => {}
            }
        }
    }

    /// Asks every backend once and gives each role its model.
    pub async fn check(self: &Arc<Self>) {
        let choices = self
            .choices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let probes = choices.backends.iter().map(|backend| async move {
            let probed = tokio::time::timeout(PROBE_TIMEOUT, backend.probe()).await;
            let installed = match probed {
                Ok(Ok(models)) => models,
                Ok(Err(error)) => {
                    tracing::debug!(backend = backend.name(), %error, "probe failed");
                    Vec::new()
                }
                Err(_) => Vec::new(),
            };
            (backend.clone(), installed)
        });
        let installed = futures_util::future::join_all(probes).await;
        for (role, candidates) in &choices.candidates {
            self.serve(*role, candidates, &installed);
        }
    }

    fn serve(
        self: &Arc<Self>,
        role: Role,
        candidates: &[Candidate],
        installed: &[(Arc<dyn Backend>, Vec<Installed>)],
    ) {
        let failed = {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.retain(|_, (since, _)| since.elapsed() < AFTER_FAILED_LOAD);
            failed.clone()
        };
        let usable = |backend: &dyn Backend, model: &Installed| {
            !failed.contains_key(&(backend.name().to_owned(), model.name.clone()))
        };
        let Some(route) = choose(role, candidates, installed, usable) else {
            let message = unavailable(role, candidates, failed.values().next().map(|f| &f.1));
            self.set(role, RoleState::Unavailable(message));
            return;
        };
        let same = self.route(role).route().is_some_and(|now| {
            now.model == route.model && Arc::ptr_eq(&now.backend, &route.backend)
        });
        if same {
            return;
        }
        let route = Arc::new(route);
        if role != Role::Completion {
            self.set(role, RoleState::Ready(route));
            return;
        }
        self.set(role, RoleState::Loading(route.clone()));
        tokio::spawn(self.clone().load(role, route));
    }

    /// Loads the model of `route`. Runs on its own: no request that gives up may abort a load.
    async fn load(self: Arc<Self>, role: Role, route: Arc<Route>) {
        let loaded = route.backend.warm_up(&route.model).await;
        let still_wanted = self
            .route(role)
            .route()
            .is_some_and(|now| Arc::ptr_eq(now, &route));
        if !still_wanted {
            return;
        }
        match loaded {
            Ok(()) => self.set(role, RoleState::Ready(route)),
            Err(error) => {
                tracing::error!(%error, model = route.model, "a model could not be loaded");
                let key = (route.backend.name().to_owned(), route.model.clone());
                self.failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(key, (Instant::now(), error.to_string()));
                self.set(role, RoleState::Unavailable(error.to_string()));
                self.recheck.notify_one();
            }
        }
    }

    /// Publishes a role's state; a repeated "unavailable" with the same words is no news.
    fn set(&self, role: Role, state: RoleState) {
        self.roles.send_if_modified(|roles| {
            let same = matches!(
                (roles.get(&role), &state),
                (Some(RoleState::Unavailable(old)), RoleState::Unavailable(new)) if old == new
            );
            roles.insert(role, state);
            !same
        });
    }
}

/// The first candidate that is installed.
fn choose(
    role: Role,
    candidates: &[Candidate],
    installed: &[(Arc<dyn Backend>, Vec<Installed>)],
    usable: impl Fn(&dyn Backend, &Installed) -> bool,
) -> Option<Route> {
    candidates.iter().enumerate().find_map(|(rank, candidate)| {
        installed
            .iter()
            .filter(|(backend, _)| {
                candidate
                    .backend
                    .as_deref()
                    .is_none_or(|b| b == backend.name())
            })
            .find_map(|(backend, models)| {
                let model = models.iter().find(|m| {
                    candidate.matches(&m.name)
                        && usable(backend.as_ref(), m)
                        && can_serve(role, m)
                        // A pattern may match what cannot fill in the middle; a name was chosen.
                        && !(role == Role::Completion
                            && candidate.is_pattern()
                            && m.fim == Some(false))
                })?;
                let family = family_of(&model.name, model.fim);
                Some(Route {
                    backend: backend.clone(),
                    model: model.name.clone(),
                    family: family.unwrap_or(&PREFIX_ONLY),
                    fallback: rank > 0,
                    family_unknown: family.is_none(),
                })
            })
    })
}

/// Whether the model can do what the role needs, as far as its backend can tell.
fn can_serve(role: Role, model: &Installed) -> bool {
    match role {
        Role::Completion | Role::Embedding => true,
        Role::Chat | Role::Reasoning => model.chat != Some(false),
        Role::Vision => model.vision != Some(false),
    }
}

fn unavailable(role: Role, candidates: &[Candidate], failure: Option<&String>) -> String {
    if let Some(failure) = failure {
        return format!("no model for {role}: {failure}");
    }
    let embedded = candidates
        .iter()
        .any(|c| c.backend.as_deref() == Some("embedded"));
    if embedded {
        format!(
            "no model for {role}: no backend has one of its candidates; \
             run `ghostline models pull qwen2.5-coder-1.5b`"
        )
    } else {
        format!("no model for {role}: no backend has one of its candidates; see `ghostline config`")
    }
}
