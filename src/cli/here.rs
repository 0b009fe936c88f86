//! The workspace around a file or the current folder, for commands that ask a model in words.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::time::timeout;

use super::markdown::without_controls;
use super::{Usage, output};
use crate::chat::attach::{Attached, read};
use crate::chat::nearby::{Allowed, Nearby};
use crate::chat::{Found, Searcher};
use crate::config::{Role, Settings, workspace_root};
use crate::document::Document;
use crate::host::LocalHost;
use crate::index::{Index, StoreError};
use crate::inline::{Engine, Skip};
use crate::metrics::Metrics;
use crate::router::Router;
use crate::server::Host;

/// Settings, folders and models.
pub(super) struct Here {
    pub(super) host: LocalHost,
    pub(super) settings: Settings,
    pub(super) folders: Vec<PathBuf>,
    pub(super) router: Arc<Router>,
    /// Knows which files are kept out of prompts.
    engine: Arc<Engine>,
}

impl Here {
    /// Around `place`. What is wrong with the settings is said; backends are asked in the background.
    pub(super) fn around(place: &Path) -> Self {
        let host = LocalHost::new();
        let folders = vec![workspace_root(place).to_owned()];
        let (settings, mut problems) = host.settings(folders.first().map(PathBuf::as_path), None);
        let (choices, more) = host.choices(&settings);
        problems.extend(more);
        for problem in &problems {
            output::note(problem);
        }
        let router = Router::new(choices);
        tokio::spawn(router.clone().run());
        let shared = Arc::new(settings.clone());
        let engine = Engine::new(router.clone(), shared, Arc::<Metrics>::default());
        engine.set_folders(&folders);
        Self {
            host,
            settings,
            folders,
            router,
            engine: Arc::new(engine),
        }
    }

    /// Searches the workspace, as its files are when it is asked.
    pub(super) fn searcher(&self) -> Arc<dyn Searcher> {
        let index = Index::new(
            self.router.clone(),
            &self.folders,
            &self.settings,
            self.host.index_dir(),
        );
        Arc::new(CaughtUp {
            index,
            router: self.router.clone(),
        })
    }

    /// Whether text of a document may be shown to a model.
    pub(super) fn allows(&self) -> Allowed {
        let engine = self.engine.clone();
        Arc::new(move |uri| engine.kept_out(uri).is_none())
    }

    /// Where to look for what stands around lines.
    pub(super) fn nearby(&self) -> Nearby {
        Nearby {
            seen: Vec::new(),
            folders: self.folders.clone(),
            context: self.settings.context.clone(),
            allowed: self.allows(),
            redact_secrets: self.settings.privacy.redact_secrets,
        }
    }

    /// The file at `path`, if it may be shown.
    pub(super) fn attach(&self, path: &Path) -> anyhow::Result<Attached> {
        let shown = path.display();
        let path = path
            .canonicalize()
            .map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
        let uri = url::Url::from_file_path(&path).map_or_else(|()| String::new(), String::from);
        let skip = self.engine.kept_out(&uri.into());
        if let Some(why) = skip.and_then(Skip::keeps_out_because) {
            bail!(Usage(format!("{shown} is kept out of prompts: {why}")));
        }
        read(&path).map_err(|error| Usage(format!("{:#}", anyhow::Error::from(error))).into())
    }

    /// The same for what must be text.
    pub(super) fn document(&self, path: &Path) -> anyhow::Result<Document> {
        match self.attach(path)? {
            Attached::Text(document) => Ok(document),
            Attached::Picture(_) => bail!(Usage(format!("{} is a picture", path.display()))),
        }
    }
}

/// How long a question waits for the files to be looked at.
const CATCH_UP: Duration = Duration::from_secs(10);

/// The index of a command that ends: brought up to the files before each search, and nothing is embedded
/// beside the answer. `ghostline index` and the server embed.
#[derive(Debug)]
struct CaughtUp {
    index: Index,
    router: Arc<Router>,
}

impl Searcher for CaughtUp {
    fn search(&self, query: String, limit: usize) -> BoxFuture<'_, Result<Found, String>> {
        async move {
            self.router.ready(Role::Embedding).await;
            let words = |error: StoreError| format!("{:#}", anyhow::Error::from(error));
            self.index.look_again();
            // A project that was never indexed may take minutes: then what is read by now is searched, and
            // the answer says so.
            if let Ok(done) = timeout(CATCH_UP, self.index.catch_up()).await {
                done.map_err(words)?;
            }
            Searcher::search(&self.index, query, limit).await
        }
        .boxed()
    }
}

/// The path as `git apply` takes it: from the current folder.
pub(super) fn shown_path(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let within = here
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    let shown = within.unwrap_or_else(|| path.to_owned());
    shown
        .to_string_lossy()
        .trim_start_matches('/')
        .replace('\\', "/")
}

/// Says which lines a model was shown, so that an answer can be checked.
pub(super) fn cite<'r>(references: impl Iterator<Item = (&'r str, Range<usize>)>) {
    let place = |(uri, lines): (&str, Range<usize>)| {
        let path = url::Url::parse(uri)
            .ok()
            .and_then(|uri| uri.to_file_path().ok());
        let path = path.map_or_else(|| uri.to_owned(), |path| shown_path(&path));
        format!(
            "{path}:{}-{}",
            lines.start + 1,
            lines.end.max(lines.start + 1)
        )
    };
    let mut places: Vec<String> = references.map(place).collect();
    places.dedup();
    if !places.is_empty() {
        output::note(&without_controls(&format!("about {}", places.join(", "))));
    }
}

/// `FILE`, `FILE:A` or `FILE:A-B`: lines count from 1, the last one is meant too.
pub(super) fn place(text: &str) -> anyhow::Result<(PathBuf, Option<(usize, usize)>)> {
    let Some((file, lines)) = text.rsplit_once(':') else {
        return Ok((text.into(), None));
    };
    let number = |text: &str| text.parse::<usize>().ok().filter(|&line| line > 0);
    let (first, last) = match lines.split_once('-') {
        Some((first, last)) => (number(first), number(last)),
        None => (number(lines), number(lines)),
    };
    match (first, last) {
        (Some(first), Some(last)) if first <= last => Ok((file.into(), Some((first, last)))),
        // A path may hold a colon.
        _ if Path::new(text).exists() => Ok((text.into(), None)),
        _ => bail!(Usage(format!(
            "`{text}` is not FILE:A-B; lines count from 1, as in src/main.rs:10-20"
        ))),
    }
}

/// The bytes of lines `first` to `last` of a document.
pub(super) fn bytes_of(
    document: &Document,
    path: &Path,
    (first, last): (usize, usize),
) -> anyhow::Result<Range<usize>> {
    let text = &document.text;
    let lines = text.len_lines();
    if first > lines {
        let shown = path.display();
        bail!(Usage(format!(
            "{shown} has {lines} lines; there is no line {first}"
        )));
    }
    Ok(text.line_to_byte(first - 1)..text.line_to_byte(last.min(lines)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_and_perhaps_lines() {
        assert_eq!(place("a.rs").unwrap(), ("a.rs".into(), None));
        assert_eq!(place("a.rs:3").unwrap(), ("a.rs".into(), Some((3, 3))));
        assert_eq!(
            place("C:\\a.rs:3-7").unwrap(),
            ("C:\\a.rs".into(), Some((3, 7)))
        );
        for bad in ["a.rs:0", "a.rs:7-3", "a.rs:x", "a.rs:3-"] {
            assert!(place(bad).is_err(), "{bad}");
        }
        let document = Document::new("file:///a", 1, "", "a\nb\nc");
        let bytes = |lines| bytes_of(&document, Path::new("a"), lines);
        assert_eq!(bytes((2, 3)).unwrap(), 2..5);
        assert_eq!(bytes((1, 9)).unwrap(), 0..5);
        assert!(bytes((4, 4)).is_err());
    }
}
