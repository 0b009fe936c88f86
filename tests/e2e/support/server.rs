//! The real server over pipes in memory, with a client that minds what it was not told to expect.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ghostline::backend::Backend;
use ghostline::client::Client;
use ghostline::config::{Candidate, Role, Settings};
use ghostline::inline::Gate;
use ghostline::router::Choices;
use ghostline::server::transport::{self, Ended};
use ghostline::server::{self, Host};
use serde_json::{Value, json};
use tokio::io::{DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

use super::scripted::{MODEL, Script, Scripted, scripted_with};

/// The document of most tests.
pub(crate) const URI: &str = "file:///project/add.rs";

/// Settings and backends of a test.
#[derive(Debug)]
struct TestHost {
    settings: Settings,
    backend: Option<Arc<Scripted>>,
    /// A backend in its place, which serves the same model.
    other: Option<Arc<dyn Backend>>,
    /// What the backend's model serves.
    roles: Vec<Role>,
    /// Where conversations are kept.
    chats: Option<PathBuf>,
}

impl Host for TestHost {
    fn settings(&self, _: Option<&Path>, editor: Option<&Value>) -> (Settings, Vec<String>) {
        let mut settings = self.settings.clone();
        if let Some(enabled) = editor.and_then(|e| e.pointer("/inline/enabled")?.as_bool()) {
            settings.inline.enabled = enabled;
        }
        (settings, Vec::new())
    }

    fn stored_gate(&self) -> Gate {
        Gate::default()
    }

    fn store_gate(&self, _: &Gate) {}

    fn chats_folder(&self, _: &[PathBuf]) -> Option<PathBuf> {
        self.chats.clone()
    }

    fn choices(&self, _: &Settings) -> (Choices, Vec<String>) {
        let candidate = Candidate {
            backend: self.other.is_none().then(|| "scripted".into()),
            model: self
                .backend
                .as_ref()
                .map_or(MODEL, |b| b.model.name.as_str())
                .into(),
        };
        let scripted = self.backend.iter().map(|b| b.clone() as Arc<dyn Backend>);
        let backends = match &self.other {
            Some(other) => vec![Arc::clone(other)],
            None => scripted.collect(),
        };
        (
            Choices {
                backends,
                candidates: self
                    .roles
                    .iter()
                    .map(|&role| (role, vec![candidate.clone()]))
                    .collect(),
                ..Choices::default()
            },
            Vec::new(),
        )
    }
}

/// A running server and its client.
pub(crate) struct TestServer {
    pub client: Client<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>,
    pub script: Script,
    pub backend: Arc<Scripted>,
    serving: JoinHandle<Ended>,
    version: i32,
}

impl TestServer {
    /// A server that has answered `initialize` and found its model.
    pub(crate) async fn ready() -> Self {
        Self::start(Settings::default(), true, json!({})).await
    }

    /// The same with settings, without a backend, or with other client capabilities.
    pub(crate) async fn start(settings: Settings, with_backend: bool, capabilities: Value) -> Self {
        let server = Self::unstarted(settings, with_backend);
        server.initialized(capabilities, Value::Null).await
    }

    /// The same in a workspace folder, with a backend.
    pub(crate) async fn in_folder(settings: Settings, folder: &Path, capabilities: Value) -> Self {
        let root = url::Url::from_file_path(folder).unwrap();
        let server = Self::unstarted(settings, true);
        server.initialized(capabilities, json!(root.as_str())).await
    }

    /// The same with another model; `fim` is what its metadata says.
    pub(crate) async fn with_model(model: &str, fim: Option<bool>) -> Self {
        let server = Self::unstarted_with(Settings::default(), true, model, fim);
        server.initialized(json!({}), Value::Null).await
    }

    pub(crate) async fn initialized(mut self, capabilities: Value, root_uri: Value) -> Self {
        let server = &mut self;
        let params =
            json!({ "processId": null, "rootUri": root_uri, "capabilities": capabilities });
        server.client.initialize(params).await.unwrap();
        server.client.settled_status().await.unwrap();
        self
    }

    /// A server that nobody has spoken to.
    pub(crate) fn unstarted(settings: Settings, with_backend: bool) -> Self {
        Self::unstarted_with(settings, with_backend, MODEL, Some(true))
    }

    fn unstarted_with(
        settings: Settings,
        with_backend: bool,
        model: &str,
        fim: Option<bool>,
    ) -> Self {
        let (backend, script) = scripted_with(model, fim);
        let host = TestHost {
            settings,
            backend: with_backend.then(|| backend.clone()),
            other: None,
            roles: vec![Role::Completion],
            chats: None,
        };
        Self::of(host, backend, script)
    }

    /// A server whose model serves every role but the embedding; conversations are kept in `chats`.
    pub(crate) async fn conversing(chats: &Path, capabilities: Value) -> Self {
        let server = Self::unstarted_conversing(chats, Settings::default(), true);
        server
            .initialized(capabilities, json!("file:///project"))
            .await
    }

    /// The same, nobody has spoken to it.
    pub(crate) fn unstarted_conversing(
        chats: &Path,
        settings: Settings,
        with_backend: bool,
    ) -> Self {
        let (backend, script) = scripted_with(MODEL, Some(true));
        let roles = [Role::Completion, Role::Chat, Role::Reasoning, Role::Vision];
        let host = TestHost {
            settings,
            backend: with_backend.then(|| backend.clone()),
            other: None,
            roles: roles.into(),
            chats: Some(chats.to_owned()),
        };
        Self::of(host, backend, script)
    }

    /// A server in front of a real backend, which has [`MODEL`] and serves completions and chat. Nobody has
    /// spoken to it.
    pub(crate) fn over(backend: Arc<dyn Backend>, chats: &Path, settings: Settings) -> Self {
        let (unused, script) = scripted_with(MODEL, Some(true));
        let host = TestHost {
            settings,
            backend: None,
            other: Some(backend),
            roles: vec![Role::Completion, Role::Chat],
            chats: Some(chats.to_owned()),
        };
        Self::of(host, unused, script)
    }

    fn of(host: TestHost, backend: Arc<Scripted>, script: Script) -> Self {
        let (outbox, outgoing) = transport::outbox();
        let (service, socket) = server::service(Arc::new(host), outbox.clone());
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(theirs);
        let serving = tokio::spawn(transport::serve(
            reader, writer, service, socket, outbox, outgoing,
        ));
        let (reader, writer) = tokio::io::split(ours);
        Self {
            client: Client::new(reader, writer),
            script,
            backend,
            serving,
            version: 1,
        }
    }

    /// Opens the document.
    pub(crate) async fn open(&mut self, text: &str) {
        self.open_as(URI, text).await;
    }

    /// Opens a document.
    pub(crate) async fn open_as(&mut self, uri: &str, text: &str) {
        let document =
            json!({ "uri": uri, "languageId": "rust", "version": self.version, "text": text });
        self.client
            .notify("textDocument/didOpen", json!({ "textDocument": document }))
            .await
            .unwrap();
    }

    /// Replaces a range, in UTF-16 columns.
    pub(crate) async fn change(&mut self, from: (u32, u32), to: (u32, u32), text: &str) {
        self.version += 1;
        let at = |(line, character)| json!({ "line": line, "character": character });
        let change = json!({ "range": { "start": at(from), "end": at(to) }, "text": text });
        let params = json!({
            "textDocument": { "uri": URI, "version": self.version },
            "contentChanges": [change],
        });
        self.client
            .notify("textDocument/didChange", params)
            .await
            .unwrap();
    }

    /// Types `text` at a place.
    pub(crate) async fn insert(&mut self, at: (u32, u32), text: &str) {
        self.change(at, at, text).await;
    }

    /// Asks for a completion; returns the request's id.
    pub(crate) async fn ask(&mut self, (line, character): (u32, u32)) -> Value {
        self.ask_in(URI, (line, character)).await
    }

    /// Asks in a document.
    pub(crate) async fn ask_in(&mut self, uri: &str, (line, character): (u32, u32)) -> Value {
        let params = json!({
            "textDocument": { "uri": uri },
            "position": { "line": line, "character": character },
            "context": { "triggerKind": 2 },
        });
        json!(
            self.client
                .start("textDocument/inlineCompletion", params)
                .await
                .unwrap()
        )
    }

    /// The text of the completion that answers `id`, with its range; `None` when there is none.
    pub(crate) async fn ghost(&mut self, id: &Value) -> Option<String> {
        let answer = self.client.response(id).await.unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
        Some(answer["result"][0]["insertText"].as_str()?.to_owned())
    }

    /// Ends the conversation as an editor does and checks that nothing was said unasked.
    pub(crate) async fn finish(mut self) {
        self.client.shut_down().await.unwrap();
        assert_eq!(self.serving.await.unwrap(), Ended::Clean);
        let unread: Vec<_> = self.client.unread().collect();
        // Without a model the person is asked once whether to fetch one.
        let expected = |m: &&Value| {
            m["method"] == "ghostline/statusChanged" || m["method"] == "window/showMessageRequest"
        };
        assert!(unread.iter().all(expected), "{unread:?}");
    }

    /// Closes the client's end and returns how the server ended.
    pub(crate) async fn hang_up(self) -> Ended {
        drop(self.client);
        self.serving.await.unwrap()
    }
}
