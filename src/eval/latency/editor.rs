//! The other end of the pipes: starts the server and types into it.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::source::{Source, uri};
use super::{LatencyError, cannot};
use crate::client::{Client, ClientError};
use crate::eval::process;

const COMPLETION: &str = "textDocument/inlineCompletion";

/// A started server and the conversation with it.
#[derive(Debug)]
pub(super) struct Editor {
    process: Child,
    pub(super) client: Client<ChildStdout, ChildStdin>,
    version: i32,
}

/// A place in an open document; all text is ASCII, so columns count everything alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    pub(super) lines: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A key as it goes over the pipe: the change and the request for a completion behind it.
#[derive(Debug)]
pub(super) struct Key {
    change: Vec<u8>,
    request: Vec<u8>,
    id: i64,
    /// The cursor after it.
    pub(super) cursor: Cursor,
}

impl Editor {
    /// Starts the program and waits for the answer to `initialize`.
    pub(super) async fn start(program: &Path, config: &Path) -> Result<Self, LatencyError> {
        let mut process = process::serve(program, config)
            .spawn()
            .map_err(cannot("start the language server"))?;
        let (Some(stdout), Some(stdin)) = (process.stdout.take(), process.stdin.take()) else {
            return Err(ClientError::Closed.into());
        };
        let mut client = Client::new(stdout, stdin);
        let params = json!({ "processId": null, "rootUri": null, "capabilities": {} });
        client.initialize(params).await?;
        Ok(Self {
            process,
            client,
            version: 1,
        })
    }

    /// Waits until the scripted backend serves completions.
    pub(super) async fn wait_until_ready(&mut self) -> Result<(), LatencyError> {
        let status = self.client.settled_status().await?;
        let role = &status["roles"]["completion"];
        if role["state"] == "ready" && role["backend"] == super::backend::NAME {
            return Ok(());
        }
        Err(LatencyError::NotServed {
            status: status.to_string(),
        })
    }

    /// Gives the server the editor's own settings.
    pub(super) async fn configure(&mut self, settings: &Value) -> Result<(), LatencyError> {
        let method = "workspace/didChangeConfiguration";
        let params = json!({ "settings": { "ghostline": settings } });
        Ok(self.client.notify(method, params).await?)
    }

    /// Opens a generated document.
    pub(super) async fn open(&mut self, source: &Source) -> Result<(), LatencyError> {
        let document = json!({
            "uri": uri(source.lines()),
            "languageId": "rust",
            "version": self.version,
            "text": source.text(),
        });
        let params = json!({ "textDocument": document });
        Ok(self.client.notify("textDocument/didOpen", params).await?)
    }

    /// Types `text` at `at` and returns the cursor after it.
    pub(super) async fn insert(&mut self, at: Cursor, text: &str) -> Result<Cursor, LatencyError> {
        let params = self.insertion(at, text);
        self.client.notify("textDocument/didChange", params).await?;
        Ok(Cursor {
            column: at.column + text.len(),
            ..at
        })
    }

    /// The parameters of the `didChange` that types `text` at `at`; counts as sent.
    fn insertion(&mut self, at: Cursor, text: &str) -> Value {
        self.version += 1;
        let position = json!({ "line": at.line, "character": at.column });
        json!({
            "textDocument": { "uri": uri(at.lines), "version": self.version },
            "contentChanges": [{ "range": { "start": position, "end": position }, "text": text }],
        })
    }

    /// The key that types `text` at `at`, not sent yet; counts as sent.
    pub(super) fn key(&mut self, at: Cursor, text: &str) -> Result<Key, LatencyError> {
        let change = self.change(at, text)?;
        let cursor = Cursor {
            column: at.column + text.len(),
            ..at
        };
        let (id, request) = self.client.prepared(COMPLETION, self.request(cursor))?;
        Ok(Key {
            change,
            request,
            id,
            cursor,
        })
    }

    /// The message that types `text` at `at`, not sent yet; counts as sent.
    pub(super) fn change(&mut self, at: Cursor, text: &str) -> Result<Vec<u8>, LatencyError> {
        let params = self.insertion(at, text);
        let message = json!({
            "jsonrpc": "2.0", "method": "textDocument/didChange", "params": params,
        });
        Ok(serde_json::to_vec(&message).map_err(ClientError::from)?)
    }

    /// Sends a key and returns the text of the answer; `None` when there is no completion.
    pub(super) async fn press(&mut self, key: &Key) -> Result<Option<String>, LatencyError> {
        self.client.send_raw(&key.change).await?;
        self.client.send_raw(&key.request).await?;
        self.ghost(key.id).await
    }

    /// Asks for a completion and returns the request's id.
    pub(super) async fn ask(&mut self, at: Cursor) -> Result<i64, LatencyError> {
        let params = self.request(at);
        Ok(self.client.start(COMPLETION, params).await?)
    }

    fn request(&self, at: Cursor) -> Value {
        json!({
            "textDocument": { "uri": uri(at.lines), "version": self.version },
            "position": { "line": at.line, "character": at.column },
            "context": { "triggerKind": 2 },
        })
    }

    /// The text of the answer to `id`; `None` when there is no completion.
    pub(super) async fn ghost(&mut self, id: i64) -> Result<Option<String>, LatencyError> {
        let answer = self.client.response(&json!(id)).await?;
        Ok(answer["result"][0]["insertText"]
            .as_str()
            .map(str::to_owned))
    }

    /// How many code actions there are for the lines from `first` up to `end`.
    pub(super) async fn actions(
        &mut self,
        lines: usize,
        (first, end): (usize, usize),
    ) -> Result<usize, LatencyError> {
        let at = |line: usize| json!({ "line": line, "character": 0 });
        let params = json!({
            "textDocument": { "uri": uri(lines) },
            "range": { "start": at(first), "end": at(end) },
            "context": { "diagnostics": [] },
        });
        let method = "textDocument/codeAction";
        let id = self.client.start(method, params).await?;
        let answer = self.client.response(&json!(id)).await?;
        Ok(answer["result"].as_array().map_or(0, Vec::len))
    }

    /// Memory the server holds, in bytes.
    pub(super) fn rss_bytes(&self) -> Option<u64> {
        crate::eval::machine::rss_bytes(self.process.id()?)
    }

    /// Ends the server as an editor does.
    pub(super) async fn finish(mut self) -> Result<(), LatencyError> {
        self.client.shut_down().await?;
        let ended = self.process.wait().await;
        ended.map_err(cannot("wait for the language server"))?;
        Ok(())
    }
}
