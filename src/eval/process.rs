//! Starts the built program as a language server that knows nothing of the person's own set-up.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// Variables that would let the person's own set-up change what is measured.
const FOREIGN_VARIABLES: [&str; 6] = [
    "OLLAMA_HOST",
    "OLLAMA_CHAT_MODEL",
    "OLLAMA_COMPLETION_MODEL",
    "OLLAMA_REASONING_MODEL",
    "OLLAMA_VISION_MODEL",
    "OLLAMA_EMBEDDING_MODEL",
];

/// `program serve --stdio` with piped ends, the settings file `config`, and the folder it is in for a
/// cache.
pub(super) fn serve(program: &Path, config: &Path) -> Command {
    let folder = config.parent().unwrap_or(config);
    let mut command = Command::new(program);
    for variable in FOREIGN_VARIABLES {
        command.env_remove(variable);
    }
    command
        .args(["serve", "--stdio"])
        .env("GHOSTLINE_CONFIG", config)
        .env("GHOSTLINE_CACHE_DIR", folder)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}
