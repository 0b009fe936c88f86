//! Edits, before and after.

use super::*;

fn candidate(text: &str) -> Candidate {
    Candidate::parse(text, &defaults::unexpanded().backends).expect("a candidate")
}

fn chosen(text: &str) -> String {
    let path = Path::new("config.toml");
    with_first_choice(text, path, Role::Chat, &candidate("ollama/new:7b")).expect("an edit")
}

#[test]
fn a_list_keeps_everything_else() {
    let cases = [
        (
            "# mine\n[roles.chat]\ncandidates = [\"a:1\", \"b:2\"] # both\n\n[inline]\nmax_tokens = 3\n",
            "# mine\n[roles.chat]\ncandidates = [\"ollama/new:7b\", \"a:1\", \"b:2\"] # both\n\n[inline]\nmax_tokens = 3\n",
        ),
        (
            "roles.chat.candidates = [\n  \"a:1\", # why\n  \"ollama/new:7b\",\n]\n",
            "roles.chat.candidates = [\n  \"ollama/new:7b\",\n  \"a:1\", # why\n]\n",
        ),
        (
            "roles = { chat = { candidates = [] } }\n",
            "roles = { chat = { candidates = [\"ollama/new:7b\"] } }\n",
        ),
        (
            "roles.chat.candidates = ['ollama/new:7b', 'x']\n",
            "roles.chat.candidates = ['ollama/new:7b', 'x']\n",
        ),
    ];
    for (before, after) in cases {
        assert_eq!(chosen(before), after);
    }
}

#[test]
fn without_a_list_the_defaults_follow() {
    let text = chosen("[inline]\nmax_tokens = 3\n");
    let start = "[inline]\nmax_tokens = 3\n\n[roles.chat]\ncandidates = [\n    \"ollama/new:7b\",\n    \"qwen3-coder:30b-q4_K_M\",\n";
    assert!(text.starts_with(start), "{text}");
    let read: toml::Table = text.parse().expect("TOML");
    let list = read["roles"]["chat"]["candidates"]
        .as_array()
        .expect("a list");
    let defaults = &defaults::unexpanded().roles[&Role::Chat].candidates;
    assert_eq!(list.len(), defaults.len() + 1);
    assert_eq!(chosen(&text), text, "twice is once");
}

#[test]
fn what_is_no_settings_file_is_left_alone() {
    let edit = |text| with_first_choice(text, Path::new("f"), Role::Chat, &candidate("x"));
    assert!(matches!(edit("not toml"), Err(EditError::NotToml { .. })));
    assert!(matches!(edit("roles = 1"), Err(EditError::NotTable { .. })));
    assert!(matches!(
        edit("roles.chat = 1"),
        Err(EditError::NotTable { .. })
    ));
}

#[test]
fn a_variable_is_set_in_place_or_added() {
    let cases = [
        ("", "OLLAMA_CHAT_MODEL=m:1\n"),
        ("A=1", "A=1\nOLLAMA_CHAT_MODEL=m:1\n"),
        ("A=1\r\nB=2\r\n", "A=1\r\nB=2\r\nOLLAMA_CHAT_MODEL=m:1\r\n"),
        (
            "# OLLAMA_CHAT_MODEL=no\nexport OLLAMA_CHAT_MODEL=\"old\"  # why\nB='#'\n",
            "# OLLAMA_CHAT_MODEL=no\nexport OLLAMA_CHAT_MODEL=m:1 # why\nB='#'\n",
        ),
        (
            "OLLAMA_CHAT_MODEL = \"a # b\"\nX=1\n",
            "OLLAMA_CHAT_MODEL =m:1\nX=1\n",
        ),
        (
            "OLLAMA_CHAT_MODEL=old\r\nX=1\r\n",
            "OLLAMA_CHAT_MODEL=m:1\r\nX=1\r\n",
        ),
    ];
    for (before, after) in cases {
        let edited = with_variable(before, Path::new(".env"), Role::Chat, "m:1");
        assert_eq!(edited.expect("an edit"), after, "{before:?}");
    }
}

#[test]
fn values_are_quoted_where_they_must_be_and_read_back() {
    for (value, line) in [
        ("hf.co/a/b:Q4_K_M", "OLLAMA_CHAT_MODEL=hf.co/a/b:Q4_K_M\n"),
        ("two words", "OLLAMA_CHAT_MODEL='two words'\n"),
        ("a#b", "OLLAMA_CHAT_MODEL='a#b'\n"),
    ] {
        let edited = with_variable("", Path::new(".env"), Role::Chat, value);
        assert_eq!(edited.expect("an edit"), line);
    }
    // A quote in a value, and a quote that is open above.
    for (text, value) in [("", "it's"), ("A=\"open\n", "m"), ("", "$HOME")] {
        assert!(matches!(
            with_variable(text, Path::new(".env"), Role::Chat, value),
            Err(EditError::NotRead { .. })
        ));
    }
}

#[test]
fn every_role_has_a_variable() {
    for role in Role::ALL {
        let expect = format!("OLLAMA_{}_MODEL", role.name().to_uppercase());
        assert_eq!(variable_of(role), expect);
    }
}

#[cfg(unix)]
#[test]
fn a_file_is_replaced_where_it_is_with_its_mode() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let dir = tempfile::tempdir().expect("a folder");
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::write(&real, "old").expect("a file");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).expect("a mode");
    symlink(&real, &link).expect("a link");
    replace_file(&link, "new").expect("replaced");
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&real).expect("a file"), "new");
    let mode = fs::metadata(&real).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (absent, dangling) = (dir.path().join("absent"), dir.path().join("dangling"));
    symlink("absent", &dangling).expect("a link");
    replace_file(&dangling, "made").expect("replaced");
    assert!(dangling.is_symlink());
    assert_eq!(fs::read_to_string(&absent).expect("a file"), "made");
    let fresh = dir.path().join("a/b/new.toml");
    replace_file(&fresh, "x").expect("made");
    assert_eq!(read_file(&fresh).expect("a file"), "x");
    assert_eq!(read_file(&dir.path().join("none")).expect("none"), "");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    for path in [pipe.as_path(), dir.path()] {
        let error = read_file(path).expect_err("no file");
        assert!(matches!(error, EditError::Io { doing: "read", .. }));
    }
}
