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
use crate::config::{Environment, Resolved, Sources, resolve, schema, show, workspace_root};

/// Arguments of `ghostline config`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Say after each value where it came from.
    #[arg(long)]
    pub origin: bool,
    /// Print one JSON object: settings, origins, problems and what was ignored.
    #[arg(long)]
    pub json: bool,
    /// Print the JSON schema of the settings file and nothing else.
    #[arg(long)]
    pub schema: bool,
    /// The workspace; the one around the current folder when absent.
    #[arg(long, value_name = "FOLDER")]
    pub workspace: Option<PathBuf>,
}

/// Prints the settings that hold in the workspace.
///
/// # Errors
/// When the current folder is unknown or stdout cannot be written.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    if args.schema {
        let text = serde_json::to_string_pretty(&schema::schema())?;
        writeln!(io::stdout(), "{text}")?;
        return Ok(Exit::Success);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceFile;

    fn resolved(user: &str) -> Resolved {
        let user = SourceFile {
            path: "user.toml".into(),
            text: user.to_owned(),
        };
        resolve(&Sources {
            user: Some(user),
            ..Sources::default()
        })
    }

    /// Standard output, standard error and exit code.
    fn printed(text: &str, resolved: &Resolved) -> (String, String, Exit) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = write(&mut out, &mut err, text, resolved).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(out), text(err), exit)
    }

    #[test]
    fn good_settings_say_nothing_else() {
        let good = resolved("inline.max_tokens = 3");
        let (out, err, exit) = printed(&toml(&good, false), &good);
        assert_eq!(resolved(&out).settings, good.settings);
        assert!(!out.contains('#'), "{out}");
        assert_eq!((err.as_str(), exit), ("", Exit::Success));
    }

    #[test]
    fn origins_are_comments() {
        let good = resolved("inline.max_tokens = 3");
        let (out, ..) = printed(&toml(&good, true), &good);
        assert!(out.contains("\nmax_tokens = 3  # user.toml:1\n"), "{out}");
        assert_eq!(resolved(&out).settings, good.settings);
    }

    #[test]
    fn a_problem_is_said_and_is_exit_code_2() {
        let bad = resolved("inline.max_tokens = 3\ncolour = 1");
        let (out, err, exit) = printed(&toml(&bad, false), &bad);
        assert_eq!(resolved(&out).settings, bad.settings);
        assert_eq!(exit, Exit::Usage);
        assert!(
            err.contains("user.toml:2: there is no setting `colour`"),
            "{err}"
        );
    }

    #[test]
    fn json_is_one_object() {
        let bad = resolved("inline.max_tokens = 3\ncolour = 1");
        let (out, _, exit) = printed(&json(&bad).unwrap(), &bad);
        let object: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(object["settings"]["inline"]["max_tokens"], 3);
        assert_eq!(object["origins"]["inline.max_tokens"], "user.toml:1");
        assert_eq!(object["origins"]["index.enabled"], "default");
        assert_eq!(object["problems"][0]["where"], "user.toml:2");
        assert_eq!(object["ignored"], json!([]));
        assert_eq!(exit, Exit::Usage);
    }
}
