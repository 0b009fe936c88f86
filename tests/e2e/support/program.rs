//! The program itself, in a home of its own: what it prints, how it ends, which files it leaves.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use ghostline::client::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A home, a cache and a workspace for the program.
pub(crate) struct Home {
    dir: TempDir,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// The one JSON object on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output
                .status
                .code()
                .unwrap_or_else(|| signal(output.status)),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// The signal that ended it, as a negative number.
fn signal(status: std::process::ExitStatus) -> i32 {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        -status.signal().unwrap_or_default()
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        -1
    }
}

impl Home {
    /// With this user file; `{url}` in it stands for `url`.
    pub(crate) fn new(settings: &str, url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("workspace")).unwrap();
        fs::create_dir(dir.path().join("workspace/.git")).unwrap();
        let home = Self { dir };
        fs::write(home.user_file(), settings.replace("{url}", url)).unwrap();
        home
    }

    /// With one Ollama at `url`.
    pub(crate) fn with_ollama(url: &str) -> Self {
        Self::new(
            "[backends.ollama]\nkind = \"ollama\"\nurls = [\"{url}\"]\n",
            url,
        )
    }

    pub(crate) fn user_file(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    /// The program's cache.
    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.dir.path().join("workspace")
    }

    /// The program with nothing of this process's environment that would steer it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ghostline"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_lowercase();
            if ["ollama_", "ghostline_", "hf_"]
                .iter()
                .any(|p| text.starts_with(p))
                || text.ends_with("_proxy")
            {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.workspace())
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.dir.path().join("config"))
            .env("GHOSTLINE_CONFIG", self.user_file())
            .env("GHOSTLINE_CACHE_DIR", self.dir.path().join("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Run {
        self.ended(self.command(arguments).spawn().unwrap()).await
    }

    /// The language server as a process, with a client; ended when both are dropped.
    pub(crate) fn serve(&self) -> (Child, Client<ChildStdout, ChildStdin>) {
        let mut command = self.command(&["serve"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let client = Client::new(child.stdout.take().unwrap(), child.stdin.take().unwrap());
        (child, client)
    }

    /// What an editor says at first, with the workspace as its only folder.
    pub(crate) fn initialize(&self) -> Value {
        let uri = url::Url::from_directory_path(self.workspace())
            .unwrap()
            .to_string();
        json!({
            "processId": null, "rootUri": uri,
            "workspaceFolders": [{"uri": uri, "name": "workspace"}],
            "capabilities": {"window": {"workDoneProgress": true}},
        })
    }

    /// Waits for the end of a run.
    pub(crate) async fn ended(&self, child: Child) -> Run {
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
        output.await.expect("the program hangs").unwrap().into()
    }
}
