//! `textDocument/codeAction` and `codeAction/resolve`.
//!
//! The list asks no model. What an action needs to be done stands in its `data`, so the server remembers
//! nothing between the two. What ends in Markdown, and everything for a client that does not resolve edits,
//! is a command.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tower_lsp::gen_lsp_types::Range;
use tower_lsp::jsonrpc::{Error, Result};

use super::action::{self, Order};
use super::attachments::{self, Diagnostic};
use super::ext;
use super::session::Session;
use crate::action::{Action, Gives, named, offered};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    text_document: Identifier,
    range: Range,
    #[serde(default)]
    context: Context,
}

#[derive(Debug, Deserialize)]
struct Identifier {
    uri: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Context {
    diagnostics: Vec<Value>,
    only: Option<Vec<String>>,
}

/// The actions that apply.
pub(super) fn list(session: &Session, params: Value) -> Result<Value> {
    let params: Params =
        serde_json::from_value(params).map_err(|error| Error::invalid_params(error.to_string()))?;
    let uri = params.text_document.uri;
    let Some(document) = session.store.snapshot(&uri) else {
        return Ok(json!([]));
    };
    if attachments::allowed(session, &uri).is_err() {
        return Ok(json!([]));
    }
    let diagnostics = params.context.diagnostics;
    let order = Order {
        action: String::new(),
        version: Some(document.version),
        range: params.range,
        diagnostics: diagnostics
            .iter()
            .filter_map(|d| serde_json::from_value::<Diagnostic>(d.clone()).ok())
            .collect(),
        instruction: None,
        partial_result_token: None,
        uri,
    };
    let scene = action::scene(session, document, &order);
    let wanted = |action: &Action| {
        let within = |only: &String| {
            action.kind == only || action.kind.starts_with(&format!("{only}.")) || only.is_empty()
        };
        let only = params.context.only.as_ref();
        only.is_none_or(|only| only.iter().any(within))
    };
    let listed = offered(&scene)
        .into_iter()
        .filter(|(action, _)| wanted(action))
        .map(|(action, title)| {
            let data = json!({
                "action": action.id,
                "uri": order.uri,
                "version": order.version,
                "range": order.range,
                "diagnostics": if action.id == "fix" { diagnostics.as_slice() } else { &[] },
            });
            let mut item = json!({ "title": title, "kind": action.kind });
            if action.id == "fix" {
                item["diagnostics"] = json!(diagnostics);
            }
            let command =
                |name: &str| json!({ "title": title, "command": name, "arguments": [data] });
            if action.id == "rewrite" && session.abilities.asks {
                item["command"] = command(ext::REWRITE);
            } else if action.id == "explain" {
                item["command"] = command(ext::EXPLAIN);
            } else if action.gives == Gives::Text || !session.abilities.resolves_edits {
                item["command"] = command(ext::ACTION);
            } else {
                item["data"] = data;
            }
            item
        });
    Ok(Value::Array(listed.collect()))
}

/// Fills in the edit of an action that was chosen.
pub(super) async fn resolve(session: &Arc<Session>, mut item: Value) -> Result<Value> {
    let Some(data) = item.get("data").filter(|data| !data.is_null()) else {
        return Ok(item);
    };
    let order: Order = serde_json::from_value(data.clone())
        .map_err(|error| Error::invalid_params(error.to_string()))?;
    let action = known(&order)?;
    let title = item.get("title").and_then(Value::as_str);
    let title = title.unwrap_or(action.id).to_owned();
    let token = item.get("workDoneToken").cloned();
    let (scene, made) = action::run(session, action, &order, token).await?;
    item["edit"] = action::workspace_edit(session, &scene, &made, &title)?;
    Ok(item)
}

/// The action of an order.
pub(super) fn known(order: &Order) -> Result<&'static Action> {
    named(&order.action).ok_or_else(|| {
        let all: Vec<&str> = crate::action::ACTIONS.iter().map(|a| a.id).collect();
        let message = format!("there is no action {}; {}", order.action, all.join(", "));
        Error::invalid_params(message)
    })
}
