//! One of each [`Fix`], for the tests of what they say.

use super::Fix;
use crate::config::Role;

/// Whether it is a command, which must work as it is written, or a step. Without a wildcard: a new way to
/// mend something has to be put here and into [`all`].
fn kind(fix: &Fix) -> (usize, bool) {
    match fix {
        Fix::Pull(_) => (0, true),
        Fix::Switch { .. } => (1, true),
        Fix::StartOllama => (2, true),
        Fix::InstallOllama => (3, true),
        Fix::OllamaThenPull { .. } => (4, true),
        Fix::StartOllamaThere { .. } => (5, false),
        Fix::UpdateOllama { url } => (6, url.contains("127.0.0.1")),
        Fix::RestartOllama { url } => (7, url.contains("127.0.0.1") && cfg!(target_os = "linux")),
        Fix::Unload { .. } => (8, true),
        Fix::Edit(_) => (9, true),
        Fix::Unset(_) => (10, true),
        Fix::EditorSettings => (11, false),
        Fix::Trust { .. } => (12, false),
        Fix::StartServer { .. } => (13, false),
        Fix::QuickerServer { .. } => (14, false),
        Fix::Verify => (15, true),
        Fix::FreeDisk => (16, false),
        Fix::NoProxy(_) => (17, true),
        Fix::RestartServer { .. } => (18, false),
        Fix::VsCodePlugin => (19, false),
        Fix::NeovimPlugin => (20, false),
        Fix::FreeCores => (21, false),
        Fix::FetchProblems => (22, true),
        Fix::Benchmark { .. } => (23, true),
        Fix::LargerMachine => (24, false),
    }
}

/// How many there are.
const KINDS: usize = 25;

/// Every one, and whether it is a command.
pub(crate) fn all() -> Vec<(Fix, bool)> {
    let (here, there) = ("http://127.0.0.1:11434", "http://gpu.example:11434");
    let file = || "/settings/a b/it's.toml".into();
    let all = vec![
        Fix::Pull("ollama/qwen2.5-coder:7b".to_owned()),
        Fix::Pull("completion".to_owned()),
        Fix::Switch {
            role: Role::Chat,
            name: "embedded/qwen2.5-coder-0.5b".to_owned(),
        },
        Fix::StartOllama,
        Fix::InstallOllama,
        Fix::OllamaThenPull {
            role: Role::Vision,
            installed: true,
        },
        Fix::OllamaThenPull {
            role: Role::Vision,
            installed: false,
        },
        Fix::StartOllamaThere {
            url: there.to_owned(),
            backend: "far".to_owned(),
            file: file(),
        },
        Fix::UpdateOllama {
            url: here.to_owned(),
        },
        Fix::UpdateOllama {
            url: there.to_owned(),
        },
        Fix::RestartOllama {
            url: here.to_owned(),
        },
        Fix::RestartOllama {
            url: there.to_owned(),
        },
        Fix::Unload {
            url: here.to_owned(),
            models: vec!["a:7b".to_owned(), "b".to_owned()],
        },
        Fix::Edit(file()),
        Fix::Unset("OLLAMA_HOST".to_owned()),
        Fix::EditorSettings,
        Fix::Trust {
            file: file(),
            folder: "/code/it".into(),
        },
        Fix::StartServer {
            backend: "team".to_owned(),
            urls: vec![there.to_owned()],
            file: file(),
        },
        Fix::QuickerServer {
            backend: "team".to_owned(),
        },
        Fix::Verify,
        Fix::FreeDisk,
        Fix::NoProxy(vec!["gpu.example".to_owned(), "10.0.0.1".to_owned()]),
        Fix::RestartServer {
            editor: "Visual Studio Code".to_owned(),
        },
        Fix::RestartServer {
            editor: "Neovim".to_owned(),
        },
        Fix::RestartServer {
            editor: "an editor".to_owned(),
        },
        Fix::VsCodePlugin,
        Fix::NeovimPlugin,
        Fix::FreeCores,
        Fix::FetchProblems,
        Fix::Benchmark {
            data: "HumanEval.jsonl.gz".into(),
            model: "ollama/qwen3-coder:30b".to_owned(),
        },
        Fix::LargerMachine,
    ];
    let seen: std::collections::BTreeSet<usize> = all.iter().map(|fix| kind(fix).0).collect();
    assert!(seen.into_iter().eq(0..KINDS), "one of each");
    all.into_iter()
        .map(|fix| (kind(&fix).1, fix))
        .map(|(is_command, fix)| (fix, is_command))
        .collect()
}
