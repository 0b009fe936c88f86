//! `workspace/executeCommand`: which command is whose, and the two that do code actions.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tower_lsp::gen_lsp_types::{ShowDocumentParams, WorkspaceEdit};
use tower_lsp::jsonrpc::{Error, Result};

use super::action::{self, Order};
use super::error::failed;
use super::session::Session;
use super::{code_action, ext, model_commands};
use crate::action::{Made, Outcome};

/// The commands that are answered.
pub(super) const COMMANDS: &[&str] = &[
    ext::DID_ACCEPT,
    ext::PULL_MODEL,
    ext::SELECT_MODEL,
    ext::REINDEX,
    ext::EXPLAIN,
    ext::ACTION,
];

/// Runs a command.
pub(super) async fn execute(session: &Arc<Session>, params: Value) -> Result<Value> {
    match params.get("command").and_then(Value::as_str) {
        Some(ext::DID_ACCEPT) => {
            let id = params.pointer("/arguments/0").and_then(Value::as_u64);
            let id = id.unwrap_or_default();
            session.engine_that_made(id).accepted(id);
            Ok(Value::Null)
        }
        Some(ext::PULL_MODEL) => model_commands::pull(session, &params).await,
        Some(ext::SELECT_MODEL) => model_commands::select(session, &params).await,
        Some(ext::REINDEX) => {
            session.index.reindex();
            Ok(Value::Null)
        }
        Some(ext::EXPLAIN) => act(session, &params, Some("explain")).await,
        Some(ext::ACTION) => act(session, &params, None).await,
        other => {
            let name = other.unwrap_or("without a name");
            Err(Error::invalid_params(format!("unknown command {name}")))
        }
    }
}

/// `ghostline.action [{action, uri, range, version?, diagnostics?, instruction?, partialResultToken?}]`,
/// and `ghostline.explain` without the `action`: does it and has the client apply or show what comes of it.
async fn act(session: &Arc<Session>, params: &Value, id: Option<&str>) -> Result<Value> {
    let argument = params.pointer("/arguments/0").cloned().unwrap_or_default();
    let mut order: Order = serde_json::from_value(argument)
        .map_err(|error| Error::invalid_params(error.to_string()))?;
    if let Some(id) = id {
        id.clone_into(&mut order.action);
    }
    let chosen = code_action::known(&order)?;
    let token = params.get("workDoneToken").cloned();
    let (scene, made) = action::run(session, chosen, &order, token).await?;
    let title = match chosen.id {
        "explain" => "Explanation",
        "plan" => "Plan",
        other => other,
    };
    match &made.outcome {
        Outcome::Markdown(markdown) => {
            show(session, title, markdown, &scene.document.uri, &made).await
        }
        Outcome::Edit { .. } => {
            let edit = action::workspace_edit(session, &scene, &made, title)?;
            apply(session, edit).await
        }
    }
}

async fn apply(session: &Session, edit: Value) -> Result<Value> {
    let edit: WorkspaceEdit = serde_json::from_value(edit).map_err(|_| Error::internal_error())?;
    let answer = session.client().apply_edit(edit).await?;
    if answer.applied {
        return Ok(json!({ "applied": true }));
    }
    let why = answer
        .failure_reason
        .unwrap_or_else(|| "the editor refused the edit".to_owned());
    Err(failed(format!("nothing was changed: {why}")))
}

/// Shows Markdown as the client can: itself, or as a file.
async fn show(
    session: &Session,
    title: &str,
    markdown: &str,
    source: &str,
    made: &Made,
) -> Result<Value> {
    let text = action::with_references(markdown, &made.references);
    let references = action::locations(&made.references);
    let mut shown = true;
    if session.abilities.markdown {
        let params = json!({
            "title": title, "markdown": text, "source": source, "references": references,
        });
        session.outbox().notify(ext::SHOW_MARKDOWN, &params);
    } else if session.abilities.shows_documents {
        shown = show_file(session, title, text.clone()).await?;
    } else {
        shown = false;
    }
    Ok(json!({
        "title": title,
        "markdown": text,
        "references": references,
        "model": made.model,
        "backend": made.backend,
        "shown": shown,
    }))
}

/// One file for each title, replaced by the next answer: nothing piles up.
async fn show_file(session: &Session, title: &str, text: String) -> Result<bool> {
    let folder = session.answers_folder();
    let folder = folder.ok_or_else(|| failed("there is no cache folder to write to"))?;
    let path = folder.join(format!("{}.md", title.to_lowercase()));
    let write = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || write_private(&path, &text))
    };
    let written = write.await.map_err(|_| Error::internal_error())?;
    written.map_err(|error| failed(format!("cannot write {}: {error}", path.display())))?;
    let uri = url::Url::from_file_path(&path).map_err(|()| Error::internal_error())?;
    let params = json!({ "uri": uri.as_str(), "takeFocus": false });
    let params: ShowDocumentParams =
        serde_json::from_value(params).map_err(|_| Error::internal_error())?;
    session.client().show_document(params).await
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
