//! The settings of somebody who set nothing. The values are the interface's.

use std::collections::BTreeMap;
use std::time::Duration;

use super::candidate::Candidate;
use super::{
    BackendKind, BackendSettings, ContextSettings, Debounce, IndexSettings, InlineSettings,
    MultiLine, OLLAMA_URL, PrivacySettings, Role, RoleSettings, Settings,
};

/// A candidate that stands for the candidates of the role `chat`.
pub(super) const CHAT_ALIAS: &str = "chat";

/// In order of preference. Not every tag exists in Ollama's library today: it has `qwen3-coder` only
/// from 30B up, and no quantisation suffix on `deepseek-r1:7b` and `llama3.2-vision:11b`. Such names
/// stay in front because they are the first choice on machines where somebody made them.
const fn candidates(role: Role) -> &'static [&'static str] {
    match role {
        Role::Completion => &[
            "qwen3-coder:1.5b-q4_K_M",
            "qwen2.5-coder:1.5b-base-q4_K_M",
            "qwen2.5-coder:1.5b",
            "qwen2.5-coder:*",
            "embedded/qwen2.5-coder-1.5b",
            "embedded/qwen2.5-coder-0.5b",
        ],
        Role::Chat => &[
            "qwen3-coder:30b-q4_K_M",
            "qwen3-coder:30b-a3b-q4_K_M",
            "qwen3-coder:30b",
            "qwen3-coder:7b-q4_K_M",
            "qwen2.5-coder:7b",
            "embedded/qwen2.5-coder-1.5b",
            "embedded/qwen2.5-coder-0.5b",
        ],
        Role::Reasoning => &["deepseek-r1:7b-q4_K_M", "deepseek-r1:7b", CHAT_ALIAS],
        Role::Vision => &[
            "llama3.2-vision:11b-q4_K_M",
            "llama3.2-vision:11b",
            "qwen2.5vl:7b",
            "qwen3-vl:8b",
            "gemma3:12b",
        ],
        // The embedded models in the order of completion, so that weights loaded for one serve both.
        Role::Embedding => &[
            "nomic-embed-text",
            "embedded/qwen2.5-coder-1.5b",
            "embedded/qwen2.5-coder-0.5b",
        ],
    }
}

/// Where a backend of this kind usually listens; nothing where there is no usual place.
pub(super) fn urls(kind: BackendKind) -> Vec<String> {
    match kind {
        BackendKind::Ollama => vec![OLLAMA_URL.to_owned()],
        // The port in llama.cpp's `tools/server/README.md`, option `--port`.
        BackendKind::LlamaServer => vec!["http://127.0.0.1:8080".to_owned()],
        BackendKind::Openai | BackendKind::Embedded => Vec::new(),
    }
}

/// A backend of this kind with nothing else said.
pub(super) fn backend(kind: BackendKind) -> BackendSettings {
    BackendSettings {
        kind,
        urls: urls(kind),
        api_key_env: None,
        threads: None,
    }
}

/// The defaults, with [`CHAT_ALIAS`] still standing where it was written.
pub(super) fn unexpanded() -> Settings {
    let backends = BTreeMap::from([
        ("ollama".to_owned(), backend(BackendKind::Ollama)),
        ("embedded".to_owned(), backend(BackendKind::Embedded)),
    ]);
    let split = |text: &&str| match text.split_once('/') {
        Some((backend, model)) => Candidate {
            backend: Some(backend.to_owned()),
            model: model.to_owned(),
        },
        None => Candidate {
            backend: None,
            model: (*text).to_owned(),
        },
    };
    let roles = Role::ALL
        .into_iter()
        .map(|role| {
            let candidates = candidates(role).iter().map(split).collect();
            (role, RoleSettings { candidates })
        })
        .collect();
    Settings {
        roles,
        backends,
        inline: InlineSettings {
            enabled: true,
            debounce: Debounce::Adaptive,
            deadline: Duration::from_millis(100),
            max_tokens: 64,
            multi_line: MultiLine::Auto,
            prefetch: true,
            disabled_languages: Vec::new(),
        },
        // A window of 20 lines has about 200 tokens, a signature 20 to 60. Together no more than the
        // fastest machine's share for snippets, about 700, is used.
        context: ContextSettings {
            open_files: true,
            open_files_tokens: 448,
            recent_edits: true,
            recent_edits_tokens: 192,
            declarations: true,
            declarations_tokens: 384,
            clipboard: true,
            clipboard_tokens: 192,
        },
        // Longer files are generated; more than 50,000 is not one project.
        index: IndexSettings {
            enabled: true,
            embed: true,
            max_file_kib: 512,
            max_files: 50_000,
        },
        privacy: PrivacySettings {
            ignore: vec![".env*".to_owned(), "*.pem".to_owned()],
            redact_secrets: true,
        },
    }
}

impl Default for Settings {
    fn default() -> Self {
        let mut settings = unexpanded();
        expand_chat(&mut settings);
        settings
    }
}

/// Puts the candidates of `chat` where [`CHAT_ALIAS`] stands and drops repeated candidates.
pub(super) fn expand_chat(settings: &mut Settings) {
    let is_alias = |c: &Candidate| c.backend.is_none() && c.model == CHAT_ALIAS;
    let chat: Vec<Candidate> = settings
        .roles
        .get(&Role::Chat)
        .map(|role| role.candidates.clone())
        .unwrap_or_default();
    for role in settings.roles.values_mut() {
        let mut expanded: Vec<Candidate> = Vec::with_capacity(role.candidates.len());
        for candidate in &role.candidates {
            let stands_for = if is_alias(candidate) {
                chat.as_slice()
            } else {
                std::slice::from_ref(candidate)
            };
            for candidate in stands_for {
                if !is_alias(candidate) && !expanded.contains(candidate) {
                    expanded.push(candidate.clone());
                }
            }
        }
        role.candidates = expanded;
    }
}
