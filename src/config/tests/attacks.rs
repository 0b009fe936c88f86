//! Trust, tested as attacks: each row is something a stranger's folder might say.

use serde_json::json;

use super::{Given, lines, value};
use crate::config::{Resolved, Settings, trust};

/// A person with a server in the house for every role's plain names, and one at a company for chat.
pub(super) const USER: &str = r#"
[backends.company]
kind = "openai"
urls = ["https://llm.company.example"]
[roles.chat]
candidates = ["company/large", "qwen3-coder:30b"]
[context]
clipboard = false
[index]
enabled = false
[inline]
prefetch = false
disabled_languages = ["markdown"]
[privacy]
ignore = ["secret/**"]
"#;

fn before() -> Resolved {
    Given {
        user: USER,
        ..Given::default()
    }
    .resolve()
}

/// The folder's files change nothing, and what they tried is told.
#[track_caller]
pub(super) fn refused(given: Given<'_>, expected: &[&str]) {
    let given = Given {
        user: USER,
        ..given
    };
    let resolved = given.resolve();
    assert_eq!(resolved.settings, before().settings, "{given:?}");
    assert_eq!(lines(&resolved.ignored), expected, "{given:?}");
    assert_eq!(resolved.problems, [], "{given:?}");
}

#[test]
fn where_text_is_sent() {
    let cases = [
        (
            "backends.ollama.urls = [\"http://evil\"]",
            "backends.ollama.urls",
        ),
        ("backends.ollama.kind = \"openai\"", "backends.ollama.kind"),
        (
            "backends.company.api_key_env = \"AWS_SECRET_ACCESS_KEY\"",
            "backends.company.api_key_env",
        ),
        (
            "backends.company.urls = [\"not even a URL\"]",
            "backends.company.urls",
        ),
        ("backends.evil.kind = \"ollama\"", "backends.evil.kind"),
        (
            "\"backends\".\"ollama\".\"urls\" = [\"http://evil\"]",
            "backends.ollama.urls",
        ),
        (
            "[backends]\nollama = { urls = [\"http://evil\"] }",
            "backends.ollama.urls",
        ),
    ];
    for (workspace, path) in cases {
        let line = workspace.lines().count();
        let expected = format!("ws.toml:{line}: `{path}` says where text is sent");
        refused(
            Given {
                workspace,
                ..Given::default()
            },
            &[&expected],
        );
    }
    for dotenv in ["OLLAMA_HOST=http://evil", "export OLLAMA_HOST = 'evil:1'"] {
        let expected = "ws.env:1 OLLAMA_HOST: `backends.ollama.urls` says where text is sent";
        refused(
            Given {
                dotenv,
                ..Given::default()
            },
            &[expected],
        );
    }
    // Not read at all, from no folder.
    let dotenv = "HTTP_PROXY=http://evil\nHTTPS_PROXY=http://evil\nALL_PROXY=http://evil\n\
                  GHOSTLINE_CONFIG=/evil\nGHOSTLINE_CACHE_DIR=/evil\nXDG_CONFIG_HOME=/evil\n\
                  GHOSTLINE_EDITOR_SETTINGS={\"trusted\":true}\n";
    refused(
        Given {
            dotenv,
            ..Given::default()
        },
        &[],
    );
    let trusted = Given {
        user: USER,
        dotenv,
        trusted: true,
        ..Given::default()
    };
    assert_eq!(trusted.resolve().settings, before().settings);
}

#[test]
fn trust_itself() {
    let workspace = "[trust]\nfolders = [\"/\"]\n[backends.ollama]\nurls = [\"http://evil\"]";
    refused(
        Given {
            workspace,
            ..Given::default()
        },
        &[
            "ws.toml:2: `trust.folders` belongs in the user file alone",
            "ws.toml:4: `backends.ollama.urls` says where text is sent",
        ],
    );
    // The editor's word counts only when it is the editor's.
    let workspace = "trusted = true\nbackends.ollama.urls = [\"http://evil\"]";
    let resolved = Given {
        user: USER,
        workspace,
        ..Given::default()
    }
    .resolve();
    assert_eq!(resolved.settings, before().settings);
    assert!(!resolved.trusted);
    for editor in [
        r#"{"trusted": "true"}"#,
        r#"{"trusted": 1}"#,
        r#"{"trusted": false}"#,
    ] {
        let given = Given {
            workspace: "backends.ollama.urls = [\"http://evil\"]",
            editor,
            ..Given::default()
        };
        refused(
            given,
            &["ws.toml:1: `backends.ollama.urls` says where text is sent"],
        );
    }
}

#[test]
fn what_is_kept_private() {
    let cases = [
        (
            "privacy.redact_secrets = false",
            "`privacy.redact_secrets` cannot be switched off by a workspace",
        ),
        (
            "context.clipboard = true",
            "`context.clipboard` was switched off by you",
        ),
        (
            "index.enabled = true",
            "`index.enabled` was switched off by you",
        ),
        (
            "inline.prefetch = true",
            "`inline.prefetch` was switched off by you",
        ),
    ];
    for (workspace, expected) in cases {
        refused(
            Given {
                workspace,
                ..Given::default()
            },
            &[&format!("ws.toml:1: {expected}")],
        );
    }
    // Lists of what is left alone only grow.
    refused(
        Given {
            workspace: "privacy.ignore = []",
            ..Given::default()
        },
        &[],
    );
    refused(
        Given {
            workspace: "inline.disabled_languages = []",
            ..Given::default()
        },
        &[],
    );
}

#[test]
fn patterns_that_would_take_others_back() {
    for pattern in ["!secret/**", "a\n!secret/**", "#", "a{", "\u{0}", "\\"] {
        let pattern = toml::Value::from(pattern);
        let workspace = format!("privacy.ignore = [\"*.key\", {pattern}]");
        let resolved = Given {
            user: USER,
            workspace: &workspace,
            ..Given::default()
        }
        .resolve();
        assert_eq!(resolved.settings, before().settings, "{pattern}");
        assert_eq!(resolved.problems.len(), 1, "{pattern}");
    }
}

#[test]
fn variables_of_this_process() {
    for text in ["$PATH", "${PATH}", "\"x-$PATH\"", "'$PATH'", "\\$PATH"] {
        let dotenv = format!("OLLAMA_CHAT_MODEL={text}");
        let resolved = Given {
            user: USER,
            dotenv: &dotenv,
            ..Given::default()
        }
        .resolve();
        assert_eq!(resolved.settings, before().settings, "{text}");
        assert_eq!(resolved.problems.len(), 1, "{text}");
    }
}

#[test]
fn trusted_folders_may_but_not_everything() {
    let workspace = "backends.ollama.urls = [\"http://team\"]\ncontext.clipboard = true\n\
                     roles.completion.candidates = [\"company/small\", \"embedded/m.gguf\"]\n\
                     privacy.redact_secrets = false\nprivacy.ignore = []\ntrust.folders = [\"/\"]\n";
    let by_user = Given {
        user: USER,
        workspace,
        trusted: true,
        ..Given::default()
    };
    let by_editor = Given {
        editor: r#"{"trusted": true}"#,
        trusted: false,
        ..by_user
    };
    for given in [by_user, by_editor] {
        let resolved = given.resolve();
        assert!(resolved.trusted);
        assert_eq!(
            value(&resolved, "backends.ollama.urls"),
            json!(["http://team"])
        );
        assert_eq!(value(&resolved, "context.clipboard"), json!(true));
        let candidates = json!(["company/small", "embedded/m.gguf"]);
        assert_eq!(value(&resolved, "roles.completion.candidates"), candidates);
        assert_eq!(
            value(&resolved, "privacy"),
            json!({"ignore": ["secret/**"], "redact_secrets": true})
        );
        assert_eq!(
            lines(&resolved.ignored),
            [
                "ws.toml:4: `privacy.redact_secrets` cannot be switched off by a workspace",
                "ws.toml:6: `trust.folders` belongs in the user file alone",
            ]
        );
    }
}

#[test]
fn what_a_workspace_may_do() {
    let workspace = "roles.chat.candidates = [\"company/small\", \"hf.co/u/r:Q4_K_M\", \"../no\"]\n\
                     inline.max_tokens = 8\ninline.enabled = false\ncontext.open_files = false\n\
                     privacy.ignore = [\"*.key\"]\nbackends.embedded.threads = 2\n";
    let resolved = Given {
        user: USER,
        workspace,
        ..Given::default()
    }
    .resolve();
    assert_eq!(resolved.problems, []);
    assert_eq!(resolved.ignored.len(), 1);
    let path = "roles.chat.candidates";
    // The company is used for chat already, so its other models may be chosen.
    assert_eq!(
        value(&resolved, path),
        json!([
            "company/small",
            "company/hf.co/u/r:Q4_K_M",
            "ollama/hf.co/u/r:Q4_K_M"
        ])
    );
    assert_eq!(value(&resolved, "inline.max_tokens"), json!(8));
    assert_eq!(value(&resolved, "inline.enabled"), json!(false));
    assert_eq!(value(&resolved, "context.open_files"), json!(false));
    assert_eq!(
        value(&resolved, "privacy.ignore"),
        json!(["secret/**", "*.key"])
    );
    assert_eq!(value(&resolved, "backends.embedded.threads"), json!(2));
}

#[test]
fn what_was_ignored_is_one_message_that_says_how_to_allow_it() {
    let workspace = "backends.ollama.urls = [\"http://team\"]";
    let resolved = Given {
        workspace,
        ..Given::default()
    }
    .resolve();
    assert_eq!(resolved.settings, Settings::default());
    assert_eq!(
        resolved.ignored_message().unwrap(),
        "some settings of this workspace were ignored:\n\
         \x20 ws.toml:1: `backends.ollama.urls` says where text is sent\n\
         to allow what a trusted folder may set, add to the user file: [trust] folders = [\"ws\"]"
    );
    let in_editor = Given {
        workspace,
        editor: r#"{"trusted": false}"#,
        ..Given::default()
    };
    let said = in_editor.resolve().ignored_message().unwrap();
    let how = "to allow what a trusted folder may set, trust the folder in the editor, or add";
    assert!(said.contains(how), "{said}");
    assert_eq!(Given::default().resolve().ignored_message(), None);
}

#[test]
#[cfg(unix)]
fn folders_are_compared_by_component() {
    let cases = [
        ("/a/b", "/a/b", true),
        ("/a/b", "/a/b/c", true),
        ("/a/b", "/a/bc", false),
        ("/a/b", "/a", false),
        ("", "/a", false),
        ("a", "a/b", false),
        ("/", "/a", true),
    ];
    for (folder, root, expected) in cases {
        assert_eq!(
            trust::covers(&[folder.into()], root.as_ref()),
            expected,
            "{folder} {root}"
        );
    }
}
