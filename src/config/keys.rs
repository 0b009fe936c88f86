//! The table of settings: one row per key, with its shape, its docs and what a workspace may do.
//!
//! The resolver sets values by it, [`show`](super::show) prints by it, problems find the nearest
//! right key in it, and an editor's settings schema can be made of it. A key that is not in the
//! table does not exist.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Role, Settings};

pub mod shape;
mod table;

pub use shape::{Item, Shape};
use table::KEYS;

/// What a workspace's own files may do to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Set it.
    Free,
    /// Set it where the folder is trusted: it says where text is sent.
    Trusted,
    /// Switch it off; on again only where the folder is trusted.
    SwitchOff,
    /// Switch it on, trusted or not; never off.
    SwitchOn,
    /// Add to the list; replace it where the folder is trusted.
    AddOrReplace,
    /// Add to the list, trusted or not.
    Add,
    /// Choose among models; see [`super::trust`].
    Models,
    /// Nothing: only the user file has it.
    UserFile,
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Its path; `*` stands for a role's or backend's name.
    pub path: &'static str,
    /// What it does, one sentence.
    pub doc: &'static str,
    /// Which values it takes.
    pub shape: Shape,
    /// What a workspace may do to it.
    pub reach: Reach,
    /// Its value; the second argument is the name that stands for `*`. Absent when not set.
    pub(super) get: fn(&Settings, &str) -> Option<Value>,
    /// Sets a value that has passed [`Key::shape`].
    pub(super) set: fn(&mut Settings, &str, &Value) -> Result<(), String>,
}

/// Every setting, in the order they are shown.
pub fn keys() -> &'static [Key] {
    KEYS
}

/// What stands at a path.
#[derive(Debug)]
pub(super) enum Found {
    /// A setting, and the name that stands for its `*` (empty when it has none).
    Key(&'static Key, String),
    /// A table with settings below it.
    Table,
    /// Nothing.
    Unknown,
}

/// Looks a path up in the table.
pub(super) fn find(path: &[String]) -> Found {
    let mut below = false;
    for key in KEYS {
        let mut name = "";
        let mut pattern = key.path.split('.');
        let fits = path.iter().all(|part| match pattern.next() {
            Some("*") => {
                name = part;
                is_name(key, part)
            }
            known => known == Some(part.as_str()),
        });
        if fits && pattern.next().is_none() {
            return Found::Key(key, name.to_owned());
        }
        below |= fits;
    }
    if below { Found::Table } else { Found::Unknown }
}

/// Whether `part` may stand for the `*` of this key.
fn is_name(key: &Key, part: &str) -> bool {
    if key.path.starts_with("roles.") {
        return Role::from_name(part).is_some();
    }
    // No `/`: it ends the name in a candidate. No dot: it separates the parts of a path.
    !part.is_empty()
        && part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The paths of every value of these settings, with the key and the value, in the table's order.
pub(super) fn values(settings: &Settings) -> Vec<(String, &'static Key, Value)> {
    let mut all = Vec::new();
    for group in KEYS.chunk_by(|a, b| a.path.split('.').next() == b.path.split('.').next()) {
        let names: Vec<&str> = match group.first().map(|key| key.path.split_once(".*")) {
            Some(Some(("roles", _))) => Role::ALL.iter().map(|role| role.name()).collect(),
            Some(Some(_)) => settings.backends.keys().map(String::as_str).collect(),
            _ => vec![""],
        };
        for name in names {
            for key in group {
                if let Some(value) = (key.get)(settings, name) {
                    all.push((key.path.replace('*', name), key, value));
                }
            }
        }
    }
    all
}

/// The right key or table that an unknown `path` was most likely meant to be.
pub(super) fn nearest(path: &[String]) -> Option<String> {
    let (last, parents) = path.split_last()?;
    let mut siblings: BTreeSet<&str> = BTreeSet::new();
    for key in KEYS {
        let mut pattern = key.path.split('.');
        let below = parents.iter().all(|parent| {
            let part = pattern.next();
            part == Some("*") || part == Some(parent.as_str())
        });
        match pattern.next() {
            Some("*") if below && key.path.starts_with("roles.") => {
                siblings.extend(Role::ALL.iter().map(|role| role.name()));
            }
            // A backend may have any name.
            Some("*") | None => {}
            Some(part) if below => {
                siblings.insert(part);
            }
            Some(_) => {}
        }
    }
    let edits = |known: &str| {
        let edits = strsim::damerau_levenshtein(last, known);
        // A third of the word wrong is still that word; more is another.
        (edits * 3 <= known.len().max(last.len())).then_some(edits)
    };
    let sibling = siblings
        .iter()
        .filter_map(|name| Some((edits(name)?, *name)))
        .min();
    if let Some((_, name)) = sibling {
        return Some([parents, &[name.to_owned()]].concat().join("."));
    }
    // Right name, wrong table.
    let anywhere = |key: &Key| Some((edits(key.path.rsplit('.').next()?)?, key.path));
    KEYS.iter()
        .filter_map(anywhere)
        .min()
        .map(|(_, path)| path.to_owned())
}

/// The texts of a list.
pub(super) fn texts(v: &Value) -> Vec<String> {
    let texts = v.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
