//! Documents follow the editor: open, change, close.
//!
//! Every function here is synchronous, so changes are applied in the order in which they arrive.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tower_lsp::gen_lsp_types::{Position, Range};

use super::session::{Session, path_of};
use crate::document::position::{to_byte_range, to_offset};
use crate::document::{Document, Edit};
use crate::inline::opener_of;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    text_document: Item,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    uri: String,
    #[serde(default)]
    language_id: String,
    version: i32,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    text_document: Version,
    content_changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Version {
    uri: String,
    #[serde(default)]
    version: Option<i32>,
}

/// The protocol's type would take a range it cannot read for "the whole document".
#[derive(Debug, Deserialize)]
struct Change {
    #[serde(default, deserialize_with = "present")]
    range: Option<Range>,
    text: String,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Range>, D::Error> {
    Range::deserialize(value).map(Some)
}

/// Where the cursor may be after `inserted`, which ends at byte `end`, the likeliest first. Editors insert a
/// bracket or quote and what closes it in one edit, and leave the cursor between them; who accepts or pastes
/// both is behind them. The same with the two line ends of an Enter between brackets.
fn cursors(end: usize, inserted: &str) -> Vec<usize> {
    let between = pair_end(inserted).or_else(|| line_between(inserted));
    let between = between.map(|behind| end - behind);
    between.into_iter().chain([end]).collect()
}

/// Bytes of the closing half, where a pair was inserted and nothing else.
fn pair_end(inserted: &str) -> Option<usize> {
    let mut chars = inserted.chars();
    let (open, close) = (chars.next()?, chars.next()?);
    (opener_of(close) == Some(open) && chars.next().is_none()).then(|| close.len_utf8())
}

/// Bytes from the second line end on, where two and their indentation were inserted and nothing else.
fn line_between(inserted: &str) -> Option<usize> {
    let (first, second) = (inserted.find('\n')?, inserted.rfind('\n')?);
    let is_enter = inserted.trim().is_empty()
        && matches!(inserted.get(..first), Some("" | "\r"))
        && memchr::memchr_iter(b'\n', inserted.as_bytes()).count() == 2;
    let second = second - usize::from(inserted.get(..second)?.ends_with('\r'));
    is_enter.then(|| inserted.len() - second)
}

/// `textDocument/didOpen`.
pub(super) fn open(session: &Arc<Session>, params: Value) {
    match serde_json::from_value::<Opened>(params) {
        Ok(Opened {
            text_document: item,
        }) => {
            let document = Document::new(&item.uri, item.version, &item.language_id, &item.text);
            session.opened(&document.uri);
            session.engine_of(&document.uri).document_opened(&document);
            session.store.open(document);
        }
        Err(error) => tracing::error!(%error, "didOpen could not be read; the document is unknown"),
    }
}

/// `textDocument/didChange`. A change that cannot be read leaves the document unknown: a text that is
/// not the editor's would lead to completions for something nobody sees.
pub(super) fn change(session: &Session, params: &Value) {
    let changed = match Changed::deserialize(params) {
        Ok(changed) => changed,
        Err(error) => {
            let uri = params.pointer("/textDocument/uri").and_then(Value::as_str);
            tracing::error!(%error, ?uri, "didChange could not be read; the document is unknown now");
            if let Some(uri) = uri {
                close_document(session, uri);
            }
            return;
        }
    };
    let encoding = session.encoding();
    let Changed {
        text_document,
        content_changes,
    } = changed;
    let updated = session.store.update(&text_document.uri, |document| {
        let mut cursors = vec![0];
        for change in content_changes {
            let range_bytes = change
                .range
                .map(|r| to_byte_range(&document.text, r, encoding));
            let edit = Edit {
                range_bytes,
                text: change.text,
            };
            cursors = self::cursors(document.apply(&edit), &edit.text);
        }
        document.version = text_document.version.unwrap_or(document.version);
        cursors
    });
    let Some((document, cursors)) = updated else {
        tracing::debug!(
            uri = text_document.uri,
            "a change of a document that is not open"
        );
        return;
    };
    session.index.typed();
    session
        .engine_of(&document.uri)
        .document_changed(&document, &cursors);
}

/// `ghostline/didCopy {text, uri?}`: editors tell, because the protocol knows no clipboard.
pub(super) fn copied(session: &Session, params: &Value) {
    let uri = params.get("uri").and_then(Value::as_str);
    if let Some(text) = params.get("text").and_then(Value::as_str) {
        let engine = uri.map_or_else(|| session.shown().0, |uri| session.engine_of(uri));
        engine.text_copied(text, uri);
    }
}

/// `ghostline/didMoveCursor {uri, position}`: editors tell, because the protocol knows no cursor. A
/// place of an older text is somewhere near; the next change corrects it.
pub(super) fn cursor_moved(session: &Session, params: &Value) {
    let uri = params.get("uri").and_then(Value::as_str);
    let position = params.get("position").map(Position::deserialize);
    if let (Some(uri), Some(Ok(position))) = (uri, position)
        && let Some(document) = session.store.snapshot(uri)
    {
        let offset_bytes = to_offset(&document.text, position, session.encoding());
        session
            .engine_of(&document.uri)
            .cursor_moved(&document, offset_bytes);
    }
}

/// `textDocument/didSave`: what is on the disk is indexed anew.
pub(super) fn saved(session: &Session, params: &Value) {
    let uri = params.pointer("/textDocument/uri").and_then(Value::as_str);
    session.index.changed(uri.and_then(path_of));
}

/// `textDocument/didClose`.
pub(super) fn close(session: &Session, params: &Value) {
    if let Some(uri) = params.pointer("/textDocument/uri").and_then(Value::as_str) {
        close_document(session, uri);
    }
}

fn close_document(session: &Session, uri: &str) {
    session.store.close(uri);
    session.closed(uri);
    session.engine_of(uri).document_closed(uri);
}
