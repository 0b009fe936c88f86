//! Bad input: each mistake is told once, with its place, and leaves the value below it.

use super::{Given, lines};
use crate::config::{Resolved, Settings};

/// These are the problems, and nothing changed.
#[track_caller]
fn check(given: Given<'_>, expected: &[&str]) -> Resolved {
    let resolved = given.resolve();
    assert_eq!(lines(&resolved.problems), expected, "{given:?}");
    assert_eq!(resolved.settings, Settings::default(), "{given:?}");
    resolved
}

#[test]
fn each_mistake_in_a_file() {
    let cases: &[(&str, &str)] = &[
        (
            "inline.enabled = 1",
            "1: `inline.enabled` must be true or false, not `1`",
        ),
        (
            "inline.enabled = \"true\"",
            "1: `inline.enabled` must be true or false, not `\"true\"`",
        ),
        (
            "[inline]\n\ndeadline_ms = 9",
            "3: `inline.deadline_ms` must be a whole number from 10 to 5000, not `9`",
        ),
        (
            "inline.deadline_ms = 5001",
            "1: `inline.deadline_ms` must be a whole number from 10 to 5000, not `5001`",
        ),
        (
            "inline.deadline_ms = 99.5",
            "1: `inline.deadline_ms` must be a whole number from 10 to 5000, not `99.5`",
        ),
        (
            "inline.max_tokens = 0",
            "1: `inline.max_tokens` must be a whole number from 1 to 1024, not `0`",
        ),
        (
            "inline.max_tokens = -1",
            "1: `inline.max_tokens` must be a whole number from 1 to 1024, not `-1`",
        ),
        (
            "inline.max_tokens = 99999999999999999999",
            "1: `inline.max_tokens` must be a whole number from 1 to 1024, not \
             `\"99999999999999999999\"`",
        ),
        (
            "inline.max_tokens = nan",
            "1: `inline.max_tokens` must be a whole number from 1 to 1024, not `\"nan\"`",
        ),
        (
            "inline.debounce = \"fast\"",
            "1: `inline.debounce` must be \"adaptive\" or a number of milliseconds from 0 to \
             10000, not `\"fast\"`",
        ),
        (
            "inline.debounce = -1",
            "1: `inline.debounce` must be \"adaptive\" or a number of milliseconds from 0 to \
             10000, not `-1`",
        ),
        (
            "inline.multi_line = true",
            "1: `inline.multi_line` must be one of \"auto\", \"always\", \"never\", not `true`",
        ),
        (
            "privacy.ignore = \"*.pem\"",
            "1: `privacy.ignore` must be a list of texts",
        ),
        (
            "privacy.ignore = [1]",
            "1: `privacy.ignore` must be a list of texts",
        ),
        (
            "privacy.ignore = [\"a{\"]",
            "1: `privacy.ignore` has a pattern that means nothing: `a{`",
        ),
        (
            "privacy.ignore = [\"\"]",
            "1: `privacy.ignore` must not hold ``",
        ),
        (
            "inline.disabled_languages = [\"a b\"]",
            "1: `inline.disabled_languages` must hold language ids, not `a b`",
        ),
        (
            "backends.embedded.threads = 0",
            "1: `backends.embedded.threads` must be a whole number from 1 to 256, not `0`",
        ),
        (
            "backends.ollama.kind = \"olama\"",
            "1: `backends.ollama.kind` must be one of \"ollama\", \"llama_server\", \"openai\", \
             \"embedded\", not `\"olama\"`",
        ),
        (
            "backends.ollama.urls = []",
            "1: `backends.ollama.urls` must hold at least one URL",
        ),
        (
            "backends.ollama.urls = [\"localhost:11434\"]",
            "1: `backends.ollama.urls` must be http or https URLs such as `http://127.0.0.1:11434`",
        ),
        (
            "backends.ollama.urls = [\"http://me:hunter2@h\"]",
            "1: `backends.ollama.urls` must not hold a user or password; use `api_key_env`",
        ),
        (
            "backends.ollama.api_key_env = \"sk-secret\"",
            "1: `backends.ollama.api_key_env` must be the name of an environment variable, not \
             the key itself",
        ),
        (
            "backends.embedded.urls = [\"http://h\"]",
            "1: `backends.embedded.urls` has no meaning for an embedded backend",
        ),
        (
            "backends.x.urls = [\"http://h\"]",
            "1: `backends.x.urls` belongs to no backend; give `backends.x` a `kind` first",
        ),
        (
            "backends.x.kind = \"openai\"",
            "1: `backends.x` was left out; it needs `urls`",
        ),
        (
            "backends.\"a/b\".kind = \"openai\"",
            "1: `backends.a/b` cannot be a backend: its name has letters, digits, `_` and `-`",
        ),
        (
            "roles.chat.candidates = [\"olama/x\"]",
            "1: `roles.chat.candidates` there is no backend `olama`; for ollama write `ollama/…`, \
             for a model of that name put its backend in front",
        ),
        (
            "roles.chat.candidates = [\"ollama/\"]",
            "1: `roles.chat.candidates` `ollama/` names no model",
        ),
        (
            "roles.chat.candidates = [\"q*\"]",
            "1: `roles.chat.candidates` in `q*` the `*` must end a tag, as in `qwen2.5-coder:*`",
        ),
        (
            "roles.chat.candidates = [\"chat\"]",
            "1: `roles.chat.candidates` cannot name itself; for a model of that name write \
             `ollama/chat`",
        ),
        (
            "trust.folders = [\"work\"]",
            "1: `trust.folders` must hold absolute paths or such as `~/work`, not `work`",
        ),
        ("inline = true", "1: `inline` must be a table"),
        (
            "[[backends]]\nkind = \"ollama\"",
            "1: `backends` must be a table",
        ),
        (
            "inlne.enabled = true",
            "1: there is no setting `inlne`; did you mean `inline`?",
        ),
        (
            "[inline]\nmax_token = 1",
            "2: there is no setting `inline.max_token`; did you mean `inline.max_tokens`?",
        ),
        (
            "deadline_ms = 1",
            "1: there is no setting `deadline_ms`; did you mean `inline.deadline_ms`?",
        ),
        (
            "roles.chats.candidates = []",
            "1: there is no setting `roles.chats`; did you mean `roles.chat`?",
        ),
        (
            "roles.poetry.candidates = []",
            "1: there is no role `roles.poetry`; the roles are completion, chat, reasoning, \
             vision, embedding",
        ),
        (
            "backends.ollama.url = \"\"",
            "1: there is no setting `backends.ollama.url`; did you mean `backends.ollama.urls`?",
        ),
        (
            "proxy = \"\"",
            "1: there is no setting `proxy`; `ghostline config` lists them",
        ),
        (
            "\"\\u001b[2J\\u202e\" = 1",
            "1: there is no setting `\\u{1b}[2J\\u{202e}`; `ghostline config` lists them",
        ),
    ];
    for (user, problem) in cases {
        check(
            Given {
                user,
                ..Given::default()
            },
            &[&format!("user.toml:{problem}")],
        );
    }
}

#[test]
fn a_mistake_leaves_the_layer_below() {
    let given = Given {
        user: "inline.max_tokens = 5",
        workspace: "inline.max_tokens = \"many\"",
        editor: r#"{"inline": {"max_tokens": 0}}"#,
        ..Given::default()
    };
    let resolved = given.resolve();
    assert_eq!(resolved.settings.inline.max_tokens, 5);
    assert_eq!(
        resolved.origins["inline.max_tokens"].to_string(),
        "user.toml:1"
    );
    assert_eq!(resolved.problems.len(), 2);
}

#[test]
fn a_file_that_is_not_toml_is_one_problem() {
    let user = "[inline]\nmax_tokens = 5\nsecret: hunter2\n[[[";
    let resolved = Given {
        user,
        workspace: "inline.max_tokens = 6",
        ..Given::default()
    }
    .resolve();
    assert_eq!(resolved.settings.inline.max_tokens, 6);
    let [problem] = lines(&resolved.problems).try_into().unwrap();
    let problem: String = problem;
    assert!(
        problem.starts_with("user.toml:3: the file is not TOML and was left out ("),
        "{problem}"
    );
    assert!(!problem.contains("hunter2"), "{problem}");
}

#[test]
fn mistakes_elsewhere() {
    let editor = |editor| Given {
        editor,
        ..Given::default()
    };
    check(editor("[]"), &["editor: the settings must be an object"]);
    check(
        editor(r#"{"ghostline": 1}"#),
        &["editor: the settings must be an object"],
    );
    check(
        editor(r#"{"trust": {"folders": ["/"]}}"#),
        &["editor: `trust.folders` belongs in the user file alone"],
    );
    check(
        editor(r#"{"inline": {"colour": 1}}"#),
        &["editor: there is no setting `inline.colour`; `ghostline config` lists them"],
    );
    let environment = [
        ("OLLAMA_HOST", "http://me:hunter2@h"),
        ("OLLAMA_CHAT_MODEL", "olama/x"),
    ];
    check(
        Given {
            environment: &environment,
            ..Given::default()
        },
        &[
            "environment OLLAMA_CHAT_MODEL: `roles.chat.candidates` there is no backend `olama`; \
             for ollama write `ollama/…`, for a model of that name put its backend in front",
            "environment OLLAMA_HOST: must be an address such as 127.0.0.1:11434",
        ],
    );
    check(
        Given {
            dotenv: "A=\"open\"x\nOLLAMA_CHAT_MODEL=a b\n",
            ..Given::default()
        },
        &["ws.env:2 OLLAMA_CHAT_MODEL: cannot be read; is a quote missing above it?"],
    );
    // Other people's lines are not our problem, whatever they look like.
    check(
        Given {
            dotenv: "A='don\n!!!\nDEBUG=\"\n",
            ..Given::default()
        },
        &[],
    );
}

#[test]
fn all_problems_are_one_message_in_the_order_of_the_file() {
    let user = "index.enabled = 0\ncolour = 1\nbackends.x.threads = 1\ninline.prefetch = 2\n";
    let message = Given {
        user,
        ..Given::default()
    }
    .resolve()
    .problem_message()
    .unwrap();
    assert_eq!(
        message,
        "some settings could not be used; the values below them stay:\n\
         \x20 user.toml:1: `index.enabled` must be true or false, not `0`\n\
         \x20 user.toml:2: there is no setting `colour`; `ghostline config` lists them\n\
         \x20 user.toml:3: `backends.x.threads` belongs to no backend; give `backends.x` a `kind` \
         first\n\
         \x20 user.toml:4: `inline.prefetch` must be true or false, not `2`"
    );
    assert_eq!(Given::default().resolve().problem_message(), None);
    let many: String = (0..1000).map(|n| format!("nonsense{n} = 1\n")).collect();
    let message = Given {
        user: &many,
        ..Given::default()
    }
    .resolve()
    .problem_message()
    .unwrap();
    assert_eq!(message.lines().count(), 22);
    assert!(message.ends_with("… and 980 more"), "{message}");
}
