//! `ghostline action KIND FILE:A-B`: a code action from the terminal, as Markdown or a unified diff.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use similar::TextDiff;

use super::here::{Here, bytes_of, cite, place, shown_path};
use super::markdown::{Renderer, without_controls};
use super::{Exit, Usage, output};
use crate::action::{
    ACTIONS, ActionError, Actions, Change, Event, Gives, Job, Outcome, Scene, applied, named,
};
use crate::chat::attach::{Remark, lines_of};
use crate::config::edit::replace_file;
use crate::document::Document;

/// Arguments of `ghostline action`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// explain, fix, document, tests, simplify, rewrite, complete or plan.
    pub kind: String,
    /// Which lines; they count from 1.
    #[arg(value_name = "FILE:A-B")]
    pub place: String,
    /// Write the change to the file instead of printing it.
    #[arg(long)]
    pub apply: bool,
    /// Your own words; `rewrite` needs them.
    #[arg(long, value_name = "TEXT")]
    pub instruction: Option<String>,
    /// What the compiler says of the first of the lines; `fix` needs it.
    #[arg(long, value_name = "TEXT")]
    pub diagnostic: Option<String>,
}

/// Does it.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let Some(action) = named(&args.kind) else {
        let all: Vec<&str> = ACTIONS.iter().map(|action| action.id).collect();
        let (kind, all) = (&args.kind, all.join(", "));
        bail!(Usage(format!(
            "there is no action `{kind}`; there are {all}"
        )));
    };
    let (path, lines) = place(&args.place)?;
    let shown = path.display();
    let Some((first, last)) = lines else {
        bail!(Usage(format!("say which lines, as in {shown}:10-20")));
    };
    if action.id == "fix" && args.diagnostic.is_none() {
        bail!(Usage(
            "say what is wrong: --diagnostic \"the compiler's message\"".to_owned()
        ));
    }
    let file = path
        .canonicalize()
        .map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
    let here = Here::around(file.parent().unwrap_or(&file));
    let document = here.document(&file)?;
    let bytes = bytes_of(&document, &path, (first, last))?;
    let remark = |message| Remark {
        line: first - 1,
        message,
    };
    let scene = Scene {
        lines: lines_of(&document, &bytes),
        selected: true,
        remarks: args.diagnostic.into_iter().map(remark).collect(),
        instruction: args.instruction,
        asks: false,
        document: document.clone(),
    };
    let job = Job {
        action,
        scene,
        seen: Vec::new(),
        folders: here.folders.clone(),
        context: here.settings.context.clone(),
        allowed: here.allows(),
        searcher: Some(here.searcher()),
    };
    let mut renderer = Renderer::new();
    let mut on = |event: Event<'_>| match event {
        Event::Begun { model, backend } => output::note(&format!("{model} ({backend}) …")),
        Event::AskedAgain => output::note("it did not parse; asking again …"),
        Event::Delta(text) if action.gives == Gives::Text => renderer.write(text),
        Event::Delta(_) => {}
    };
    let made = match Actions::new(here.router.clone(), here.settings.privacy.redact_secrets)
        .run(job, &mut on)
        .await
    {
        Ok(made) => made,
        Err(error) => {
            let exit = match &error {
                ActionError::NoModel(_) | ActionError::Backend(_) => Exit::NoBackend,
                ActionError::NotHere(_) => Exit::Usage,
                ActionError::Refused(_) | ActionError::Tests(_) => Exit::Failed,
            };
            output::note(&format!("ghostline: {:#}", anyhow::Error::from(error)));
            return Ok(exit);
        }
    };
    let references = made.references.iter();
    let cited = references.map(|piece| (&*piece.uri, piece.lines.clone()));
    match made.outcome {
        Outcome::Markdown(_) => {
            renderer.end();
            cite(cited);
        }
        Outcome::Edit {
            document: target,
            changes,
            is_new,
        } => {
            cite(cited);
            let basis = made.basis.unwrap_or(document);
            let target = path_of(&target)?;
            show_or_write(&target, &basis, &changes, is_new, args.apply)?;
        }
    }
    Ok(Exit::Success)
}

fn path_of(uri: &str) -> anyhow::Result<PathBuf> {
    let path = url::Url::parse(uri)
        .ok()
        .and_then(|u| u.to_file_path().ok());
    path.with_context(|| format!("{uri} is no file"))
}

fn show_or_write(
    path: &Path,
    basis: &Document,
    changes: &[Change],
    is_new: bool,
    apply: bool,
) -> anyhow::Result<()> {
    let (before, after) = (basis.text.to_string(), applied(basis, changes));
    let shown = shown_path(path);
    if !apply {
        let old = if is_new {
            "/dev/null".to_owned()
        } else {
            format!("a/{shown}")
        };
        let diff = TextDiff::from_lines(&before, &after);
        let diff = diff
            .unified_diff()
            .header(&old, &format!("b/{shown}"))
            .to_string();
        // A file gets every byte; a terminal is not steered by what a model wrote.
        if std::io::stdout().is_terminal() {
            output::text(&without_controls(&diff));
        } else {
            output::text(&diff);
        }
        return Ok(());
    }
    let now = std::fs::read_to_string(path).unwrap_or_default();
    if now != before {
        bail!("{shown} changed meanwhile; nothing was written. Run the action again");
    }
    replace_file(path, &after)?;
    output::note(&format!("wrote {shown}"));
    Ok(())
}
