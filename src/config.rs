//! Settings: resolved, validated, shared as one immutable snapshot.
//!
//! [`Sources::read`] reads files and environment, [`resolve`] makes [`Settings`] of them without
//! touching anything. The server and the command line call both and share the result in an `Arc`;
//! every other part only reads [`Settings`]. Two snapshots that are equal mean the same, so a reload
//! compares them, field by field, to see what to restart.
//!
//! Layers, later wins: defaults, user file, workspace file, environment (with the workspace's
//! `.env`), editor. The rows of [`keys`] say which keys there are; [`trust`] says what a workspace's
//! own files may not do.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod candidate;
mod defaults;
pub mod edit;
mod host;
pub mod keys;
mod options;
mod origin;
mod resolve;
pub mod schema;
pub mod show;
mod sources;
#[cfg(test)]
mod tests;
mod text;
pub mod trust;

pub use candidate::Candidate;
pub use host::{OLLAMA_URL, ollama_host_url};
pub use origin::{Origin, Problem};
pub use resolve::{Resolved, resolve};
pub use sources::{Environment, SourceFile, Sources, Workspace, files, workspace_root};

/// What a model is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Inline completion.
    Completion,
    /// Chat and code actions.
    Chat,
    /// Project planning.
    Reasoning,
    /// Pictures of user interfaces.
    Vision,
    /// Semantic search.
    Embedding,
}

impl Role {
    /// Every role, in the order they are shown.
    pub const ALL: [Self; 5] = [
        Self::Completion,
        Self::Chat,
        Self::Reasoning,
        Self::Vision,
        Self::Embedding,
    ];

    /// The role's name in settings and output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completion => "completion",
            Self::Chat => "chat",
            Self::Reasoning => "reasoning",
            Self::Vision => "vision",
            Self::Embedding => "embedding",
        }
    }

    /// The role of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Settings of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSettings {
    /// First available wins.
    pub candidates: Vec<Candidate>,
}

/// What a backend speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendKind {
    /// Ollama's own API.
    Ollama,
    /// llama.cpp's HTTP server.
    LlamaServer,
    /// Anything that speaks the `OpenAI` dialect.
    Openai,
    /// This process.
    Embedded,
}

/// Settings of one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendSettings {
    /// What it speaks.
    pub kind: BackendKind,
    /// Where it is; empty for the embedded engine.
    pub urls: Vec<String>,
    /// The environment variable that holds its key.
    pub api_key_env: Option<String>,
    /// Decoding threads of the embedded engine; physical cores minus one when absent.
    pub threads: Option<usize>,
}

/// How long to wait for a person to stop typing before asking a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debounce {
    /// Learned from this person's rhythm and the backend's speed.
    Adaptive,
    /// Always the same; zero is allowed.
    Fixed(Duration),
}

/// Whether a completion may have several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MultiLine {
    /// Where a block begins, and where one asks by hand.
    Auto,
    /// Wherever nothing stands right of the cursor.
    Always,
    /// Nowhere.
    Never,
}

/// Settings of inline completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineSettings {
    /// Whether completions are offered at all.
    pub enabled: bool,
    /// How long to wait for a pause.
    pub debounce: Debounce,
    /// When the longest safe partial is shown.
    pub deadline: Duration,
    /// At most this many generated tokens.
    pub max_tokens: u32,
    /// Whether several lines are allowed.
    pub multi_line: MultiLine,
    /// Whether the next completion is guessed ahead.
    pub prefetch: bool,
    /// LSP language ids without completions.
    pub disabled_languages: Vec<String>,
}

/// Which context goes into a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one switch per source, as in the settings file"
)]
pub struct ContextSettings {
    /// Similar windows of open and recently viewed files.
    pub open_files: bool,
    /// At most so many tokens of them.
    pub open_files_tokens: usize,
    /// What was edited lately.
    pub recent_edits: bool,
    /// At most so many tokens of it.
    pub recent_edits_tokens: usize,
    /// Declarations of names near the cursor.
    pub declarations: bool,
    /// At most so many tokens of them.
    pub declarations_tokens: usize,
    /// Copied text.
    pub clipboard: bool,
    /// At most so many tokens of it.
    pub clipboard_tokens: usize,
}

/// What of the workspace is indexed for search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSettings {
    /// Whether anything is.
    pub enabled: bool,
    /// Whether texts are embedded; else words alone are searched.
    pub embed: bool,
    /// Longer files are left out; in KiB.
    pub max_file_kib: u64,
    /// At most so many files, those changed last.
    pub max_files: usize,
}

/// What never leaves the editor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacySettings {
    /// Glob patterns of files without completions, on top of `.gitignore` and `.ghostlineignore`.
    pub ignore: Vec<String>,
    /// Whether keys and tokens are taken out of prompts.
    pub redact_secrets: bool,
}

/// The resolved settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Candidates by role; every role is present.
    pub roles: BTreeMap<Role, RoleSettings>,
    /// Backends by name; `ollama` and `embedded` are present by default.
    pub backends: BTreeMap<String, BackendSettings>,
    /// Inline completion.
    pub inline: InlineSettings,
    /// Context of prompts.
    pub context: ContextSettings,
    /// Search in the workspace.
    pub index: IndexSettings,
    /// What is kept out of prompts.
    pub privacy: PrivacySettings,
}
