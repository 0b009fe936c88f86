//! `ghostline/chat` and what belongs to it: from the protocol's request to `chat` and back.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tower_lsp::jsonrpc::{Error, Result};

use super::attachments::{self, Attachment};
use super::error::{failed, words};
use super::progress::Work;
use super::session::Session;
use crate::chat::{
    Answer, Ask, Begun, ChatError, Conversation, Event, Reference, TurnState, Usage,
};
use crate::config::Role;
use crate::metrics::ms;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Params {
    conversation: Option<String>,
    turn: Option<i64>,
    message: Option<String>,
    attachments: Vec<Attachment>,
    role: Option<String>,
    partial_result_token: Option<Value>,
    work_done_token: Option<Value>,
}

/// `ghostline/chat`. Open documents are taken as they are before the first await.
pub(super) async fn answer(session: &Arc<Session>, params: Value) -> Result<Value> {
    let params: Params =
        serde_json::from_value(params).map_err(|error| Error::invalid_params(error.to_string()))?;
    let attached = params.attachments.iter().find_map(Attachment::uri);
    let attached = attached.map(str::to_owned);
    let taken = attachments::take(session, params.attachments)?;
    let role = role_of(params.role.as_deref())?;
    let mut work = Work::begin(
        session.outbox(),
        &session.running,
        params.work_done_token,
        "ghostline: answering",
    );
    let partial = params.partial_result_token.filter(|token| !token.is_null());
    let tell = |value: Value| {
        if let Some(token) = &partial {
            let params = json!({ "token": token, "value": value });
            session.outbox().notify("$/progress", &params);
        }
    };
    let mut asked = None;
    let mut on = |event: Event<'_>| match event {
        Event::Begun(begun) => {
            work.report(&format!("{} ({})", begun.model, begun.backend));
            tell(begun_json(begun));
            asked = Some(begun.clone());
        }
        Event::Delta(text) => tell(json!({ "delta": text })),
        Event::Thinking(text) => tell(json!({ "thinking": text })),
    };
    let answer = async {
        let (pieces, images) = taken.read().await?;
        let about = match (attached, &params.conversation) {
            (None, Some(id)) => session.chats.subject(id).await,
            (attached, _) => attached,
        };
        let (router, settings) = match &about {
            Some(uri) => session.asked_about(uri),
            None => (session.router.clone(), session.settings()),
        };
        let ask = Ask {
            conversation: params.conversation,
            turn: params.turn,
            message: params.message,
            pieces,
            images,
            role,
            router: Some(router),
            keeps_secrets: !settings.privacy.redact_secrets,
        };
        let answered = session.chats.answer(ask, &mut on).await;
        answered.map_err(|error| refused(&error))
    };
    let answered = work.unless_cancelled(answer).await;
    match answered.and_then(|answered| answered) {
        Ok(answer) => Ok(answer_json(answer)),
        Err(mut error) => {
            if let Some(begun) = asked {
                // What came of it is kept there.
                error.data =
                    Some(json!({ "conversation": begun.conversation, "turn": begun.turn }));
            }
            work.ends_with(&error.message);
            Err(error)
        }
    }
}

fn role_of(name: Option<&str>) -> Result<Option<Role>> {
    match name {
        None | Some("auto") => Ok(None),
        Some(name) => match Role::from_name(name) {
            Some(role) => Ok(Some(role)),
            None => Err(Error::invalid_params(format!(
                "there is no role {name}; auto, chat, reasoning or vision"
            ))),
        },
    }
}

/// `ghostline/conversations`: those of this workspace, the newest first.
pub(super) async fn list(session: &Session) -> Result<Value> {
    let listed = session.chats.list().await.map_err(|e| refused(&e))?;
    Ok(json!(listed))
}

/// `ghostline/conversation {conversation}`: all of its turns.
pub(super) async fn show(session: &Session, params: &Value) -> Result<Value> {
    let id = params.get("conversation").and_then(Value::as_str);
    let found = session.chats.conversation(id.unwrap_or_default()).await;
    Ok(conversation_json(&found.map_err(|e| refused(&e))?))
}

/// `ghostline/deleteConversation {conversation}`, or all of this workspace with `{all: true}`.
pub(super) async fn delete(session: &Session, params: &Value) -> Result<Value> {
    let id = params.get("conversation").and_then(Value::as_str);
    if id.is_none() && params.get("all") != Some(&Value::Bool(true)) {
        return Err(Error::invalid_params(
            "name a `conversation`, or say `all: true`",
        ));
    }
    let deleted = session.chats.delete(id).await.map_err(|e| refused(&e))?;
    Ok(json!({ "deleted": deleted }))
}

/// A sentence, with its causes, as the protocol's error.
fn refused(error: &ChatError) -> Error {
    match error {
        ChatError::NoConversation(_)
        | ChatError::NoTurn { .. }
        | ChatError::Empty
        | ChatError::NothingAttached(_)
        | ChatError::Role(_) => Error::invalid_params(words(error)),
        _ => failed(words(error)),
    }
}

fn begun_json(begun: &Begun) -> Value {
    json!({
        "conversation": begun.conversation,
        "turn": begun.turn,
        "role": begun.role,
        "model": begun.model,
        "backend": begun.backend,
        "references": locations(&begun.references),
    })
}

fn answer_json(answer: Answer) -> Value {
    let mut value = begun_json(&answer.begun);
    let Usage {
        prompt_tokens,
        completion_tokens,
        first_token,
        total,
    } = answer.usage;
    if answer.begun.model.is_empty() {
        value["model"] = Value::Null;
        value["backend"] = Value::Null;
    }
    value["message"] = answer.message.into();
    value["thinking"] = answer.thinking.into();
    value["state"] = json!(answer.state);
    value["notes"] = json!(answer.notes);
    value["usage"] = json!({
        "promptTokens": prompt_tokens,
        "completionTokens": completion_tokens,
        "firstTokenMs": first_token.map(ms),
        "totalMs": ms(total),
    });
    value
}

fn conversation_json(conversation: &Conversation) -> Value {
    let turns = conversation.turns.iter().map(|turn| {
        // Nobody writes it any more.
        let state = match turn.state {
            TurnState::Open => TurnState::Stopped,
            state => state,
        };
        json!({
            "message": turn.message,
            "answer": turn.answer,
            "thinking": turn.thinking,
            "state": state,
            "role": turn.role,
            "model": turn.model,
            "backend": turn.backend,
            "references": locations(&turn.references),
            "images": turn.images.len(),
        })
    });
    json!({
        "conversation": conversation.id,
        "title": conversation.title,
        "updatedMs": conversation.updated_ms,
        "turns": turns.collect::<Vec<_>>(),
    })
}

fn locations(references: &[Reference]) -> Vec<Value> {
    let location = |r: &Reference| attachments::location(&r.uri, &r.lines);
    references.iter().map(location).collect()
}
