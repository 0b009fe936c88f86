//! Reloads the settings when their files change, for clients that watch no files for us.
//!
//! Editors watch the workspace at best; the user file is nobody's. A look costs three calls of the
//! system on a thread of its own.

use std::sync::Weak;
use std::time::Duration;

use super::session::Session;

/// How soon a change is noticed: as soon as a person has looked up from the file.
const LOOK: Duration = Duration::from_secs(1);

/// Looks again and again until the session ends.
pub(super) async fn watch(session: Weak<Session>) {
    let Some(before) = session.upgrade().map(|session| session.stamp()) else {
        return;
    };
    let mut before = before.await;
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(now) = session.upgrade().map(|session| session.stamp()) else {
            return;
        };
        let now = now.await;
        if now != before {
            before = now;
            if let Some(session) = session.upgrade() {
                session.reload();
            }
        }
    }
}
