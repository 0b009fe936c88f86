//! The settings as a JSON schema, made from the table of keys, for editors that check TOML or JSON.
//!
//! Called by `ghostline config --schema`. Says what the table says, no more.

use serde_json::{Map, Value, json};

use super::keys::{self, Item, Key, Shape};
use super::{Role, Settings};

/// A schema of the settings file, draft 7: the newest that all editors' tools read.
pub fn schema() -> Value {
    let defaults = Settings::default();
    let mut root = table();
    for key in keys::keys() {
        let mut parts: Vec<&str> = key.path.split('.').collect();
        let Some(last) = parts.pop() else { continue };
        match parts.as_slice() {
            ["roles", "*"] => {
                for role in Role::ALL {
                    let path = ["roles", role.name()];
                    insert(&mut root, &path, last, value(key, &defaults, role.name()));
                }
            }
            ["backends", "*"] => {
                let backends = child(&mut root, "backends");
                // Any name may be a backend's.
                let any = backends
                    .entry("additionalProperties")
                    .and_modify(|any| {
                        if !any.is_object() {
                            *any = Value::Object(table());
                        }
                    })
                    .or_insert_with(|| Value::Object(table()));
                if let Value::Object(any) = any {
                    insert(any, &[], last, value(key, &defaults, ""));
                }
            }
            parts => insert(&mut root, parts, last, value(key, &defaults, "")),
        }
    }
    root.insert(
        "$schema".into(),
        "http://json-schema.org/draft-07/schema#".into(),
    );
    root.insert("title".into(), "ghostline settings".into());
    Value::Object(root)
}

fn table() -> Map<String, Value> {
    let Value::Object(table) =
        json!({ "type": "object", "additionalProperties": false, "properties": {} })
    else {
        return Map::new();
    };
    table
}

/// The table below `parent` of that name, made if need be.
fn child<'a>(parent: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let object = |value: &'a mut Value| match value {
        Value::Object(object) => object,
        // Nothing but tables is put where a table is looked for.
        _ => unreachable!("a table of the schema"),
    };
    let properties = object(
        parent
            .entry("properties")
            .or_insert_with(|| Value::Object(Map::new())),
    );
    object(
        properties
            .entry(name)
            .or_insert_with(|| Value::Object(table())),
    )
}

fn insert(root: &mut Map<String, Value>, path: &[&str], name: &str, value: Value) {
    let mut at = root;
    for part in path {
        at = child(at, part);
    }
    if let Some(Value::Object(properties)) = at.get_mut("properties") {
        properties.insert(name.to_owned(), value);
    }
}

/// One setting.
fn value(key: &Key, defaults: &Settings, name: &str) -> Value {
    let mut value = shape(key.shape);
    if let Value::Object(object) = &mut value {
        object.insert("description".into(), key.doc.into());
        if let Some(default) = (key.get)(defaults, name) {
            object.insert("default".into(), default);
        }
    }
    value
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Switch => json!({ "type": "boolean" }),
        Shape::Integer { min, max } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Shape::Choice(words) => json!({ "type": "string", "enum": words }),
        Shape::Debounce => json!({
            "anyOf": [{ "const": "adaptive" }, { "type": "integer", "minimum": 0 }],
        }),
        Shape::VariableName => json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }),
        Shape::List(item) => {
            let item = match item {
                Item::Url => json!({ "type": "string", "format": "uri" }),
                Item::Candidate | Item::Glob | Item::Language | Item::Folder => {
                    json!({ "type": "string", "minLength": 1 })
                }
            };
            json!({ "type": "array", "items": item })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the schema says of a path; `*` is any backend.
    fn at(path: &str) -> Option<Value> {
        let mut here = schema();
        for part in path.split('.') {
            here = match part {
                "*" => here.get("additionalProperties")?.clone(),
                part => here.get("properties")?.get(part)?.clone(),
            };
        }
        Some(here)
    }

    #[test]
    fn every_key_is_in_the_schema_with_its_doc() {
        for key in keys::keys() {
            let paths: Vec<String> = if key.path.starts_with("roles.") {
                let roles = Role::ALL.iter();
                roles
                    .map(|role| key.path.replace('*', role.name()))
                    .collect()
            } else {
                vec![key.path.to_owned()]
            };
            for path in paths {
                let value = at(&path).unwrap_or_else(|| panic!("{path} is missing"));
                assert_eq!(value["description"], key.doc, "{path}");
            }
        }
    }

    #[test]
    fn nothing_else_is_allowed_and_defaults_are_told() {
        for path in ["roles", "roles.chat", "backends.*", "inline", "privacy"] {
            let value = at(path).expect("a table");
            assert_eq!(value["additionalProperties"], json!(false), "{path}");
        }
        assert_eq!(at("inline.max_tokens").expect("a key")["default"], 64);
        assert_eq!(at("inline.debounce").expect("a key")["default"], "adaptive");
        assert!(at("roles.chat.candidates").expect("a key")["default"].is_array());
    }
}
