//! Keeps this server's status file: what serves which role, for `ghostline doctor`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Weak;

use super::session::Session;
use crate::router::{RoleState, Roles};
use crate::running::{Folder, Running, Serving};

/// Says what the roles use, again with each change, until the session ends.
pub(super) async fn keep(session: Weak<Session>) {
    let Some(mut roles) = session.upgrade().map(|session| session.router.subscribe()) else {
        return;
    };
    loop {
        roles.borrow_and_update();
        let Some(said) = session.upgrade().map(|session| session.announce()) else {
            return;
        };
        said.await;
        if roles.changed().await.is_err() {
            return;
        }
    }
}

impl Session {
    /// Tells other programs what is used now, away from this thread.
    fn announce(&self) -> impl Future<Output = ()> + use<> {
        let folder = |path: PathBuf| {
            let scope = self.scopes.of_folder(&path);
            let router = scope.map_or_else(|| self.router.clone(), |scope| scope.router.clone());
            let roles = serving(&router.subscribe().borrow());
            Folder { path, roles }
        };
        let running = Running {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            editor: self.client_name.clone(),
            folders: self.folders().into_iter().map(folder).collect(),
        };
        let host = self.host.clone();
        let said = tokio::task::spawn_blocking(move || host.announce(&running));
        async move { drop(said.await) }
    }
}

/// The roles as the status file tells them.
fn serving(roles: &Roles) -> BTreeMap<String, Serving> {
    let serving = |state: &RoleState| {
        let route = state.route();
        Serving {
            state: state.name().to_owned(),
            model: route.map(|route| route.model.clone()),
            backend: route.map(|route| route.backend.name().to_owned()),
        }
    };
    roles
        .iter()
        .map(|(role, state)| (role.name().to_owned(), serving(state)))
        .collect()
}
