//! A model that serves a role, and why it does.
//!
//! Made by the choice, read by the features.

use std::sync::Arc;

use super::choice::same_content;
use crate::backend::Backend;
use crate::config::Role;
use crate::prompt::fim::{Evidence, Family, PREFIX_ONLY, family_of};

/// A model that serves a role.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where it runs.
    pub backend: Arc<dyn Backend>,
    /// Its name there.
    pub model: String,
    /// Its content, where the backend tells: what is fetched anew under the same name is another model.
    pub digest: Option<String>,
    /// How it is asked to fill in the middle.
    pub family: &'static Family,
    /// What told the family; `None` when nothing did and the text before the cursor is all it sees.
    pub family_by: Option<Evidence>,
    /// Whether an earlier candidate would have been preferred.
    pub fallback: bool,
    /// The first candidate, where this is another one.
    pub instead_of: Option<String>,
    /// Whether that one is there, and could not be loaded a moment ago.
    pub first_failed: bool,
}

impl Route {
    /// A first choice of which nothing but the name is known.
    pub fn of(backend: Arc<dyn Backend>, model: &str) -> Self {
        let family = family_of(model, None);
        Self {
            backend,
            model: model.to_owned(),
            digest: None,
            family: family.unwrap_or(&PREFIX_ONLY),
            family_by: family.map(|_| Evidence::Name),
            fallback: false,
            instead_of: None,
            first_failed: false,
        }
    }

    /// The first candidate and why it does not serve, as the end of a sentence about it.
    pub fn missed(&self) -> Option<(&str, &'static str)> {
        let why = if self.first_failed {
            "could not be loaded"
        } else {
            "is not there"
        };
        Some((self.instead_of.as_deref()?, why))
    }

    /// Whether the other one leads to the same weights at the same place.
    pub(super) fn is_to_same(&self, other: &Self) -> bool {
        let same = match (&self.digest, &other.digest) {
            (Some(one), Some(other)) => same_content(one, other),
            _ => true,
        };
        same && self.model == other.model && Arc::ptr_eq(&self.backend, &other.backend)
    }

    /// What a person reads where this is not the first choice, such as `chat is served by qwen2.5-coder:7b
    /// (ollama), because qwen3-coder:30b is not there`.
    pub fn explained(&self, role: Role) -> Option<String> {
        let (first, why) = self.missed()?;
        let (model, backend) = (&self.model, self.backend.name());
        Some(format!(
            "{role} is served by {model} ({backend}), because {first} {why}"
        ))
    }
}
