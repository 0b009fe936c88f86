//! What the doctor looks at: settings, backends, Ollamas. Read once, loads nothing.

use std::path::PathBuf;

use crate::config::{self, Environment, Origin, Resolved, Role, Sources};
use crate::models::Store;
use crate::models::ollama::{self, OllamaHere, OllamaModels};
use crate::router::Choices;
use crate::router::survey::{Found, Survey, survey};

/// One look at everything.
#[derive(Debug)]
pub struct Scene {
    /// The settings of the workspace, with origins and problems.
    pub(super) resolved: Resolved,
    /// What could not be built from them, in words.
    pub(super) problems: Vec<String>,
    /// Who serves what.
    pub(super) survey: Survey,
    /// Every Ollama of the settings.
    pub(super) ollamas: Vec<OllamaHere>,
    /// Where weights are kept; absent without a home.
    pub(super) store: Option<Store>,
    user_file: PathBuf,
}

impl Scene {
    /// Looks at the workspace `root` as its settings stand; `choices` builds the backends.
    pub async fn look(
        root: &std::path::Path,
        choices: impl FnOnce(&config::Settings) -> (Choices, Vec<String>),
    ) -> Self {
        let environment = Environment::of_process();
        let resolved = config::resolve(&Sources::read(Some(root), &environment, None));
        let user_file = environment.user_file().ok().flatten();
        let (choices, problems) = choices(&resolved.settings);
        let (survey, ollamas) =
            tokio::join!(survey(&choices), ollama::of_settings(&resolved.settings));
        Self {
            resolved,
            problems,
            survey,
            ollamas,
            store: Store::open_default().ok(),
            user_file: user_file.unwrap_or_else(|| PathBuf::from("config.toml")),
        }
    }

    /// The model that serves `role`, if one does.
    pub(super) fn served(&self, role: Role) -> Option<&Found> {
        self.survey.chosen(role)
    }

    /// The model that serves chat, as `backend/model`.
    pub fn chat_model(&self) -> Option<String> {
        let found = self.served(Role::Chat)?;
        Some(format!(
            "{}/{}",
            found.route.backend.name(),
            found.route.model
        ))
    }

    /// The Ollama behind the backend of that name, if it is one and answers, and its version.
    pub(super) fn ollama(&self, backend: &str) -> Option<(&OllamaModels, &str)> {
        let here = self.ollamas.iter().find(|here| here.backend == backend)?;
        let (ollama, version) = here.found.as_ref().ok()?;
        Some((ollama, version))
    }

    /// Where the settings of all folders are, or would be.
    pub(super) fn user_file(&self) -> PathBuf {
        self.user_file.clone()
    }

    /// The file in which `backends.{backend}` is set, or would be.
    pub(super) fn file_of_backend(&self, backend: &str) -> PathBuf {
        let key = format!("backends.{backend}.urls");
        match self.resolved.origins.get(&key) {
            Some(Origin::File { path, .. }) => path.clone(),
            _ => self.user_file(),
        }
    }

    /// Where the workspace is.
    pub(super) fn folder(&self) -> Option<&PathBuf> {
        self.resolved.folder.as_ref()
    }
}
