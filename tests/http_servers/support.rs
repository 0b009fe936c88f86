//! What every case needs: a server, requests, and the answer as a whole.

use std::io::{BufRead, BufReader};
#[cfg(feature = "embedded")]
use std::path::Path;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ghostline::backend::{Backend, Finish, Priority, Request};

pub(crate) use crate::generation::collect;
use crate::generation::gap;

/// The name under which the model is served.
pub(crate) const MODEL: &str = "qwen2.5-coder-under-test";

/// Where the tests find what they need.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    weights: PathBuf,
    python: PathBuf,
}

impl Machine {
    /// Says what is missing.
    pub(crate) fn find() -> Result<Self, String> {
        let named = |variable: &str| {
            std::env::var_os(variable)
                .map(PathBuf::from)
                .filter(|path| path.is_file())
                .ok_or_else(|| format!("{variable} names no file"))
        };
        let machine = Self {
            weights: named("GHOSTLINE_TEST_WEIGHTS")?,
            python: named("GHOSTLINE_TEST_PYTHON")?,
        };
        let mut command = Command::new(&machine.python);
        command
            .args(["-c", "import xllamacpp"])
            .stderr(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => Ok(machine),
            _ => Err("GHOSTLINE_TEST_PYTHON has no xllamacpp".to_owned()),
        }
    }

    /// The weights.
    #[cfg(feature = "embedded")]
    pub(crate) fn weights(&self) -> &Path {
        &self.weights
    }

    /// Starts a server and waits until its model is loaded.
    pub(crate) fn serve(&self, more: &[&str]) -> Server {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http_servers/serve.py");
        let mut child = Command::new(&self.python)
            .arg(script)
            .arg(&self.weights)
            .args(["--alias", MODEL])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut url).unwrap();
        assert!(url.starts_with("http://"), "the server did not start");
        Server {
            url: url.trim_end().to_owned(),
            child,
        }
    }
}

/// A running server. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub url: String,
    child: Child,
}

impl Server {
    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Line-anchored fill-in-the-middle: lines above, text below, the typed part of the line.
pub(crate) fn fim(above: &str, below: &str, typed: &str) -> Request {
    Request {
        model: MODEL.to_owned(),
        prompt: gap(above, below, typed).into(),
        max_tokens: 12,
        stop: vec!["<|endoftext|>".to_owned(), "\n\n".to_owned()],
        priority: Priority::Completion,
    }
}

/// A request whose answer is long.
pub(crate) fn long() -> Request {
    Request {
        max_tokens: 400,
        stop: Vec::new(),
        ..fim("numbers = [\n    1,\n    2,\n    3,\n", "", "    4,\n")
    }
}

/// A test that takes longer hangs. Generous: the machine may be busy with a compiler.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(5), test)
        .await
        .expect("the test hangs")
}

/// The whole answer of a backend.
pub(crate) async fn answer(backend: &dyn Backend, request: Request) -> (String, Finish) {
    within(collect(backend.stream(request))).await.unwrap()
}
