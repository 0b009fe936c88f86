//! Who else has the model that a candidate means: the places between which speed decides. Pure.
//!
//! A candidate that names its backend has one place. One that names none has every backend that lists the
//! same model, unless the person's list names that backend for it further back: their order stands. In the
//! list of somebody who set nothing such names are ours, and stand for the last resort only. Text goes to
//! another machine because somebody chose it, never because it is quicker there.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use super::choice::{All, Contents, can, find, is_same, route, same_content};
use super::survey::Found;
use crate::backend::{Backend, Installed};
use crate::config::candidate::runs_in_cloud;
use crate::config::{Candidate, Role, Settings};

/// The settings of somebody who set nothing.
static DEFAULTS: LazyLock<Settings> = LazyLock::new(Settings::default);

/// Names in our catalogue and in Ollama's library for the same model, quantised by others in the same way.
/// Size and quantisation are compared as well, so a tag that comes to mean another size is no twin.
const TWINS: &[(&str, &[&str])] = &[
    (
        "qwen2.5-coder-1.5b",
        &[
            "qwen2.5-coder:1.5b",
            "qwen2.5-coder:1.5b-instruct",
            "qwen2.5-coder:1.5b-instruct-q4_K_M",
        ],
    ),
    (
        "qwen2.5-coder-0.5b",
        &[
            "qwen2.5-coder:0.5b",
            "qwen2.5-coder:0.5b-instruct",
            "qwen2.5-coder:0.5b-instruct-q4_K_M",
        ],
    ),
];

/// Files of one model in one quantisation differ by so much at most: some keep the output weights apart
/// (Qwen2.5-Coder 0.5B: 491 MB and 398 MB). Two sizes of a family differ by more than twice.
const MOST_SIZE_PERCENT: u128 = 130;

/// The places that have the model that serves `role`, in the order in which they would without
/// measurements; empty where nothing serves.
pub(super) fn options(
    role: Role,
    candidates: &[Candidate],
    all: &All,
    contents: &Contents,
    elsewhere: &BTreeSet<String>,
    usable: impl Fn(&dyn Backend, &Installed) -> bool,
) -> Vec<Found> {
    let Some((rank, backend, model)) = find(role, candidates, all, contents, &usable) else {
        return Vec::new();
    };
    let first = candidates.first().filter(|_| rank > 0);
    let found = |backend: &Arc<dyn Backend>, model: &Installed| Found {
        route: route(backend, model, first),
        installed: model.clone(),
    };
    let mut options = vec![found(backend, model)];
    let Some((chosen, later)) = candidates.get(rank..).and_then(<[_]>::split_first) else {
        return options;
    };
    // Vectors of one place cannot be compared with those of another.
    if chosen.backend.is_some() || role == Role::Embedding || runs_in_cloud(&model.name) {
        return options;
    }
    let is_ours = DEFAULTS
        .roles
        .get(&role)
        .is_some_and(|ours| ours.candidates == candidates);
    let others = all.iter().filter(|(other, _)| !Arc::ptr_eq(other, backend));
    for (other, models) in others.filter(|(other, _)| !elsewhere.contains(other.name())) {
        let means = |candidate: &Candidate, model: &Installed| {
            candidate.matches(&model.name) || is_same(candidate, model, contents)
        };
        let named_later = |model: &Installed| {
            let of_it = |c: &&Candidate| c.backend.as_deref() == Some(other.name());
            later.iter().filter(of_it).any(|c| means(c, model))
        };
        let same = models.iter().find(|also| {
            let may = match (means(chosen, also), named_later(also)) {
                (true, later) => is_ours || !later,
                (false, later) => is_ours && later,
            };
            may && is_one_model(model, also) && can(role, chosen, also) && usable(&**other, also)
        });
        options.extend(same.map(|same| found(other, same)));
    }
    options
}

/// Whether the two are one model, as far as anybody can tell.
fn is_one_model(one: &Installed, other: &Installed) -> bool {
    if runs_in_cloud(&other.name) {
        return false;
    }
    if let (Some(one), Some(other)) = (&one.quantization, &other.quantization)
        && short(one) != short(other)
    {
        return false;
    }
    if let (Some(one), Some(other)) = (one.size_bytes, other.size_bytes) {
        let (smaller, larger) = (one.min(other), one.max(other));
        if u128::from(larger) * 100 > u128::from(smaller) * MOST_SIZE_PERCENT {
            return false;
        }
    }
    let same_bytes = one
        .digest
        .as_deref()
        .zip(other.digest.as_deref())
        .is_some_and(|(one, other)| same_content(one, other));
    let plain = |name: &str| name.strip_suffix(":latest").unwrap_or(name).to_owned();
    let (one, other) = (plain(&one.name), plain(&other.name));
    let are_twins = |(ours, theirs): &(&str, &[&str])| {
        let either =
            |ours_is: &str, theirs_is: &str| *ours == ours_is && theirs.contains(&theirs_is);
        either(&one, &other) || either(&other, &one)
    };
    same_bytes || one == other || TWINS.iter().any(are_twins)
}

/// A quantisation's short name: llama.cpp's server says `Q4_K - Medium` where files are named `Q4_K_M`
/// (`llama_model_ftype_name` in its `llama-model-loader.cpp`).
fn short(quantization: &str) -> String {
    let upper = quantization.to_ascii_uppercase();
    match upper.split_once(" - ") {
        Some((kind, size @ ("SMALL" | "MEDIUM" | "LARGE"))) => {
            format!("{kind}_{}", size.chars().take(1).collect::<String>())
        }
        Some((kind, _)) => kind.to_owned(),
        None => upper,
    }
}

#[cfg(test)]
mod tests;
