//! Everything that the doctor hands out to mend something, as a command that works as it is written, or as
//! the exact next step where no command can mend it.
//!
//! A closed list: a failing line can only end in one of these, and a test goes over all of them.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::backend::ollama::{base_url, is_loopback};
use crate::config::Role;

/// What installs or updates an Ollama, and starts it. The installer is Ollama's own.
const INSTALL: &str = if cfg!(target_os = "linux") {
    "curl -fsSL https://ollama.com/install.sh | sh"
} else if cfg!(target_os = "macos") {
    "open https://ollama.com/download/Ollama.dmg"
} else {
    "winget install Ollama.Ollama"
};

/// What starts an Ollama.
const START: &str = "ollama serve";

/// Seconds within which an Ollama that was started listens.
const START_SECONDS: u32 = 5;

/// Where the problems of `--quality` are published.
const PROBLEMS: &str =
    "curl -LO https://github.com/openai/human-eval/raw/master/data/HumanEval.jsonl.gz";

/// What mends a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Fetches a model: of a role, or by name.
    Pull(String),
    /// Fetches a model and lets it serve the role.
    Switch {
        /// The role.
        role: Role,
        /// The model, with its backend in front.
        name: String,
    },
    /// Starts the Ollama of this machine.
    StartOllama,
    /// Installs one on this machine.
    InstallOllama,
    /// Starts the Ollama of this machine, or installs one, then fetches a role's model with it.
    OllamaThenPull {
        /// The role.
        role: Role,
        /// Whether there is one to start.
        installed: bool,
    },
    /// Starts the Ollama of another machine, or corrects its address.
    StartOllamaThere {
        /// Its address.
        url: String,
        /// The backend's name.
        backend: String,
        /// Where the address is set.
        file: PathBuf,
    },
    /// Updates an Ollama.
    UpdateOllama {
        /// Its address.
        url: String,
    },
    /// Looks at the GPU and has an Ollama look for it again.
    RestartOllama {
        /// Its address.
        url: String,
    },
    /// Frees the memory that models take which are not needed now.
    Unload {
        /// The Ollama's address.
        url: String,
        /// The models; at least one.
        models: Vec<String>,
    },
    /// Corrects a file of settings.
    Edit(PathBuf),
    /// Takes a variable back.
    Unset(String),
    /// Corrects the settings in the editor.
    EditorSettings,
    /// Trusts a folder.
    Trust {
        /// The user file.
        file: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// Starts a server that is not ours to start, or corrects its address.
    StartServer {
        /// The backend's name.
        backend: String,
        /// Its addresses.
        urls: Vec<String>,
        /// Where they are set.
        file: PathBuf,
    },
    /// Starts that server with something quicker.
    QuickerServer {
        /// The backend's name.
        backend: String,
    },
    /// Makes sure that weights are whole.
    Verify,
    /// Makes room on the disk.
    FreeDisk,
    /// Has these hosts reached without a proxy.
    NoProxy(Vec<String>),
    /// Restarts the server that an editor runs.
    RestartServer {
        /// As the editor names itself.
        editor: String,
    },
    /// Installs the plugin for VS Code.
    VsCodePlugin,
    /// Installs the plugin for Neovim.
    NeovimPlugin,
    /// Gives the engine in this process more of the machine.
    FreeCores,
    /// Fetches the problems of `--quality`.
    FetchProblems,
    /// Measures the quality on its own, which says more.
    Benchmark {
        /// The problems.
        data: PathBuf,
        /// The model, with its backend in front.
        model: String,
    },
    /// Takes a machine that runs larger models.
    LargerMachine,
}

impl Fix {
    /// The command, or the step.
    pub fn text(&self) -> String {
        match self {
            Self::Pull(what) => format!("ghostline models pull {}", shell(what)),
            Self::Switch { role, name } => {
                let name = shell(name);
                format!("ghostline models pull {name} && ghostline models use {role} {name}")
            }
            Self::StartOllama => START.to_owned(),
            Self::InstallOllama => INSTALL.to_owned(),
            Self::OllamaThenPull { role, installed } => {
                let pull = Self::Pull(role.to_string()).text();
                if *installed {
                    format!("{START} & sleep {START_SECONDS} && {pull}")
                } else {
                    format!("{INSTALL} && {pull}")
                }
            }
            Self::StartOllamaThere { url, backend, file } => format!(
                "on {}: `OLLAMA_HOST=0.0.0.0 {START}`; or correct `backends.{backend}.urls`: `{}`",
                host(url),
                edit(file)
            ),
            Self::UpdateOllama { url } => at(url, INSTALL),
            Self::RestartOllama { url } if cfg!(target_os = "linux") => {
                at(url, "nvidia-smi && sudo systemctl restart ollama")
            }
            Self::RestartOllama { .. } => format!("end Ollama and start it again: `{START}`"),
            Self::Unload { url, models } => {
                let unload = |model: &String| {
                    let body = serde_json::json!({ "model": model, "keep_alive": 0 }).to_string();
                    format!("curl -s {} -d {}", shell(&format!("{url}/api/generate")), shell(&body))
                };
                models.iter().map(unload).collect::<Vec<_>>().join(" && ")
            }
            Self::Edit(file) => edit(file),
            Self::Unset(name) => format!("unset {name}"),
            Self::EditorSettings => {
                "correct the object `ghostline` in the editor's settings".to_owned()
            }
            Self::Trust { file, folder } => format!(
                "if you trust it, put `[trust]` and `folders = [{:?}]` into the user file: `{}`",
                folder.display().to_string(),
                edit(file)
            ),
            Self::StartServer {
                backend,
                urls,
                file,
            } => format!(
                "start the server at `{}`, or correct `backends.{backend}`: `{}`",
                urls.join("` or `"),
                edit(file)
            ),
            Self::QuickerServer { backend } => format!(
                "start the server of `backends.{backend}` with a smaller model, or where there is a GPU"
            ),
            Self::Verify => "ghostline models verify".to_owned(),
            Self::FreeDisk => "remove what `ghostline models list` shows and you do not use, with \
                               `ghostline models rm`; or set `GHOSTLINE_CACHE_DIR` to a folder on another disk"
                .to_owned(),
            Self::NoProxy(hosts) => format!(
                "export NO_PROXY=\"${{NO_PROXY:+$NO_PROXY,}}{}\"",
                hosts.join(",")
            ),
            Self::RestartServer { editor } => restart(editor).to_owned(),
            Self::VsCodePlugin => "in ghostline's sources: `make vscode && code --install-extension \
                                   editors/vscode/ghostline-*.vsix`"
                .to_owned(),
            Self::NeovimPlugin => "in ghostline's sources: `mkdir -p ~/.local/share/nvim/site/pack/ghostline/start \
                                   && cp -r editors/nvim ~/.local/share/nvim/site/pack/ghostline/start/ghostline`"
                .to_owned(),
            Self::FreeCores => "end what keeps the cores busy (`top`); or build for a GPU, in ghostline's \
                                sources: `cargo install --path . --features cuda` (or `metal`, `vulkan`)"
                .to_owned(),
            Self::FetchProblems => PROBLEMS.to_owned(),
            Self::Benchmark { data, model } => format!(
                "ghostline bench humaneval --data {} --model {}",
                path(data),
                shell(model)
            ),
            Self::LargerMachine => "name an Ollama of a machine with a GPU in `backends.ollama.urls`, which runs \
                                    larger models, and run `ghostline doctor` again"
                .to_owned(),
        }
    }
}

impl Serialize for Fix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// The command, said of the machine where it has to run.
fn at(url: &str, command: &str) -> String {
    if base_url(url).is_ok_and(|url| is_loopback(&url)) {
        command.to_owned()
    } else {
        format!("on {}: `{command}`", host(url))
    }
}

/// The machine of an address.
fn host(url: &str) -> String {
    let host = base_url(url).ok();
    let host = host.and_then(|url| Some(url.host_str()?.to_owned()));
    host.unwrap_or_else(|| url.to_owned())
}

/// What opens a file to be changed.
fn edit(file: &Path) -> String {
    let editor = if cfg!(windows) {
        "notepad"
    } else {
        "${EDITOR:-vi}"
    };
    format!("{editor} {}", path(file))
}

fn path(path: &Path) -> String {
    shell(&path.display().to_string())
}

/// A word for a shell.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// How an editor, as it names itself, starts the language server anew.
fn restart(editor: &str) -> &'static str {
    let editor = editor.to_ascii_lowercase();
    if editor.contains("code") || editor.contains("codium") || editor.contains("cursor") {
        "in its command palette: `Developer: Reload Window`"
    } else if editor.contains("vim") {
        "in it: `:LspRestart`, or `:edit` after `:lua vim.lsp.stop_client(vim.lsp.get_clients())`"
    } else {
        "restart the language server in it (VS Code: `Developer: Reload Window`; Neovim: `:LspRestart`)"
    }
}

#[cfg(test)]
pub(crate) mod samples;
