//! An action from the protocol's words to `action`, and its outcome back: an edit or Markdown.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tower_lsp::gen_lsp_types as lsp;
use tower_lsp::jsonrpc::{Error, Result};

use super::attachments::{self, Diagnostic};
use super::error::{failed, words};
use super::progress::Work;
use super::session::Session;
use crate::action::{
    Action, ActionError, Actions, Change, Event, Job, Made, Outcome, Refusal, Scene,
};
use crate::chat::attach;
use crate::document::Document;
use crate::document::position::{Encoding, to_byte_range, to_range};
use crate::prompt::instruct::Piece;

/// Names the one annotation of an edit.
const ANNOTATION: &str = "ghostline";

/// What is to be done where: an action's `data`, and the argument of the commands.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Order {
    /// The action's id; `kind` is understood too.
    #[serde(alias = "kind", default)]
    pub(super) action: String,
    pub(super) uri: String,
    #[serde(default)]
    pub(super) version: Option<i32>,
    pub(super) range: lsp::Range,
    #[serde(default)]
    pub(super) diagnostics: Vec<Diagnostic>,
    #[serde(default)]
    pub(super) instruction: Option<String>,
    #[serde(default)]
    pub(super) partial_result_token: Option<Value>,
}

/// The lines that an order means in the document as it is now.
pub(super) fn scene(session: &Session, document: Document, order: &Order) -> Scene {
    let bytes = to_byte_range(&document.text, order.range, session.encoding());
    let remarks = attachments::remarks(&document, &order.diagnostics, session.encoding());
    Scene {
        lines: attach::lines_of(&document, &bytes),
        selected: !bytes.is_empty(),
        remarks,
        instruction: order.instruction.clone(),
        asks: session.abilities.asks,
        document,
    }
}

/// Does what was ordered, with progress; the document is taken before the first await.
pub(super) async fn run(
    session: &Arc<Session>,
    action: &'static Action,
    order: &Order,
    token: Option<Value>,
) -> Result<(Scene, Made)> {
    attachments::allowed(session, &order.uri)?;
    let document = session.store.snapshot(&order.uri);
    let document =
        document.ok_or_else(|| Error::invalid_params(format!("{} is not open", order.uri)))?;
    if order
        .version
        .is_some_and(|version| version != document.version)
    {
        return Err(refused(&Refusal::Moved.into()));
    }
    let scene = scene(session, document, order);
    let engine = session.engine_of(&order.uri);
    let (router, settings) = session.asked_about(&order.uri);
    let job = Job {
        action,
        scene: scene.clone(),
        seen: engine.seen(),
        folders: session.folders(),
        context: settings.context.clone(),
        allowed: Arc::new(move |uri: &Arc<str>| engine.kept_out(uri).is_none()),
        searcher: Some(session.index.clone()),
    };
    let token = match token {
        Some(token) if !token.is_null() => Some(token),
        _ => session.new_progress().await,
    };
    let title = format!("ghostline: {}", action.id);
    let mut work = Work::begin(session.outbox(), &session.running, token, &title);
    let partial = order.partial_result_token.as_ref();
    let mut lines = 0;
    let mut on = |event: Event<'_>| match event {
        Event::Begun { model, backend } => work.report(&format!("{model} ({backend})")),
        Event::AskedAgain => work.report("it did not parse; asked again"),
        Event::Delta(text) => {
            if let Some(token) = partial {
                let params = json!({ "token": token, "value": { "delta": text } });
                session.outbox().notify("$/progress", &params);
            }
            let more = text.matches('\n').count();
            lines += more;
            if more > 0 {
                work.report(&format!("{lines} lines"));
            }
        }
    };
    let actions = Actions::new(router, settings.privacy.redact_secrets);
    let made = work.unless_cancelled(actions.run(job, &mut on)).await;
    let made = made.and_then(|made| made.map_err(|error| refused(&error)));
    let made = made.and_then(|made| {
        if still_there(session, &scene, &made.outcome) {
            Ok(made)
        } else {
            Err(refused(&Refusal::Moved.into()))
        }
    });
    work.ends_with(match &made {
        Ok(_) => "done",
        Err(error) => &error.message,
    });
    Ok((scene, made?))
}

/// Whether the document is what the edit was made for.
fn still_there(session: &Session, scene: &Scene, outcome: &Outcome) -> bool {
    let now = session.store.snapshot(&scene.document.uri);
    match outcome {
        Outcome::Markdown(_) => true,
        Outcome::Edit { .. } => now.is_some_and(|now| now.version == scene.document.version),
    }
}

fn refused(error: &ActionError) -> Error {
    match error {
        ActionError::NotHere(_) => Error::invalid_params(words(error)),
        _ => failed(words(error)),
    }
}

/// The protocol's edit, with as much as the client understands: versions, an annotation, a new file.
pub(super) fn workspace_edit(
    session: &Session,
    scene: &Scene,
    made: &Made,
    title: &str,
) -> Result<Value> {
    let Outcome::Edit {
        document: target,
        changes,
        is_new,
    } = &made.outcome
    else {
        return Err(Error::internal_error());
    };
    let abilities = session.abilities;
    if *is_new && !(abilities.creates_files && abilities.document_changes) {
        return Err(failed(
            "this editor cannot create files through the protocol; `ghostline action tests FILE:A-B \
             --apply` does it from the terminal",
        ));
    }
    let annotated = abilities.annotations && abilities.document_changes;
    let own = **target == *scene.document.uri;
    let open = session.store.snapshot(target);
    let text = match (&open, own) {
        (_, true) => scene.document.clone(),
        (Some(open), false) => open.clone(),
        // On the disk or new: the text is put at its end, which is where the document ends.
        (None, false) => made
            .basis
            .clone()
            .unwrap_or_else(|| Document::new(target, 0, "", "")),
    };
    let edit = |change: &Change| {
        let mut edit = json!({
            "range": range(&text, &change.range_bytes, session.encoding()),
            "newText": change.text,
        });
        if annotated {
            edit["annotationId"] = ANNOTATION.into();
        }
        edit
    };
    let edits: Vec<Value> = changes.iter().map(edit).collect();
    if !abilities.document_changes {
        let target: &str = target;
        return Ok(json!({ "changes": { target: edits } }));
    }
    let version = match (own, open) {
        (true, _) => json!(scene.document.version),
        (false, Some(open)) => json!(open.version),
        (false, None) => Value::Null,
    };
    let mut all = Vec::new();
    if *is_new {
        let mut create = json!({ "kind": "create", "uri": &**target });
        if annotated {
            create["annotationId"] = ANNOTATION.into();
        }
        all.push(create);
    }
    all.push(json!({
        "textDocument": { "uri": &**target, "version": version },
        "edits": edits,
    }));
    let mut edit = json!({ "documentChanges": all });
    if annotated {
        let description = format!("{} ({})", made.model, made.backend);
        edit["changeAnnotations"] = json!({
            ANNOTATION: { "label": title, "description": description, "needsConfirmation": false },
        });
    }
    Ok(edit)
}

fn range(document: &Document, bytes: &Range<usize>, encoding: Encoding) -> Value {
    json!(to_range(&document.text, bytes.clone(), encoding))
}

/// Markdown with the places that it is about below.
pub(super) fn with_references(markdown: &str, references: &[Piece]) -> String {
    let mut out = markdown.trim_end().to_owned();
    out.push_str("\n\n---\n");
    for piece in references {
        let (first, last) = (piece.lines.start + 1, piece.lines.end);
        let _ = writeln!(
            out,
            "- `{}`, lines {first} to {last}: {}",
            piece.path, piece.what
        );
    }
    out
}

/// The places as the protocol's locations: whole lines.
pub(super) fn locations(references: &[Piece]) -> Vec<Value> {
    let location = |piece: &Piece| attachments::location(&piece.uri, &piece.lines);
    references.iter().map(location).collect()
}
