//! Which files on disk the editor is asked to watch.
//!
//! Called once, after `initialized`, for clients that take registrations; a change of one of the files
//! comes back as `workspace/didChangeWatchedFiles` and reloads settings and ignore files. Clients that
//! take none have their ignore files read when a document is opened.

use serde_json::json;
use tower_lsp::gen_lsp_types::{ClientCapabilities, Registration};

/// What a workspace says about itself: its settings, and what is kept out of prompts.
const WATCHED: &[&str] = &[
    "**/.gitignore",
    "**/.ghostlineignore",
    "**/.ghostline.toml",
    "**/.env",
];

/// What to register with the client; nothing where it takes no registration.
pub(super) fn registration(client: &ClientCapabilities) -> Option<Registration> {
    let workspace = client.workspace.as_ref()?;
    let files = workspace.did_change_watched_files.as_ref()?;
    let watchers: Vec<_> = WATCHED
        .iter()
        .map(|glob| json!({ "globPattern": glob }))
        .collect();
    files
        .dynamic_registration
        .unwrap_or_default()
        .then(|| Registration {
            id: "ghostline-watched-files".to_owned(),
            method: "workspace/didChangeWatchedFiles".to_owned(),
            register_options: Some(json!({ "watchers": watchers })),
        })
}
