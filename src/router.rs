//! Role → candidates → the backend and model that serve it now.
//!
//! A background task asks the backends what they have, gives each role the first candidate that is
//! there, and loads the model of the completion role ahead of need. Where several backends have that
//! model, the one that was measured to be clearly quicker serves; see [`calibrate`]. Features only read:
//! [`Router::route`] is a lock-free look, [`Router::ready`] waits while a model loads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::calibrate::Calibration;
use self::choice::{All, Contents, choose, unavailable};
use self::options::options;
use self::survey::Found;
use crate::backend::{Backend, BackendError, Installed};
use crate::config::{Candidate, Role};

pub mod calibrate;
mod choice;
mod options;
mod route;
mod state;
pub mod survey;

pub use self::route::Route;
pub use self::state::RoleState;

/// How often backends are asked again: soon enough that a freshly started Ollama or a model that was
/// just fetched is found before somebody looks for the reason.
const RECHECK: Duration = Duration::from_secs(5);
/// How long one backend may take to say what it has.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a model that failed to load is left alone before it is tried again.
const AFTER_FAILED_LOAD: Duration = Duration::from_mins(1);
/// How often in a row a backend may be too slow to say what it has, as one may be that reads 20 GB or
/// computes on all cores, before it is taken to have nothing.
const MOST_SLOW_PROBES: u32 = 2;

/// How every role stands.
pub type Roles = BTreeMap<Role, RoleState>;

/// What the router works from; replaced when settings change.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// The backends, in the order in which a candidate without a backend tries them.
    pub backends: Vec<Arc<dyn Backend>>,
    /// Candidates by role.
    pub candidates: BTreeMap<Role, Vec<Candidate>>,
    /// Where the backends are, by name, without names and passwords; nothing for one in this process.
    pub addresses: BTreeMap<String, String>,
    /// Backends that are not on this machine: none of them serves only because it is quicker.
    pub elsewhere: BTreeSet<String>,
    /// What is known of speeds here. Without it the first backend serves. The same in all choices of a
    /// router.
    pub calibration: Option<Arc<Calibration>>,
}

/// No panic leaves any of these half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Chooses models. Shared; its background task is [`Router::run`].
#[derive(Debug)]
pub struct Router {
    choices: Mutex<Choices>,
    calibration: Option<Arc<Calibration>>,
    /// The places that have the model of completions, in the person's order.
    options: Mutex<Vec<Found>>,
    failed: Mutex<HashMap<(String, String), (Instant, String)>>,
    contents: Mutex<Contents>,
    /// What each backend said it has, by name, and how often it has been too slow since.
    heard: Mutex<HashMap<String, (Vec<Installed>, u32)>>,
    /// Routes whose model is being loaded. While an older one serves, it goes on doing so.
    loading: Mutex<BTreeMap<Role, Arc<Route>>>,
    /// What the backends remarked on the models that serve, when it was last looked at.
    remarks: Mutex<Vec<Option<String>>>,
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
            calibration: choices.calibration.clone(),
            options: Mutex::default(),
            choices: Mutex::new(choices),
            failed: Mutex::default(),
            contents: Mutex::default(),
            heard: Mutex::default(),
            loading: Mutex::default(),
            remarks: Mutex::default(),
            roles: watch::Sender::new(roles),
            recheck: Notify::new(),
        })
    }

    /// A router whose completion role is served by `backend` for ever: for benchmarks and tests.
    pub fn fixed(backend: Arc<dyn Backend>, model: &str) -> Arc<Self> {
        Self::serving(Route::of(backend, model))
    }

    /// The same, and the chat role too.
    pub fn fixed_for_chat_too(backend: Arc<dyn Backend>, model: &str) -> Arc<Self> {
        let router = Self::fixed(Arc::clone(&backend), model);
        let route = Arc::new(Route::of(backend, model));
        router.set(Role::Chat, RoleState::Ready(route));
        router
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
        *lock(&self.choices) = choices;
        lock(&self.failed).clear();
        lock(&self.heard).clear();
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

    /// Notes that `route` failed while serving: what is installed is looked at again, and a model that
    /// cannot be loaded there is left alone for a while.
    pub fn report(&self, route: &Route, error: &BackendError) {
        tracing::warn!(%error, "a backend failed");
        if matches!(error, BackendError::Load { .. }) {
            self.leave_alone(route, error);
        }
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
        let choices = lock(&self.choices).clone();
        let probes = choices.backends.iter().map(|backend| async move {
            let probed = tokio::time::timeout(PROBE_TIMEOUT, backend.probe()).await;
            let installed = match probed {
                Ok(Ok(models)) => self.heard_of(backend.name(), models),
                Ok(Err(BackendError::Interrupted { .. })) | Err(_) => self.slow(backend.name()),
                Ok(Err(error)) => {
                    tracing::debug!(backend = backend.name(), %error, "probe failed");
                    self.heard_of(backend.name(), Vec::new())
                }
            };
            (backend.clone(), installed)
        });
        let all = futures_util::future::join_all(probes).await;
        lock(&self.contents).learn(&all);
        if let Some(calibration) = &self.calibration {
            calibration.refresh().await;
        }
        for &role in choices.candidates.keys() {
            self.serve(role, &choices, &all);
        }
        self.tell_remarks();
    }

    fn heard_of(&self, backend: &str, models: Vec<Installed>) -> Vec<Installed> {
        lock(&self.heard).insert(backend.to_owned(), (models.clone(), 0));
        models
    }

    /// A backend was too slow to answer: what it has is what it had, for a while.
    fn slow(&self, backend: &str) -> Vec<Installed> {
        tracing::debug!(backend, "slow to say what it has");
        let mut heard = lock(&self.heard);
        let Some((models, misses)) = heard.get_mut(backend) else {
            return Vec::new();
        };
        *misses += 1;
        if *misses > MOST_SLOW_PROBES {
            models.clear();
        }
        models.clone()
    }

    /// Gives the role what is best now.
    fn serve(self: &Arc<Self>, role: Role, choices: &Choices, all: &All) {
        let candidates = choices.candidates.get(&role).map_or(&[][..], Vec::as_slice);
        let failed = {
            let mut failed = lock(&self.failed);
            failed.retain(|_, (since, _)| since.elapsed() < AFTER_FAILED_LOAD);
            failed.clone()
        };
        let contents = lock(&self.contents).clone();
        let usable = |backend: &dyn Backend, model: &Installed| {
            !failed.contains_key(&(backend.name().to_owned(), model.name.clone()))
        };
        let elsewhere = &choices.elsewhere;
        let places = options(role, candidates, all, &contents, elsewhere, usable);
        let quickest = places.get(choices.quickest(role, &places));
        let quickest = quickest.map(|found| found.route.clone());
        if role == Role::Completion {
            *lock(&self.options) = places;
        }
        let Some(mut best) = quickest else {
            // What failed for another role says nothing about this one.
            let there = choose(role, candidates, all, &contents, |_, _| true);
            let failure = there.and_then(|route| {
                failed.get(&(route.backend.name().to_owned(), route.model.clone()))
            });
            let message = unavailable(role, candidates, failure.map(|(_, why)| why));
            lock(&self.loading).remove(&role);
            self.set(role, RoleState::Unavailable(message));
            return;
        };
        let first = candidates.get(..1).filter(|_| best.fallback);
        best.first_failed =
            first.is_some_and(|first| choose(role, first, all, &contents, |_, _| true).is_some());
        let now = self.route(role);
        if let RoleState::Ready(serving) = &now
            && serving.is_to_same(&best)
        {
            lock(&self.loading).remove(&role);
            let described = |route: &Route| {
                let missed = route.missed().map(|(first, why)| (first.to_owned(), why));
                (route.family.name, route.family_by, missed)
            };
            if described(serving) != described(&best) {
                self.set(role, RoleState::Ready(Arc::new(best)));
            }
            return;
        }
        let best = Arc::new(best);
        if role != Role::Completion {
            self.set(role, RoleState::Ready(best));
            return;
        }
        {
            let mut loading = lock(&self.loading);
            if loading
                .get(&role)
                .is_some_and(|other| other.is_to_same(&best))
            {
                return;
            }
            loading.insert(role, Arc::clone(&best));
        }
        // What serves now goes on if it is the next choice and does not lose its place to the load.
        let is_best = |backend: &dyn Backend, model: &Installed| {
            backend.name() == best.backend.name() && model.name == best.model
        };
        let next = options(
            role,
            candidates,
            all,
            &contents,
            elsewhere,
            |backend, model| usable(backend, model) && !is_best(backend, model),
        );
        let goes_on = matches!(&now, RoleState::Ready(serving)
            if next.iter().any(|next| serving.is_to_same(&next.route))
                && !Arc::ptr_eq(&serving.backend, &best.backend));
        if !goes_on {
            self.set(role, RoleState::Loading(Arc::clone(&best)));
        }
        tokio::spawn(Arc::clone(self).load(role, best));
    }

    /// Loads the model of `route`. Runs on its own: no request that gives up may abort a load.
    async fn load(self: Arc<Self>, role: Role, route: Arc<Route>) {
        let loaded = route.backend.warm_up(&route.model).await;
        {
            let mut loading = lock(&self.loading);
            if !loading
                .get(&role)
                .is_some_and(|now| Arc::ptr_eq(now, &route))
            {
                return;
            }
            loading.remove(&role);
        }
        match loaded {
            Ok(()) => self.set(role, RoleState::Ready(route)),
            Err(error) => {
                tracing::error!(%error, model = route.model, "a model could not be loaded");
                self.leave_alone(&route, &error);
                if !matches!(self.route(role), RoleState::Ready(_)) {
                    self.set(role, RoleState::Unavailable(error.to_string()));
                }
                self.recheck.notify_one();
            }
        }
    }

    /// Does not try this model again for a while.
    fn leave_alone(&self, route: &Route, error: &BackendError) {
        let key = (route.backend.name().to_owned(), route.model.clone());
        lock(&self.failed).insert(key, (Instant::now(), error.to_string()));
    }

    /// Wakes those who follow the roles when a backend's remark on a serving model is another one.
    fn tell_remarks(&self) {
        let roles = self.roles.borrow().clone();
        let routes = roles.values().filter_map(RoleState::route);
        let remarks: Vec<_> = routes
            .map(|route| route.backend.standing(&route.model).remark)
            .collect();
        let old = std::mem::replace(&mut *lock(&self.remarks), remarks.clone());
        if old != remarks {
            self.roles.send_modify(|_| {});
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

#[cfg(test)]
mod tests;
