//! Which backend serves a model that several have: the one that is measured to be clearly quicker.
//!
//! - **The person's order stands.** Candidates are gone through in order, and the first that is there
//!   gives the model. Only then, where that candidate names no backend, is it asked who else has the same
//!   model (`options`): speed decides between places, never between models.
//! - **Measured** in an idle moment, once the completion role is ready and only where there is a choice
//!   (`measure`); given up as soon as anybody asks a model for anything (`quiet`), and tried again later.
//!   Of other roles nothing is measured unasked, as nobody wants to load a model of 20 GB twice to compare:
//!   [`calibrate`] does it when it is told to, which is `ghostline doctor --calibrate ROLE`.
//! - **Decided** by how long a typical request of the role takes; a later backend must be clearly quicker
//!   than an earlier one (`speed`). Figures stand for a month, so nothing goes back and forth.
//! - **Kept** on disk by machine, backend, address and model (`kept`). One process measures at a time; all
//!   read the file and come to the same choice: what the doctor says is what an editor's server does.
//!
//! No request waits for any of this: the router's background task reads the file, and decides.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

pub use self::quiet::AtWork;
pub use self::speed::Speed;

use self::kept::{Alone, Kept, Subject};
use self::quiet::Quiet;
use super::survey::{Found, survey};
use super::{Choices, RoleState, Router, lock};
use crate::config::Role;

mod kept;
mod measure;
mod quiet;
mod speed;
#[cfg(test)]
mod tests;

/// How long nobody has asked anything before something is measured: longer than a person thinks between
/// two lines, and than what is computed ahead for the next one takes.
const REST: Duration = Duration::from_secs(15);

/// How often it is looked whether there is something to measure.
const LOOK: Duration = Duration::from_secs(10);

/// How long what could not be measured is left alone.
const AFTER_FAILURE: Duration = Duration::from_hours(1);

/// Larger models are not loaded at a second place for a comparison that nobody asked for. The 1.5B and
/// the 3B for completions are below, in four bits.
const LARGEST_BYTES: u64 = 3_000_000_000;

/// What is known of speeds on this machine; one for all routers of a process.
#[derive(Debug)]
pub struct Calibration {
    kept: Arc<Kept>,
    quiet: Quiet,
}

impl Calibration {
    /// Speeds are kept in the file at `path`, or nowhere; `machine` names what makes them this machine's:
    /// processor, cores, devices, build. Nothing is read yet.
    pub fn new(path: Option<PathBuf>, machine: String) -> Arc<Self> {
        Arc::new(Self {
            kept: Arc::new(Kept::new(path, machine)),
            quiet: Quiet::default(),
        })
    }

    /// Reads the file, if another process has changed it.
    pub(super) async fn refresh(&self) {
        let kept = Arc::clone(&self.kept);
        let read = tokio::task::spawn_blocking(move || kept.refresh()).await;
        if let Err(error) = read {
            tracing::warn!(%error, "measured speeds could not be read");
        }
    }

    /// See [`Kept::alone`]; what another process has measured meanwhile is read.
    async fn alone(&self) -> Option<Alone> {
        let kept = Arc::clone(&self.kept);
        let locking = tokio::task::spawn_blocking(move || {
            let alone = kept.alone();
            kept.refresh();
            alone
        });
        locking.await.ok().flatten()
    }

    async fn keep(&self, choices: &Choices, measured: Vec<(Found, Speed)>) {
        let (kept, choices) = (Arc::clone(&self.kept), choices.clone());
        let writing = tokio::task::spawn_blocking(move || {
            let measured: Vec<_> = measured
                .iter()
                .map(|(found, speed)| (choices.subject(found), *speed))
                .collect();
            kept.keep(&measured, SystemTime::now());
        });
        if let Err(error) = writing.await {
            tracing::warn!(%error, "measured speeds could not be kept");
        }
    }
}

impl Choices {
    fn subject<'a>(&'a self, found: &'a Found) -> Subject<'a> {
        let backend = found.route.backend.name();
        Subject {
            backend,
            address: self.addresses.get(backend).map_or("", String::as_str),
            model: &found.installed,
        }
    }

    /// The speed that was measured of it here, if one counts now.
    pub(super) fn speed(&self, found: &Found) -> Option<Speed> {
        let calibration = self.calibration.as_ref()?;
        let subject = self.subject(found);
        calibration.kept.speed(subject, SystemTime::now())
    }

    /// Which of the options serves; 0 where nothing is known.
    pub(super) fn quickest(&self, role: Role, options: &[Found]) -> usize {
        if options.len() < 2 {
            return 0;
        }
        let time = |found| Some(self.speed(found)?.typical_request(role));
        speed::quickest(&options.iter().map(time).collect::<Vec<_>>())
    }
}

/// What was measured of one option.
#[derive(Debug)]
pub struct Measured {
    /// Backend and model.
    pub found: Found,
    /// Its speed, or why there is none, in words.
    pub speed: Result<Speed, String>,
}

/// Measures now whatever could serve `role`, one request at a time, and keeps it. Loads what is not loaded.
/// Empty where nothing serves the role, and for embeddings, whose vectors belong to one place.
pub async fn calibrate(choices: &Choices, role: Role) -> Vec<Measured> {
    if role == Role::Embedding {
        return Vec::new();
    }
    let mut survey = survey(choices).await;
    let options = survey.options.remove(&role).unwrap_or_default();
    let found: Vec<_> = options.into_iter().map(|option| option.found).collect();
    let measured = measured(found, role).await;
    if let Some(calibration) = &choices.calibration {
        calibration.keep(choices, sound(&measured)).await;
    }
    measured
}

async fn measured(options: Vec<Found>, role: Role) -> Vec<Measured> {
    let routes: Vec<_> = options.iter().map(|found| &found.route).collect();
    let speeds = measure::measure(&routes, role).await;
    let both = options.into_iter().zip(speeds);
    both.map(|(found, speed)| Measured { found, speed })
        .collect()
}

fn sound(measured: &[Measured]) -> Vec<(Found, Speed)> {
    let of = |one: &Measured| Some((one.found.clone(), *one.speed.as_ref().ok()?));
    measured.iter().filter_map(of).collect()
}

/// What could not be measured, by backend and model, and since when.
type LeftAlone = HashMap<(String, String), Instant>;

fn key(found: &Found) -> (String, String) {
    let name = found.route.backend.name().to_owned();
    (name, found.route.model.clone())
}

impl Router {
    /// [`run`](Self::run), and measures where there is something to decide, for ever.
    pub async fn run_calibrating(self: Arc<Self>) {
        tokio::join!(Arc::clone(&self).run(), self.calibrate());
    }

    /// Notes that somebody asks a model: what is being measured is given up.
    pub fn asked(&self) {
        if let Some(calibration) = &self.calibration {
            calibration.quiet.disturb();
        }
    }

    /// The same for what takes long: nothing is measured before the guard is dropped.
    pub fn at_work(&self) -> AtWork {
        AtWork::begin(self.calibration.clone())
    }

    async fn calibrate(self: Arc<Self>) {
        let Some(calibration) = self.calibration.clone() else {
            return;
        };
        let mut left_alone = LeftAlone::default();
        loop {
            tokio::time::sleep(LOOK).await;
            left_alone.retain(|_, since| since.elapsed() < AFTER_FAILURE);
            if self.undecided(&left_alone).is_empty() {
                continue;
            }
            let mut asked = calibration.quiet.after(REST).await;
            let Some(_alone) = calibration.alone().await else {
                continue;
            };
            // Meanwhile models may have come and gone.
            let options = self.undecided(&left_alone);
            let measured = tokio::select! {
                biased;
                _ = asked.changed() => {
                    tracing::debug!("somebody asks a model; speeds are measured later");
                    continue;
                }
                measured = measured(options, Role::Completion) => measured,
            };
            for one in &measured {
                let (backend, model) = key(&one.found);
                match &one.speed {
                    Ok(speed) => tracing::info!(backend, model, ?speed, "measured"),
                    Err(why) => {
                        tracing::info!(backend, model, why, "could not be measured");
                        left_alone.insert((backend, model), Instant::now());
                    }
                }
            }
            let choices = lock(&self.choices).clone();
            calibration.keep(&choices, sound(&measured)).await;
            self.look_again();
        }
    }

    /// The options of completions that have to be measured before it is known which one serves; none
    /// where nothing would come of it.
    fn undecided(&self, left_alone: &LeftAlone) -> Vec<Found> {
        if !matches!(self.route(Role::Completion), RoleState::Ready(_)) {
            return Vec::new();
        }
        let choices = lock(&self.choices).clone();
        let options = lock(&self.options).clone();
        let may = |found: &Found| {
            let size_bytes = found.installed.size_bytes.unwrap_or(0);
            size_bytes <= LARGEST_BYTES && !left_alone.contains_key(&key(found))
        };
        let is_measured: Vec<bool> = options.iter().map(|f| choices.speed(f).is_some()).collect();
        let compared = |(found, is_measured): &(&Found, &bool)| **is_measured || may(found);
        let count = options.iter().zip(&is_measured).filter(compared).count();
        // Nothing takes the place of a first one that cannot be measured.
        let first = options.iter().zip(&is_measured).next();
        if count < 2 || !first.as_ref().is_some_and(compared) {
            return Vec::new();
        }
        let missing = options.into_iter().zip(is_measured);
        missing
            .filter(|(found, is_measured)| !is_measured && may(found))
            .map(|(found, _)| found)
            .collect()
    }
}
