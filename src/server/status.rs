//! `ghostline/status` and its notification: how every role stands, in words.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::transport::Outbox;
use crate::backend::Backend;
use crate::config::Role;
use crate::inline::Skip;
use crate::prompt::fim::Layout;
use crate::router::{RoleState, Roles, Route};

/// The answer to `ghostline/status`. `kept_out` is why the document asked about last gets nothing.
pub(super) fn status(roles: &Roles, kept_out: Option<Skip>, busy: bool) -> Value {
    let (state, mut message) = summary(roles);
    if let Some(sentence) = kept_out.and_then(Skip::sentence) {
        message = format!("{sentence}. {message}");
    }
    let roles: Map<String, Value> = roles
        .iter()
        .map(|(role, state)| (role.to_string(), role_json(state)))
        .collect();
    json!({ "state": state, "message": message, "roles": roles, "busy": busy })
}

/// Tells the client how the roles stand and what is kept out of prompts, whenever one of them changes.
pub(super) async fn tell(
    mut roles: watch::Receiver<Roles>,
    mut kept_out: watch::Receiver<Option<(Arc<str>, Skip)>>,
    outbox: Outbox,
) {
    let mut standing = Changes::of(&roles.borrow());
    loop {
        tokio::select! {
            Ok(()) = roles.changed() => standing = Changes::of(&roles.borrow()),
            Ok(()) = kept_out.changed() => {}
            () = standing.next(), if !standing.0.is_empty() => {}
            else => return,
        }
        let skip = kept_out.borrow_and_update().as_ref().map(|(_, skip)| *skip);
        let now = status(&roles.borrow_and_update(), skip, false);
        outbox.notify(super::ext::STATUS_CHANGED, &now);
    }
}

/// How often a client hears of a load that goes on.
const PROGRESS: Duration = Duration::from_millis(250);

/// Tells when one of the models that serve may stand otherwise by itself.
struct Changes(Vec<watch::Receiver<u64>>);

impl Changes {
    fn of(roles: &Roles) -> Self {
        let mut backends: Vec<&Arc<dyn Backend>> = Vec::new();
        for route in roles.values().filter_map(RoleState::route) {
            if !backends
                .iter()
                .any(|known| Arc::ptr_eq(known, &route.backend))
            {
                backends.push(&route.backend);
            }
        }
        Self(
            backends
                .into_iter()
                .filter_map(|b| b.standing_changes())
                .collect(),
        )
    }

    /// Waits for the next change, and a moment for more of them. There must be somebody who tells.
    async fn next(&mut self) {
        let changed = self.0.iter_mut().map(|changes| Box::pin(changes.changed()));
        let (ended, at, _) = futures_util::future::select_all(changed).await;
        if ended.is_err() {
            self.0.remove(at);
            return;
        }
        tokio::time::sleep(PROGRESS).await;
        for changes in &mut self.0 {
            drop(changes.borrow_and_update());
        }
    }
}

/// One state for all: completions are what is missed first.
fn summary(roles: &Roles) -> (&'static str, String) {
    let unserved = |role: Role| matches!(roles.get(&role), Some(RoleState::Unavailable(_)));
    match roles.get(&Role::Completion) {
        None | Some(RoleState::Starting) => ("starting", "Looking for models".into()),
        Some(RoleState::Loading(route)) => loading(route, loaded_percent(route)),
        // It was unloaded while nobody used it, and somebody does again.
        Some(RoleState::Ready(route)) if loaded_percent(route).is_some() => {
            loading(route, loaded_percent(route))
        }
        Some(RoleState::Ready(route)) => {
            let mut message = format!("Completions from {}", place_of(route));
            if route.fallback {
                message.push_str(", which is not the first choice");
            }
            if route.family_unknown {
                message.push_str(
                    "; nothing tells how it fills in the middle, so it only sees the text before \
                     the cursor",
                );
            }
            let prefix_only = route.family.layout == Layout::PrefixOnly;
            if prefix_only && !route.family_unknown {
                message.push_str(
                    "; it cannot fill in the middle, so it only sees the text before the cursor",
                );
            }
            let degraded = prefix_only || unserved(Role::Chat);
            if unserved(Role::Chat) {
                message.push_str("; no model for chat");
            }
            for remark in remarks(roles) {
                message.push_str("; ");
                message.push_str(&remark);
            }
            (if degraded { "degraded" } else { "ready" }, message)
        }
        Some(RoleState::Unavailable(why)) => {
            let any = roles.values().any(|s| matches!(s, RoleState::Ready(_)));
            (if any { "degraded" } else { "unavailable" }, sentence(why))
        }
    }
}

fn loading(route: &Route, percent: Option<u8>) -> (&'static str, String) {
    let mut message = format!("Loading {}", place_of(route));
    if let Some(percent) = percent {
        let _ = write!(message, ", {percent} %");
    }
    ("loading", message)
}

fn loaded_percent(route: &Route) -> Option<u8> {
    route.backend.standing(&route.model).loaded_percent
}

/// What the backends remark on the models that serve, each remark once.
fn remarks(roles: &Roles) -> Vec<String> {
    let mut remarks = Vec::new();
    for route in roles.values().filter_map(RoleState::route) {
        let remark = route.backend.standing(&route.model).remark;
        let remark = remark.map(|remark| format!("of {}: {remark}", place_of(route)));
        remarks.extend(remark.filter(|new| !remarks.contains(new)));
    }
    remarks
}

fn place_of(route: &Route) -> String {
    format!("{} ({})", route.model, route.backend.name())
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_uppercase().collect::<String>() + chars.as_str())
        .unwrap_or_default()
}

fn role_json(state: &RoleState) -> Value {
    let name = match state {
        RoleState::Starting => "starting",
        RoleState::Loading(_) => "loading",
        RoleState::Ready(route) if loaded_percent(route).is_some() => "loading",
        RoleState::Ready(_) => "ready",
        RoleState::Unavailable(_) => "unavailable",
    };
    let route = state.route();
    let standing = route.map(|r| r.backend.standing(&r.model));
    json!({
        "state": name,
        "loadedPercent": standing.and_then(|standing| standing.loaded_percent),
        "model": route.map(|r| &r.model),
        "backend": route.map(|r| r.backend.name()),
        "fallback": route.is_some_and(|r| r.fallback),
    })
}
