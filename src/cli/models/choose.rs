//! `ghostline models use ROLE NAME`: one line of the user's settings, or of a `.env`.

use std::io::{self, Write as _};
use std::path::Path;

use super::{Exit, Failure, Usage};
use crate::config::{Candidate, Role, edit};
use crate::host::LocalHost;
use crate::router::survey::survey;
use crate::server::Host as _;

pub(super) async fn run(role: &str, name: &str, env: Option<&Path>) -> Result<Exit, Failure> {
    let Some(role) = Role::from_name(role) else {
        let roles = Role::ALL.map(Role::name).join(", ");
        return Err(Usage(format!("there is no role `{role}`; the roles are {roles}")).into());
    };
    let host = LocalHost::new();
    let (settings, mut choices, _) = host.here()?;
    let candidate = Candidate::parse(name, &settings.backends)
        .map_err(|error| Usage(format!("{error}; write `[backend/]model`")))?;
    if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Usage(format!("{name:?} cannot be a model's name")).into());
    }
    let written = match env {
        Some(path) => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                let message = format!("there is no folder {} for that file", folder.display());
                return Err(Usage(message).into());
            }
            let text = edit::read_file(path)?;
            // A name without a backend is the Ollama's there.
            let value = name.strip_prefix("ollama/").unwrap_or(name);
            let edited = edit::with_variable(&text, path, role, value)?;
            edit::replace_file(path, &edited)?;
            path.to_owned()
        }
        None => host.choose(role, &candidate).map_err(Usage)?,
    };
    writeln!(
        io::stdout(),
        "{candidate} is the first choice for {role}, in {}",
        written.display()
    )?;
    choices.candidates = [(role, vec![candidate])].into();
    let there = survey(&choices).await.chosen(role).is_some();
    if !there {
        writeln!(
            io::stderr(),
            "it is not there yet: `ghostline models pull {name}`"
        )?;
    }
    Ok(Exit::Success)
}
