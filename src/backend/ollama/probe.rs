//! What an Ollama has and what it has loaded: the probe.
//!
//! Asks for version, list and memory at once, and for what each model says about itself once per
//! content: a model's family, its capabilities and what it was trained for are its own metadata's to tell,
//! its name comes last. What is loaded is held against what the residencies believe.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout};

use super::api::{Loaded, Show, ShowBody, Tag, Tags, Version};
use super::remarks::{Placement, Remarks};
use super::{Inner, normalise};
use crate::backend::{BackendError, Installed};
use crate::prompt::fim::{Known, Metadata, family_of, known};

/// How long one probe asks for what models say about themselves; the next one goes on. A description
/// takes some 10 ms, and 300 ms in versions that read the file for it.
const DESCRIBING: Duration = Duration::from_secs(1);

/// Models asked for at once.
const AT_ONCE: usize = 4;

/// Limit for one description.
const SHOW_LIMIT: Duration = Duration::from_secs(2);

/// What a model says about itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Described {
    family: Option<Known>,
    capabilities: Option<Vec<String>>,
    architecture: Option<String>,
    /// Tokens it was trained for.
    pub(super) trained_tokens: Option<u64>,
}

impl Described {
    fn of(name: &str, show: Show) -> Self {
        let text = |key: &str| show.model_info.get(key).and_then(|value| value.as_str());
        let architecture = text("general.architecture");
        let names = [
            "general.basename",
            "general.name",
            "general.base_model.0.name",
        ];
        let metadata = Metadata {
            architecture,
            names: names.into_iter().filter_map(text).collect(),
            template: show.template.as_deref(),
            ..Metadata::default()
        };
        let trained_tokens = architecture.and_then(|name| {
            let length = show.model_info.get(&format!("{name}.context_length"))?;
            length.as_u64()
        });
        // Versions before 0.6.4 tell no capabilities; the template and the architecture do.
        let fills_in = show
            .template
            .as_deref()
            .is_some_and(|t| t.contains(".Suffix"));
        let embeds = architecture.is_some_and(|name| name.ends_with("bert"));
        let derived = match (embeds, fills_in) {
            (true, _) => Some(vec!["embedding".to_owned()]),
            (_, true) => Some(vec!["completion".to_owned(), "insert".to_owned()]),
            _ => None,
        };
        Self {
            family: known(name, &metadata),
            architecture: architecture.map(str::to_owned),
            trained_tokens,
            capabilities: show.capabilities.filter(|c| !c.is_empty()).or(derived),
        }
    }
}

impl Inner {
    pub(super) async fn probe(self: &Arc<Self>) -> Result<Vec<Installed>, BackendError> {
        let asked = self.asked("");
        let (version, tags, ()) = tokio::join!(
            self.endpoint.get::<Version>(asked, "api/version"),
            self.endpoint.get::<Tags<Tag>>(asked, "api/tags"),
            self.look_after(),
        );
        let tags = tags?.models.unwrap_or_default();
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) =
            version.ok().map(|answer| answer.version);
        self.describe(&tags).await;
        Ok(tags.into_iter().map(|tag| self.installed(tag)).collect())
    }

    /// Asks for what is not known yet, models of a known family first.
    async fn describe(&self, tags: &[Tag]) {
        let mut unknown: Vec<&Tag> = {
            let described = self.described();
            let is_new = |tag: &&Tag| !described.contains_key(tag.content());
            // What is said of a model in the cloud comes from there.
            let is_here = |tag: &&Tag| !tag.name.ends_with("cloud");
            tags.iter().filter(is_new).filter(is_here).collect()
        };
        unknown.sort_by_key(|tag| family_of(&tag.name, None).is_none());
        let asking: Vec<_> = unknown
            .into_iter()
            .map(|tag| self.describe_one(tag))
            .collect();
        let asking = stream::iter(asking)
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>();
        // What is left waits for the next probe.
        drop(timeout(DESCRIBING, asking).await);
    }

    async fn describe_one(&self, tag: &Tag) {
        let body = ShowBody { model: &tag.name };
        let asked = self.asked(&tag.name);
        let shown = self
            .endpoint
            .call(asked, "api/show", &body, SHOW_LIMIT)
            .await;
        let described = match shown {
            Ok(show) => Described::of(&tag.name, show),
            // Asked again with the next probe.
            Err(BackendError::Unreachable { .. } | BackendError::Interrupted { .. }) => return,
            // A server that says no says so again.
            Err(_) => Described::default(),
        };
        self.described().insert(tag.content().to_owned(), described);
    }

    fn installed(&self, tag: Tag) -> Installed {
        let described = self.described().get(tag.content()).cloned();
        let described = described.unwrap_or_default();
        self.contents()
            .insert(normalise(&tag.name), tag.content().to_owned());
        let details = tag.details.unwrap_or_default();
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let capabilities = tag.capabilities.or(described.capabilities);
        let can = |capability: &str| {
            let names = capabilities.as_ref()?;
            Some(names.iter().any(|name| name == capability))
        };
        let generates = can("completion");
        // `insert` speaks of Ollama's own template; without it a model may well have the tokens.
        let fim = match (can("insert"), described.family) {
            (Some(true), _) => Some(true),
            _ if generates == Some(false) => Some(false),
            (_, family) => family.map(|known| known.fills_in()),
        };
        Installed {
            name: normalise(&tag.name),
            digest: text(tag.digest),
            size_bytes: tag.size,
            quantization: text(details.quantization_level),
            architecture: described.architecture.or_else(|| text(details.family)),
            fim,
            family: described.family,
            // A base model completes as well.
            chat: generates.filter(|completes| !completes),
            vision: can("vision"),
            embedding: can("embedding"),
        }
    }

    /// Holds what is in memory against what is believed. A model that was to stay and is gone while we
    /// talked to another one is loaded again, so that the next key does not wait for it.
    pub(super) async fn look_after(self: &Arc<Self>) {
        let residencies: Vec<_> = {
            let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
            models
                .iter()
                .map(|(name, known)| (name.clone(), Arc::clone(known)))
                .collect()
        };
        if residencies.is_empty() {
            return;
        }
        let asked = Instant::now();
        let listed = self
            .endpoint
            .get::<Tags<Loaded>>(self.asked(""), "api/ps")
            .await;
        // Without an answer nothing is known; a request finds out.
        let Ok(Tags { models }) = listed else { return };
        let loaded = models.unwrap_or_default();
        for (name, residency) in residencies {
            let Some(num_ctx) = residency.num_ctx() else {
                continue;
            };
            let content = self.contents().get(&name).cloned();
            let is_it = |model: &&Loaded| {
                normalise(&model.name) == name || (content.is_some() && model.digest == content)
            };
            let trained = content
                .as_ref()
                .and_then(|content| self.described().get(content)?.trained_tokens);
            let wanted = u64::from(num_ctx);
            let placement = loaded.iter().find(is_it).map(|model| Placement {
                gpu_percent: model.gpu_percent(),
                num_ctx: model.context_length.filter(|&tokens| tokens > 0),
                wanted_ctx: trained.map_or(wanted, |trained| wanted.min(trained)),
            });
            let is_lost = residency.seen(placement, asked);
            if is_lost && residency.is_pinned() && self.has_just_talked() {
                residency.remark(Remarks::evicted);
                let inner = Arc::clone(self);
                // Nobody waits for it, and nobody may end it.
                tokio::spawn(async move { inner.load(&name).await });
            }
        }
    }
}
