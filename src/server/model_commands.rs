//! `ghostline.pullModel`, `ghostline.selectModel`, and the one question about a missing model.
//!
//! A fetch reports as work-done progress and can be cancelled; it is the person's own wish, so a failure
//! is a clear error. The question comes once in a conversation, never as an error per key.

use std::sync::{Mutex, PoisonError, Weak};

use serde_json::{Value, json};
use tokio::sync::watch;
use tower_lsp::Client;
use tower_lsp::gen_lsp_types::{MessageActionItem, MessageType, ProgressToken};
use tower_lsp::jsonrpc::{Error, ErrorCode, Result};

use super::error::{failed, words};
use super::session::Session;
use super::transport::Outbox;
use crate::config::{Candidate, Role};
use crate::models::wanted::{Fetched, Offer, Wanted, fetch, offers};
use crate::models::{Event, Progress, Store, ollama};
use crate::router::survey::survey;
use crate::router::{RoleState, Roles};

/// Buttons of the question which model to use; more would not fit an editor's message.
const MOST_BUTTONS: usize = 6;

/// `ghostline.pullModel [role or model]`: fetches it and answers `{model, where}`.
pub(super) async fn pull(session: &Session, params: &Value) -> Result<Value> {
    let name = params.pointer("/arguments/0").and_then(Value::as_str);
    let settings = session.settings();
    let wanted = Wanted::named(name.unwrap_or(Role::Completion.name()), &settings);
    let token = match params.get("workDoneToken") {
        Some(token) if !token.is_null() => Some(token.clone()),
        _ => session.new_progress().await,
    };
    fetch_with_progress(session, &wanted, token).await
}

async fn fetch_with_progress(
    session: &Session,
    wanted: &Wanted,
    token: Option<Value>,
) -> Result<Value> {
    let settings = session.settings();
    let ollamas = ollama::of_settings(&settings).await;
    let offers = offers(wanted, &settings, &ollamas);
    if offers.is_empty() {
        let silent = ollamas.into_iter().find_map(|here| here.found.err());
        return Err(failed(silent.map_or_else(
            || {
                "nothing that fetches models has it; `ghostline models list` shows what there is"
                    .to_owned()
            },
            |error| error.to_string(),
        )));
    }
    let store = Store::open_default().map_err(|error| failed(error.to_string()))?;
    let report = token
        .clone()
        .map(|token| Report::begin(session.outbox(), token));
    let cancel = session.running.start(&token.clone().unwrap_or_default());
    let progress = |event: Event<'_>| {
        if let Some(report) = &report {
            report.on(event);
        }
    };
    let fetched = tokio::select! {
        fetched = fetch(&offers, &store, &progress) => Some(fetched),
        () = cancel.cancelled() => None,
    };
    session.running.ended(&token.unwrap_or_default());
    let (answer, said) = match fetched {
        Some(Ok(Fetched::Ollama { url, model })) => {
            let said = format!("{model} is in the Ollama at {url}");
            (Ok(json!({ "model": model, "where": url })), said)
        }
        Some(Ok(Fetched::Stored { model, path })) => (
            Ok(json!({ "model": model, "where": path })),
            format!("{model} is here"),
        ),
        Some(Err(error)) => {
            let message = words(&error);
            (Err(failed(message.clone())), message)
        }
        None => {
            let message = "cancelled; the next fetch carries on".to_owned();
            let error = Error {
                code: ErrorCode::RequestCancelled,
                message: message.clone().into(),
                data: None,
            };
            (Err(error), message)
        }
    };
    if let Some(report) = report {
        report.end(&said);
    }
    if answer.is_ok() {
        session.router.look_again();
    }
    answer
}

/// `ghostline.selectModel [role, model]`: makes a model the role's first choice in the user's settings.
/// Without a model the person is asked which of the installed ones.
pub(super) async fn select(session: &Session, params: &Value) -> Result<Value> {
    let argument = |at: &str| params.pointer(at).and_then(Value::as_str);
    let role = argument("/arguments/0").unwrap_or(Role::Completion.name());
    let role = Role::from_name(role).ok_or_else(|| failed(format!("there is no role {role}")))?;
    let name = match argument("/arguments/1") {
        Some(name) => name.to_owned(),
        None => match ask_which(session, role).await? {
            Some(name) => name,
            None => return Ok(Value::Null),
        },
    };
    let candidate = Candidate::parse(&name, &session.settings().backends).map_err(failed)?;
    let file = session.choose(role, &candidate).map_err(failed)?;
    session.reload();
    Ok(json!({ "role": role, "model": candidate.to_string(), "file": file }))
}

async fn ask_which(session: &Session, role: Role) -> Result<Option<String>> {
    let survey = survey(&session.choices()).await;
    let installed = survey.backends.iter().flat_map(|asked| {
        let models = asked.installed.as_deref().unwrap_or_default();
        models
            .iter()
            .map(|model| format!("{}/{}", asked.backend.name(), model.name))
    });
    let buttons: Vec<MessageActionItem> = installed.take(MOST_BUTTONS).map(button).collect();
    if buttons.is_empty() {
        return Err(failed(
            "no model is installed; fetch one with the command ghostline.pullModel".to_owned(),
        ));
    }
    let question = format!("ghostline: which model for {role}?");
    let answer = session
        .client()
        .show_message_request(MessageType::Info, question, Some(buttons))
        .await?;
    Ok(answer.map(|item| item.title))
}

/// Asks once whether to fetch a model for completions, when there is none.
pub(super) async fn offer(session: Weak<Session>, mut roles: watch::Receiver<Roles>) {
    loop {
        let missing = matches!(
            roles.borrow_and_update().get(&Role::Completion),
            Some(RoleState::Unavailable(_))
        );
        if missing {
            break;
        }
        if roles.changed().await.is_err() {
            return;
        }
    }
    let Some(now) = session.upgrade() else { return };
    let (settings, client) = (now.settings(), now.client().clone());
    // The question may stay open for ever; the conversation ends without its answer.
    drop(now);
    let ollamas = ollama::of_settings(&settings).await;
    let wanted = Wanted::Role(Role::Completion);
    let Some(first) = offers(&wanted, &settings, &ollamas).into_iter().next() else {
        return;
    };
    let what = match first {
        Offer::Ollama { ollama, .. } => format!("through the Ollama at {}", ollama.url()),
        Offer::Catalogue(model) => {
            format!("{}, {} MB", model.name, model.size_bytes / 1_000_000)
        }
    };
    let question = format!("ghostline: no model for completions is installed. Fetch one ({what})?");
    let buttons = ["Fetch", "Not now"].map(|title| button(title.to_owned()));
    let answer = client
        .show_message_request(MessageType::Warning, question, Some(buttons.into()))
        .await;
    let agreed = matches!(&answer, Ok(Some(item)) if item.title == "Fetch");
    if let Some(session) = session.upgrade().filter(|_| agreed) {
        let token = session.new_progress().await;
        if let Err(error) = fetch_with_progress(&session, &wanted, token).await {
            let message = format!("ghostline: {}", error.message);
            // MessageType.Error is 1.
            let params = json!({ "type": 1, "message": message });
            session.outbox().notify("window/showMessage", &params);
        }
    }
}

fn button(title: String) -> MessageActionItem {
    MessageActionItem {
        title,
        ..MessageActionItem::default()
    }
}

/// Work-done progress of one fetch.
struct Report {
    outbox: Outbox,
    token: Value,
    /// The last percentage said; editors want it to rise.
    percent: Mutex<u64>,
}

impl Report {
    fn begin(outbox: &Outbox, token: Value) -> Self {
        let report = Self {
            outbox: outbox.clone(),
            token,
            percent: Mutex::new(0),
        };
        report.send(&json!({
            "kind": "begin", "title": "ghostline: fetching a model", "cancellable": true,
            "percentage": 0,
        }));
        report
    }

    fn end(&self, message: &str) {
        self.send(&json!({ "kind": "end", "message": message }));
    }

    fn send(&self, value: &Value) {
        self.outbox.notify(
            "$/progress",
            &json!({ "token": self.token, "value": value }),
        );
    }

    fn say(&self, message: &str) {
        self.send(&json!({ "kind": "report", "message": message, "cancellable": true }));
    }
}

impl Progress for Report {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Fetched {
                done_bytes,
                total_bytes,
            }
            | Event::Verifying {
                done_bytes,
                total_bytes,
            } => {
                let percent = done_bytes * 100 / total_bytes.max(1);
                let mut said = self.percent.lock().unwrap_or_else(PoisonError::into_inner);
                if percent > *said && percent <= 100 {
                    *said = percent;
                    let message = format!(
                        "{} of {} MB",
                        done_bytes / 1_000_000,
                        total_bytes / 1_000_000
                    );
                    self.send(&json!({
                        "kind": "report", "message": message, "percentage": percent,
                        "cancellable": true,
                    }));
                }
            }
            Event::Doing { what } => self.say(what),
            Event::Trying { source, .. } => self.say(&format!("from {source}")),
            Event::Retrying { source, reason } | Event::SourceFailed { source, reason } => {
                self.say(&format!("{source}: {reason}"));
            }
            Event::Waiting => self.say("another process fetches it; waiting"),
            Event::Tensors { .. } => {}
        }
    }
}

/// A token of our own for progress, where the client shows it.
pub(super) async fn new_progress(client: &Client, number: u64) -> Option<Value> {
    let token = format!("ghostline/{number}");
    let created = client
        .create_work_done_progress(ProgressToken::String(token.clone()))
        .await;
    created.ok().map(|()| Value::from(token))
}
