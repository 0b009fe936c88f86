//! Keeps the settings that the VS Code extension contributes in step with the table of settings.
//!
//! `UPDATE=1 cargo test --test vscode_settings` writes the manifest anew. What a folder that nobody
//! trusts may set follows from each key's reach: VS Code takes a restricted setting from the person's
//! own settings only, and one of scope `application` from no folder at all.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use ghostline::config::keys::{self, Key, Reach};
use ghostline::config::{Role, schema};
use serde_json::{Map, Value, json};

/// The title of each table of the settings, as VS Code shows it.
const GROUPS: &[(&str, &str)] = &[
    ("inline", "Completions"),
    ("roles", "Models"),
    ("backends", "Backends"),
    ("context", "Context"),
    ("index", "Search"),
    ("privacy", "Privacy"),
];

/// Settings of the extension itself.
fn own() -> Value {
    json!({
        "ghostline.server.path": {
            "type": "string",
            "default": "",
            "scope": "machine",
            "description": "The ghostline program. Empty: the one inside the extension, or on PATH.",
        },
        "ghostline.trace.server": {
            "type": "string",
            "enum": ["off", "messages", "verbose"],
            "default": "off",
            "scope": "window",
            "description": "What of the conversation with the server goes to the log. It holds text of your files.",
        },
    })
}

fn manifest_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("editors/vscode/package.json")
}

/// The schema of a table, such as `inline` or `roles.chat`.
fn table(path: &str) -> Value {
    path.split('.')
        .fold(schema::schema(), |at, part| at["properties"][part].clone())
}

/// The key as VS Code knows it, once for each role. Backends have any names, so they are one setting.
fn names(key: &Key) -> Vec<String> {
    if key.path.starts_with("roles.") {
        let of = |role: &Role| format!("ghostline.{}", key.path.replace('*', role.name()));
        return Role::ALL.iter().map(of).collect();
    }
    if key.path.starts_with("backends.") {
        return vec!["ghostline.backends".to_owned()];
    }
    vec![format!("ghostline.{}", key.path)]
}

fn scope(reach: Reach) -> &'static str {
    match reach {
        // No folder takes these away, trusted or not.
        Reach::SwitchOn | Reach::Add => "application",
        _ => "window",
    }
}

/// Whether a folder that nobody trusts may not say it. A switch that a folder may only switch off is
/// restricted as well: VS Code does not tell the directions apart. `.ghostline.toml` does.
fn is_restricted(reach: Reach) -> bool {
    match reach {
        Reach::Free | Reach::SwitchOn | Reach::Add => false,
        Reach::Trusted
        | Reach::SwitchOff
        | Reach::AddOrReplace
        | Reach::Models
        | Reach::UserFile => true,
    }
}

fn contributed() -> impl Iterator<Item = &'static Key> {
    keys::keys()
        .iter()
        .filter(|key| key.reach != Reach::UserFile)
}

fn configuration() -> Value {
    let mut groups = vec![json!({ "title": "Program", "properties": own() })];
    for (group, title) in GROUPS {
        let mut properties = Map::new();
        for key in contributed().filter(|key| key.path.split('.').next() == Some(group)) {
            for name in names(key) {
                let path = name.trim_start_matches("ghostline.");
                let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
                let mut value = if *group == "backends" {
                    json!({
                        "type": "object",
                        "description": "Servers that run models, by any name, and how to reach them.",
                        "additionalProperties": table("backends")["additionalProperties"],
                    })
                } else {
                    table(parent)["properties"][last].clone()
                };
                value["scope"] = scope(key.reach).into();
                properties.insert(name, value);
            }
        }
        groups.push(json!({ "title": title, "properties": properties }));
    }
    Value::Array(groups)
}

fn restricted() -> Value {
    let mut all: Vec<String> = Vec::new();
    for name in contributed()
        .filter(|key| is_restricted(key.reach))
        .flat_map(names)
    {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all.into()
}

/// Puts `value` in the place of what stands behind `"name":` in pretty JSON. All else stays as written.
fn replaced(text: &str, name: &str, value: &Value) -> String {
    let mut new = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let key = format!("\"{name}\": [");
        let indent = line.len() - line.trim_start().len();
        if !line.trim_start().starts_with(&key) {
            let _ = writeln!(new, "{line}");
            continue;
        }
        let mut last = line;
        while !last.trim_end_matches(',').ends_with(']')
            || last.len() - last.trim_start().len() != indent
        {
            last = lines.next().expect("the array ends");
        }
        let pretty = serde_json::to_string_pretty(value).expect("JSON can be written");
        let pretty = pretty.replace('\n', &format!("\n{}", " ".repeat(indent)));
        let comma = if last.ends_with(',') { "," } else { "" };
        let _ = writeln!(new, "{}\"{name}\": {pretty}{comma}", " ".repeat(indent));
    }
    new
}

#[test]
fn the_manifest_knows_every_setting() {
    let path = manifest_path();
    let text = fs::read_to_string(&path).expect("package.json is readable");
    let manifest: Value = serde_json::from_str(&text).expect("package.json is JSON");
    let trust = &manifest["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"];
    let in_step =
        manifest["contributes"]["configuration"] == configuration() && *trust == restricted();
    if !in_step && std::env::var_os("UPDATE").is_some() {
        let text = replaced(&text, "configuration", &configuration());
        let text = replaced(&text, "restrictedConfigurations", &restricted());
        fs::write(&path, text).expect("package.json can be written");
        return;
    }
    assert!(
        in_step,
        "editors/vscode/package.json is behind the table of settings; run \
         `UPDATE=1 cargo test --test vscode_settings`"
    );
}

#[test]
fn every_table_of_the_settings_has_a_group() {
    for key in contributed() {
        let group = key.path.split('.').next().unwrap_or_default();
        assert!(GROUPS.iter().any(|(name, _)| *name == group), "{group}");
    }
}

#[test]
fn no_folder_says_where_text_is_sent() {
    let Value::Array(restricted) = restricted() else {
        panic!("a list")
    };
    for name in [
        "ghostline.backends",
        "ghostline.roles.completion.candidates",
    ] {
        assert!(restricted.contains(&name.into()), "{name}");
    }
    assert_eq!(own()["ghostline.server.path"]["scope"], "machine");
}

#[test]
fn versions_agree() {
    let text = fs::read_to_string(manifest_path()).expect("package.json is readable");
    let manifest: Value = serde_json::from_str(&text).expect("package.json is JSON");
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
}
