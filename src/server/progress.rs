//! Work-done progress and how it is cancelled: one map of what is under way, one way to report.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower_lsp::gen_lsp_types::InitializeParams;
use tower_lsp::jsonrpc::{Error, ErrorCode};

use super::transport::Outbox;

/// Whether the client shows progress that we begin.
pub(super) fn shows_progress(params: &InitializeParams) -> bool {
    let window = params.capabilities.window.as_ref();
    window.and_then(|w| w.work_done_progress).unwrap_or(false)
}

/// What can be cancelled by its progress, by the token.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// A std mutex: held for a look-up.
    running: Mutex<HashMap<String, CancellationToken>>,
}

impl Running {
    pub(super) fn start(&self, token: &Value) -> CancellationToken {
        let cancel = CancellationToken::new();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(token.to_string(), cancel.clone());
        cancel
    }

    pub(super) fn ended(&self, token: &Value) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&token.to_string());
    }

    /// `window/workDoneProgress/cancel`.
    pub(super) fn cancel(&self, token: &Value) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cancel) = running.get(&token.to_string()) {
            cancel.cancel();
        }
    }
}

/// A piece of work that a person waits for and may cancel, by its request or by its progress. Ends its
/// progress when it is dropped, however the work ended.
#[derive(Debug)]
pub(super) struct Work<'s> {
    outbox: &'s Outbox,
    running: &'s Running,
    token: Option<Value>,
    cancel: CancellationToken,
    /// What to say at the end.
    last: String,
}

impl<'s> Work<'s> {
    /// Begins; without a token nothing is shown.
    pub(super) fn begin(
        outbox: &'s Outbox,
        running: &'s Running,
        token: Option<Value>,
        title: &str,
    ) -> Self {
        let token = token.filter(|token| !token.is_null());
        let cancel = match &token {
            Some(token) => running.start(token),
            None => CancellationToken::new(),
        };
        let work = Self {
            outbox,
            running,
            token,
            cancel,
            last: String::new(),
        };
        work.send(&json!({ "kind": "begin", "title": title, "cancellable": true }));
        work
    }

    pub(super) fn report(&self, message: &str) {
        self.send(&json!({ "kind": "report", "message": message, "cancellable": true }));
    }

    /// What the progress ends with.
    pub(super) fn ends_with(&mut self, message: &str) {
        message.clone_into(&mut self.last);
    }

    /// Does `act` unless the person cancels it, which drops it.
    pub(super) async fn unless_cancelled<T>(
        &self,
        act: impl Future<Output = T>,
    ) -> Result<T, Error> {
        tokio::select! {
            done = act => Ok(done),
            () = self.cancel.cancelled() => Err(Error {
                code: ErrorCode::RequestCancelled,
                message: "cancelled".into(),
                data: None,
            }),
        }
    }

    fn send(&self, value: &Value) {
        if let Some(token) = &self.token {
            let params = json!({ "token": token, "value": value });
            self.outbox.notify("$/progress", &params);
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.send(&json!({ "kind": "end", "message": self.last }));
        if let Some(token) = &self.token {
            self.running.ended(token);
        }
    }
}
