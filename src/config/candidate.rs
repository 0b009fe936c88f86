//! Candidates of a role: how `[backend/]model` is read, written and compared with what is installed.
//!
//! Called by the resolver, which knows the backends' names, and by the router, which knows what is
//! installed. A candidate never says whether its model is any good: the router checks that a model
//! for completion can fill in the middle.

use std::collections::BTreeMap;
use std::fmt;

use super::BackendSettings;
use super::text::quoted;

/// The largest number of edits between a backend's name and a misspelling of it.
const TYPO_EDITS: usize = 2;

/// A model a role may use: `[backend/]model`.
///
/// Text before the first `/` is a backend only if a backend of that name is set up; otherwise it
/// belongs to the model, as in `hf.co/user/repo:tag`. A model that ends in `*`, such as
/// `qwen2.5-coder:*`, is a pattern for any tag that begins so; see [`Candidate::matches`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The backend's name in the settings; any backend when absent.
    pub backend: Option<String>,
    /// The model's name there, or a pattern for its tag.
    pub model: String,
}

impl Candidate {
    /// Reads `[backend/]model`.
    ///
    /// # Errors
    /// Says what is wrong, as the end of a sentence: an empty name, a `*` that is not at the end of
    /// a tag, or a backend that is misspelt.
    pub fn parse(text: &str, backends: &BTreeMap<String, BackendSettings>) -> Result<Self, String> {
        let (backend, model) = match text.split_once('/') {
            Some((name, model)) if backends.contains_key(name) => (Some(name.to_owned()), model),
            Some((name, _)) => {
                if let Some(near) = misspelt(name, backends) {
                    return Err(format!(
                        "there is no backend {}; for {near} write `{near}/…`, for a model of that \
                         name put its backend in front",
                        quoted(name)
                    ));
                }
                (None, text)
            }
            None => (None, text),
        };
        if model.is_empty() {
            return Err(format!("{} names no model", quoted(text)));
        }
        if let Some((before, after)) = model.split_once('*')
            && (!after.is_empty() || !before.contains(':'))
        {
            return Err(format!(
                "in {} the `*` must end a tag, as in `qwen2.5-coder:*`",
                quoted(text)
            ));
        }
        Ok(Self {
            backend,
            model: model.to_owned(),
        })
    }

    /// Whether `installed`, a model's name as its backend tells it, is this candidate.
    ///
    /// A name without a tag means the tag `latest`. A pattern matches any tag that begins like it,
    /// except models that run in Ollama's cloud: those must be named in full, so that nobody's text
    /// leaves the machine by accident.
    pub fn matches(&self, installed: &str) -> bool {
        if let Some(start) = self.model.strip_suffix('*') {
            return installed.starts_with(start) && !runs_in_cloud(installed);
        }
        let tagged = |name: &str, other: &str| {
            other
                .strip_suffix(":latest")
                .is_some_and(|short| short == name)
        };
        self.model == installed || tagged(&self.model, installed) || tagged(installed, &self.model)
    }

    /// Whether the model may be any tag of a family.
    pub fn is_pattern(&self) -> bool {
        self.model.ends_with('*')
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.backend {
            Some(backend) => write!(f, "{backend}/{}", self.model),
            None => f.write_str(&self.model),
        }
    }
}

/// Whether Ollama sends this model's requests to its cloud: the tag is `cloud` or ends in `-cloud`,
/// as in `qwen3-coder:480b-cloud` (Ollama's library, 2025).
pub fn runs_in_cloud(model: &str) -> bool {
    model.rsplit_once(':').is_some_and(|(_, tag)| {
        let tag = tag.to_ascii_lowercase();
        tag == "cloud" || tag.ends_with("-cloud")
    })
}

/// The backend whose name is nearly `name`.
fn misspelt<'a>(name: &str, backends: &'a BTreeMap<String, BackendSettings>) -> Option<&'a str> {
    backends
        .keys()
        .map(|known| (strsim::damerau_levenshtein(name, known), known.as_str()))
        .filter(|(edits, known)| *edits <= TYPO_EDITS && edits * 2 < known.len())
        .min()
        .map(|(_, known)| known)
}
