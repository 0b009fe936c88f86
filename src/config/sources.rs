//! The sources of settings, read from disk and environment.
//!
//! The only part of the settings that touches the machine. Blocking: a server reads on a thread that
//! may block. Reading never fails; what could not be read is a problem among the others.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Origin, Problem, Role, options, trust};

/// The workspace's settings file.
const WORKSPACE_FILE: &str = ".ghostline.toml";

/// The workspace's environment file.
const ENV_FILE: &str = ".env";

/// Where Ollama listens.
pub(super) const OLLAMA_HOST: &str = "OLLAMA_HOST";

/// The variables that put a model in front of a role's candidates.
pub(super) const MODEL_VARIABLES: [(Role, &str); 5] = [
    (Role::Completion, "OLLAMA_COMPLETION_MODEL"),
    (Role::Chat, "OLLAMA_CHAT_MODEL"),
    (Role::Reasoning, "OLLAMA_REASONING_MODEL"),
    (Role::Vision, "OLLAMA_VISION_MODEL"),
    (Role::Embedding, "OLLAMA_EMBEDDING_MODEL"),
];

/// Names the user file instead of the usual place.
const USER_FILE_VARIABLE: &str = "GHOSTLINE_CONFIG";

/// The settings that an editor sends its server, as JSON, for a subcommand that it runs: what the doctor
/// finds is about what the server does. Without effect on a server, whose editor speaks for itself.
const EDITOR_VARIABLE: &str = "GHOSTLINE_EDITOR_SETTINGS";

/// Names the folder of all user settings.
const XDG_VARIABLE: &str = "XDG_CONFIG_HOME";

/// Largest file read, in bytes. A settings file by hand has a few thousand; a workspace's may be
/// anything.
const FILE_MAX_BYTES: u64 = 256 * 1024;

/// A text file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
}

/// A workspace's own files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its folder, canonical.
    pub root: PathBuf,
    /// `.ghostline.toml`.
    pub settings: Option<SourceFile>,
    /// `.env`.
    pub env: Option<SourceFile>,
    /// Whether the user file trusts the folder.
    pub trusted: bool,
}

/// The part of this process's environment that matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// Variables by name.
    pub variables: BTreeMap<String, String>,
    /// The person's home folder.
    pub home: Option<PathBuf>,
}

impl Environment {
    /// This process's environment.
    pub fn of_process() -> Self {
        let models = MODEL_VARIABLES.iter().map(|(_, name)| *name);
        let variables = models
            .chain([
                OLLAMA_HOST,
                USER_FILE_VARIABLE,
                XDG_VARIABLE,
                EDITOR_VARIABLE,
            ])
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        Self {
            variables,
            home: etcetera::home_dir().ok(),
        }
    }

    /// Where the user file is, whether or not there is one.
    ///
    /// # Errors
    /// Says what is wrong with `GHOSTLINE_CONFIG`: it must be absolute, because a relative path
    /// would find a file of whichever folder the editor was started in.
    pub fn user_file(&self) -> Result<Option<PathBuf>, Problem> {
        let variable = |name: &str| {
            let value = self.variables.get(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        if let Some(path) = variable(USER_FILE_VARIABLE) {
            if path.is_absolute() {
                return Ok(Some(path));
            }
            return Err(Problem {
                origin: Origin::Environment {
                    name: USER_FILE_VARIABLE.to_owned(),
                },
                message: "must be an absolute path".to_owned(),
            });
        }
        // A relative one is ignored, as the XDG base directory specification wants it.
        let folder = variable(XDG_VARIABLE).filter(|path| path.is_absolute());
        let folder = folder.or_else(|| Some(self.home.as_ref()?.join(".config")));
        Ok(folder.map(|folder| folder.join("ghostline").join("config.toml")))
    }
}

/// Everything settings are made of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sources {
    /// The user file.
    pub user: Option<SourceFile>,
    /// The workspace, if there is one. A server with several folders resolves each on its own:
    /// what one folder says holds for no other.
    pub workspace: Option<Workspace>,
    /// Variables of this process.
    pub environment: BTreeMap<String, String>,
    /// The editor's settings: the object `ghostline`, or an object that holds it. `trusted: true`
    /// in it is the editor's word that the person trusts the workspace.
    pub editor: Option<Value>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

impl Sources {
    /// Reads the user file and the files of the workspace at `root`. Without an `editor` the settings
    /// that one handed to this process count.
    pub fn read(root: Option<&Path>, environment: &Environment, editor: Option<Value>) -> Self {
        let mut problems = Vec::new();
        let user = match environment.user_file() {
            Ok(path) => {
                let named = environment.variables.contains_key(USER_FILE_VARIABLE);
                path.and_then(|path| {
                    let file = read_file(&path, &mut problems);
                    if file.is_none() && named && !path.exists() {
                        problems.push(Problem {
                            origin: Origin::Environment {
                                name: USER_FILE_VARIABLE.to_owned(),
                            },
                            message: "names a file that does not exist".to_owned(),
                        });
                    }
                    file
                })
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let folders = user
            .as_ref()
            .map(options::trusted_folders)
            .unwrap_or_default();
        let workspace = root.map(|root| {
            let canonical = root.canonicalize();
            let trusted = canonical
                .as_ref()
                .is_ok_and(|root| trust::covers(&canonical_folders(&folders, environment), root));
            let root = canonical.unwrap_or_else(|_| root.to_owned());
            let env = root.join(ENV_FILE);
            Workspace {
                settings: read_file(&root.join(WORKSPACE_FILE), &mut problems),
                // Projects also have folders of this name (Python environments).
                env: env
                    .is_file()
                    .then(|| read_file(&env, &mut problems))
                    .flatten(),
                trusted,
                root,
            }
        });
        let editor = editor.or_else(|| handed_on(environment, &mut problems));
        Self {
            user,
            workspace,
            environment: environment.variables.clone(),
            editor,
            problems,
        }
    }
}

/// What an editor handed to this process.
fn handed_on(environment: &Environment, problems: &mut Vec<Problem>) -> Option<Value> {
    let text = environment.variables.get(EDITOR_VARIABLE)?;
    serde_json::from_str(text)
        .map_err(|error| {
            problems.push(Problem {
                origin: Origin::Environment {
                    name: EDITOR_VARIABLE.to_owned(),
                },
                message: format!("is not JSON: {error}"),
            });
        })
        .ok()
}

/// The files that the settings of the workspace at `root` are read from, there or not.
pub fn files(root: Option<&Path>, environment: &Environment) -> Vec<PathBuf> {
    let user = environment.user_file().ok().flatten();
    let of_workspace = root.map(|root| [root.join(WORKSPACE_FILE), root.join(ENV_FILE)]);
    user.into_iter()
        .chain(of_workspace.into_iter().flatten())
        .collect()
}

/// The workspace a path belongs to: the nearest folder above with `.ghostline.toml` or `.git`, or
/// else the path itself.
pub fn workspace_root(start: &Path) -> &Path {
    let is_root = |folder: &&Path| {
        [WORKSPACE_FILE, ".git"]
            .iter()
            .any(|name| folder.join(name).exists())
    };
    start.ancestors().find(is_root).unwrap_or(start)
}

/// The folders with `~`, links and `..` resolved; one that does not exist is left out.
fn canonical_folders(folders: &[String], environment: &Environment) -> Vec<PathBuf> {
    let path = |text: &String| match (text.strip_prefix('~'), &environment.home) {
        (Some(rest), Some(home)) => Some(home.join(rest.trim_start_matches('/'))),
        (Some(_), None) => None,
        (None, _) => Some(PathBuf::from(text)),
    };
    folders
        .iter()
        .filter_map(path)
        .filter_map(|path| path.canonicalize().ok())
        .collect()
}

/// Reads a text file; nothing if there is none.
fn read_file(path: &Path, problems: &mut Vec<Problem>) -> Option<SourceFile> {
    match read_text(path) {
        Ok(text) => text.map(|text| SourceFile {
            path: path.to_owned(),
            text,
        }),
        Err(message) => {
            let origin = Origin::File {
                path: path.to_owned(),
                line: None,
            };
            problems.push(Problem { origin, message });
            None
        }
    }
}

fn read_text(path: &Path) -> Result<Option<String>, String> {
    let shown = |e: std::io::Error| format!("cannot be read ({e})");
    match fs::metadata(path) {
        // Opening a pipe would wait for ever.
        Ok(found) if !found.is_file() => return Err("is not a file".to_owned()),
        // The kernel's own files say that they are empty too, and reading one may wait for ever.
        Ok(found) if found.len() == 0 => return Ok(Some(String::new())),
        Ok(_) => {}
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(shown(e)),
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(shown)?;
    file.take(FILE_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(shown)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_MAX_BYTES) {
        return Err(format!(
            "is larger than {FILE_MAX_BYTES} bytes and was left out"
        ));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| "is not UTF-8 and was left out".to_owned())
}
