//! The workspace around a file or the current folder, for commands that ask a model in words.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;

use super::{Usage, output};
use crate::action::Allowed;
use crate::chat::attach::{Attached, read};
use crate::config::{Settings, workspace_root};
use crate::document::Document;
use crate::host::LocalHost;
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
        let (settings, mut problems) = host.settings(&folders, None);
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

    /// Whether text of a document may be shown to a model.
    pub(super) fn allows(&self) -> Allowed {
        let engine = self.engine.clone();
        Arc::new(move |uri| engine.kept_out(uri).is_none())
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
) -> anyhow::Result<std::ops::Range<usize>> {
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
