//! From what the sources say to settings. Pure: the same sources give the same settings.
//!
//! A value that is wrong, unknown or not allowed leaves the value below it in place and is noted;
//! nothing stops at the first one.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use serde_json::Value;

use super::candidate::Candidate;
use super::options::{self, Entry, Put, Voice};
use super::text::escaped;
use super::{BackendKind, Origin, Problem, Settings, Sources, defaults, keys, trust};

/// Lines of one message; a file full of nonsense must not fill a screen.
const MESSAGE_LINES: usize = 20;

/// Settings, and how they came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// Where each value came from, by path such as `inline.deadline_ms`; one for every value.
    pub origins: BTreeMap<String, Origin>,
    /// What could not be used.
    pub problems: Vec<Problem>,
    /// What the workspace's files set and may not, because the folder is not trusted.
    pub ignored: Vec<Problem>,
    /// The workspace's folder, canonical.
    pub folder: Option<PathBuf>,
    /// Whether the folder is trusted.
    pub trusted: bool,
    /// Whether folders can be trusted in the editor.
    pub editor_has_trust: bool,
}

impl Resolved {
    /// All problems as one message, one line each.
    pub fn problem_message(&self) -> Option<String> {
        message(
            "some settings could not be used; the values below them stay",
            &self.problems,
        )
    }

    /// All that was ignored for lack of trust as one message, ending in how to trust the folder.
    pub fn ignored_message(&self) -> Option<String> {
        let said = message(
            "some settings of this workspace were ignored",
            &self.ignored,
        )?;
        if self.trusted {
            return Some(said);
        }
        let folder = self.folder.as_ref()?.display().to_string();
        let in_editor = if self.editor_has_trust {
            "trust the folder in the editor, or "
        } else {
            ""
        };
        Some(format!(
            "{said}\nto allow what a trusted folder may set, {in_editor}add to the user file: \
             [trust] folders = [{}]",
            toml::Value::from(folder)
        ))
    }
}

/// Resolves the settings.
pub fn resolve(sources: &Sources) -> Resolved {
    let mut problems = sources.problems.clone();
    let entries = options::entries(sources, &mut problems);
    let workspace = sources.workspace.as_ref();
    let editor_trusts = options::editor_trusts(sources);
    let mut resolver = Resolver {
        settings: defaults::unexpanded(),
        origins: BTreeMap::new(),
        problems,
        ignored: Vec::new(),
        trusted: editor_trusts == Some(true) || workspace.is_some_and(|w| w.trusted),
    };
    // All backends first: what a candidate means depends on their names.
    let (backends, rest): (Vec<Entry>, Vec<Entry>) = entries
        .into_iter()
        .partition(|entry| entry.key.path.starts_with("backends."));
    for entry in &backends {
        resolver.apply(entry);
    }
    resolver.drop_backends_without_urls();
    for entry in &rest {
        resolver.apply(entry);
    }
    let Resolver {
        mut settings,
        mut origins,
        mut problems,
        mut ignored,
        trusted,
    } = resolver;
    problems.sort_by(|a, b| a.origin.cmp(&b.origin));
    ignored.sort_by(|a, b| a.origin.cmp(&b.origin));
    defaults::expand_chat(&mut settings);
    let origins = keys::values(&settings)
        .into_iter()
        .map(|(path, ..)| {
            let origin = origins.remove(&path).unwrap_or(Origin::Default);
            (path, origin)
        })
        .collect();
    let folder = workspace.map(|w| w.root.clone());
    Resolved {
        settings,
        origins,
        problems,
        ignored,
        folder,
        trusted,
        editor_has_trust: editor_trusts.is_some(),
    }
}

struct Resolver {
    settings: Settings,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
    ignored: Vec<Problem>,
    trusted: bool,
}

impl Resolver {
    /// Sets one value, or notes why not.
    fn apply(&mut self, entry: &Entry) {
        if let Err(message) = self.try_apply(entry) {
            let message = format!("`{}` {message}", entry.path());
            self.problems.push(Problem {
                origin: entry.origin.clone(),
                message,
            });
        }
    }

    fn try_apply(&mut self, entry: &Entry) -> Result<(), String> {
        let value = entry.key.shape.check(&entry.value);
        // An address that is not allowed is not examined either.
        let hidden = entry.voice == Voice::Workspace
            && !self.trusted
            && entry.key.reach == keys::Reach::Trusted;
        let mut value = if hidden { Value::Null } else { value? };
        if entry.put == Put::InFront {
            value = self.with_ollama(&value)?;
        }
        let mut added = false;
        match entry.voice {
            Voice::Workspace => {
                let limited =
                    trust::limit(entry.key, &entry.name, value, &self.settings, self.trusted);
                for why in limited.refused {
                    let message = format!("`{}` {why}", entry.path());
                    self.ignored.push(Problem {
                        origin: entry.origin.clone(),
                        message,
                    });
                }
                let Some(kept) = limited.value else {
                    return Ok(());
                };
                (value, added) = (kept, limited.added);
            }
            Voice::Environment | Voice::Editor if entry.key.reach == keys::Reach::UserFile => {
                return Err("belongs in the user file alone".to_owned());
            }
            Voice::User | Voice::Environment | Voice::Editor => {}
        }
        if entry.put == Put::InFront {
            let below = (entry.key.get)(&self.settings, &entry.name);
            value = in_front(&value, below.as_ref());
            added = true;
        }
        (entry.key.set)(&mut self.settings, &entry.name, &value)?;
        let path = entry.path();
        let mut origin = entry.origin.clone();
        if added {
            let to = Box::new(self.origins.remove(&path).unwrap_or(Origin::Default));
            origin = Origin::Added {
                by: Box::new(origin),
                to,
            };
        }
        self.origins.insert(path, origin);
        Ok(())
    }

    /// The models with `ollama` for a backend where they name none.
    fn with_ollama(&self, models: &Value) -> Result<Value, String> {
        let name = |text: &String| {
            let candidate = Candidate::parse(text, &self.settings.backends)?;
            Ok(match candidate.backend {
                Some(_) => candidate.to_string(),
                None => format!("ollama/{candidate}"),
            })
        };
        keys::texts(models)
            .iter()
            .map(name)
            .collect::<Result<Vec<String>, String>>()
            .map(Value::from)
    }

    /// A backend that listens nowhere would only fail later.
    fn drop_backends_without_urls(&mut self) {
        let Self {
            settings,
            origins,
            problems,
            ..
        } = self;
        settings.backends.retain(|name, backend| {
            let complete = backend.kind == BackendKind::Embedded || !backend.urls.is_empty();
            if !complete {
                let kind = origins.get(&format!("backends.{name}.kind"));
                problems.push(Problem {
                    origin: kind.cloned().unwrap_or(Origin::Default),
                    message: format!("`backends.{name}` was left out; it needs `urls`"),
                });
            }
            complete
        });
    }
}

/// The list with these texts in front, each once.
fn in_front(front: &Value, below: Option<&Value>) -> Value {
    let mut all = keys::texts(front);
    for text in below.map(keys::texts).unwrap_or_default() {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.into()
}

/// A heading and one line for each, at most [`MESSAGE_LINES`].
fn message(heading: &str, items: &[impl Display]) -> Option<String> {
    if items.is_empty() {
        return None;
    }
    let mut lines = vec![format!("{heading}:")];
    let shown = items.iter().take(MESSAGE_LINES);
    lines.extend(shown.map(|item| format!("  {}", escaped(&item.to_string()))));
    if items.len() > MESSAGE_LINES {
        lines.push(format!("  … and {} more", items.len() - MESSAGE_LINES));
    }
    Some(lines.join("\n"))
}
