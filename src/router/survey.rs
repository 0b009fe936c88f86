//! Who could serve which role: every candidate of every role, looked at once, nothing loaded.
//!
//! Called by `ghostline models list` and `ghostline doctor`. The choice is the router's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::calibrate::Speed;
use super::choice::{All, Contents, choose};
use super::options::options;
use super::{Choices, Route};
use crate::backend::{Backend, Installed};
use crate::config::{Candidate, Role};

/// One look at all backends.
#[derive(Debug)]
pub struct Survey {
    /// In the order in which a candidate without a backend tries them.
    pub backends: Vec<Asked>,
    /// Every candidate of every role, in order.
    pub roles: BTreeMap<Role, Vec<Standing>>,
    /// The places that have the model that serves a role, in the person's order.
    pub options: BTreeMap<Role, Vec<Place>>,
}

/// What one backend said.
#[derive(Debug)]
pub struct Asked {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// Its models, or why it does not answer, in words.
    pub installed: Result<Vec<Installed>, String>,
}

/// How one candidate stands.
#[derive(Debug)]
pub struct Standing {
    /// As in the settings.
    pub candidate: Candidate,
    /// What would serve it, if anything does.
    pub found: Option<Found>,
    /// It serves the role: the first that was found.
    pub chosen: bool,
}

/// One of the places that have the model of a role.
#[derive(Debug, Clone)]
pub struct Place {
    /// Backend and model.
    pub found: Found,
    /// What was measured there, if it was and counts.
    pub speed: Option<Speed>,
    /// It serves the role.
    pub serves: bool,
}

/// A model that a candidate means.
#[derive(Debug, Clone)]
pub struct Found {
    /// Backend, name and family, as the router would use them.
    pub route: Route,
    /// What the backend says of it.
    pub installed: Installed,
}

impl Found {
    /// Whether the other one is the same model at the same backend.
    pub fn is_at(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.route.backend, &other.route.backend)
            && self.route.model == other.route.model
    }
}

impl Survey {
    /// The candidate that serves `role`.
    pub fn chosen(&self, role: Role) -> Option<&Found> {
        let standings = self.roles.get(&role)?;
        standings.iter().find(|s| s.chosen)?.found.as_ref()
    }
}

/// Asks every backend once.
pub async fn survey(choices: &Choices) -> Survey {
    let probes = choices.backends.iter().map(|backend| async move {
        let installed = match tokio::time::timeout(super::PROBE_TIMEOUT, backend.probe()).await {
            Ok(Ok(models)) => Ok(models),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "{} does not answer within {:?}",
                backend.name(),
                super::PROBE_TIMEOUT
            )),
        };
        Asked {
            backend: backend.clone(),
            installed,
        }
    });
    let backends = futures_util::future::join_all(probes).await;
    let all: Vec<_> = backends
        .iter()
        .map(|asked| {
            let models = asked.installed.as_deref().unwrap_or_default();
            (asked.backend.clone(), models.to_vec())
        })
        .collect();
    let mut contents = Contents::default();
    contents.learn(&all);
    if let Some(calibration) = &choices.calibration {
        calibration.refresh().await;
    }
    let mut survey = Survey {
        backends,
        roles: BTreeMap::new(),
        options: BTreeMap::new(),
    };
    for (&role, candidates) in &choices.candidates {
        let places = places(role, choices, candidates, &all, &contents);
        let serving = places.iter().find(|place| place.serves);
        let standings = standings(role, candidates, &all, &contents, serving);
        survey.roles.insert(role, standings);
        survey.options.insert(role, places);
    }
    survey
}

fn places(
    role: Role,
    choices: &Choices,
    candidates: &[Candidate],
    all: &All,
    contents: &Contents,
) -> Vec<Place> {
    let elsewhere = &choices.elsewhere;
    let options = options(role, candidates, all, contents, elsewhere, |_, _| true);
    let quickest = choices.quickest(role, &options);
    let place = |(index, found): (usize, Found)| Place {
        speed: choices.speed(&found),
        serves: index == quickest,
        found,
    };
    options.into_iter().enumerate().map(place).collect()
}

fn standings(
    role: Role,
    candidates: &[Candidate],
    all: &All,
    contents: &Contents,
    serving: Option<&Place>,
) -> Vec<Standing> {
    let mut taken = false;
    candidates
        .iter()
        .map(|candidate| {
            let found = choose(
                role,
                std::slice::from_ref(candidate),
                all,
                contents,
                |_, _| true,
            )
            .and_then(|route| {
                let (_, models) = all
                    .iter()
                    .find(|(backend, _)| Arc::ptr_eq(backend, &route.backend))?;
                let installed = models.iter().find(|m| m.name == route.model)?.clone();
                Some(Found { route, installed })
            });
            let chosen = found.is_some() && !taken;
            taken |= chosen;
            let found = match serving {
                Some(serving) if chosen => Some(serving.found.clone()),
                _ => found,
            };
            Standing {
                candidate: candidate.clone(),
                found,
                chosen,
            }
        })
        .collect()
}
