//! Which files on disk the editor is asked to watch.
//!
//! Called once, after `initialized`, for clients that take registrations; a change of one of the files
//! comes back as `workspace/didChangeWatchedFiles` and reloads settings and ignore files, or is indexed anew. Clients that
//! take none have their ignore files read when a document is opened.

use std::path::Path;

use serde_json::json;
use tower_lsp::gen_lsp_types::{ClientCapabilities, Registration};

/// What a workspace says about itself: its settings, and what is kept out of prompts.
const WATCHED: &[&str] = &[
    "**/.gitignore",
    "**/.ghostlineignore",
    "**/.ghostline.toml",
    "**/.env",
];

/// Every file, where files are indexed for search.
const EVERY: &str = "**/*";

/// Whether a changed file says something about others: settings and ignore files.
pub(super) fn is_rule(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    WATCHED
        .iter()
        .any(|glob| glob.strip_prefix("**/") == Some(&*name))
}

/// What to register with the client; nothing where it takes no registration.
pub(super) fn registration(client: &ClientCapabilities, indexes: bool) -> Option<Registration> {
    let workspace = client.workspace.as_ref()?;
    let files = workspace.did_change_watched_files.as_ref()?;
    let all = indexes.then_some(&EVERY);
    let watchers: Vec<_> = WATCHED
        .iter()
        .chain(all)
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
