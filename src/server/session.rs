//! What the handlers of one client share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tower_lsp::Client;
use tower_lsp::gen_lsp_types::InitializeParams;

use super::abilities::Abilities;
use super::model_commands;
use super::news::{Listening, News};
use super::progress::{Running as InProgress, shows_progress};
pub(super) use super::scopes::path_of;
use super::scopes::{Place, Read, Scopes, folders};
use super::transport::Outbox;
use super::{announce, search, settings_watch, status};
use crate::chat::Chats;
use crate::config::{Candidate, Role, Settings};
use crate::document::position::Encoding;
use crate::document::{Document, Store};
use crate::index::Index;
use crate::inline::{Engine, Gate, Skip};
use crate::metrics::{Metrics, ms};
use crate::router::{Choices, Router};
use crate::running::Running;

/// What the server needs from outside: settings and backends. Tests give their own.
pub trait Host: Send + Sync + std::fmt::Debug {
    /// The settings for this workspace folder, or for files outside all folders, and the editor's own
    /// object, with what is wrong in them, in words.
    fn settings(&self, folder: Option<&Path>, editor: Option<&Value>) -> (Settings, Vec<String>);

    /// The backends and candidates of these settings, with what is wrong in them, in words.
    fn choices(&self, settings: &Settings) -> (Choices, Vec<String>);

    /// What was learned in earlier sessions of which completions are accepted.
    fn stored_gate(&self) -> Gate;

    /// Keeps what was learned for later sessions.
    fn store_gate(&self, gate: &Gate);

    /// Changes with every change of the files that the settings are read from. Cheap; may block.
    fn stamp(&self, _folders: &[PathBuf]) -> Vec<Stamp> {
        Vec::new()
    }

    /// Where the conversations of this workspace are kept; `None` where nothing can be.
    fn chats_folder(&self, _folders: &[PathBuf]) -> Option<PathBuf> {
        None
    }

    /// Where answers are put that a client shows as files; `None` where nothing can be.
    fn answers_folder(&self) -> Option<PathBuf> {
        None
    }

    /// Tells other programs on this machine what this server uses. May block.
    fn announce(&self, _running: &Running) {}

    /// Where the indexes of workspaces are kept; nothing where none is to be made.
    fn index_dir(&self) -> Option<PathBuf> {
        None
    }

    /// Makes `candidate` the first choice of `role` in the user's settings; answers the file.
    ///
    /// # Errors
    /// Why not, in words.
    fn choose(&self, _role: Role, _candidate: &Candidate) -> Result<PathBuf, String> {
        Err("settings cannot be written here".to_owned())
    }
}

/// When a file was changed and how long it is; nothing when there is none.
pub type Stamp = Option<(std::time::SystemTime, u64)>;

/// What `initialize` told and what has been built from it. Lives as long as the conversation.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) store: Store,
    /// Of the first folder and those with the same settings.
    pub(super) engine: Arc<Engine>,
    pub(super) router: Arc<Router>,
    /// What can be cancelled by its progress.
    pub(super) running: InProgress,
    pub(super) chats: Chats,
    pub(super) abilities: Abilities,
    /// Of all others.
    pub(super) scopes: Scopes,
    /// Where the document asked about last is: the status is of its models.
    pub(super) place: watch::Sender<Place>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) host: Arc<dyn Host>,
    pub(super) index: Arc<Index>,
    settings: ArcSwap<Settings>,
    encoding: Encoding,
    /// What the client calls itself.
    pub(super) client_name: Option<String>,
    outbox: Outbox,
    client: Client,
    /// Whether the client shows progress that we begin.
    shows_progress: bool,
    /// Numbers the tokens of our own progress.
    progress_number: AtomicU64,
    /// Folders and the editor's settings. A std mutex: held for a copy, never across an await.
    sources: Mutex<Sources>,
    /// The document asked about last, where it is kept out of prompts: said once, not per key.
    kept_out: watch::Sender<Option<(Arc<str>, Skip)>>,
    gate_at_start: Gate,
    /// What engines tell of by themselves; taken once, by [`Session::start`].
    news: Mutex<News>,
    /// What the client listens to.
    pub(super) listening: Listening,
    /// Ends with the session: the router's checks and the status notifications.
    background: Mutex<Vec<AbortHandle>>,
}

#[derive(Debug, Clone, Default)]
struct Sources {
    folders: Vec<PathBuf>,
    editor: Option<Value>,
    /// What was said about wrong settings last, so that it is said once.
    said: Vec<String>,
}

impl Drop for Session {
    fn drop(&mut self) {
        let gate = self.engine.gate();
        if gate != self.gate_at_start {
            self.host.store_gate(&gate);
        }
        let handles = self
            .background
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        handles.iter().for_each(AbortHandle::abort);
    }
}

impl Session {
    /// Builds everything that needs no waiting: nothing is asked and nothing loaded yet.
    pub(super) fn new(
        host: Arc<dyn Host>,
        client: Client,
        outbox: Outbox,
        params: &InitializeParams,
    ) -> Arc<Self> {
        let offered = params.capabilities.general.as_ref();
        let offered = offered.and_then(|g| g.position_encodings.as_deref());
        let sources = Sources {
            folders: folders(params),
            // Without any, the environment does not speak for the editor.
            editor: Some(params.initialization_options.clone().unwrap_or_default()),
            said: Vec::new(),
        };
        let mut read = Read::all(host.as_ref(), &sources.folders, sources.editor.as_ref());
        let (choices, more) = host.choices(&read.first);
        read.problems.extend(more);
        let settings = Arc::new(read.first.clone());
        let router = Router::new(choices);
        let metrics = Arc::<Metrics>::default();
        let engine = Engine::new(router.clone(), settings.clone(), metrics.clone());
        let (listening, news) = News::of(params);
        let engine = Arc::new(listening.heard_from(engine));
        let gate_at_start = host.stored_gate();
        engine.set_gate(gate_at_start.clone());
        let index = Arc::new(Index::new(
            router.clone(),
            &sources.folders,
            &settings,
            host.index_dir(),
        ));
        let chats = Chats::new(router.clone(), host.chats_folder(&sources.folders))
            .with_searcher(index.clone());
        let session = Arc::new(Self {
            index,
            store: Store::default(),
            engine,
            router,
            scopes: Scopes::default(),
            place: watch::Sender::new(Place::First),
            metrics,
            host,
            settings: ArcSwap::new(settings),
            encoding: Encoding::negotiate(offered),
            client_name: params.client_info.as_ref().map(|info| info.name.clone()),
            outbox,
            client,
            shows_progress: shows_progress(params),
            progress_number: AtomicU64::new(0),
            running: InProgress::default(),
            chats,
            abilities: Abilities::of(&params.capabilities),
            sources: Mutex::new(sources),
            kept_out: watch::Sender::default(),
            gate_at_start,
            news: Mutex::new(news),
            listening,
            background: Mutex::default(),
        });
        session.adopt(&read);
        session.say(&read.problems);
        session
    }

    /// Starts what runs beside the handlers.
    pub(super) fn start(self: &Arc<Self>) {
        let checks = tokio::spawn(self.router.clone().run_calibrating());
        let notices = tokio::spawn(status::tell(
            self.router.subscribe(),
            self.kept_out.subscribe(),
            self.place.subscribe(),
            Arc::downgrade(self),
        ));
        let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
        let offering = model_commands::offer(Arc::downgrade(self), self.router.subscribe());
        let offering = tokio::spawn(offering);
        let progress = tokio::spawn(search::begin(self));
        let watching = tokio::spawn(settings_watch::watch(Arc::downgrade(self)));
        let announcing = tokio::spawn(announce::keep(Arc::downgrade(self)));
        let forwarding = tokio::spawn(news.forward(self.outbox.clone(), self.encoding));
        let mut background = self
            .background
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        background.extend(
            [
                checks, notices, forwarding, offering, watching, announcing, progress,
            ]
            .map(|task| task.abort_handle()),
        );
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The backends and candidates as they are now.
    pub(super) fn choices(&self) -> Choices {
        self.host.choices(&self.settings()).0
    }

    /// Writes a choice of model to the user's settings.
    pub(super) fn choose(&self, role: Role, candidate: &Candidate) -> Result<PathBuf, String> {
        self.host.choose(role, candidate)
    }

    /// Looks at the files of the settings, away from this thread.
    pub(super) fn stamp(&self) -> impl Future<Output = Vec<Stamp>> + use<> {
        let (host, folders) = (self.host.clone(), self.sources().folders.clone());
        let look = tokio::task::spawn_blocking(move || host.stamp(&folders));
        async move { look.await.unwrap_or_default() }
    }

    /// A token for progress that we begin, where the client shows it.
    pub(super) async fn new_progress(&self) -> Option<Value> {
        if !self.shows_progress {
            return None;
        }
        let number = self.progress_number.fetch_add(1, Ordering::Relaxed);
        model_commands::new_progress(&self.client, number).await
    }

    /// Where answers are put that the client shows as files.
    pub(super) fn answers_folder(&self) -> Option<PathBuf> {
        self.host.answers_folder()
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// `ghostline/metrics`; `reset` names what begins anew.
    pub(super) fn metrics(&self, params: &Value) -> Value {
        let reset = params.get("reset").and_then(Value::as_array);
        if reset.is_some_and(|names| names.iter().any(|name| name == "gate")) {
            self.engine.set_gate(Gate::default());
        }
        let mut metrics = self.metrics.to_json();
        let roles = self.router.route(Role::Completion);
        let busy = roles.route().and_then(|route| route.backend.busy());
        metrics["busyMs"] = json!(busy.map(ms));
        let gate = self.engine.gate();
        metrics["gate"] = json!({
            "on": gate.is_on(),
            "accepted": gate.accepted,
            "rejected": gate.rejected,
            "heldBack": gate.held_back,
        });
        metrics
    }

    /// How the roles stand for the document asked about last.
    pub(super) fn status(&self) -> Value {
        let kept_out = self.kept_out.borrow().as_ref().map(|(_, skip)| *skip);
        let (engine, router) = self.shown();
        let roles = router.subscribe();
        let roles = roles.borrow();
        let status = status::status(&roles, kept_out, engine.is_busy());
        search::with_index(status, &self.index.status())
    }

    /// A document is gone: nothing more is said of it.
    pub(super) fn closed(&self, uri: &str) {
        self.kept_out
            .send_if_modified(|last| last.take_if(|(of, _)| of.as_ref() == uri).is_some());
    }

    /// A completion is asked for in `document`: the status tells whether it is kept out of prompts.
    pub(super) fn asked_in(&self, document: &Document) {
        let place = self.scopes.place(&document.uri);
        self.place.send_if_modified(|last| {
            let news = *last != place;
            *last = place;
            news
        });
        let now = self
            .engine_of(&document.uri)
            .kept_out(&document.uri)
            .map(|skip| (document.uri.clone(), skip));
        self.kept_out.send_if_modified(|last| {
            let news = *last != now;
            *last = now;
            news
        });
    }

    /// `workspace/didChangeConfiguration`.
    pub(super) fn editor_settings_changed(&self, editor: Value) {
        self.sources().editor = Some(editor);
        self.reload();
    }

    /// `workspace/didChangeWorkspaceFolders`.
    pub(super) fn folders_changed(&self, added: Vec<PathBuf>, removed: &[PathBuf]) {
        {
            let mut sources = self.sources();
            sources.folders.retain(|f| !removed.contains(f));
            sources.folders.extend(added);
        }
        self.reload();
    }

    /// Reads the settings anew and lets every part that they touch know.
    pub(super) fn reload(&self) {
        let sources = self.sources().clone();
        let editor = sources.editor.as_ref();
        let mut read = Read::all(self.host.as_ref(), &sources.folders, editor);
        let settings = Arc::new(read.first.clone());
        let old = self.settings.swap(settings.clone());
        if settings.roles != old.roles || settings.backends != old.backends {
            let (choices, more) = self.host.choices(&settings);
            read.problems.extend(more);
            self.router.reconfigure(choices);
        }
        self.index.reconfigure(&sources.folders, &settings);
        self.engine.set_settings(settings);
        self.adopt(&read);
        self.say(&read.problems);
    }

    /// Says what is wrong with the settings, in one message, once.
    fn say(&self, problems: &[String]) {
        let said = std::mem::replace(&mut self.sources().said, problems.to_owned());
        if said == problems || problems.is_empty() {
            return;
        }
        let message = format!("ghostline settings:\n{}", problems.join("\n"));
        // MessageType.Warning is 2.
        self.outbox.notify(
            "window/showMessage",
            &json!({ "type": 2, "message": message }),
        );
    }

    /// The workspace folders as the client tells them.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        self.sources().folders.clone()
    }

    fn sources(&self) -> std::sync::MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
