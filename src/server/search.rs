//! `ghostline/search`, the command `ghostline.reindex`, and what the status and progress say of the index.

use std::path::Path;
use std::sync::{Arc, Weak};

use serde_json::{Value, json};
use tokio::sync::watch;
use tower_lsp::jsonrpc::{Error, ErrorCode, Result};

use super::session::{Session, path_of};
use crate::index::{Hit, Phase, SearchError, Status};

/// Places of an answer, where the client does not say.
const USUAL_LIMIT: u64 = 20;
/// Most places of an answer.
const MOST_LIMIT: u64 = 200;
/// Lines of a preview.
const PREVIEW_LINES: usize = 12;
/// Fewer texts to embed are over before anybody looks at a bar.
const WORTH_A_BAR: usize = 64;
/// `RequestFailed` of the protocol: understood, and not possible.
const REQUEST_FAILED: i64 = -32803;

/// `ghostline/search {query, limit?}` → `[{location, score, preview}]`.
pub(super) async fn search(session: &Session, params: &Value) -> Result<Value> {
    let query = params.get("query").and_then(Value::as_str);
    let query = query.ok_or_else(|| invalid("`query` must be a text"))?;
    let limit = match params.get("limit") {
        None | Some(Value::Null) => USUAL_LIMIT,
        Some(limit) => limit
            .as_u64()
            .filter(|n| (1..=MOST_LIMIT).contains(n))
            .ok_or_else(|| invalid("`limit` must be a whole number from 1 to 200"))?,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    match session.index.search(query, limit).await {
        Ok(answer) => {
            if let Some(note) = answer.note {
                tracing::info!(note, "a search");
            }
            Ok(answer.hits.iter().filter_map(hit_json).collect())
        }
        Err(error @ SearchError::Empty) => Err(invalid(&error.to_string())),
        Err(error) => Err(Error {
            code: ErrorCode::ServerError(REQUEST_FAILED),
            message: error.to_string().into(),
            data: None,
        }),
    }
}

fn hit_json(hit: &Hit) -> Option<Value> {
    let uri = url::Url::from_file_path(&hit.path).ok()?;
    let preview: Vec<&str> = hit.text.lines().take(PREVIEW_LINES).collect();
    Some(json!({
        "location": {
            "uri": uri.as_str(),
            "range": {
                "start": { "line": hit.lines.start, "character": 0 },
                "end": { "line": hit.lines.end, "character": 0 },
            },
        },
        "score": hit.score,
        "preview": preview.join("\n"),
    }))
}

fn invalid(message: &str) -> Error {
    Error {
        code: ErrorCode::InvalidParams,
        message: message.to_owned().into(),
        data: None,
    }
}

/// The answer to `ghostline/status` with how the index stands.
pub(super) fn with_index(mut answer: Value, status: &Status) -> Value {
    answer["index"] = json!({
        "state": status.state(),
        "message": status.sentence(),
        "files": status.files,
        "chunks": status.chunks,
        "embedded": status.embedded,
        "model": status.model,
    });
    answer
}

/// `workspace/didChangeWatchedFiles`: settings and ignore files are read anew, others indexed anew.
pub(super) fn files_changed(session: &Session, params: &Value) {
    let changes = params.get("changes").and_then(Value::as_array);
    let uris: Vec<&str> = changes
        .into_iter()
        .flatten()
        .filter_map(|change| change.get("uri")?.as_str())
        .collect();
    let is_rule = |uri: &&str| super::watched::is_rule(Path::new(uri));
    // A client that names nothing may mean anything.
    if uris.is_empty() || uris.iter().any(is_rule) {
        session.reload();
        session.index.look_again();
    }
    session.index.changed(uris.into_iter().filter_map(path_of));
}

/// Starts indexing, and shows a bar while many texts are embedded. Ends with the session.
pub(super) fn begin(session: &Arc<Session>) -> impl Future<Output = ()> + use<> {
    session.index.start();
    follow(Arc::downgrade(session), session.index.subscribe())
}

async fn follow(session: Weak<Session>, mut status: watch::Receiver<Status>) {
    let mut shown: Option<(Value, usize)> = None;
    while status.changed().await.is_ok() {
        let now = status.borrow_and_update().clone();
        let Some(session) = session.upgrade() else {
            return;
        };
        let send = |token: &Value, value: &Value| {
            let params = json!({ "token": token, "value": value });
            session.outbox().notify("$/progress", &params);
        };
        let missing = now.chunks.saturating_sub(now.embedded);
        let works = now.phase == Phase::Embedding;
        match (&mut shown, works) {
            (None, true) if missing >= WORTH_A_BAR => {
                if let Some(token) = session.new_progress().await {
                    send(
                        &token,
                        &json!({ "kind": "begin", "title": "ghostline: indexing", "percentage": 0 }),
                    );
                    shown = Some((token, 0));
                }
            }
            (Some((token, percent)), true) => {
                let new = now.embedded * 100 / now.chunks.max(1);
                if new > *percent {
                    *percent = new;
                    let message = format!("{} of {} texts", now.embedded, now.chunks);
                    send(
                        token,
                        &json!({ "kind": "report", "message": message, "percentage": new }),
                    );
                }
            }
            (Some((token, _)), false) => {
                send(token, &json!({ "kind": "end", "message": now.sentence() }));
                shown = None;
            }
            (None, _) => {}
        }
    }
}
