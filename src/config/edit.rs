//! Changing one value in somebody's file and nothing else.
//!
//! Called by `ghostline models use` and by the command `ghostline.selectModel`. Both functions are
//! pure, text to text; [`replace_file`] puts the result in place by one rename. What they write is
//! read back by the readers of the settings before it is believed.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::sources::MODEL_VARIABLES;
use super::{Candidate, Role, Settings, SourceFile, defaults, options};

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The file is not what it should be.
    #[error("{path} is not TOML, so nothing was written: {message}")]
    NotToml {
        /// The file.
        path: String,
        /// What is wrong where.
        message: String,
    },
    /// The table that holds the value is something else.
    #[error("`{key}` in {path} is no table, so nothing was written")]
    NotTable {
        /// The key.
        key: String,
        /// The file.
        path: String,
    },
    /// The value would not be read back as it is.
    #[error(
        "{name} in {path} would not be read as {value:?}, so nothing was written; is a quote \
             missing above it?"
    )]
    NotRead {
        /// The variable.
        name: &'static str,
        /// The file.
        path: String,
        /// The value.
        value: String,
    },
    /// The file cannot be read or written.
    #[error("cannot {doing} {path}")]
    Io {
        /// A verb, such as `write`.
        doing: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The variable of `.env` that puts a model in front of this role's candidates.
pub fn variable_of(role: Role) -> &'static str {
    // The table has a row for each role; its test says so.
    MODEL_VARIABLES
        .iter()
        .find(|(of, _)| *of == role)
        .map_or("", |(_, name)| name)
}

/// The user file `text` with `candidate` as the first choice of `role`. A list that is there keeps its
/// other entries, comments and layout; where there is none, the defaults follow the choice.
///
/// # Errors
/// [`EditError::NotToml`], [`EditError::NotTable`]; `path` is for their words.
pub fn with_first_choice(
    text: &str,
    path: &Path,
    role: Role,
    candidate: &Candidate,
) -> Result<String, EditError> {
    let shown = || path.display().to_string();
    let mut document: DocumentMut =
        text.parse()
            .map_err(|error: toml_edit::TomlError| EditError::NotToml {
                path: shown(),
                message: error.to_string().trim_end().to_owned(),
            })?;
    let not_table = |key: &str| EditError::NotTable {
        key: key.to_owned(),
        path: shown(),
    };
    let roles = document.entry("roles").or_insert_with(|| {
        let mut table = Table::new();
        // Shown only if something of its own stands in it.
        table.set_implicit(true);
        Item::Table(table)
    });
    let roles = roles
        .as_table_like_mut()
        .ok_or_else(|| not_table("roles"))?;
    let table = roles
        .entry(role.name())
        .or_insert_with(|| Item::Table(Table::new()));
    let table = table
        .as_table_like_mut()
        .ok_or_else(|| not_table(&format!("roles.{role}")))?;
    let chosen = candidate.to_string();
    if let Some(list) = table.get_mut("candidates").and_then(Item::as_array_mut) {
        put_first(list, &chosen);
    } else {
        let settings: Settings = defaults::unexpanded();
        let own = settings.roles.get(&role).map(|role| &role.candidates);
        let rest = own.into_iter().flatten().map(ToString::to_string);
        let mut list: Array = std::iter::once(chosen.clone())
            .chain(rest.filter(|text| *text != chosen))
            .collect();
        for value in list.iter_mut() {
            value.decor_mut().set_prefix("\n    ");
        }
        list.set_trailing("\n");
        list.set_trailing_comma(true);
        table.insert("candidates", toml_edit::value(list));
    }
    Ok(document.to_string())
}

/// Puts `chosen` in front; where it stood further back it goes.
fn put_first(list: &mut Array, chosen: &str) {
    if list.get(0).and_then(Value::as_str) == Some(chosen) {
        return;
    }
    let place = |list: &Array| list.iter().position(|value| value.as_str() == Some(chosen));
    while let Some(at) = place(list) {
        remove(list, at);
    }
    // The layout of the first entry, so that a list with a line for each stays one.
    let prefix = list
        .get(0)
        .and_then(|first| first.decor().prefix()?.as_str())
        .filter(|prefix| !prefix.contains('#'))
        .unwrap_or_default()
        .to_owned();
    let alone = list.is_empty();
    if let Some(first) = list.get_mut(0)
        && first.decor().prefix().and_then(|p| p.as_str()) == Some("")
    {
        first.decor_mut().set_prefix(" ");
    }
    list.insert_formatted(0, Value::from(chosen).decorated(prefix, ""));
    if alone {
        list.set_trailing("");
    }
}

/// Takes an entry out. A comment after the entry before it is, to TOML, what stands before this one: it
/// stays, before the next entry or the end of the list.
fn remove(list: &mut Array, at: usize) {
    let removed = list.remove(at);
    let before = removed.decor().prefix().and_then(|prefix| prefix.as_str());
    let Some(comment) = before.filter(|prefix| prefix.contains('#')) else {
        return;
    };
    let comment = comment.trim_end().to_owned();
    if let Some(next) = list.get_mut(at) {
        let prefix = next.decor().prefix().and_then(|p| p.as_str());
        let prefix = format!("{comment}{}", prefix.unwrap_or_default());
        next.decor_mut().set_prefix(prefix);
    } else {
        let trailing = list.trailing().as_str().unwrap_or_default();
        list.set_trailing(format!("{comment}{trailing}"));
    }
}

/// The `.env` file `text` with `role`'s model set. The line that sets it now is changed in place, its
/// `export` and its comment stay; else a line is added at the end.
///
/// # Errors
/// [`EditError::NotRead`] when the file's own quotes would swallow the line.
pub fn with_variable(
    text: &str,
    path: &Path,
    role: Role,
    value: &str,
) -> Result<String, EditError> {
    let name = variable_of(role);
    let quoted = quoted_value(value);
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let place = lines.iter().position(|line| options::assigns(line, name));
    if let Some(line) = place.and_then(|at| lines.get_mut(at)) {
        let ending = line.get(line.trim_end_matches(['\r', '\n']).len()..);
        let ending = ending.unwrap_or_default().to_owned();
        let (before, old) = line.split_once('=').unwrap_or((line, ""));
        let comment = comment_of(old.trim_end_matches(['\r', '\n']));
        *line = format!("{before}={quoted}{comment}{ending}");
    } else {
        if lines.last().is_some_and(|last| !last.ends_with('\n')) {
            lines.push(newline.to_owned());
        }
        lines.push(format!("{name}={quoted}{newline}"));
    }
    let edited = lines.concat();
    let file = SourceFile {
        path: path.to_owned(),
        text: edited.clone(),
    };
    let read = options::env_file_value(&file, name);
    if read.as_deref() == Some(value) {
        Ok(edited)
    } else {
        Err(EditError::NotRead {
            name,
            path: path.display().to_string(),
            value: value.to_owned(),
        })
    }
}

/// A value as every reader of `.env` files takes it: bare where it may be.
fn quoted_value(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{value}'")
    }
}

/// The comment after a value, with the space before it.
fn comment_of(rest: &str) -> &str {
    let quote = rest
        .trim_start()
        .chars()
        .next()
        .filter(|c| "\"'".contains(*c));
    let after = match quote {
        Some(quote) => {
            let start = rest.len() - rest.trim_start().len() + 1;
            let end = rest.get(start..).and_then(|inner| inner.find(quote));
            end.map_or(rest.len(), |end| start + end + 1)
        }
        None => 0,
    };
    let tail = rest.get(after..).unwrap_or_default();
    match tail.find(" #").or_else(|| tail.find("\t#")) {
        Some(at) => tail.get(at..).unwrap_or_default(),
        None => "",
    }
}

/// The text of a file; empty when there is none.
///
/// # Errors
/// [`EditError::Io`].
pub fn read_file(path: &Path) -> Result<String, EditError> {
    let read = fs::metadata(path).and_then(|found| {
        // Opening a pipe would wait for ever.
        if found.is_file() {
            fs::read_to_string(path)
        } else {
            Err(io::Error::other("it is not a file"))
        }
    });
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| failed("read", path, error)),
    }
}

/// Puts `text` in place of the file at `path` by one rename. A link stays a link: what it leads to is
/// replaced. Permissions stay.
///
/// # Errors
/// [`EditError::Io`].
pub fn replace_file(path: &Path, text: &str) -> Result<(), EditError> {
    let target: PathBuf = path
        .canonicalize()
        .unwrap_or_else(|_| match fs::read_link(path) {
            // To where nothing is yet; a relative one counts from its own folder.
            Ok(to) => path.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => path.to_owned(),
        });
    let folder = target.parent().unwrap_or(Path::new("."));
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new();
        // A new file is as anybody's; the temporary file's own mode would keep it from the group.
        #[cfg(unix)]
        let file = file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = file.prefix(".ghostline").tempfile_in(folder)?;
        if let Ok(found) = fs::metadata(&target) {
            file.as_file().set_permissions(found.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| failed("write", path, error))
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> EditError {
    EditError::Io {
        doing,
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests;
