//! An editor as the server sees it: sends each edit, asks after each key, draws what grows.
//!
//! Reading and writing are tasks of their own, so that nothing a policy does waits for a pipe.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::books::WallBooks;
use crate::client::{Client, Incoming, Outgoing};
use crate::document::{Document, Edit};
use crate::eval::policy::{Ghost, Grown, Policy};
use crate::eval::replay::Told;
use crate::inline::Ask;

/// One open document in a running server.
#[derive(Debug)]
pub(super) struct Editor {
    shared: Arc<Shared>,
    /// The document as the server has it.
    document: Mutex<Document>,
}

#[derive(Debug)]
struct Shared {
    outgoing: UnboundedSender<Value>,
    next_id: AtomicI64,
    waiting: Mutex<HashMap<i64, oneshot::Sender<Value>>>,
    /// The document of the newest request: what a growing ghost belongs to.
    asked: Mutex<Option<Document>>,
    grown: UnboundedSender<Grown>,
    books: Arc<WallBooks>,
    /// Of the document as it is.
    version: AtomicI32,
    /// Who counts what a chat says.
    told: Mutex<Option<Told>>,
}

impl Editor {
    /// Opens `document` in the server behind `client`, which has answered `initialize`. What grows comes
    /// out of the receiver.
    pub(super) fn open<R, W>(
        client: Client<R, W>,
        document: Document,
        books: Arc<WallBooks>,
    ) -> (Self, UnboundedReceiver<Grown>)
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (incoming, writer, next_id) = client.split();
        let (outgoing, messages) = unbounded_channel();
        let (grown, growing) = unbounded_channel();
        let shared = Arc::new(Shared {
            outgoing,
            next_id: AtomicI64::new(next_id),
            waiting: Mutex::default(),
            asked: Mutex::default(),
            grown,
            books,
            version: AtomicI32::new(document.version),
            told: Mutex::default(),
        });
        tokio::spawn(write(writer, messages));
        tokio::spawn(read(incoming, Arc::clone(&shared)));
        let text = json!({
            "uri": &*document.uri,
            "languageId": &*document.language_id,
            "version": document.version,
            "text": document.text.to_string(),
        });
        shared.notify("textDocument/didOpen", &json!({ "textDocument": text }));
        let document = Mutex::new(document);
        (Self { shared, document }, growing)
    }

    /// Asks for anything.
    pub(super) async fn request(&self, method: &str, params: &Value) -> Option<Value> {
        let (_, answer) = self.shared.start(method, params);
        answer.await.ok()
    }

    /// What a chat asks with. The tokens of its answers are counted in `told`.
    pub(super) fn asking(&self, told: Told) -> Asking {
        *lock(&self.shared.told) = Some(told);
        Asking(Arc::clone(&self.shared))
    }

    /// Says good-bye.
    pub(super) async fn close(&self) {
        self.request("shutdown", &Value::Null).await;
        self.shared.notify("exit", &Value::Null);
    }
}

impl Policy for Editor {
    fn changed(&self, after: &Document, _: usize, edits: &[Edit]) {
        let mut document = lock(&self.document);
        let mut changes = Vec::with_capacity(edits.len());
        for edit in edits {
            let range = edit.range_bytes.as_ref().map(|range| {
                json!({
                    "start": position(&document, range.start),
                    "end": position(&document, range.end),
                })
            });
            changes.push(json!({ "range": range, "text": edit.text }));
            document.apply(edit);
        }
        document.version = after.version;
        self.shared.version.store(after.version, Ordering::Relaxed);
        let params = json!({
            "textDocument": { "uri": &*document.uri, "version": document.version },
            "contentChanges": changes,
        });
        self.shared.notify("textDocument/didChange", &params);
    }

    fn cursor_moved(&self, document: &Document, offset_bytes: usize) {
        let position = position(document, offset_bytes);
        let params = json!({ "uri": &*document.uri, "position": position });
        self.shared.notify("ghostline/didMoveCursor", &params);
    }

    fn complete(&self, ask: Ask, _: bool) -> BoxFuture<'static, Option<Ghost>> {
        let Ask {
            document,
            offset_bytes,
            ..
        } = ask;
        let params = json!({
            "textDocument": { "uri": &*document.uri, "version": document.version },
            "position": position(&document, offset_bytes),
            "context": { "triggerKind": 2 },
        });
        *lock(&self.shared.asked) = Some(document.clone());
        let (id, answer) = self.shared.start("textDocument/inlineCompletion", &params);
        let mut cancel = CancelOnDrop {
            shared: Arc::clone(&self.shared),
            id: Some(id),
        };
        async move {
            let answer = answer.await.ok()?;
            cancel.is_answered();
            // The answer and the next key passed each other in the pipes: an editor drops it.
            if cancel.shared.version.load(Ordering::Relaxed) != document.version {
                return None;
            }
            ghost(&document, answer.pointer("/result/0")?)
        }
        .boxed()
    }
}

/// Asks beside the one who types.
#[derive(Debug)]
pub(super) struct Asking(Arc<Shared>);

impl Asking {
    /// Asks for anything; dropping the future cancels. `None` when the server is gone.
    pub(super) async fn ask(&self, method: &str, params: &Value) -> Option<Value> {
        let (id, answer) = self.0.start(method, params);
        let mut cancel = CancelOnDrop {
            shared: Arc::clone(&self.0),
            id: Some(id),
        };
        let answer = answer.await.ok();
        cancel.is_answered();
        answer
    }
}

/// An editor cancels a request whose answer it no longer wants.
struct CancelOnDrop {
    shared: Arc<Shared>,
    id: Option<i64>,
}

impl CancelOnDrop {
    fn is_answered(&mut self) {
        self.id = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.notify("$/cancelRequest", &json!({ "id": id }));
        }
    }
}

impl Shared {
    fn notify(&self, method: &str, params: &Value) {
        let mut message = json!({ "jsonrpc": "2.0", "method": method });
        if !params.is_null() {
            message["params"] = params.clone();
        }
        // The writer ends with the server.
        let _ = self.outgoing.send(message);
    }

    fn start(&self, method: &str, params: &Value) -> (i64, oneshot::Receiver<Value>) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&self.waiting).insert(id, sender);
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if !params.is_null() {
            message["params"] = params.clone();
        }
        let _ = self.outgoing.send(message);
        (id, answer)
    }

    fn take(&self, mut message: Value) {
        let method = message["method"].as_str().map(str::to_owned);
        match (method.as_deref(), message["id"].as_i64()) {
            (None, Some(id)) => {
                if let Some(waiting) = lock(&self.waiting).remove(&id) {
                    let _ = waiting.send(message);
                }
            }
            (Some("ghostline/completionUpdated"), _) => self.updated(&message["params"]),
            (Some("ghostline/generationEnded"), _) => self.books.ended(&message["params"]),
            (Some("$/progress"), _) if message["params"]["value"]["delta"].is_string() => {
                if let Some(told) = &*lock(&self.told) {
                    told.token();
                }
            }
            // Nothing that a server may ask is of use here.
            (Some(_), Some(_)) => {
                let id = message["id"].take();
                let _ = self
                    .outgoing
                    .send(json!({ "jsonrpc": "2.0", "id": id, "result": null }));
            }
            _ => {}
        }
    }

    fn updated(&self, params: &Value) {
        let asked = lock(&self.asked);
        let Some(document) = asked.as_ref() else {
            return;
        };
        // For an older text: an editor drops it.
        if params["version"] != document.version {
            return;
        }
        if let Some(ghost) = params.pointer("/items/0").and_then(|i| ghost(document, i)) {
            let version = document.version;
            let _ = self.grown.send(Grown { version, ghost });
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(
    mut writer: Outgoing<W>,
    mut messages: UnboundedReceiver<Value>,
) {
    while let Some(message) = messages.recv().await {
        if writer.send(message.to_string().as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read<R: AsyncRead + Unpin>(mut incoming: Incoming<R>, shared: Arc<Shared>) {
    while let Ok(message) = incoming.next().await {
        shared.take(message);
    }
    // Whoever waits is told that nothing will come.
    lock(&shared.waiting).clear();
}

/// The protocol's position of byte `offset`, columns in UTF-8.
fn position(document: &Document, offset: usize) -> Value {
    let text = &document.text;
    let offset = offset.min(text.len_bytes());
    let line = text.byte_to_line(offset);
    json!({ "line": line, "character": offset - text.line_to_byte(line) })
}

fn offset(document: &Document, position: &Value) -> Option<usize> {
    let number = |key: &str| usize::try_from(position[key].as_u64()?).ok();
    let text = &document.text;
    let line = number("line").filter(|&line| line < text.len_lines())?;
    Some((text.line_to_byte(line) + number("character")?).min(text.len_bytes()))
}

fn ghost(document: &Document, item: &Value) -> Option<Ghost> {
    let at = |end: &str| offset(document, &item["range"][end]);
    Some(Ghost {
        range_bytes: at("start")?..at("end")?,
        text: item["insertText"].as_str()?.to_owned(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_to_the_server_and_back() {
        let document = Document::new("u", 1, "rust", "aμ\nbc\n");
        for at in 0..=7 {
            assert_eq!(offset(&document, &position(&document, at)), Some(at));
        }
        assert_eq!(position(&document, 3), json!({ "line": 0, "character": 3 }));
        assert_eq!(
            offset(&document, &json!({ "line": 9, "character": 0 })),
            None
        );
    }
}
