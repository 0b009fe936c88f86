//! What the double's models are: `/api/show`, `/api/delete`, `/api/pull` and `/api/create`.
//!
//! A fetch of a model that is installed succeeds at once, as the real one does; any other ends in the
//! registry's words for a missing tag, and so does whatever is made of it. Other courses are scripted
//! with `answer_path`.

use std::sync::Arc;

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::record::Ticket;
use super::{Answer, Body, Model, Shared, refuse, reply, script, whole};

fn find<'a>(shared: &'a Shared, request: &Value) -> Option<&'a Model> {
    let name = request["model"].as_str()?;
    let full = if name.contains(':') {
        name.to_owned()
    } else {
        format!("{name}:latest")
    };
    shared.config.models.iter().find(|model| model.name == full)
}

pub(super) fn show(shared: &Shared, request: &Value) -> Response<Body> {
    let Some(model) = find(shared, request) else {
        return missing(request);
    };
    let mut answer = json!({
        "template": model.template, "details": model.details, "parameters": "",
        "model_info": model.metadata,
    });
    if let Some(capabilities) = &model.capabilities {
        answer["capabilities"] = json!(capabilities);
    }
    reply(&answer)
}

pub(super) fn delete(shared: &Shared, request: &Value) -> Response<Body> {
    match find(shared, request) {
        Some(_) => whole(StatusCode::OK, "text/plain", ""),
        None => missing(request),
    }
}

pub(super) async fn pull(shared: Arc<Shared>, request: &Value, ticket: Ticket) -> Response<Body> {
    let mut lines = vec![json!({"status": "pulling manifest"})];
    match find(&shared, request) {
        Some(model) => {
            let layer = json!({"status": "pulling 0123", "digest": model.digest,
                "total": 1000, "completed": 1000});
            lines.extend([layer, json!({"status": "success"})]);
        }
        None => {
            lines.push(json!({"error": "pull model manifest: file does not exist"}));
        }
    }
    let pieces = lines.iter().map(|line| script::go_json(line) + "\n");
    script::play(
        &shared,
        Answer::pieces(pieces),
        request,
        &json!({}),
        ticket,
        (),
    )
    .await
}

fn missing(request: &Value) -> Response<Body> {
    let name = request["model"].as_str().unwrap_or_default();
    refuse(StatusCode::NOT_FOUND, &format!("model '{name}' not found"))
}
