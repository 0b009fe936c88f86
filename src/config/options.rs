//! Raw options: what each source says, in the order of the layers, before anything is believed.
//!
//! Called by the resolver. Nothing here reads files; a source that cannot be understood becomes a
//! problem and the others stay.

use std::collections::HashMap;

use serde_json::{Map, Value};
use toml::de::DeTable;

use super::keys::{self, Found, Key};
use super::sources::{MODEL_VARIABLES, OLLAMA_HOST, SourceFile, Sources};
use super::text::{escaped, quoted};
use super::{Origin, Problem, Role, ollama_host_url};

mod dotenv;
mod tree;

use dotenv::env_file_values;
pub(super) use dotenv::{assigns, env_file_value};
use tree::{line_at, table_to_json};

/// Settings of clients that are the client's own; an editor may send them along.
const CLIENT_KEYS: &[&str] = &["trace", TRUSTED];

/// The editor's word that the person trusts the workspace.
const TRUSTED: &str = "trusted";

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// The person, in their own file.
    User,
    /// The workspace: its settings file and its `.env`.
    Workspace,
    /// The person, in the environment.
    Environment,
    /// The person, in the editor.
    Editor,
}

/// How a value meets the one below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// Replaces it.
    Over,
    /// Goes in front of its list.
    InFront,
}

/// One value somebody gave.
#[derive(Debug)]
pub(super) struct Entry {
    /// The setting.
    pub(super) key: &'static Key,
    /// The name that stands for the `*` in the key's path.
    pub(super) name: String,
    /// As given; not checked.
    pub(super) value: Value,
    /// Where it was given.
    pub(super) origin: Origin,
    /// By whom.
    pub(super) voice: Voice,
    /// How it meets the value below.
    pub(super) put: Put,
}

impl Entry {
    /// The key's path with its name in place.
    pub(super) fn path(&self) -> String {
        self.key.path.replace('*', &self.name)
    }
}

/// Everything the sources say, lowest layer first.
pub(super) fn entries(sources: &Sources, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut reader = Reader {
        entries: Vec::new(),
        problems,
    };
    if let Some(file) = &sources.user {
        reader.file(file, Voice::User);
    }
    if let Some(file) = sources.workspace.as_ref().and_then(|w| w.settings.as_ref()) {
        reader.file(file, Voice::Workspace);
    }
    reader.environment(sources);
    if let Some(editor) = &sources.editor {
        reader.editor(editor);
    }
    reader.entries
}

/// Whether the editor trusts the workspace; `None` where it knows no trust.
pub(super) fn editor_trusts(sources: &Sources) -> Option<bool> {
    editor_object(sources.editor.as_ref()?)?
        .get(TRUSTED)?
        .as_bool()
}

/// The trusted folders of a user file, as written.
pub(super) fn trusted_folders(file: &SourceFile) -> Vec<String> {
    let Ok(table) = DeTable::parse(&file.text) else {
        return Vec::new();
    };
    let value = table_to_json(table.get_ref(), &mut |_, _| {});
    let folders = value.get("trust").and_then(|trust| trust.get("folders"));
    let Some(Found::Key(key, _)) = folders.map(|_| keys::find(&TRUST_FOLDERS.map(str::to_owned)))
    else {
        return Vec::new();
    };
    folders
        .and_then(|folders| key.shape.check(folders).ok())
        .map(|folders| keys::texts(&folders))
        .unwrap_or_default()
}

const TRUST_FOLDERS: [&str; 2] = ["trust", "folders"];

struct Reader<'a> {
    entries: Vec<Entry>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn file(&mut self, file: &SourceFile, voice: Voice) {
        let at = |line| Origin::File {
            path: file.path.clone(),
            line,
        };
        match DeTable::parse(&file.text) {
            Ok(table) => {
                let mut lines = HashMap::new();
                let value = table_to_json(table.get_ref(), &mut |path, offset| {
                    lines.insert(path.to_vec(), line_at(&file.text, offset));
                });
                let origin = |path: &[String]| at(lines.get(path).copied());
                self.table(&value, &mut Vec::new(), &origin, voice);
            }
            Err(error) => {
                let line = error.span().map(|span| line_at(&file.text, span.start));
                // Only what is wrong, never the line itself: the file may be a link to anything.
                let message = format!(
                    "the file is not TOML and was left out ({})",
                    escaped(error.message()).replace("\\n", " ")
                );
                self.problems.push(Problem {
                    origin: at(line),
                    message,
                });
            }
        }
    }

    fn editor(&mut self, editor: &Value) {
        let Some(object) = editor_object(editor) else {
            if !editor.is_null() {
                self.problems.push(Problem {
                    origin: Origin::Editor,
                    message: "the settings must be an object".to_owned(),
                });
            }
            return;
        };
        let mut object = object.clone();
        object.retain(|name, _| !CLIENT_KEYS.contains(&name.as_str()));
        self.table(&object, &mut Vec::new(), &|_| Origin::Editor, Voice::Editor);
    }

    /// Walks a table down to its settings.
    fn table(
        &mut self,
        table: &Map<String, Value>,
        path: &mut Vec<String>,
        origin: &dyn Fn(&[String]) -> Origin,
        voice: Voice,
    ) {
        // A backend's kind comes first: the other keys need a backend to belong to.
        let (kind, rest): (Vec<_>, Vec<_>) = table.iter().partition(|(name, _)| *name == "kind");
        for (name, value) in kind.into_iter().chain(rest) {
            // Editors send null for what is not set.
            if value.is_null() {
                continue;
            }
            path.push(name.clone());
            let found = keys::find(path);
            match (found, value) {
                (Found::Key(key, name), value) => self.entries.push(Entry {
                    key,
                    name,
                    value: value.clone(),
                    origin: origin(path),
                    voice,
                    put: Put::Over,
                }),
                (Found::Table, Value::Object(inner)) => self.table(inner, path, origin, voice),
                (Found::Table, _) => self.problems.push(Problem {
                    origin: origin(path),
                    message: format!("{} must be a table", quoted(&path.join("."))),
                }),
                (Found::Unknown, _) => self.problems.push(Problem {
                    origin: origin(path),
                    message: unknown(path),
                }),
            }
            path.pop();
        }
    }

    fn environment(&mut self, sources: &Sources) {
        let env_file = sources.workspace.as_ref().and_then(|w| w.env.as_ref());
        let in_file = env_file
            .map(|file| env_file_values(file, self.problems))
            .unwrap_or_default();
        let take = |name: &str| {
            let ours = sources.environment.get(name).map(|value| {
                let origin = Origin::Environment {
                    name: name.to_owned(),
                };
                (value.clone(), origin, Voice::Environment)
            });
            let theirs = || {
                let (value, origin) = in_file.get(name)?;
                Some((value.clone(), origin.clone(), Voice::Workspace))
            };
            ours.filter(|(value, ..)| !value.trim().is_empty())
                .or_else(theirs)
                .filter(|(value, ..)| !value.trim().is_empty())
        };
        let mut given = Vec::new();
        if let Some((value, origin, voice)) = take(OLLAMA_HOST) {
            match ollama_host_url(&value) {
                Some(url) => given.push((
                    ["backends", "ollama", "urls"],
                    url,
                    origin,
                    voice,
                    Put::Over,
                )),
                None => self.problems.push(Problem {
                    origin,
                    message: "must be an address such as 127.0.0.1:11434".to_owned(),
                }),
            }
        }
        for (role, name) in MODEL_VARIABLES {
            if let Some((value, origin, voice)) = take(name) {
                let path = ["roles", role.name(), "candidates"];
                given.push((path, value.trim().to_owned(), origin, voice, Put::InFront));
            }
        }
        for (path, value, origin, voice, put) in given {
            if let Found::Key(key, name) = keys::find(&path.map(str::to_owned)) {
                let value = Value::from(vec![value]);
                self.entries.push(Entry {
                    key,
                    name,
                    value,
                    origin,
                    voice,
                    put,
                });
            }
        }
    }
}

/// The editor's settings: the object `ghostline`, or the object itself.
fn editor_object(editor: &Value) -> Option<&Map<String, Value>> {
    let object = editor.as_object()?;
    match object.get("ghostline") {
        Some(inner) => inner.as_object(),
        None => Some(object),
    }
}

/// What to say of a path that leads nowhere.
fn unknown(path: &[String]) -> String {
    let shown = quoted(&path.join("."));
    if let Some(near) = keys::nearest(path) {
        return format!("there is no setting {shown}; did you mean `{near}`?");
    }
    match path {
        [first, _] if first == "roles" => {
            let roles: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
            format!(
                "there is no role {shown}; the roles are {}",
                roles.join(", ")
            )
        }
        [first, _] if first == "backends" => {
            format!("{shown} cannot be a backend: its name has letters, digits, `_` and `-`")
        }
        _ => format!("there is no setting {shown}; `ghostline config` lists them"),
    }
}
