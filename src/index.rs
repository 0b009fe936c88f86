//! Semantic search over the workspace: by words and by meaning, kept up to date in the background.
//!
//! [`Index::search`] answers a question with places in files, [`Index::passages`] with texts for a prompt.
//! Files are cut up by their syntax (`chunk`), their words counted (`words`, `bm25`), their texts embedded by
//! the router's embedding role (`keeper`, `text`, `vectors`); two rankings become one (`rank`). All of it is
//! kept in one file for each workspace folder (`store`), under the hashes of the texts.
//!
//! Called by `server`, `chat` and the command line. Invariants: a file that no model may see is not indexed;
//! without a model words alone are searched, and the answer says so; a search waits for no indexing; nothing
//! here runs on the thread that serves keys.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::backend::{EmbedRequest, Priority};
use crate::config::{Role, Settings};
use crate::router::{RoleState, Router};

#[cfg(test)]
mod tests;

pub mod bench;
mod bm25;
mod chunk;
mod corpus;
mod files;
mod hits;
mod keeper;
mod rank;
mod refresh;
mod shared;
mod status;
mod store;
mod text;
mod vectors;
mod words;

use refresh::Workspace;
use shared::{Shared, Todo};
pub use status::{Phase, Status};
pub use store::StoreError;
use text::Manner;

/// How long a question may take to be embedded: the model may have to be loaded first.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(20);

/// A place that answers a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The file.
    pub path: PathBuf,
    /// The same within its workspace folder, with `/`.
    pub shown_path: String,
    /// Lines, from 0.
    pub lines: Range<u32>,
    /// From 0 to 1: 1 is first by every measure.
    pub score: f32,
    /// Its text, without secrets.
    pub text: String,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The best first.
    pub hits: Vec<Hit>,
    /// What a person should know of how it was found: by words alone, or in a part of the files.
    pub note: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// Nothing is indexed here.
    #[error(
        "nothing is indexed here; open a folder, and see `index.enabled` in `ghostline config --origin`"
    )]
    Off,
    /// Nothing to look for.
    #[error("the question is empty; say what to look for")]
    Empty,
    /// The index cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The index of a workspace. Cheap to share; its task ends with it.
#[derive(Debug)]
pub struct Index {
    shared: Arc<Shared>,
    /// Where indexes are kept; nothing where there is none.
    dir: Option<PathBuf>,
    task: OnceLock<AbortHandle>,
}

impl Drop for Index {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Index {
    /// The index of these folders, kept in `dir`; without `dir` there is none. Reads nothing yet.
    pub fn new(
        router: Arc<Router>,
        folders: &[PathBuf],
        settings: &Settings,
        dir: Option<PathBuf>,
    ) -> Self {
        let workspace = workspace(folders, settings, dir.as_deref());
        let shared = Shared {
            router,
            workspace: ArcSwap::from_pointee(workspace),
            corpus: RwLock::default(),
            todo: Mutex::new(Todo {
                load: true,
                all: true,
                ..Todo::default()
            }),
            woken: Notify::new(),
            sweep: AtomicBool::new(true),
            status: watch::Sender::default(),
            typed_at: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            dir,
            task: OnceLock::new(),
        }
    }

    /// Where the indexes of this user are kept: beside the models.
    pub fn default_dir() -> Option<PathBuf> {
        let models = crate::models::Store::open_default().ok()?;
        Some(models.dir().parent()?.join("index"))
    }

    /// Starts the background task, once; needs a runtime. Nothing where nothing is to be indexed.
    pub fn start(&self) {
        if self.is_on() {
            self.task
                .get_or_init(|| tokio::spawn(keeper::run(Arc::clone(&self.shared))).abort_handle());
        }
    }

    /// Brings the index up to the files once and takes what vectors there are, without the background task:
    /// for a command that asks and ends.
    ///
    /// # Errors
    /// The index on the disk cannot be used.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        if self.is_on() {
            keeper::catch_up(&self.shared).await?;
        }
        Ok(())
    }

    /// What serves the embedding role.
    pub fn embedding(&self) -> RoleState {
        self.shared.router.route(Role::Embedding)
    }

    /// Folders or settings may have changed.
    pub fn reconfigure(&self, folders: &[PathBuf], settings: &Settings) {
        let changed = workspace_folders(folders, settings, self.dir.as_deref());
        if !self.shared.workspace.load().differs(&changed, settings) {
            return;
        }
        self.shared
            .workspace
            .store(Arc::new(workspace(folders, settings, self.dir.as_deref())));
        self.shared
            .later(|todo| (todo.load, todo.all) = (true, true));
        let was_running = self.task.get().is_some();
        if !was_running && tokio::runtime::Handle::try_current().is_ok() {
            self.start();
        }
    }

    /// Files that were saved, created or removed.
    pub fn changed(&self, paths: impl IntoIterator<Item = PathBuf>) {
        let folders = &self.shared.workspace.load().folders.clone();
        let inside: Vec<_> = paths
            .into_iter()
            .filter(|p| folders.iter().any(|f| p.starts_with(f)))
            .collect();
        if inside.is_empty() {
            return;
        }
        self.shared.later(|todo| {
            todo.paths.extend(inside);
            if todo.paths.len() > shared::MANY_PATHS {
                todo.all = true;
                todo.paths.clear();
            }
        });
    }

    /// Looks at every file again, soon: ignore files changed.
    pub fn look_again(&self) {
        self.shared.later(|todo| todo.all = true);
    }

    /// Cuts every file up anew; vectors of texts that stay the same stay.
    pub fn reindex(&self) {
        self.shared.sweep.store(true, Ordering::Relaxed);
        self.shared
            .later(|todo| (todo.anew, todo.all) = (true, true));
    }

    /// Somebody types: no batch is begun for a while. Costs a lock that nobody holds.
    pub fn typed(&self) {
        let mut at = self
            .shared
            .typed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *at = Some(Instant::now());
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        self.shared.status.borrow().clone()
    }

    /// Follows how it stands.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// The files in which it is kept.
    pub fn stored_in(&self) -> Vec<PathBuf> {
        let workspace = self.shared.workspace.load();
        workspace
            .stores
            .iter()
            .map(|store| store.path().to_owned())
            .collect()
    }

    /// Whether anything is to be indexed.
    pub fn is_on(&self) -> bool {
        !self.shared.workspace.load().folders.is_empty()
    }

    /// The `limit` places that answer `query` best. While files are still indexed it answers from those
    /// that are; where nothing embeds, by words alone; both are in [`Answer::note`].
    ///
    /// # Errors
    /// See [`SearchError`].
    pub async fn search(&self, query: &str, limit: usize) -> Result<Answer, SearchError> {
        if !self.is_on() {
            return Err(SearchError::Off);
        }
        if query.trim().is_empty() {
            return Err(SearchError::Empty);
        }
        let (vector, problem) = match self.question(query).await {
            Ok(vector) => (Some(vector), None),
            Err(why) => (None, Some(why)),
        };
        let (shared, query) = (Arc::clone(&self.shared), query.to_owned());
        let found =
            tokio::task::spawn_blocking(move || shared.find(&query, vector.as_ref(), limit)).await;
        let (hits, stale) = found.unwrap_or_default();
        // What was found to be out of date is looked at again.
        self.changed(stale);
        let status = self.status();
        let part = matches!(status.phase, Phase::Reading).then(|| status.sentence());
        let note = [problem, part]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("; ");
        Ok(Answer {
            hits,
            note: (!note.is_empty()).then_some(note),
        })
    }

    /// Texts for a prompt about `query`: the best that fit in `budget_tokens`, estimated like
    /// [`BYTES_PER_TOKEN`](crate::prompt::BYTES_PER_TOKEN), their paths included. Each is cited by its
    /// path and lines.
    ///
    /// # Errors
    /// See [`SearchError`].
    pub async fn passages(&self, query: &str, budget_tokens: usize) -> Result<Answer, SearchError> {
        /// More places than this dilute a prompt.
        const MOST: usize = 24;
        let mut answer = self.search(query, MOST).await?;
        let mut left = budget_tokens;
        answer.hits.retain(|hit| {
            let tokens = (hit.shown_path.len() + hit.text.len())
                .div_ceil(crate::prompt::BYTES_PER_TOKEN)
                + 8;
            let fits = tokens <= left;
            left -= if fits { tokens } else { 0 };
            fits
        });
        Ok(answer)
    }

    /// The question's vector with its model's name; or why there is none.
    async fn question(&self, query: &str) -> Result<(Arc<str>, Vec<f32>), String> {
        const WORDS_ALONE: &str = "found by words alone";
        if !self.shared.workspace.load().settings.embed {
            return Err(format!("{WORDS_ALONE}: `index.embed` is off"));
        }
        let route = match self.shared.router.route(Role::Embedding) {
            RoleState::Ready(route) if route.backend.capabilities().embedding => route,
            _ => {
                return Err(format!(
                    "{WORDS_ALONE}: no embedding model; `ollama pull nomic-embed-text` gets one"
                ));
            }
        };
        if self.status().embedded == 0 {
            return Err(format!("{WORDS_ALONE}: no text is embedded yet"));
        }
        let _at_work = self.shared.router.at_work();
        let asked = route.backend.embed(EmbedRequest {
            model: route.model.clone(),
            texts: vec![Manner::of(&route.model).query(query)],
            priority: Priority::Chat,
        });
        let mut embedded = match timeout(QUESTION_TIMEOUT, asked).await {
            Ok(Ok(embedded)) => embedded.vectors,
            Ok(Err(error)) => return Err(format!("{WORDS_ALONE}: {error}")),
            Err(_) => return Err(format!("{WORDS_ALONE}: {} took too long", route.model)),
        };
        let vector = embedded
            .pop()
            .ok_or_else(|| format!("{WORDS_ALONE}: no vector came"))?;
        Ok((route.model.as_str().into(), vector))
    }
}

/// The folders that are indexed: none when it is switched off, and none that is a whole home or disk.
fn workspace_folders(folders: &[PathBuf], settings: &Settings, dir: Option<&Path>) -> Vec<PathBuf> {
    let home = etcetera::home_dir().ok();
    let too_much = |folder: &PathBuf| folder.parent().is_none() || Some(folder) == home.as_ref();
    let on = settings.index.enabled && dir.is_some();
    let wanted = folders.iter().filter(|folder| on && !too_much(folder));
    wanted.cloned().collect()
}

fn workspace(folders: &[PathBuf], settings: &Settings, dir: Option<&Path>) -> Workspace {
    let folders = workspace_folders(folders, settings, dir);
    Workspace::new(&folders, settings, dir.unwrap_or(Path::new("")))
}
