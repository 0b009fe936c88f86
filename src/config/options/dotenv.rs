//! The workspace's `.env`: our variables in somebody else's file.

use std::collections::HashMap;

use crate::config::sources::{MODEL_VARIABLES, OLLAMA_HOST};
use crate::config::{Origin, Problem, SourceFile};

/// The variables of ours in a `.env` file, with their places.
///
/// The rest of the file is the project's and nobody's business here: it may hold secrets, so no
/// message repeats a line of it, and `$NAME` is not expanded, which would let the file copy this
/// process's variables into a model's name.
pub(super) fn env_file_values(
    file: &SourceFile,
    problems: &mut Vec<Problem>,
) -> HashMap<&'static str, (String, Origin)> {
    /// Stands for `$` while the file is parsed; a private-use character, which no value has.
    const DOLLAR: char = '\u{f8ff}';
    let literal = file.text.replace('$', &DOLLAR.to_string());
    let literal = literal.trim_start_matches('\u{feff}');
    let mut values: HashMap<String, String> = HashMap::new();
    for (name, value) in dotenvy::from_read_iter(literal.as_bytes()).flatten() {
        // The first wins, as when the file is loaded into the environment.
        values.entry(name).or_insert(value);
    }
    let mut found = HashMap::new();
    let ours = MODEL_VARIABLES.iter().map(|(_, name)| *name);
    for name in ours.chain([OLLAMA_HOST]) {
        let line = literal.lines().position(|line| assigns(line, name));
        let line = line.map(|index| index + 1);
        let origin = Origin::EnvFile {
            path: file.path.clone(),
            line,
            name: name.to_owned(),
        };
        match values.remove(name) {
            Some(value) if value.contains(DOLLAR) => problems.push(Problem {
                origin,
                message: "variables are not expanded here; write the value itself".to_owned(),
            }),
            Some(value) => {
                found.insert(name, (value, origin));
            }
            None if line.is_some() => problems.push(Problem {
                origin,
                message: "cannot be read; is a quote missing above it?".to_owned(),
            }),
            None => {}
        }
    }
    found
}

/// Whether a line gives the variable `name` a value.
pub(in crate::config) fn assigns(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let rest = line.strip_prefix(name);
    rest.is_some_and(|rest| rest.trim_start().starts_with('='))
}

/// The value of one of our variables, as the settings would read it.
pub(in crate::config) fn env_file_value(file: &SourceFile, name: &str) -> Option<String> {
    let (value, _) = env_file_values(file, &mut Vec::new()).remove(name)?;
    Some(value)
}
