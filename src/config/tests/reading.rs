//! Reading from disk: where files are, what is trusted, what is not a file.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::{lines, value};
use crate::config::{Environment, Resolved, Role, Sources, resolve, workspace_root};

const EVIL: &str = "backends.ollama.urls = [\"http://elsewhere\"]";

/// A home with a user file, and folders beside it.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new(user: &str) -> Self {
        let place = Self {
            dir: TempDir::new().unwrap(),
        };
        place.write("home/.config/ghostline/config.toml", user);
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn environment(&self, variables: &[(&str, &Path)]) -> Environment {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let variables = variables
            .iter()
            .map(|(name, path)| ((*name).to_owned(), text(path)));
        Environment {
            variables: variables.collect(),
            home: Some(self.path("home")),
        }
    }

    fn read(&self, root: &Path) -> Resolved {
        resolve(&Sources::read(Some(root), &self.environment(&[]), None))
    }
}

#[test]
fn the_user_file_is_where_the_environment_says() {
    let place = Place::new("inline.max_tokens = 1");
    place.write("xdg/ghostline/config.toml", "inline.max_tokens = 2");
    place.write("mine.toml", "inline.max_tokens = 3");
    let (xdg, mine) = (place.path("xdg"), place.path("mine.toml"));
    let cases: &[(&[(&str, &Path)], u32)] = &[
        (&[], 1),
        (&[("XDG_CONFIG_HOME", &xdg)], 2),
        (&[("XDG_CONFIG_HOME", Path::new("relative"))], 1),
        (&[("XDG_CONFIG_HOME", &xdg), ("GHOSTLINE_CONFIG", &mine)], 3),
        (&[("GHOSTLINE_CONFIG", Path::new(""))], 1),
    ];
    for (variables, expected) in cases {
        let sources = Sources::read(None, &place.environment(variables), None);
        let resolved = resolve(&sources);
        assert_eq!(resolved.problems, [], "{variables:?}");
        assert_eq!(
            resolved.settings.inline.max_tokens, *expected,
            "{variables:?}"
        );
    }
    for (path, message) in [
        (Path::new("mine.toml"), "must be an absolute path"),
        (&place.path("none.toml"), "names a file that does not exist"),
    ] {
        let environment = place.environment(&[("GHOSTLINE_CONFIG", path)]);
        let resolved = resolve(&Sources::read(None, &environment, None));
        let expected = format!("environment GHOSTLINE_CONFIG: {message}");
        assert_eq!(lines(&resolved.problems), [expected]);
    }
}

/// What an editor hands to a subcommand counts as what it tells its server, and never for a server.
#[test]
fn an_editor_hands_its_settings_on() {
    let tokens = |text: &str, editor: Option<serde_json::Value>| {
        let variables = [("GHOSTLINE_EDITOR_SETTINGS".to_owned(), text.to_owned())];
        let environment = Environment {
            variables: variables.into(),
            home: None,
        };
        let resolved = resolve(&Sources::read(None, &environment, editor));
        let problems: Vec<String> = resolved.problems.iter().map(ToString::to_string).collect();
        (resolved.settings.inline.max_tokens, problems)
    };
    let handed = r#"{"inline": {"max_tokens": 7}}"#;
    assert_eq!(tokens(handed, None), (7, vec![]));
    let sent = json!({"inline": {"max_tokens": 9}});
    assert_eq!(tokens(handed, Some(sent)), (9, vec![]));
    let (default, problems) = tokens("{", None);
    assert_eq!(default, 64);
    let expected = "environment GHOSTLINE_EDITOR_SETTINGS: is not JSON";
    assert!(
        problems.len() == 1 && problems[0].starts_with(expected),
        "{problems:?}"
    );
}

#[test]
fn nothing_at_all_is_fine() {
    let dir = TempDir::new().unwrap();
    let environment = Environment {
        home: Some(dir.path().to_owned()),
        ..Environment::default()
    };
    let resolved = resolve(&Sources::read(Some(dir.path()), &environment, None));
    assert_eq!(resolved.problems, []);
    let resolved = resolve(&Sources::read(
        None,
        &Environment::default(),
        Some(json!({})),
    ));
    assert_eq!(resolved.problems, []);
}

#[test]
fn workspace_files_are_read() {
    let place = Place::new("");
    place.write("ws/.ghostline.toml", "inline.max_tokens = 7");
    place.write("ws/.env", "OLLAMA_CHAT_MODEL=m");
    let resolved = place.read(&place.path("ws"));
    assert_eq!(resolved.settings.inline.max_tokens, 7);
    assert_eq!(value(&resolved, "roles.chat.candidates")[0], "ollama/m");
}

#[test]
fn trust_follows_canonical_folders() {
    let cases = [
        // (trusted in the user file, below the place; folder opened; trusted)
        ("good", "good", true),
        ("good", "good/inner", true),
        ("good", "goodness", false),
        ("good", "good/../evil", false),
        ("good/../evil", "evil", true),
        ("evil/../good", "evil", false),
        ("missing", "good", false),
        ("good/inner", "good", false),
    ];
    for (folder, root, expected) in cases {
        let place = Place::new("");
        for name in ["good", "good/inner", "goodness", "evil"] {
            place.write(&format!("{name}/.ghostline.toml"), EVIL);
        }
        let folder = toml::Value::from(place.path(folder).to_str().unwrap());
        place.write(
            "home/.config/ghostline/config.toml",
            format!("trust.folders = [{folder}]"),
        );
        let resolved = place.read(&place.path(root));
        assert_eq!(resolved.trusted, expected, "{folder} for {root}");
        let sent = value(&resolved, "backends.ollama.urls") == json!(["http://elsewhere"]);
        assert_eq!(sent, expected, "{folder} for {root}");
    }
}

#[test]
fn a_tilde_is_home() {
    let place = Place::new("trust.folders = [\"~/work\"]");
    place.write("home/work/ws/.ghostline.toml", EVIL);
    place.write("home/other/.ghostline.toml", EVIL);
    assert!(place.read(&place.path("home/work/ws")).trusted);
    assert!(!place.read(&place.path("home/other")).trusted);
}

#[test]
fn a_user_file_that_cannot_be_read_trusts_nobody() {
    for user in [
        "trust.folders = [\"/\"]\n[[[",
        "trust.folders = \"/\"",
        "trust.folders = [\"/\", \"x\"]",
    ] {
        let place = Place::new(user);
        place.write("ws/.ghostline.toml", EVIL);
        let resolved = place.read(&place.path("ws"));
        assert!(!resolved.trusted, "{user}");
        assert_eq!(resolved.problems.len(), 1, "{user}");
    }
}

#[test]
#[cfg(unix)]
fn a_link_is_what_it_points_to() {
    let place = Place::new("");
    place.write("evil/.ghostline.toml", EVIL);
    place.write("good/.ghostline.toml", EVIL);
    std::os::unix::fs::symlink(place.path("evil"), place.path("good/link")).unwrap();
    std::os::unix::fs::symlink(place.path("good"), place.path("alias")).unwrap();
    for (folder, root, expected) in [
        ("good", "good/link", false),
        ("alias", "good", true),
        ("good", "alias", true),
    ] {
        let folder = toml::Value::from(place.path(folder).to_str().unwrap());
        place.write(
            "home/.config/ghostline/config.toml",
            format!("trust.folders = [{folder}]"),
        );
        assert_eq!(
            place.read(&place.path(root)).trusted,
            expected,
            "{folder} for {root}"
        );
    }
}

#[test]
fn what_is_not_a_small_text_file_is_left_out() {
    let large = vec![b'#'; 256 * 1024 + 1];
    let cases: &[(&[u8], &str)] = &[
        (&[0xff, 0xfe], "is not UTF-8 and was left out"),
        (&large, "is larger than 262144 bytes and was left out"),
    ];
    for (bytes, message) in cases {
        let place = Place::new("");
        place.write("ws/.ghostline.toml", bytes);
        let resolved = place.read(&place.path("ws"));
        let [problem] = resolved.problems.as_slice() else {
            panic!("{:?}", resolved.problems)
        };
        assert_eq!(problem.message, *message);
    }
    let place = Place::new("");
    // Folders of these names: the first is a mistake, the second a Python environment.
    fs::create_dir_all(place.path("ws/.ghostline.toml")).unwrap();
    fs::create_dir_all(place.path("ws/.env")).unwrap();
    let resolved = place.read(&place.path("ws"));
    let [problem] = resolved.problems.as_slice() else {
        panic!("{:?}", resolved.problems)
    };
    assert_eq!(problem.message, "is not a file");
}

/// Files that a clone puts in a settings file's place so that whoever opens it waits for ever, or reads
/// what it should not.
#[cfg(target_os = "linux")]
#[test]
fn what_never_ends_is_not_waited_for() {
    use std::os::unix::fs::symlink;
    let targets = [
        "/dev/zero",
        "/proc/kmsg",
        "/proc/self/environ",
        ".env",
        "pipe",
    ];
    for target in targets {
        let place = Place::new("");
        let expected = place.read(&place.path("elsewhere")).settings;
        fs::create_dir_all(place.path("ws")).unwrap();
        let mut pipe = std::process::Command::new("mkfifo");
        assert!(pipe.arg(place.path("ws/pipe")).status().unwrap().success());
        symlink(target, place.path("ws/.env")).unwrap();
        symlink(target, place.path("ws/.ghostline.toml")).unwrap();
        let resolved = place.read(&place.path("ws"));
        assert_eq!(resolved.settings, expected, "{target}");
    }
}

#[test]
fn a_byte_order_mark_and_foreign_line_ends_are_no_part_of_a_name() {
    let place = Place::new("");
    let text = "\u{feff}OLLAMA_CHAT_MODEL=qwen2.5-coder:7b\r\nexport OLLAMA_VISION_MODEL=\"vision:7b\"\r\n";
    place.write("ws/.env", text);
    let resolved = place.read(&place.path("ws"));
    assert_eq!(resolved.problems, []);
    for (role, model) in [
        (Role::Chat, "qwen2.5-coder:7b"),
        (Role::Vision, "vision:7b"),
    ] {
        let first = &resolved.settings.roles[&role].candidates[0];
        assert_eq!(first.model, model);
    }
}

#[test]
fn the_workspace_is_the_nearest_folder_with_a_mark() {
    let place = Place::new("");
    place.write("ws/.ghostline.toml", "");
    place.write("ws/a/.git/HEAD", "");
    fs::create_dir_all(place.path("ws/a/b")).unwrap();
    fs::create_dir_all(place.path("ws/c")).unwrap();
    assert_eq!(workspace_root(&place.path("ws/a/b")), place.path("ws/a"));
    assert_eq!(workspace_root(&place.path("ws/c")), place.path("ws"));
}
