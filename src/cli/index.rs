//! `ghostline index`: builds the workspace's search index, or shows how it stands.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{Exit, output};
use crate::config::{self, Role};
use crate::host::LocalHost;
use crate::index::{Index, Phase, Status};
use crate::router::{RoleState, Router};
use crate::server::Host as _;

/// Arguments of `ghostline index`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Show how the index stands; embeds nothing.
    #[arg(long)]
    pub status: bool,
    /// Print one JSON object: `{state, message, files, chunks, embedded, model, stored_in, bytes}`.
    #[arg(long)]
    pub json: bool,
}

/// The index of the workspace around the current folder, with what is wrong in the settings.
pub(super) async fn workspace_index() -> anyhow::Result<(Index, Vec<String>)> {
    let here = std::env::current_dir()?;
    let folders = [config::workspace_root(&here).to_owned()];
    let host = LocalHost::new();
    let (settings, mut problems) = host.settings(folders.first().map(PathBuf::as_path), None);
    let (choices, more) = host.choices(&settings);
    problems.extend(more);
    let router = Router::new(choices);
    router.check().await;
    Ok((
        Index::new(router, &folders, &settings, Index::default_dir()),
        problems,
    ))
}

/// Builds or shows.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let (index, problems) = workspace_index().await?;
    for problem in &problems {
        output::note(problem);
    }
    if args.status {
        index.catch_up().await?;
    } else {
        build(&index).await;
    }
    let status = index.status();
    let stored_in = index.stored_in();
    let bytes: u64 = stored_in
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|m| m.len())
        .sum();
    if args.json {
        let object = json!({
            "state": status.state(), "message": status.sentence(), "files": status.files,
            "chunks": status.chunks, "embedded": status.embedded, "model": status.model,
            "stored_in": stored_in, "bytes": bytes,
        });
        output::line(&object.to_string());
    } else {
        let Status {
            files,
            chunks,
            embedded,
            model,
            ..
        } = &status;
        let model = model.as_deref().unwrap_or("no model");
        output::line(&format!(
            "{files} files, {chunks} chunks, {embedded} embedded ({model})"
        ));
        for path in &stored_in {
            output::line(&format!("{}, {} KiB", path.display(), bytes >> 10));
        }
        if !matches!(status.phase, Phase::Ready) {
            output::note(&format!("ghostline: {}", status.sentence()));
        }
    }
    Ok(match status.phase {
        Phase::Failed(_) if !args.status => Exit::NoBackend,
        Phase::Off => Exit::Failed,
        _ => Exit::Success,
    })
}

/// Runs the background task in the foreground until all is done that can be.
async fn build(index: &Index) {
    if matches!(
        index.embedding(),
        RoleState::Unavailable(_) | RoleState::Starting
    ) {
        output::note(&format!(
            "ghostline: no model for {}; indexing words alone",
            Role::Embedding
        ));
    }
    let bar = std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg} [{wide_bar}] {pos}/{len} {eta}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar
    });
    let mut status = index.subscribe();
    index.start();
    while status.changed().await.is_ok() {
        let now = status.borrow_and_update().clone();
        if let Some(bar) = &bar {
            bar.set_message(now.state());
            bar.set_length(u64::try_from(now.chunks).unwrap_or(u64::MAX));
            bar.set_position(u64::try_from(now.embedded).unwrap_or(u64::MAX));
        }
        if matches!(now.phase, Phase::Ready | Phase::NoModel | Phase::Failed(_)) {
            break;
        }
    }
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
}
