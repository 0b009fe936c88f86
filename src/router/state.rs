//! How a role stands: whether it can be served, by what, and what to do if not.

use std::sync::Arc;

use super::Route;

/// How a role stands.
#[derive(Debug, Clone, Default)]
pub enum RoleState {
    /// Nobody was asked yet.
    #[default]
    Starting,
    /// The model is being loaded.
    Loading(Arc<Route>),
    /// Requests are served.
    Ready(Arc<Route>),
    /// No candidate is there; the sentence says what to do.
    Unavailable(String),
}

impl RoleState {
    /// `starting`, `loading`, `ready` or `unavailable`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Loading(_) => "loading",
            Self::Ready(_) => "ready",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// The route, loaded or not.
    pub fn route(&self) -> Option<&Arc<Route>> {
        match self {
            Self::Loading(route) | Self::Ready(route) => Some(route),
            Self::Starting | Self::Unavailable(_) => None,
        }
    }
}
