//! Workspace folders whose settings differ from the first one's, and files outside all folders.
//!
//! What one folder's files say, and what it is trusted with, holds for that folder alone. The session has
//! an engine and a router for the first folder and for all with the same settings; every other set of
//! settings is a scope with an engine and a router of its own, which asks and loads nothing before a
//! document in it is opened. Backends with the same settings are one, whoever uses them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use serde_json::Value;
use tokio::task::{AbortHandle, JoinHandle};
use tower_lsp::gen_lsp_types::{InitializeParams, WorkspaceFolders};

use super::session::{Host, Session};
use super::status;
use crate::config::Settings;
use crate::inline::Engine;
use crate::router::Router;

/// Which of the scopes a document is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The first folder, or one with the same settings.
    First,
    /// The scope of that number.
    Other(usize),
}

/// One set of settings.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) settings: Arc<Settings>,
    pub(super) engine: Arc<Engine>,
    pub(super) router: Arc<Router>,
    /// The router's checks and whoever follows them, once something in the scope was opened.
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Scope {
    fn tasks(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to ask the backends; true the first time.
    pub(super) fn start(&self) -> bool {
        let mut tasks = self.tasks();
        let is_first = tasks.is_empty();
        if is_first {
            tasks.push(tokio::spawn(self.router.clone().run_calibrating()).abort_handle());
        }
        is_first
    }

    /// Ends the task with the scope.
    pub(super) fn keep(&self, task: &JoinHandle<()>) {
        self.tasks().push(task.abort_handle());
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.tasks().iter().for_each(AbortHandle::abort);
    }
}

/// All scopes but the first folder's.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    now: ArcSwap<Now>,
    /// Scopes ever made: each numbers its completions apart from all others.
    made: AtomicUsize,
}

#[derive(Debug, Default)]
struct Now {
    others: Vec<Arc<Scope>>,
    /// Folders and where they are, the longest path first.
    folders: Vec<(PathBuf, Place)>,
    /// Where files outside all folders are.
    outside: Option<Place>,
    /// Documents that were looked up.
    known: DashMap<String, Place>,
}

/// The settings that hold in each place, as they are read now.
pub(super) struct Read {
    /// The first folder's, or of no folder where there is none.
    pub(super) first: Settings,
    /// Settings that differ from those, with their folders.
    others: Vec<(Settings, Vec<PathBuf>)>,
    /// The folders that share the first one's settings.
    pub(super) first_folders: Vec<PathBuf>,
    /// Which of `others` holds outside all folders; the first one's where none does.
    outside: Option<usize>,
    /// What is wrong with any of them, each said once.
    pub(super) problems: Vec<String>,
}

impl Read {
    /// Reads the settings of every folder. Blocking, as the host is.
    pub(super) fn all(host: &dyn Host, folders: &[PathBuf], editor: Option<&Value>) -> Self {
        let (first, problems) = host.settings(folders.first().map(PathBuf::as_path), editor);
        let mut read = Self {
            first,
            others: Vec::new(),
            first_folders: folders.first().cloned().into_iter().collect(),
            outside: None,
            problems,
        };
        for folder in folders.iter().skip(1) {
            match read.place(host, Some(folder), editor) {
                None => read.first_folders.push(folder.clone()),
                Some(other) => read.others[other].1.push(folder.clone()),
            }
        }
        if !folders.is_empty() {
            read.outside = read.place(host, None, editor);
        }
        read
    }

    /// Where the settings of `folder` belong; nowhere else than the first one's when they are the same.
    fn place(
        &mut self,
        host: &dyn Host,
        folder: Option<&Path>,
        editor: Option<&Value>,
    ) -> Option<usize> {
        let (settings, problems) = host.settings(folder, editor);
        for problem in problems {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        if settings == self.first {
            return None;
        }
        let known = self.others.iter().position(|(other, _)| *other == settings);
        Some(known.unwrap_or_else(|| {
            self.others.push((settings, Vec::new()));
            self.others.len() - 1
        }))
    }
}

impl Scopes {
    /// Goes over to what was read. Scopes whose settings stay are kept as they are; `make` builds the
    /// others, with a number of their own.
    pub(super) fn adopt(
        &self,
        read: &Read,
        make: impl Fn(usize, Arc<Settings>) -> (Arc<Engine>, Arc<Router>),
    ) {
        let before = self.now.load();
        let mut now = Now {
            outside: read.outside.map(Place::Other),
            ..Now::default()
        };
        now.folders
            .extend(read.first_folders.iter().map(|f| (f.clone(), Place::First)));
        for (number, (settings, folders)) in read.others.iter().enumerate() {
            let kept = before
                .others
                .iter()
                .find(|scope| *scope.settings == *settings);
            let scope = kept.cloned().unwrap_or_else(|| {
                let settings = Arc::new(settings.clone());
                let apart = self.made.fetch_add(1, Ordering::Relaxed) + 1;
                let (engine, router) = make(apart, settings.clone());
                Arc::new(Scope {
                    settings,
                    engine,
                    router,
                    tasks: Mutex::default(),
                })
            });
            scope.engine.set_folders(folders);
            now.others.push(scope);
            now.folders
                .extend(folders.iter().map(|f| (f.clone(), Place::Other(number))));
        }
        now.folders
            .sort_by_key(|(folder, _)| std::cmp::Reverse(folder.as_os_str().len()));
        self.now.store(Arc::new(now));
    }

    /// Where the document is; a look-up after the first time.
    pub(super) fn place(&self, uri: &str) -> Place {
        let now = self.now.load();
        if now.others.is_empty() {
            return Place::First;
        }
        if let Some(place) = now.known.get(uri) {
            return *place;
        }
        let path = path_of(uri);
        let holds = |folder: &Path| path.as_ref().is_some_and(|path| path.starts_with(folder));
        let inside = now.folders.iter().find(|(folder, _)| holds(folder));
        let place = inside
            .map(|(_, place)| *place)
            .or(now.outside)
            .unwrap_or(Place::First);
        now.known.insert(uri.to_owned(), place);
        place
    }

    /// The scope at a place; `None` for the first folder's.
    pub(super) fn at(&self, place: Place) -> Option<Arc<Scope>> {
        match place {
            Place::First => None,
            Place::Other(number) => self.now.load().others.get(number).cloned(),
        }
    }

    /// The scope of a document; `None` for the first folder's.
    pub(super) fn of(&self, uri: &str) -> Option<Arc<Scope>> {
        self.at(self.place(uri))
    }

    /// The scope of a folder; `None` for the first folder's.
    pub(super) fn of_folder(&self, folder: &Path) -> Option<Arc<Scope>> {
        let now = self.now.load();
        let place = now.folders.iter().find(|(own, _)| own == folder)?.1;
        drop(now);
        self.at(place)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Scope>> {
        self.now.load().others.clone()
    }
}

impl Session {
    /// The engine for a document.
    pub(super) fn engine_of(&self, uri: &str) -> Arc<Engine> {
        let scope = self.scopes.of(uri);
        scope.map_or_else(|| self.engine.clone(), |scope| scope.engine.clone())
    }

    /// The router and the settings for a document; its backends are asked from now on.
    pub(super) fn asked_about(self: &Arc<Self>, uri: &str) -> (Arc<Router>, Arc<Settings>) {
        self.opened(uri);
        let scope = self.scopes.of(uri);
        scope.map_or_else(
            || (self.router.clone(), self.settings()),
            |scope| (scope.router.clone(), scope.settings.clone()),
        )
    }

    /// Asks all backends again soon: something was installed.
    pub(super) fn look_again(&self) {
        self.router.look_again();
        self.scopes
            .all()
            .iter()
            .for_each(|scope| scope.router.look_again());
    }

    /// The engine that made the completion `id`.
    pub(super) fn engine_that_made(&self, id: u64) -> Arc<Engine> {
        let scopes = self.scopes.all();
        let made = scopes.into_iter().find(|scope| scope.engine.has_made(id));
        made.map_or_else(|| self.engine.clone(), |scope| scope.engine.clone())
    }

    /// A document is opened: its folder's backends are asked from now on.
    pub(super) fn opened(self: &Arc<Self>, uri: &str) {
        if let Some(scope) = self.scopes.of(uri)
            && scope.start()
        {
            let follow = status::follow(scope.router.clone(), Arc::downgrade(self));
            scope.keep(&tokio::spawn(follow));
        }
    }

    /// Engine and router of the document asked about last.
    pub(super) fn shown(&self) -> (Arc<Engine>, Arc<Router>) {
        let scope = self.scopes.at(*self.place.borrow());
        scope.map_or_else(
            || (self.engine.clone(), self.router.clone()),
            |scope| (scope.engine.clone(), scope.router.clone()),
        )
    }

    /// Gives each folder the engine for its settings.
    pub(super) fn adopt(&self, read: &Read) {
        self.engine.set_folders(&read.first_folders);
        self.scopes.adopt(read, |number, settings| {
            let router = Router::new(self.host.choices(&settings).0);
            let engine = Engine::new(router.clone(), settings, self.metrics.clone());
            let engine = self.listening.heard_from(engine).numbered_apart(number);
            engine.set_gate(self.engine.gate());
            (Arc::new(engine), router)
        });
        // Numbers of places are new ones; the next request tells.
        self.place
            .send_if_modified(|place| std::mem::replace(place, Place::First) != Place::First);
    }
}

/// The workspace folders that `initialize` tells.
#[expect(deprecated, reason = "older clients send nothing but `rootUri`")]
pub(super) fn folders(params: &InitializeParams) -> Vec<PathBuf> {
    let folders = params
        .workspace_folders_initialize_params
        .workspace_folders
        .as_ref();
    let many = match folders {
        Some(WorkspaceFolders::WorkspaceFolderList(list)) => list.as_slice(),
        _ => &[],
    };
    let mut folders: Vec<PathBuf> = many.iter().filter_map(|f| path_of(&f.uri.0)).collect();
    if folders.is_empty()
        && let Some(root) = &params.root_uri
    {
        folders.extend(path_of(&root.0));
    }
    folders
}

/// The path of a `file:` URI.
pub(super) fn path_of(uri: &str) -> Option<PathBuf> {
    url::Url::parse(uri).ok()?.to_file_path().ok()
}
