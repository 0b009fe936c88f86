//! The rows of the table of settings, in the order they are shown.
//!
//! A row is all there is to a setting: add one, and it is read from every source, checked, limited
//! by trust, printed and suggested.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Item, Key, Reach, Shape, texts};
use crate::config::{
    BackendKind, BackendSettings, Candidate, Debounce, Role, RoleSettings, Settings, defaults,
};

/// Most decoding threads a backend may be given; more than any desktop's cores.
const THREADS_MAX: u64 = 256;

/// Most tokens of one source of context; a whole window of the embedded engine's largest budget.
const CONTEXT_TOKENS_MAX: u64 = 2048;

/// Longest file an index may take, in KiB; a file is held in memory while it is cut up.
const INDEX_FILE_KIB_MAX: u64 = 8 * 1024;

/// Most files of an index.
const INDEX_FILES_MAX: u64 = 1_000_000;

pub(super) const KEYS: &[Key] = &[
    Key {
        path: "roles.*.candidates",
        doc: "Models for this role, `[backend/]model`; the first available wins.",
        shape: Shape::List(Item::Candidate),
        reach: Reach::Models,
        get: |s, name| {
            let role = s.roles.get(&Role::from_name(name)?)?;
            Some(role.candidates.iter().map(ToString::to_string).collect())
        },
        set: |s, name, v| {
            let role = Role::from_name(name).ok_or("is no role")?;
            let read = |text: &String| Candidate::parse(text, &s.backends);
            let candidates: Vec<Candidate> = texts(v).iter().map(read).collect::<Result<_, _>>()?;
            let itself = |c: &Candidate| c.backend.is_none() && c.model == defaults::CHAT_ALIAS;
            if role == Role::Chat && candidates.iter().any(itself) {
                return Err(
                    "cannot name itself; for a model of that name write `ollama/chat`".into(),
                );
            }
            s.roles
                .entry(role)
                .or_insert(RoleSettings {
                    candidates: Vec::new(),
                })
                .candidates = candidates;
            Ok(())
        },
    },
    Key {
        path: "backends.*.kind",
        doc: "What the backend speaks.",
        shape: Shape::Choice(&["ollama", "llama_server", "openai", "embedded"]),
        reach: Reach::Trusted,
        get: |s, name| Some(json!(s.backends.get(name)?.kind)),
        set: |s, name, v| {
            let kind: BackendKind = read(v)?;
            if s.backends.get(name).is_none_or(|old| old.kind != kind) {
                s.backends.insert(name.to_owned(), defaults::backend(kind));
            }
            Ok(())
        },
    },
    Key {
        path: "backends.*.urls",
        doc: "Where the backend listens; with several addresses the work is spread over them.",
        shape: Shape::List(Item::Url),
        reach: Reach::Trusted,
        get: |s, name| {
            let backend = s.backends.get(name)?;
            (backend.kind != BackendKind::Embedded).then(|| json!(backend.urls))
        },
        set: |s, name, v| {
            let backend = backend(s, name)?;
            if backend.kind == BackendKind::Embedded {
                return Err("has no meaning for an embedded backend".into());
            }
            if texts(v).is_empty() {
                return Err("must hold at least one URL".into());
            }
            put(&mut backend.urls, v)
        },
    },
    Key {
        path: "backends.*.api_key_env",
        doc: "The environment variable that holds the backend's key; never the key.",
        shape: Shape::VariableName,
        reach: Reach::Trusted,
        get: |s, name| s.backends.get(name)?.api_key_env.as_ref().map(|v| json!(v)),
        set: |s, name, v| put(&mut backend(s, name)?.api_key_env, v),
    },
    Key {
        path: "backends.*.threads",
        doc: "Decoding threads of an embedded backend; physical cores minus one when absent.",
        shape: Shape::Integer {
            min: 1,
            max: THREADS_MAX,
        },
        reach: Reach::Free,
        get: |s, name| s.backends.get(name)?.threads.map(|v| json!(v)),
        set: |s, name, v| put(&mut backend(s, name)?.threads, v),
    },
    Key {
        path: "inline.enabled",
        doc: "Whether completions are offered at all.",
        shape: Shape::Switch,
        reach: Reach::SwitchOff,
        get: |s, _| Some(json!(s.inline.enabled)),
        set: |s, _, v| put(&mut s.inline.enabled, v),
    },
    Key {
        path: "inline.debounce",
        doc: "How long to wait for a pause: \"adaptive\", or a number of milliseconds.",
        shape: Shape::Debounce,
        reach: Reach::Free,
        get: |s, _| {
            Some(match s.inline.debounce {
                Debounce::Adaptive => json!("adaptive"),
                Debounce::Fixed(wait) => millis(wait),
            })
        },
        set: |s, _, v| {
            s.inline.debounce = match v {
                Value::String(_) => Debounce::Adaptive,
                v => Debounce::Fixed(Duration::from_millis(read(v)?)),
            };
            Ok(())
        },
    },
    Key {
        path: "inline.deadline_ms",
        doc: "When the longest safe partial is shown, in milliseconds.",
        shape: Shape::Integer { min: 10, max: 5000 },
        reach: Reach::Free,
        get: |s, _| Some(millis(s.inline.deadline)),
        set: |s, _, v| {
            s.inline.deadline = Duration::from_millis(read(v)?);
            Ok(())
        },
    },
    Key {
        path: "inline.max_tokens",
        doc: "At most this many generated tokens.",
        shape: Shape::Integer { min: 1, max: 1024 },
        reach: Reach::Free,
        get: |s, _| Some(json!(s.inline.max_tokens)),
        set: |s, _, v| put(&mut s.inline.max_tokens, v),
    },
    Key {
        path: "inline.multi_line",
        doc: "Whether a completion may have several lines; with `auto`, where a block begins or one asks by hand.",
        shape: Shape::Choice(&["auto", "always", "never"]),
        reach: Reach::Free,
        get: |s, _| Some(json!(s.inline.multi_line)),
        set: |s, _, v| put(&mut s.inline.multi_line, v),
    },
    Key {
        path: "inline.prefetch",
        doc: "Whether the next completion is guessed ahead.",
        shape: Shape::Switch,
        reach: Reach::SwitchOff,
        get: |s, _| Some(json!(s.inline.prefetch)),
        set: |s, _, v| put(&mut s.inline.prefetch, v),
    },
    Key {
        path: "inline.disabled_languages",
        doc: "LSP language ids without completions.",
        shape: Shape::List(Item::Language),
        reach: Reach::AddOrReplace,
        get: |s, _| Some(json!(s.inline.disabled_languages)),
        set: |s, _, v| put(&mut s.inline.disabled_languages, v),
    },
    Key {
        path: "context.open_files",
        doc: "Whether similar windows of open files go into prompts.",
        shape: Shape::Switch,
        reach: Reach::SwitchOff,
        get: |s, _| Some(json!(s.context.open_files)),
        set: |s, _, v| put(&mut s.context.open_files, v),
    },
    Key {
        path: "context.open_files_tokens",
        doc: "At most this many tokens of similar windows in a prompt.",
        shape: Shape::Integer {
            min: 0,
            max: CONTEXT_TOKENS_MAX,
        },
        reach: Reach::Free,
        get: |s, _| Some(json!(s.context.open_files_tokens)),
        set: |s, _, v| put(&mut s.context.open_files_tokens, v),
    },
    Key {
        path: "context.recent_edits",
        doc: "Whether what was edited lately goes into prompts.",
        shape: Shape::Switch,
        reach: Reach::SwitchOff,
        get: |s, _| Some(json!(s.context.recent_edits)),
        set: |s, _, v| put(&mut s.context.recent_edits, v),
    },
    Key {
        path: "context.recent_edits_tokens",
        doc: "At most this many tokens of recent edits in a prompt.",
        shape: Shape::Integer {
            min: 0,
            max: CONTEXT_TOKENS_MAX,
        },
        reach: Reach::Free,
        get: |s, _| Some(json!(s.context.recent_edits_tokens)),
        set: |s, _, v| put(&mut s.context.recent_edits_tokens, v),
    },
    Key {
        path: "context.declarations",
        doc: "Whether declarations of names near the cursor go into prompts.",
        shape: Shape::Switch,
        reach: Reach::SwitchOff,
        get: |s, _| Some(json!(s.context.declarations)),
        set: |s, _, v| put(&mut s.context.declarations, v),
    },
    Key {
        path: "context.declarations_tokens",
        doc: "At most this many tokens of declarations and imports in a prompt.",
        shape: Shape::Integer {
            min: 0,
            max: CONTEXT_TOKENS_MAX,
        },
        reach: Reach::Free,
        get: |s, _| Some(json!(s.context.declarations_tokens)),
        set: |s, _, v| put(&mut s.context.declarations_tokens, v),
    },
    Key {
        path: "context.clipboard",
        doc: "Whether copied text goes into prompts.",
        shape: Shape::Switch,
        reach: Reach::SwitchOff,
        get: |s, _| Some(json!(s.context.clipboard)),
        set: |s, _, v| put(&mut s.context.clipboard, v),
    },
    Key {
        path: "context.clipboard_tokens",
        doc: "At most this many tokens of copied text in a prompt.",
        shape: Shape::Integer {
            min: 0,
            max: CONTEXT_TOKENS_MAX,
        },
        reach: Reach::Free,
        get: |s, _| Some(json!(s.context.clipboard_tokens)),
        set: |s, _, v| put(&mut s.context.clipboard_tokens, v),
    },
    Key {
        path: "index.enabled",
        doc: "Whether the workspace is indexed for search.",
        shape: Shape::Switch,
        reach: Reach::SwitchOff,
        get: |s, _| Some(json!(s.index.enabled)),
        set: |s, _, v| put(&mut s.index.enabled, v),
    },
    Key {
        path: "index.embed",
        doc: "Whether texts are embedded for search by meaning; else search is by words alone.",
        shape: Shape::Switch,
        reach: Reach::SwitchOff,
        get: |s, _| Some(json!(s.index.embed)),
        set: |s, _, v| put(&mut s.index.embed, v),
    },
    Key {
        path: "index.max_file_kib",
        doc: "Files longer than this many KiB are not indexed.",
        shape: Shape::Integer {
            min: 1,
            max: INDEX_FILE_KIB_MAX,
        },
        reach: Reach::Free,
        get: |s, _| Some(json!(s.index.max_file_kib)),
        set: |s, _, v| put(&mut s.index.max_file_kib, v),
    },
    Key {
        path: "index.max_files",
        doc: "At most this many files are indexed, those changed last.",
        shape: Shape::Integer {
            min: 1,
            max: INDEX_FILES_MAX,
        },
        reach: Reach::Free,
        get: |s, _| Some(json!(s.index.max_files)),
        set: |s, _, v| put(&mut s.index.max_files, v),
    },
    Key {
        path: "privacy.ignore",
        doc: "Glob patterns of files that no model sees, on top of ignore files.",
        shape: Shape::List(Item::Glob),
        reach: Reach::Add,
        get: |s, _| Some(json!(s.privacy.ignore)),
        set: |s, _, v| put(&mut s.privacy.ignore, v),
    },
    Key {
        path: "privacy.redact_secrets",
        doc: "Whether keys and tokens are taken out of prompts.",
        shape: Shape::Switch,
        reach: Reach::SwitchOn,
        get: |s, _| Some(json!(s.privacy.redact_secrets)),
        set: |s, _, v| put(&mut s.privacy.redact_secrets, v),
    },
    Key {
        path: "trust.folders",
        doc: "Folders whose own files may set everything; only in the user file.",
        shape: Shape::List(Item::Folder),
        reach: Reach::UserFile,
        // Read by `Sources::read`, before there are settings.
        get: |_, _| None,
        set: |_, _, _| Ok(()),
    },
];

/// The backend of that name.
fn backend<'a>(s: &'a mut Settings, name: &str) -> Result<&'a mut BackendSettings, String> {
    s.backends
        .get_mut(name)
        .ok_or_else(|| format!("belongs to no backend; give `backends.{name}` a `kind` first"))
}

fn put<T: DeserializeOwned>(slot: &mut T, v: &Value) -> Result<(), String> {
    *slot = read(v)?;
    Ok(())
}

fn read<T: DeserializeOwned>(v: &Value) -> Result<T, String> {
    T::deserialize(v).map_err(|e| format!("cannot be read ({e})"))
}

/// A duration in whole milliseconds.
fn millis(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
