//! What a workspace's own files may do.
//!
//! Anybody can write the files of a folder that somebody opens. They may choose among models, switch
//! features off and tune; they never say where text is sent, name files to load, or take away what
//! the person keeps private. Each key's [`Reach`] says which rule it has; the resolver asks
//! `limit` for every value a workspace gives.
//!
//! Sending text elsewhere has more ways than a URL, and these are closed as well: a backend of the
//! person's own that is on another machine and that they do not use for this role; a model that
//! Ollama runs in its cloud; the word `chat`, which stands for the candidates of another role.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::candidate::{Candidate, runs_in_cloud};
use super::host::is_loopback;
use super::keys::{Key, Reach, texts};
use super::text::quoted;
use super::{BackendKind, BackendSettings, Role, Settings};

/// What is left of a workspace's value.
#[derive(Debug, Default)]
pub(super) struct Limited {
    /// What to set; nothing when all of it was refused.
    pub(super) value: Option<Value>,
    /// Whether the value holds the list below as well.
    pub(super) added: bool,
    /// What was refused and why, each the end of a sentence that begins with the key.
    pub(super) refused: Vec<String>,
}

/// Whether `root` is one of these folders or below one. All are canonical, so that neither `..` nor
/// a link leads out; whole components are compared, so that `/a/bc` is not below `/a/b`.
pub(super) fn covers(folders: &[PathBuf], root: &Path) -> bool {
    folders
        .iter()
        .any(|folder| folder.is_absolute() && root.starts_with(folder))
}

/// Limits a checked value that a workspace gives to what it may do. `name` stands for the `*` in
/// the key's path; `below` are the settings of the layers below.
pub(super) fn limit(
    key: &Key,
    name: &str,
    value: Value,
    below: &Settings,
    trusted: bool,
) -> Limited {
    let current = (key.get)(below, name);
    let switched_on = value == Value::Bool(true);
    let is_on = current == Some(Value::Bool(true));
    match key.reach {
        Reach::UserFile => refuse("belongs in the user file alone"),
        Reach::SwitchOn if is_on && !switched_on => refuse("cannot be switched off by a workspace"),
        Reach::Add => add(current.as_ref(), &value),
        _ if trusted => take(value),
        Reach::Trusted => refuse("says where text is sent"),
        Reach::SwitchOff if switched_on && !is_on => refuse("was switched off by you"),
        Reach::AddOrReplace => add(current.as_ref(), &value),
        Reach::Models => models(name, &value, below),
        Reach::Free | Reach::SwitchOff | Reach::SwitchOn => take(value),
    }
}

fn take(value: Value) -> Limited {
    Limited {
        value: Some(value),
        ..Limited::default()
    }
}

fn refuse(why: &str) -> Limited {
    Limited {
        refused: vec![why.to_owned()],
        ..Limited::default()
    }
}

fn add(current: Option<&Value>, value: &Value) -> Limited {
    let mut all = current.map(texts).unwrap_or_default();
    for text in texts(value) {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    Limited {
        value: Some(all.into()),
        added: true,
        refused: Vec::new(),
    }
}

/// The candidates among `value` that keep text where the person sends it and name no files.
fn models(role: &str, value: &Value, below: &Settings) -> Limited {
    let own: &[Candidate] = Role::from_name(role)
        .and_then(|role| below.roles.get(&role))
        .map_or(&[], |role| &role.candidates);
    let mut limited = Limited::default();
    let mut kept: Vec<String> = Vec::new();
    for text in texts(value) {
        let verdict = match Candidate::parse(&text, &below.backends) {
            // Not for trust: the setter says what is wrong with it.
            Err(_) => Ok(vec![text.clone()]),
            Ok(candidate) if own.contains(&candidate) => Ok(vec![text.clone()]),
            Ok(candidate) => model(&candidate, own, below),
        };
        match verdict {
            Ok(texts) => kept.extend(texts),
            Err(why) => limited
                .refused
                .push(format!("may not name {}: {why}", quoted(&text))),
        }
    }
    if limited.refused.is_empty() || !kept.is_empty() {
        limited.value = Some(kept.into());
    }
    limited
}

/// One candidate, as one or more that name their backend where not every backend will do.
fn model(
    candidate: &Candidate,
    own: &[Candidate],
    below: &Settings,
) -> Result<Vec<String>, &'static str> {
    if candidate.backend.is_none() && candidate.model == super::defaults::CHAT_ALIAS {
        return Err("it stands for the models of another role");
    }
    if !is_model_name(&candidate.model) {
        return Err("it may be a file");
    }
    if runs_in_cloud(&candidate.model) {
        return Err("it runs in Ollama's cloud");
    }
    let may = |name: &str, backend: &BackendSettings| {
        let embedded = backend.kind == BackendKind::Embedded;
        let local = embedded || backend.urls.iter().all(|url| is_loopback(url));
        let used = own.iter().any(|c| match &c.backend {
            Some(theirs) => theirs == name,
            // Names without a backend are Ollama's, as in the defaults.
            None => name == "ollama",
        });
        // The embedded engine loads files: a name with folders in it is a path there.
        (local || used) && !(embedded && candidate.model.contains('/'))
    };
    if let Some(name) = &candidate.backend {
        let allowed = below
            .backends
            .get(name)
            .is_some_and(|backend| may(name, backend));
        return if allowed {
            Ok(vec![candidate.to_string()])
        } else if candidate.model.contains('/') {
            Err("it may be a file")
        } else {
            Err("its backend is on another machine and you do not use it for this role")
        };
    }
    let allowed: Vec<&String> = below
        .backends
        .iter()
        .filter(|(name, b)| may(name, b))
        .map(|(name, _)| name)
        .collect();
    if allowed.len() == below.backends.len() {
        return Ok(vec![candidate.to_string()]);
    }
    let pinned: Vec<String> = allowed
        .iter()
        .map(|name| format!("{name}/{}", candidate.model))
        .collect();
    if pinned.is_empty() {
        Err("no backend of yours may serve it")
    } else {
        Ok(pinned)
    }
}

/// Whether a name can only be a model's: `[host/][namespace/]model[:tag]`, such as
/// `hf.co/user/repo:Q4_K_M`, and nothing that a file system would understand as a weights file.
fn is_model_name(name: &str) -> bool {
    /// Extensions of weights files.
    const WEIGHTS: &[&str] = &["gguf", "ggml", "bin", "safetensors"];
    let name = name.strip_suffix('*').unwrap_or(name);
    let extension = name.rsplit(['.', '/', ':']).next().unwrap_or_default();
    let parts: Vec<&str> = name.split('/').collect();
    let plain = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-:@".contains(c))
    };
    let is_drive = name
        .split_once(':')
        .is_some_and(|(drive, _)| drive.len() == 1);
    parts.len() <= 3
        && parts.iter().all(plain)
        && !is_drive
        && !WEIGHTS
            .iter()
            .any(|weights| extension.eq_ignore_ascii_case(weights))
}
