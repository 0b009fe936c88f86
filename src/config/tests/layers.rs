//! Which layer wins, and that its place is told.

use serde_json::{Value, json};

use super::{Given, value};
use crate::config::{Candidate, Settings, ollama_host_url};

/// `path` has this value and comes from there; nothing is wrong.
#[track_caller]
fn check(given: Given<'_>, path: &str, expected: Value, origin: &str) {
    let resolved = given.resolve();
    assert_eq!(resolved.problems, [], "{given:?}");
    assert_eq!(resolved.ignored, [], "{given:?}");
    assert_eq!(value(&resolved, path), expected, "{path} of {given:?}");
    assert_eq!(
        resolved.origins[path].to_string(),
        origin,
        "{path} of {given:?}"
    );
}

const USER: &str = "\n[inline]\nmax_tokens = 10\ndeadline_ms = 20\n";
const WORKSPACE: &str = "[inline]\nmax_tokens = 11\n";
const EDITOR: &str = r#"{"inline": {"max_tokens": 12}}"#;

#[test]
fn later_layers_win() {
    let nothing = Given::default();
    check(nothing, "inline.max_tokens", json!(64), "default");
    let user = Given {
        user: USER,
        ..nothing
    };
    check(user, "inline.max_tokens", json!(10), "user.toml:3");
    let workspace = Given {
        workspace: WORKSPACE,
        ..user
    };
    check(workspace, "inline.max_tokens", json!(11), "ws.toml:2");
    check(workspace, "inline.deadline_ms", json!(20), "user.toml:4");
    let editor = Given {
        editor: EDITOR,
        ..workspace
    };
    check(editor, "inline.max_tokens", json!(12), "editor");
    check(editor, "inline.deadline_ms", json!(20), "user.toml:4");
}

#[test]
fn the_editors_object_comes_in_several_forms() {
    for editor in [
        EDITOR,
        r#"{"ghostline": {"inline": {"max_tokens": 12}}}"#,
        r#"{"inline": {"max_tokens": 12.0, "prefetch": null}, "trace": {"server": "off"}}"#,
        r#"{"inline": {"max_tokens": 12}, "trusted": false}"#,
    ] {
        check(
            Given {
                editor,
                ..Given::default()
            },
            "inline.max_tokens",
            json!(12),
            "editor",
        );
    }
    check(
        Given {
            editor: "null",
            ..Given::default()
        },
        "inline.max_tokens",
        json!(64),
        "default",
    );
}

#[test]
fn every_form_of_every_value_is_read() {
    let cases = [
        ("inline.enabled = false", "inline.enabled", json!(false)),
        (
            "inline.debounce = \"adaptive\"",
            "inline.debounce",
            json!("adaptive"),
        ),
        ("inline.debounce = 0", "inline.debounce", json!(0)),
        ("inline.debounce = 75", "inline.debounce", json!(75)),
        ("inline.deadline_ms = 10", "inline.deadline_ms", json!(10)),
        (
            "inline.deadline_ms = 5_000",
            "inline.deadline_ms",
            json!(5000),
        ),
        ("inline.max_tokens = 1", "inline.max_tokens", json!(1)),
        (
            "inline.max_tokens = 0x400",
            "inline.max_tokens",
            json!(1024),
        ),
        (
            "inline.multi_line = \"never\"",
            "inline.multi_line",
            json!("never"),
        ),
        ("inline.prefetch = false", "inline.prefetch", json!(false)),
        (
            "inline.disabled_languages = [\"c\"]",
            "inline.disabled_languages",
            json!(["c"]),
        ),
        (
            "context.open_files = false",
            "context.open_files",
            json!(false),
        ),
        (
            "context.recent_edits = false",
            "context.recent_edits",
            json!(false),
        ),
        (
            "context.declarations = false",
            "context.declarations",
            json!(false),
        ),
        (
            "context.clipboard = false",
            "context.clipboard",
            json!(false),
        ),
        ("index.enabled = false", "index.enabled", json!(false)),
        ("privacy.ignore = []", "privacy.ignore", json!([])),
        (
            "privacy.redact_secrets = false",
            "privacy.redact_secrets",
            json!(false),
        ),
        (
            "backends.embedded.threads = 3",
            "backends.embedded.threads",
            json!(3),
        ),
        (
            "backends.ollama.api_key_env = \"K\"",
            "backends.ollama.api_key_env",
            json!("K"),
        ),
        (
            "backends.ollama.urls = [\"https://h/x/\", \"http://b:1\"]",
            "backends.ollama.urls",
            json!(["https://h/x", "http://b:1"]),
        ),
        (
            "backends.a-b.kind = \"llama_server\"",
            "backends.a-b.urls",
            json!(["http://127.0.0.1:8080"]),
        ),
        (
            "roles.chat.candidates = []",
            "roles.chat.candidates",
            json!([]),
        ),
    ];
    for (user, path, expected) in cases {
        let resolved = Given {
            user,
            ..Given::default()
        }
        .resolve();
        assert_eq!(resolved.problems, [], "{user}");
        assert_eq!(value(&resolved, path), expected, "{user}");
    }
}

#[test]
fn a_new_backend_may_be_named_before_it_is_described() {
    let user = "[roles.chat]\ncandidates = [\"team/x/y:z\", \"hf.co/a/b:q4\", \"embedded/e\"]\n\
                [backends.team]\napi_key_env = \"KEY\"\nurls = [\"https://llm.example\"]\nkind = \"openai\"\n";
    let given = Given {
        user,
        ..Given::default()
    };
    let candidates = json!(["team/x/y:z", "hf.co/a/b:q4", "embedded/e"]);
    check(given, "roles.chat.candidates", candidates, "user.toml:2");
    check(
        given,
        "backends.team.api_key_env",
        json!("KEY"),
        "user.toml:4",
    );
    let chat = &given.resolve().settings.roles[&crate::config::Role::Chat].candidates;
    let split: Vec<_> = chat
        .iter()
        .map(|c| (c.backend.as_deref(), c.model.as_str()))
        .collect();
    let expected = [
        (Some("team"), "x/y:z"),
        (None, "hf.co/a/b:q4"),
        (Some("embedded"), "e"),
    ];
    assert_eq!(split, expected);
}

#[test]
fn variables_put_a_model_in_front() {
    let user = "roles.chat.candidates = [\"a\", \"ollama/b:1\"]\nroles.vision.candidates = []";
    let path = "roles.chat.candidates";
    let given = Given {
        user,
        ..Given::default()
    };
    let env = |value| [("OLLAMA_CHAT_MODEL", value)];
    let cases = [
        ("xx:1", json!(["ollama/xx:1", "a", "ollama/b:1"])),
        ("embedded/e", json!(["embedded/e", "a", "ollama/b:1"])),
        (
            "hf.co/u/r:q4",
            json!(["ollama/hf.co/u/r:q4", "a", "ollama/b:1"]),
        ),
        // Already there: moved, not repeated.
        ("b:1", json!(["ollama/b:1", "a"])),
        ("chat", json!(["ollama/chat", "a", "ollama/b:1"])),
    ];
    for (name, expected) in cases {
        let environment = env(name);
        let given = Given {
            environment: &environment,
            ..given
        };
        check(
            given,
            path,
            expected.clone(),
            "environment OLLAMA_CHAT_MODEL, added to user.toml:1",
        );
        let dotenv = format!("A=1\nexport OLLAMA_CHAT_MODEL='{name}'\n");
        let given = Given {
            dotenv: &dotenv,
            environment: &[],
            ..given
        };
        let origin = "ws.env:2 OLLAMA_CHAT_MODEL, added to user.toml:1";
        check(given, path, expected, origin);
    }
    for (variable, role) in [
        ("OLLAMA_COMPLETION_MODEL", "completion"),
        ("OLLAMA_REASONING_MODEL", "reasoning"),
        ("OLLAMA_VISION_MODEL", "vision"),
        ("OLLAMA_EMBEDDING_MODEL", "embedding"),
    ] {
        let environment = [(variable, "m")];
        let resolved = Given {
            environment: &environment,
            ..given
        }
        .resolve();
        assert_eq!(
            value(&resolved, &format!("roles.{role}.candidates"))[0],
            "ollama/m"
        );
    }
}

#[test]
fn the_process_environment_wins_over_the_file() {
    let dotenv = "OLLAMA_CHAT_MODEL=theirs\nOLLAMA_VISION_MODEL=theirs\n";
    let environment = [("OLLAMA_CHAT_MODEL", "ours"), ("OLLAMA_VISION_MODEL", " ")];
    let resolved = Given {
        dotenv,
        environment: &environment,
        ..Given::default()
    }
    .resolve();
    assert_eq!(value(&resolved, "roles.chat.candidates")[0], "ollama/ours");
    assert_eq!(
        value(&resolved, "roles.vision.candidates")[0],
        "ollama/theirs"
    );
}

#[test]
fn environment_is_above_the_files_and_below_the_editor() {
    let user = "backends.ollama.urls = [\"http://user:1\"]";
    let environment = [("OLLAMA_HOST", "0.0.0.0")];
    let given = Given {
        user,
        environment: &environment,
        ..Given::default()
    };
    let path = "backends.ollama.urls";
    check(
        given,
        path,
        json!(["http://127.0.0.1:11434"]),
        "environment OLLAMA_HOST",
    );
    let editor = r#"{"backends": {"ollama": {"urls": ["http://editor:1"]}}}"#;
    check(
        Given { editor, ..given },
        path,
        json!(["http://editor:1"]),
        "editor",
    );
}

#[test]
fn lists_of_a_workspace_add_to_the_persons() {
    let user = "privacy.ignore = [\"a\"]\ninline.disabled_languages = [\"x\"]";
    let workspace = "privacy.ignore = [\"b\", \"a\"]\ninline.disabled_languages = [\"y\"]";
    let given = Given {
        user,
        workspace,
        ..Given::default()
    };
    let origin = "ws.toml:1, added to user.toml:1";
    check(given, "privacy.ignore", json!(["a", "b"]), origin);
    let origin = "ws.toml:2, added to user.toml:2";
    check(
        given,
        "inline.disabled_languages",
        json!(["x", "y"]),
        origin,
    );
    let trusted = Given {
        trusted: true,
        ..given
    };
    check(
        trusted,
        "inline.disabled_languages",
        json!(["y"]),
        "ws.toml:2",
    );
}

#[test]
fn the_word_chat_stands_for_the_role() {
    let user = "roles.chat.candidates = [\"m\"]";
    let given = Given {
        user,
        ..Given::default()
    };
    let path = "roles.reasoning.candidates";
    check(
        given,
        path,
        json!(["deepseek-r1:7b-q4_K_M", "deepseek-r1:7b", "m"]),
        "default",
    );
    let user =
        "roles.chat.candidates = [\"m\"]\nroles.vision.candidates = [\"ollama/chat\", \"chat\"]";
    let given = Given {
        user,
        ..Given::default()
    };
    check(
        given,
        "roles.vision.candidates",
        json!(["ollama/chat", "m"]),
        "user.toml:2",
    );
}

#[test]
fn defaults_are_the_interfaces() {
    let defaults = Given::default().resolve();
    assert_eq!(defaults.settings, Settings::default());
    let embedded = ["embedded/qwen2.5-coder-1.5b", "embedded/qwen2.5-coder-0.5b"];
    let chat = [
        "qwen3-coder:30b-q4_K_M",
        "qwen3-coder:30b-a3b-q4_K_M",
        "qwen3-coder:30b",
        "qwen3-coder:7b-q4_K_M",
        "qwen2.5-coder:7b",
        embedded[0],
        embedded[1],
    ];
    let completion = [
        "qwen3-coder:1.5b-q4_K_M",
        "qwen2.5-coder:1.5b-base-q4_K_M",
        "qwen2.5-coder:1.5b",
        "qwen2.5-coder:*",
    ];
    let reasoning = ["deepseek-r1:7b-q4_K_M", "deepseek-r1:7b"];
    let vision = [
        "llama3.2-vision:11b-q4_K_M",
        "llama3.2-vision:11b",
        "qwen2.5vl:7b",
        "qwen3-vl:8b",
        "gemma3:12b",
    ];
    let expected = json!({
        "roles": {
            "completion": {"candidates": ([&completion[..], &embedded].concat())},
            "chat": {"candidates": chat},
            "reasoning": {"candidates": ([&reasoning[..], &chat].concat())},
            "vision": {"candidates": vision},
            "embedding": {"candidates": ([&["nomic-embed-text"][..], &embedded].concat())},
        },
        "backends": {
            "ollama": {"kind": "ollama", "urls": ["http://127.0.0.1:11434"]},
            "embedded": {"kind": "embedded"},
        },
        "inline": {
            "enabled": true,
            "debounce": "adaptive",
            "deadline_ms": 100,
            "max_tokens": 64,
            "multi_line": "auto",
            "prefetch": true,
            "disabled_languages": [],
        },
        "context": {
            "open_files": true,
            "recent_edits": true,
            "declarations": true,
            "clipboard": true,
        },
        "index": {"enabled": true},
        "privacy": {"ignore": [".env*", "*.pem"], "redact_secrets": true},
    });
    assert_eq!(crate::config::show::to_json(&defaults.settings), expected);
}

#[test]
fn the_example_of_the_interface_is_good() {
    let user = r#"
[roles.completion]
candidates = ["ollama/qwen2.5-coder:1.5b-base-q4_K_M", "embedded/qwen2.5-coder-1.5b"]
[backends.ollama]
kind = "ollama"
urls = ["http://127.0.0.1:11434"]
api_key_env = "TEAM_KEY"
[inline]
enabled = true
debounce = "adaptive"
deadline_ms = 100
max_tokens = 64
multi_line = "auto"
prefetch = true
disabled_languages = []
[context]
[index]
enabled = true
[privacy]
ignore = [".env*", "*.pem"]
redact_secrets = true
[trust]
folders = ["/home/me/work", "~/src"]
"#;
    let given = Given {
        user,
        ..Given::default()
    };
    check(
        given,
        "backends.ollama.api_key_env",
        json!("TEAM_KEY"),
        "user.toml:7",
    );
}

#[test]
fn ollama_host_takes_what_ollama_takes() {
    let cases = [
        ("", Some("http://127.0.0.1:11434")),
        ("host", Some("http://host:11434")),
        ("host:1", Some("http://host:1")),
        (":1", Some("http://127.0.0.1:1")),
        ("0.0.0.0", Some("http://127.0.0.1:11434")),
        ("0.0.0.0:1", Some("http://127.0.0.1:1")),
        ("http://0.0.0.0:1", Some("http://127.0.0.1:1")),
        ("::1", Some("http://[::1]:11434")),
        ("[::1]:1", Some("http://[::1]:1")),
        ("::", Some("http://[::1]:11434")),
        ("[::]:1", Some("http://[::1]:1")),
        ("http://host", Some("http://host:80")),
        ("https://host", Some("https://host:443")),
        ("HTTPS://host:1/", Some("https://host:1")),
        ("https://host/ollama/", Some("https://host:443/ollama")),
        (" \"host\" ", Some("http://host:11434")),
        ("host:99999", None),
        ("host:x", None),
        ("ftp://host", None),
        ("http://me:secret@host", None),
        ("two words", None),
        ("[::1", None),
    ];
    for (text, expected) in cases {
        assert_eq!(ollama_host_url(text).as_deref(), expected, "{text:?}");
    }
}

#[test]
fn candidates_match_what_is_installed() {
    let cases = [
        ("m:1", "m:1", true),
        ("m:1", "m:2", false),
        ("m", "m:latest", true),
        ("m:latest", "m", true),
        ("m", "m:1", false),
        ("m:*", "m:1", true),
        ("m:1*", "m:1.5b", true),
        ("m:1*", "m:2", false),
        ("m:*", "mm:1", false),
        ("m:*", "m:480b-cloud", false),
        ("m:*", "m:cloud", false),
        ("m:cloud", "m:cloud", true),
    ];
    for (model, installed, expected) in cases {
        let candidate = Candidate {
            backend: None,
            model: model.to_owned(),
        };
        assert_eq!(
            candidate.matches(installed),
            expected,
            "{model} and {installed}"
        );
    }
}
