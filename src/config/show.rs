//! Settings as text: TOML that reads back to the same settings, and JSON of the same form.
//!
//! Called by `ghostline config`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Origin, Settings, keys};

/// Longest list kept on one line, in characters of its TOML.
const ONE_LINE_CHARS: usize = 80;

/// The settings as a user file that sets all of them. With `origins`, a comment after each value
/// says where it came from.
pub fn to_toml(settings: &Settings, origins: Option<&BTreeMap<String, Origin>>) -> String {
    let mut lines = Vec::new();
    let mut table = String::new();
    for (path, _, value) in keys::values(settings) {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", &path));
        if parent != table {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.push(format!("[{parent}]"));
            parent.clone_into(&mut table);
        }
        let origin = origins.and_then(|origins| origins.get(&path));
        let comment = origin
            .map(|origin| format!("  # {origin}"))
            .unwrap_or_default();
        lines.push(format!("{name} = {}{comment}", literal(&value)));
    }
    lines.join("\n") + "\n"
}

/// The settings as an object, nested as in the file.
pub fn to_json(settings: &Settings) -> Value {
    let mut root = Map::new();
    for (path, _, value) in keys::values(settings) {
        insert(&mut root, &path, value);
    }
    Value::Object(root)
}

/// Puts a value at a path with dots, making the tables above it.
fn insert(table: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        table.insert(path.to_owned(), value);
        return;
    };
    let inner = table
        .entry(first)
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        insert(inner, rest, value);
    }
}

/// A value in TOML; a long list has a line for each entry.
fn literal(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(literal).collect();
            let line = format!("[{}]", items.join(", "));
            if line.chars().count() <= ONE_LINE_CHARS {
                return line;
            }
            format!("[\n    {},\n]", items.join(",\n    "))
        }
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        other => other.to_string(),
    }
}
