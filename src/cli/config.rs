//! `ghostline config`: the resolved settings, with where each came from.
//!
//! Settings go to stdout, problems to stderr. Any problem makes the exit code 2; what was ignored
//! for lack of trust is said but is nobody's mistake.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use super::Exit;
use crate::config::{Environment, Resolved, Sources, resolve, show, workspace_root};

/// Arguments of `ghostline config`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Say after each value where it came from.
    #[arg(long)]
    pub origin: bool,
    /// Print one JSON object: settings, origins, problems and what was ignored.
    #[arg(long)]
    pub json: bool,
    /// The workspace; the one around the current folder when absent.
    #[arg(long, value_name = "FOLDER")]
    pub workspace: Option<PathBuf>,
}

/// Prints the settings that hold in the workspace.
///
/// # Errors
/// When the current folder is unknown or stdout cannot be written.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let root = if let Some(folder) = args.workspace {
        folder
    } else {
        let here = std::env::current_dir().context("the current folder cannot be read")?;
        workspace_root(&here).to_owned()
    };
    let sources = Sources::read(Some(&root), &Environment::of_process(), None);
    let resolved = resolve(&sources);
    let text = if args.json {
        json(&resolved)?
    } else {
        toml(&resolved, args.origin)
    };
    write(
        &mut io::stdout().lock(),
        &mut io::stderr().lock(),
        &text,
        &resolved,
    )
}

fn toml(resolved: &Resolved, origin: bool) -> String {
    show::to_toml(&resolved.settings, origin.then_some(&resolved.origins))
}

/// `{settings, origins: {PATH: TEXT}, problems: [{where, message}], ignored: [{where, message}]}`.
fn json(resolved: &Resolved) -> anyhow::Result<String> {
    let origins: BTreeMap<&String, String> = resolved
        .origins
        .iter()
        .map(|(path, origin)| (path, origin.to_string()))
        .collect();
    let list = |items: &[crate::config::Problem]| -> Vec<serde_json::Value> {
        let item = |p: &crate::config::Problem| json!({ "where": p.origin.to_string(), "message": p.message });
        items.iter().map(item).collect()
    };
    let object = json!({
        "settings": show::to_json(&resolved.settings),
        "origins": origins,
        "problems": list(&resolved.problems),
        "ignored": list(&resolved.ignored),
    });
    Ok(serde_json::to_string_pretty(&object)? + "\n")
}

fn write(
    out: &mut impl Write,
    err: &mut impl Write,
    text: &str,
    resolved: &Resolved,
) -> anyhow::Result<Exit> {
    out.write_all(text.as_bytes())?;
    out.flush()?;
    for message in [resolved.problem_message(), resolved.ignored_message()]
        .into_iter()
        .flatten()
    {
        writeln!(err, "{message}")?;
    }
    Ok(if resolved.problems.is_empty() {
        Exit::Success
    } else {
        Exit::Usage
    })
}
