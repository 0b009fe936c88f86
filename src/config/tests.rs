//! Tests of the settings. Each file is a table; a new case is a new row.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::{Resolved, SourceFile, Sources, Workspace, resolve, show};

mod attacks;
mod layers;
mod problems;
mod reading;
mod round_trip;

/// What each source says; empty means that there is no such source.
#[derive(Debug, Clone, Copy, Default)]
struct Given<'a> {
    user: &'a str,
    workspace: &'a str,
    dotenv: &'a str,
    environment: &'a [(&'a str, &'a str)],
    editor: &'a str,
    trusted: bool,
}

impl Given<'_> {
    fn sources(&self) -> Sources {
        let file = |path: &str, text: &str| {
            let path = PathBuf::from(path);
            (!text.is_empty()).then(|| SourceFile {
                path,
                text: text.to_owned(),
            })
        };
        let variables = self.environment.iter();
        let environment: BTreeMap<String, String> = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Sources {
            user: file("user.toml", self.user),
            workspace: Some(Workspace {
                root: PathBuf::from("ws"),
                settings: file("ws.toml", self.workspace),
                env: file("ws.env", self.dotenv),
                trusted: self.trusted,
            }),
            environment,
            editor: (!self.editor.is_empty()).then(|| serde_json::from_str(self.editor).unwrap()),
            problems: Vec::new(),
        }
    }

    fn resolve(&self) -> Resolved {
        resolve(&self.sources())
    }
}

/// The value at a path with dots; null when it is not set.
fn value(resolved: &Resolved, path: &str) -> Value {
    let pointer = format!("/{}", path.replace('.', "/"));
    let all = show::to_json(&resolved.settings);
    all.pointer(&pointer).cloned().unwrap_or_default()
}

/// Problems or ignored values as lines.
fn lines(items: &[super::Problem]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
