//! Which backend serves a model that several have, and the measured speeds behind it.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Finding, Scene};
use crate::config::Role;
use crate::router::survey::Place;

/// A role and the places that have its model, for scripts.
#[derive(Debug, Serialize)]
pub struct Places {
    role: Role,
    /// In the person's order.
    places: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    backend: String,
    model: String,
    serves: bool,
    /// `null` where it was not measured.
    prefill_tokens_per_second: Option<f64>,
    decode_tokens_per_second: Option<f64>,
    /// How long a typical request of the role takes by these.
    typical_request_ms: Option<f64>,
}

/// What is measured at each place, by role.
pub fn table(scene: &Scene) -> Vec<Places> {
    let row = |role, place: &Place| Row {
        backend: backend(place).to_owned(),
        model: place.found.route.model.clone(),
        serves: place.serves,
        prefill_tokens_per_second: place.speed.map(|s| s.prefill_tokens_per_second),
        decode_tokens_per_second: place.speed.map(|s| s.decode_tokens_per_second),
        typical_request_ms: place
            .speed
            .map(|s| s.typical_request(role).as_secs_f64() * 1e3),
    };
    let roles = measured_roles(scene).filter(|(_, places)| !places.is_empty());
    roles
        .map(|(&role, places)| Places {
            role,
            places: places.iter().map(|place| row(role, place)).collect(),
        })
        .collect()
}

pub(super) fn check(scene: &Scene) -> Vec<Finding> {
    let findings = measured_roles(scene).filter_map(|(&role, places)| {
        let message = told(role, places)?;
        Some(Finding::good(format!("{role}.backends"), message))
    });
    findings.collect()
}

/// Embeddings belong to one place, whatever its speed.
fn measured_roles(scene: &Scene) -> impl Iterator<Item = (&Role, &Vec<Place>)> {
    let options = scene.survey.options.iter();
    options.filter(|(role, _)| **role != Role::Embedding)
}

fn backend(place: &Place) -> &str {
    place.found.route.backend.name()
}

/// Such as `qwen2.5-coder:1.5b: ollama 48 / 20 tokens a second (prompt / answer), embedded 50 / 22; ollama
/// serves: …`; nothing where there is one place and no measurement.
fn told(role: Role, places: &[Place]) -> Option<String> {
    let serving = places.iter().find(|place| place.serves)?;
    let first = places.first()?;
    if places.len() == 1 && first.speed.is_none() {
        return None;
    }
    let model = &first.found.route.model;
    let mut message = format!("{model}: ");
    let mut unit = " tokens a second (prompt / answer)";
    for (index, place) in places.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = match place.speed {
            Some(speed) => write!(
                message,
                "{comma}{} {:.0} / {:.0}{}",
                backend(place),
                speed.prefill_tokens_per_second,
                speed.decode_tokens_per_second,
                std::mem::take(&mut unit)
            ),
            None => write!(message, "{comma}{} not measured", backend(place)),
        };
    }
    let _ = write!(message, "; {} serves", backend(serving));
    let why = if places.len() == 1 {
        ", as no other backend has it".to_owned()
    } else if places.iter().any(|place| place.speed.is_none()) && serving.found.is_at(&first.found)
    {
        format!(
            ", which comes first; an editor's server measures completions when nobody types, and \
             `ghostline doctor --calibrate {role}` measures now"
        )
    } else if serving.found.is_at(&first.found) {
        ", which comes first; no other is clearly quicker".to_owned()
    } else {
        let time = |place: &Place| {
            let time = place.speed.map(|speed| speed.typical_request(role));
            time.unwrap_or_default().as_millis()
        };
        format!(
            ", as a typical request takes {} ms there and {} ms on {}",
            time(serving),
            time(first),
            backend(first)
        )
    };
    Some(message + &why)
}

#[cfg(test)]
mod tests;
