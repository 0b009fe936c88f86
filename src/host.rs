//! The machine we run on: settings files, installed weights, and the backends they amount to.
//!
//! The one place that knows every kind of backend. Called by `cli/serve`, `cli/complete` and
//! `cli/demo`; the server sees it as [`Host`].

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use serde_json::Value;
use sha2::Digest as _;

use crate::backend::llama_server::LlamaServer;
use crate::backend::ollama::{Ollama, OllamaOptions};
use crate::backend::openai::OpenAi;
use crate::backend::pool::{Devices, Pool};
use crate::backend::{Backend, Limits};
use crate::config::{
    self, BackendKind, BackendSettings, Candidate, Environment, Role, Settings, Sources, edit,
};
use crate::inline::Gate;
use crate::router::Choices;
use crate::router::calibrate::Calibration;
use crate::running::{self, Announcement, Running};
use crate::server::{Host, Stamp};

mod speeds;

/// This machine, for one process.
#[derive(Debug, Default)]
pub struct LocalHost {
    /// Backends with the settings they were built from, as long as somebody uses them: a reload, or another
    /// folder with the same settings, gets the same, and with them loaded weights and open connections.
    built: Mutex<Vec<Built>>,
    /// The machines of the backends: those on one machine share its devices.
    devices: Devices,
    /// This process's status file, once something was announced.
    announcement: Mutex<Option<Announcement>>,
    /// What is known of the speeds of this machine's backends.
    calibration: OnceLock<Arc<Calibration>>,
    /// GGUF files that candidates name. A workspace's file names none: its trust rules refuse paths.
    files: Arc<Mutex<Vec<PathBuf>>>,
}

type Built = (String, BackendSettings, Weak<dyn Backend>);

impl LocalHost {
    /// Nothing is read or built yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The settings and choices of the workspace around the current folder, with what is wrong in
    /// them, in words: for the command line.
    ///
    /// # Errors
    /// The current folder is unknown.
    pub fn here(&self) -> std::io::Result<(Settings, Choices, Vec<String>)> {
        let here = std::env::current_dir()?;
        let root = config::workspace_root(&here).to_owned();
        let (settings, mut problems) = self.settings(Some(&root), None);
        let (choices, more) = self.choices(&settings);
        problems.extend(more);
        Ok((settings, choices, problems))
    }
}

impl Host for LocalHost {
    fn settings(&self, folder: Option<&Path>, editor: Option<&Value>) -> (Settings, Vec<String>) {
        let environment = Environment::of_process();
        let sources = Sources::read(folder, &environment, editor.cloned());
        let resolved = config::resolve(&sources);
        let said = [resolved.problem_message(), resolved.ignored_message()];
        (resolved.settings, said.into_iter().flatten().collect())
    }

    fn choices(&self, settings: &Settings) -> (Choices, Vec<String>) {
        {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            files.extend(files_of(settings));
            files.sort();
            files.dedup();
        }
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        built.retain(|(_, _, backend)| backend.strong_count() > 0);
        let mut kept = Vec::new();
        let mut problems = Vec::new();
        for (name, settings) in &settings.backends {
            let is_it = |built: &&Built| built.0 == *name && built.1 == *settings;
            let known = built.iter().find(is_it);
            if let Some(backend) = known.and_then(|(_, _, backend)| backend.upgrade()) {
                kept.push((settings.clone(), backend));
                continue;
            }
            match build(name, settings, &self.files, &self.devices) {
                Ok(backend) => {
                    let used = Arc::downgrade(&backend);
                    built.push((name.clone(), settings.clone(), used));
                    kept.push((settings.clone(), backend));
                }
                Err(problem) => problems.push(problem),
            }
        }
        // The engine in this process is the last resort, whatever its name sorts like.
        kept.sort_by_key(|(settings, _)| settings.kind == BackendKind::Embedded);
        let backends = kept.into_iter().map(|(_, backend)| backend).collect();
        let candidates = settings
            .roles
            .iter()
            .map(|(&role, r)| (role, r.candidates.clone()))
            .collect();
        (
            Choices {
                backends,
                candidates,
                addresses: speeds::addresses(settings),
                elsewhere: speeds::elsewhere(settings),
                calibration: Some(self.calibration.get_or_init(speeds::calibration).clone()),
            },
            problems,
        )
    }

    fn stamp(&self, folders: &[PathBuf]) -> Vec<Stamp> {
        let environment = Environment::of_process();
        let outside = config::files(None, &environment).into_iter();
        let inside = folders
            .iter()
            .flat_map(|f| config::files(Some(f), &environment));
        let files: BTreeSet<PathBuf> = outside.chain(inside).collect();
        let stamp = |file: &PathBuf| {
            let found = std::fs::metadata(file).ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        files.iter().map(stamp).collect()
    }

    fn choose(&self, role: Role, candidate: &Candidate) -> Result<PathBuf, String> {
        let path = Environment::of_process()
            .user_file()
            .map_err(|problem| problem.to_string())?
            .ok_or("this user has no home folder; set GHOSTLINE_CONFIG to a file")?;
        let edited = edit::read_file(&path)
            .and_then(|text| edit::with_first_choice(&text, &path, role, candidate))
            .and_then(|edited| edit::replace_file(&path, &edited));
        // With what the system said.
        let words = |error: edit::EditError| format!("{:#}", anyhow::Error::from(error));
        edited.map(|()| path).map_err(words)
    }

    fn chats_folder(&self, folders: &[PathBuf]) -> Option<PathBuf> {
        let chats = cache_folder()?.join("chats");
        let Some(folder) = folders.first() else {
            return Some(chats.join("without-folder"));
        };
        // Two folders of one name are two workspaces.
        let digest = sha2::Sha256::digest(folder.as_os_str().as_encoded_bytes());
        let digest = digest.iter().take(6).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let name = folder.file_name().map(|name| name.to_string_lossy());
        Some(chats.join(format!("{}-{digest}", name.unwrap_or_default())))
    }

    fn answers_folder(&self) -> Option<PathBuf> {
        Some(cache_folder()?.join("answers"))
    }

    fn announce(&self, running: &Running) {
        let mut announcement = self
            .announcement
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let said = match (&*announcement, running::folder()) {
            (Some(own), _) => own.say(running),
            (None, Some(folder)) => Announcement::begin(&folder).and_then(|own| {
                let said = own.say(running);
                *announcement = Some(own);
                said
            }),
            (None, None) => Ok(()),
        };
        if let Err(error) = said {
            tracing::debug!(%error, "`ghostline doctor` will not see this server");
        }
    }

    fn index_dir(&self) -> Option<PathBuf> {
        crate::index::Index::default_dir()
    }

    fn stored_gate(&self) -> Gate {
        let stored = gate_file().and_then(|path| std::fs::read_to_string(path).ok());
        stored
            .map(|text| Gate::from_json(&text))
            .unwrap_or_default()
    }

    fn store_gate(&self, gate: &Gate) {
        let stored = gate_file().map(|path| {
            let folder = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(folder)?;
            // Written aside and renamed: another editor may be reading it.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer(&mut file, gate)?;
            file.persist(&path).map_err(|error| error.error)?;
            std::io::Result::Ok(())
        });
        if let Some(Err(error)) = stored {
            tracing::warn!(%error, "what was learned of accepted completions could not be kept");
        }
    }
}

/// Where the gate is kept: beside the models, in the user's cache.
fn gate_file() -> Option<PathBuf> {
    Some(cache_folder()?.join("gate.json"))
}

/// The user's cache: models, and what is kept beside them.
pub fn cache_folder() -> Option<PathBuf> {
    let models = crate::models::Store::open_default().ok()?;
    Some(models.dir().parent()?.to_owned())
}

/// The GGUF files that the settings name as models of the embedded engine: `embedded/` and an absolute path.
fn files_of(settings: &Settings) -> Vec<PathBuf> {
    let is_embedded = |name: &str| {
        let backend = settings.backends.get(name);
        backend.is_some_and(|backend| backend.kind == BackendKind::Embedded)
    };
    let candidates = settings.roles.values().flat_map(|role| &role.candidates);
    let mut files: Vec<_> = candidates
        .filter(|candidate| candidate.backend.as_deref().is_some_and(is_embedded))
        .map(|candidate| PathBuf::from(&candidate.model))
        .filter(|path| path.is_absolute())
        .collect();
    files.sort();
    files.dedup();
    files
}

type Files = Arc<Mutex<Vec<PathBuf>>>;

fn build(
    name: &str,
    settings: &BackendSettings,
    files: &Files,
    devices: &Devices,
) -> Result<Arc<dyn Backend>, String> {
    if settings.kind == BackendKind::Embedded {
        return embedded(name, settings, files, devices);
    }
    let several = settings.urls.len() > 1;
    let members = settings.urls.iter().enumerate().map(|(index, url)| {
        // Errors say which one, without its address.
        let member = if several {
            format!("{name}#{}", index + 1)
        } else {
            name.to_owned()
        };
        endpoint(&member, url, settings).map_err(|error| format!("backends.{name}: {error}"))
    });
    let pool = Pool::new(name, members.collect::<Result<_, _>>()?);
    let pool = pool.ok_or_else(|| format!("backends.{name} has no address; set `urls`"))?;
    let at = settings.urls.iter().map(|url| devices.at(url)).collect();
    let batches = settings.kind == BackendKind::Openai;
    Ok(Arc::new(pool.on_devices(at, batches)))
}

/// One server.
fn endpoint(
    name: &str,
    url: &str,
    settings: &BackendSettings,
) -> Result<Arc<dyn Backend>, Box<dyn std::error::Error>> {
    let limits = Limits::default();
    Ok(match settings.kind {
        BackendKind::LlamaServer => Arc::new(LlamaServer::new(name, url, key(settings), limits)?),
        BackendKind::Openai => Arc::new(OpenAi::new(name, url, key(settings), limits)?),
        BackendKind::Ollama | BackendKind::Embedded => {
            Arc::new(Ollama::new(name, url, OllamaOptions::default())?)
        }
    })
}

/// The key, read from the environment; none where the variable is not set. Settings that a workspace
/// may not change name the variable.
fn key(settings: &BackendSettings) -> Option<String> {
    let variable = settings.api_key_env.as_ref()?;
    std::env::var(variable).ok().filter(|key| !key.is_empty())
}

#[cfg(feature = "embedded")]
fn embedded(
    name: &str,
    settings: &BackendSettings,
    files: &Files,
    devices: &Devices,
) -> Result<Arc<dyn Backend>, String> {
    use crate::backend::embedded::{Embedded, EmbeddedModel, EngineOptions};
    use crate::models::Store;

    let store = Store::open_default().map_err(|error| format!("backends.{name}: {error}"))?;
    // Beside the models, in the user's cache.
    let state_dir = store.dir().parent().map(|cache| cache.join("prompts"));
    let installed = move || {
        let models = store.installed().into_iter();
        let model = |(model, path): (&crate::models::Model, PathBuf)| EmbeddedModel {
            name: model.name.to_owned(),
            path,
            digest: Some(model.sha256.to_owned()),
        };
        let named = store.named().into_iter().map(|named| EmbeddedModel {
            name: named.name,
            path: named.path,
            digest: Some(named.sha256),
        });
        models.map(model).chain(named).collect()
    };
    let options = EngineOptions {
        threads: settings.threads,
        state_dir,
        ..EngineOptions::default()
    };
    let installed = with_others(installed, Arc::clone(files));
    let engine = Embedded::new(name, installed, options);
    Ok(Arc::new(engine.on_device(devices.here())))
}

/// Adds what an Ollama on this machine has fetched, and the files that candidates name.
#[cfg(feature = "embedded")]
fn with_others(
    own: impl Fn() -> Vec<crate::backend::embedded::EmbeddedModel> + Send + Sync + 'static,
    files: Files,
) -> impl Fn() -> Vec<crate::backend::embedded::EmbeddedModel> + Send + Sync + 'static {
    use crate::backend::embedded::EmbeddedModel;

    move || {
        let of_ollama = crate::models::ollama_models();
        let of_ollama = of_ollama.into_iter().map(|model| EmbeddedModel {
            name: model.name,
            path: model.path,
            digest: Some(model.sha256),
        });
        let files = files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let named = files.into_iter().map(|path| EmbeddedModel {
            name: path.to_string_lossy().into_owned(),
            path,
            digest: None,
        });
        own().into_iter().chain(of_ollama).chain(named).collect()
    }
}

#[cfg(not(feature = "embedded"))]
fn embedded(
    name: &str,
    _: &BackendSettings,
    _: &Files,
    _: &Devices,
) -> Result<Arc<dyn Backend>, String> {
    Err(format!(
        "backends.{name}: this ghostline was built without the feature `embedded`"
    ))
}
