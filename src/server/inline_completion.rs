//! `textDocument/inlineCompletion`: from the protocol's request to the engine's and back.

use serde::Deserialize;
use serde_json::{Value, json};
use tower_lsp::gen_lsp_types::{Position, Range};
use tower_lsp::jsonrpc::{Error, Result};

use super::session::Session;
use crate::document::Document;
use crate::document::position::{Encoding, to_byte_range, to_offset, to_range};
use crate::inline::{Ask, Completion, Selected};

/// `InlineCompletionTriggerKind.Invoked` of LSP 3.18.
const INVOKED: u8 = 1;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    text_document: Identifier,
    position: Position,
    #[serde(default)]
    context: Context,
}

#[derive(Debug, Deserialize)]
struct Identifier {
    uri: String,
    #[serde(default)]
    version: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Context {
    trigger_kind: u8,
    selected_completion_info: Option<SelectedInfo>,
}

#[derive(Debug, Deserialize)]
struct SelectedInfo {
    range: Range,
    text: String,
}

/// Takes the snapshot; everything here happens before the first await.
pub(super) fn ask(session: &Session, params: Value) -> Result<Option<(Document, Ask)>> {
    let params: Params =
        serde_json::from_value(params).map_err(|e| Error::invalid_params(e.to_string()))?;
    let Some(document) = session.store.snapshot(&params.text_document.uri) else {
        return Ok(None);
    };
    // A request for a version that is not the one we have would be answered for another text.
    if params
        .text_document
        .version
        .is_some_and(|v| v != document.version)
    {
        return Ok(None);
    }
    let encoding = session.encoding();
    let selected = params
        .context
        .selected_completion_info
        .map(|info| Selected {
            range_bytes: to_byte_range(&document.text, info.range, encoding),
            text: info.text,
        });
    let ask = Ask {
        offset_bytes: to_offset(&document.text, params.position, encoding),
        explicit: params.context.trigger_kind == INVOKED,
        selected,
        document: document.clone(),
    };
    Ok(Some((document, ask)))
}

/// The protocol's item. The command tells us when it was accepted.
pub(super) fn item(document: &Document, completion: &Completion, encoding: Encoding) -> Value {
    let Completion {
        id,
        range_bytes,
        insert_text,
        ..
    } = completion;
    json!({
        "insertText": insert_text,
        "range": to_range(&document.text, range_bytes.clone(), encoding),
        "command": {
            "title": "Accepted",
            "command": super::ext::DID_ACCEPT,
            "arguments": [id],
        },
    })
}

/// `textDocument/didShowCompletion {item}`.
pub(super) fn drawn(session: &Session, params: &Value) {
    if let Some(id) = id_of(params) {
        session.engine_that_made(id).drawn(id);
    }
}

/// `textDocument/didPartiallyAcceptCompletion {item, acceptedLength}`: UTF-16 units from the start of
/// the item's text. Nothing was accepted below 1.
pub(super) fn partly_accepted(session: &Session, params: &Value) {
    let length = params.get("acceptedLength").and_then(Value::as_u64);
    if let Some(id) = id_of(params).filter(|_| length != Some(0)) {
        session.engine_that_made(id).partly_accepted(id);
    }
}

/// Our own id of the item that a client sends back.
fn id_of(params: &Value) -> Option<u64> {
    params.pointer("/item/command/arguments/0")?.as_u64()
}
