//! `ghostline/status` and its notification: how every role stands, in words.

use std::fmt::Write as _;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::scopes::Place;
use super::session::Session;
use crate::backend::Backend;
use crate::config::Role;
use crate::inline::Skip;
use crate::prompt::fim::{Evidence, Layout};
use crate::router::{RoleState, Roles, Route, Router};

/// The answer to `ghostline/status`. `kept_out` is why the document asked about last gets nothing.
pub(super) fn status(roles: &Roles, kept_out: Option<Skip>, busy: bool) -> Value {
    let (state, mut message) = summary(roles);
    if let Some(sentence) = kept_out.and_then(Skip::sentence) {
        message = format!("{sentence}. {message}");
    }
    let roles: Map<String, Value> = roles
        .iter()
        .map(|(role, state)| (role.to_string(), role_json(*role, state)))
        .collect();
    json!({ "state": state, "message": message, "roles": roles, "busy": busy })
}

/// Tells the client how the roles stand, what is kept out of prompts and in which folder the person is,
/// whenever one of them changes.
pub(super) async fn tell(
    mut roles: watch::Receiver<Roles>,
    mut kept_out: watch::Receiver<Option<(Arc<str>, Skip)>>,
    mut place: watch::Receiver<Place>,
    session: Weak<Session>,
) {
    let mut standing = Changes::of(&roles.borrow());
    loop {
        tokio::select! {
            Ok(()) = roles.changed() => {
                standing = Changes::of(&roles.borrow());
                // Another folder's models are looked at now.
                if *place.borrow() != Place::First {
                    continue;
                }
            }
            Ok(()) = kept_out.changed() => {}
            Ok(()) = place.changed() => {}
            () = standing.next(), if !standing.0.is_empty() => {}
            else => return,
        }
        if !say(&session) {
            return;
        }
    }
}

/// The same for the roles of one scope, while the person is in it.
pub(super) async fn follow(router: Arc<Router>, session: Weak<Session>) {
    let mut roles = router.subscribe();
    let mut standing = Changes::of(&roles.borrow());
    loop {
        tokio::select! {
            changed = roles.changed() => match changed {
                Ok(()) => standing = Changes::of(&roles.borrow()),
                Err(_) => return,
            },
            () = standing.next(), if !standing.0.is_empty() => {}
        }
        let Some(shown) = session.upgrade().map(|session| session.shown().1) else {
            return;
        };
        if Arc::ptr_eq(&shown, &router) {
            say(&session);
        }
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

fn say(session: &Weak<Session>) -> bool {
    let Some(session) = session.upgrade() else {
        return false;
    };
    session
        .outbox()
        .notify(super::ext::STATUS_CHANGED, &session.status());
    true
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
            if let Some((first, why)) = route.missed() {
                let _ = write!(message, ", because the first choice, {first}, {why}");
            }
            if route.family_by.is_none() {
                message.push_str(
                    "; nothing tells how it fills in the middle, so it only sees the text before \
                     the cursor",
                );
            }
            if route.family_by == Some(Evidence::Vocabulary)
                && route.family.layout != Layout::PrefixOnly
            {
                let _ = write!(
                    message,
                    "; it has the tokens of {}, and nothing tells whether it was taught with them: \
                     it is asked as {} is",
                    route.family.name, route.family.name
                );
            }
            let prefix_only = route.family.layout == Layout::PrefixOnly;
            if prefix_only && route.family_by.is_some() {
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

fn role_json(role: Role, state: &RoleState) -> Value {
    let name = match state {
        RoleState::Ready(route) if loaded_percent(route).is_some() => "loading",
        state => state.name(),
    };
    let route = state.route();
    let standing = route.map(|r| r.backend.standing(&r.model));
    json!({
        "state": name,
        "loadedPercent": standing.and_then(|standing| standing.loaded_percent),
        "model": route.map(|r| &r.model),
        "backend": route.map(|r| r.backend.name()),
        "fallback": route.is_some_and(|r| r.fallback),
        "message": match state {
            RoleState::Unavailable(why) => Some(sentence(why)),
            _ => route.and_then(|r| r.explained(role)).map(|said| sentence(&said)),
        },
    })
}
