//! `ghostline doctor` against the scripted Ollama in its different states: state → findings.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::ollama_double::{Answer, Config, Model, OllamaDouble, Step};
use crate::support::program::{Home, Run};

const COMPLETION: &str = "qwen2.5-coder:1.5b";
const CHAT: &str = "qwen3-coder:30b";

/// What a row expects: a check, whether it is well, and words of its message and fix.
type Expect = (&'static str, bool, &'static str);

struct Row {
    state: &'static str,
    config: Config,
    prepare: fn(&OllamaDouble, &Home),
    expect: &'static [Expect],
}

fn config(models: &[&str]) -> Config {
    Config {
        models: models.iter().map(|name| Model::new(name)).collect(),
        ..Config::default()
    }
}

fn both() -> Config {
    config(&[COMPLETION, CHAT])
}

fn check<'a>(report: &'a Value, id: &str, state: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["id"] == id);
    found.unwrap_or_else(|| panic!("{state}: no {id} in {report:#}"))
}

fn assert_findings(state: &str, run: &Run, expect: &[Expect]) {
    let report = run.json();
    for (id, ok, words) in expect {
        let check = check(&report, id, state);
        assert_eq!(check["ok"], *ok, "{state}: {check}");
        let said = format!("{} {}", check["message"], check["fix"]);
        assert!(said.contains(words), "{state}: {words:?} is not in {said}");
    }
    let mut failed = false;
    for check in report["checks"].as_array().expect("checks") {
        let ok = check["ok"].as_bool().expect("a switch");
        assert_eq!(check["fix"].is_string(), !ok, "{state}: {check}");
        failed |= !ok && check["severity"] == "error";
    }
    assert_eq!(report["ok"], !failed, "{state}");
    assert_eq!(run.code, i32::from(failed), "{state}: {run:?}");
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    let nothing: fn(&OllamaDouble, &Home) = |_, _| {};
    vec![
        Row {
            state: "all there",
            config: both(),
            prepare: nothing,
            expect: &[
                ("backend.ollama", true, "version 0.33.0"),
                ("role.completion", true, "qwen2.5-coder:1.5b on ollama"),
                ("role.chat", true, "qwen3-coder:30b on ollama"),
                ("role.vision", false, "ghostline models pull vision"),
                ("completion.fim", true, "qwen"),
                ("completion.gpu", true, "is on the GPU"),
                ("chat.memory", true, "under 20 GB"),
                ("settings", true, "can be used"),
            ],
        },
        Row {
            state: "nothing installed",
            config: config(&[]),
            prepare: nothing,
            expect: &[
                ("backend.ollama", true, "answers"),
                ("role.completion", false, "ghostline models pull completion"),
                ("role.chat", false, "ghostline models pull chat"),
            ],
        },
        Row {
            state: "a slow version",
            config: Config {
                version: "0.31.2".to_owned(),
                ..both()
            },
            prepare: nothing,
            expect: &[(
                "backend.ollama.version",
                false,
                "0.32.15 and newer are better",
            )],
        },
        Row {
            state: "a vision model that does not run any more",
            config: config(&[COMPLETION, CHAT, "llama3.2-vision:11b"]),
            prepare: nothing,
            expect: &[("vision.broken", false, "ghostline models use vision")],
        },
        Row {
            state: "on the processor",
            config: Config {
                gpu_bytes: 0,
                ..both()
            },
            prepare: nothing,
            expect: &[
                ("completion.gpu", false, "systemctl restart ollama"),
                ("chat.gpu", false, "processor alone"),
            ],
        },
        Row {
            state: "split",
            config: Config {
                gpu_bytes: 750_000_000,
                ..both()
            },
            prepare: nothing,
            expect: &[("chat.gpu", false, "50 % on the GPU")],
        },
        Row {
            state: "a chat model that is too large",
            config: Config {
                memory_bytes: 21_000_000_000,
                gpu_bytes: 21_000_000_000,
                ..both()
            },
            prepare: nothing,
            expect: &[("chat.memory", false, "the limit is 20 GB")],
        },
        Row {
            state: "an embedding model that embeds nothing",
            config: config(&[COMPLETION, CHAT, "nomic-embed-text:latest"]),
            prepare: nothing,
            expect: &[("embedding.capability", false, "not embedding")],
        },
        Row {
            state: "a .env that names what is not there",
            config: both(),
            prepare: |_, home| {
                let env = home.workspace().join(".env");
                fs::write(env, "OLLAMA_CHAT_MODEL=absent:1\n").expect("a file");
            },
            expect: &[
                ("env.chat", false, "ghostline models pull ollama/absent:1"),
                ("role.chat", true, "choice"),
            ],
        },
        Row {
            state: "a .env that names what is there",
            config: both(),
            prepare: |_, home| {
                let env = home.workspace().join(".env");
                fs::write(env, format!("OLLAMA_CHAT_MODEL={CHAT}\n")).expect("a file");
            },
            expect: &[(
                "env.chat",
                true,
                "OLLAMA_CHAT_MODEL names ollama/qwen3-coder:30b",
            )],
        },
        Row {
            state: "a wrong key",
            config: both(),
            prepare: |_, home| {
                let text = fs::read_to_string(home.user_file()).expect("a file");
                fs::write(home.user_file(), text + "[inlin]\nenabled = true\n").expect("a file");
            },
            expect: &[("settings", false, "did you mean `inline`")],
        },
        Row {
            state: "a clone that wants text elsewhere",
            config: both(),
            prepare: |_, home| {
                let env = home.workspace().join(".env");
                fs::write(env, "OLLAMA_HOST=evil.example\n").expect("a file");
            },
            expect: &[("settings.trust", false, "says where text is sent")],
        },
        Row {
            state: "a model that cannot be loaded",
            config: both(),
            prepare: |double, _| {
                let message = "llama-server process has terminated: exit status 1";
                double.answer_load(Answer::error(500, message));
            },
            expect: &[(
                "completion.first_token",
                false,
                "ollama cannot load qwen2.5-coder:1.5b",
            )],
        },
        Row {
            state: "loaded anew for each request",
            config: both(),
            prepare: |double, _| {
                double.answer_with(|_| Answer::text("x").claiming_load(Duration::from_secs(2)));
            },
            expect: &[
                ("completion.reload", false, "loaded again"),
                ("chat.reload", false, "ghostline models use chat"),
            ],
        },
        Row {
            state: "slow to begin",
            config: both(),
            prepare: |double, _| {
                let wait = Duration::from_millis(120);
                double.answer_with(move |_| {
                    Answer::steps([Step::Wait(wait), Step::Token("x".into())])
                        .then(Step::Done(String::new()))
                });
            },
            expect: &[("completion.first_token", false, "the limit is 100 ms")],
        },
    ]
}

#[tokio::test]
async fn states_and_findings() {
    for row in rows() {
        let double = OllamaDouble::start(row.config).await.expect("a free port");
        let home = Home::with_ollama(&double.url());
        (row.prepare)(&double, &home);
        let run = home.run(&["doctor", "--json"]).await;
        assert_findings(row.state, &run, row.expect);
    }
}

#[tokio::test]
async fn without_ollama_every_line_says_what_to_do() {
    let home = Home::with_ollama("http://127.0.0.1:1");
    let run = home.run(&["doctor", "--json"]).await;
    assert_findings(
        "no Ollama",
        &run,
        &[
            ("backend.ollama", false, "ollama"),
            ("backend.embedded", true, "0 models"),
            ("role.completion", false, "ghostline models pull completion"),
            ("editor.nvim", false, "no plugin found"),
        ],
    );
    let text = home.run(&["doctor"]).await;
    assert_eq!(text.code, 1, "{text:?}");
    for line in text.out.lines().filter(|line| line.starts_with("error")) {
        assert!(line.contains(" → "), "{line}");
    }
    assert!(text.out.contains(" warning"), "{text:?}");
}

/// Waits until the server's status file holds `text`, or until there is none.
async fn announced(home: &Home, text: Option<&str>) {
    let folder = home.cache().join("servers");
    let said = || {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "json"));
        let texts = files.filter_map(|entry| fs::read_to_string(entry.path()).ok());
        texts.collect::<Vec<_>>()
    };
    let wanted = || match text {
        Some(text) => said().iter().any(|said| said.contains(text)),
        None => said().is_empty(),
    };
    let waiting = async {
        while !wanted() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    ended.unwrap_or_else(|_| panic!("{text:?} is not in {:?}", said()));
}

#[tokio::test]
async fn the_running_server_is_held_against_the_settings() {
    let double = OllamaDouble::start(both()).await.expect("a free port");
    let home = Home::with_ollama(&double.url());
    let doctor = async |expect: &[Expect], state: &str| {
        let report = home.run(&["doctor", "--json"]).await.json();
        for (id, ok, words) in expect {
            let check = check(&report, id, state);
            assert_eq!(check["ok"], *ok, "{state}: {check}");
            assert!(
                check["message"].to_string().contains(words),
                "{state}: {check}"
            );
        }
    };
    doctor(&[("running", true, "was not checked")], "no server").await;

    let (mut child, mut client) = home.serve();
    let mut hello = home.initialize();
    hello["clientInfo"] = serde_json::json!({"name": "an editor"});
    client.initialize(hello).await.expect("an answer");
    announced(&home, Some("\"ready\",\"model\":\"qwen3-coder:30b\"")).await;
    let says = "the server of an editor";
    doctor(
        &[
            ("running", true, says),
            ("running", true, "completion by qwen2.5-coder:1.5b"),
        ],
        "agreed",
    )
    .await;

    // The settings change, and this server's editor has its own.
    client
        .notify(
            "workspace/didChangeConfiguration",
            serde_json::json!({"settings": {"roles": {"chat": {"candidates": [COMPLETION]}}}}),
        )
        .await
        .expect("sent");
    announced(
        &home,
        Some("\"chat\":{\"state\":\"ready\",\"model\":\"qwen2.5-coder:1.5b\""),
    )
    .await;
    let other =
        "uses qwen2.5-coder:1.5b on ollama for chat; the settings here mean qwen3-coder:30b";
    doctor(&[("running.chat", false, other)], "another model").await;

    // Killed, it leaves its file behind, which nobody believes.
    child.kill().await.expect("it ran");
    doctor(&[("running", true, "was not checked")], "killed").await;
    announced(&home, None).await;

    // One that ends cleans up.
    let (mut child, mut client) = home.serve();
    client
        .initialize(home.initialize())
        .await
        .expect("an answer");
    announced(&home, Some("ready")).await;
    client.shut_down().await.expect("sent");
    drop(client);
    child.wait().await.expect("it ends");
    announced(&home, None).await;
}

#[tokio::test]
async fn quality_needs_its_data() {
    let home = Home::with_ollama("http://127.0.0.1:1");
    let run = home.run(&["doctor", "--quality"]).await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.err.contains("--data"), "{run:?}");
    let run = home
        .run(&["doctor", "--json", "--quality", "--data", "nowhere"])
        .await;
    let report = run.json();
    let check = check(&report, "chat.quality", "nothing serves chat");
    assert_eq!(check["fix"], "ghostline models pull chat");
}

/// A command that is handed out is one that runs as it is written.
#[tokio::test]
async fn what_mends_it_is_a_command_that_does() {
    let settings = "[backends.ollama]\nurls = [\"http://127.0.0.1:1\"]\n[backends.far]\n\
                    kind = \"ollama\"\nurls = [\"http://192.0.2.1:1\"]\n";
    let home = Home::new(settings, "");
    let mut command = home.command(&["doctor", "--json"]);
    // Nothing of this machine's: no Ollama can be started.
    command.env("PATH", home.workspace());
    let run = home.ended(command.spawn().expect("the program")).await;
    let report = run.json();
    let fix = |id: &str| {
        let check = check(&report, id, "no Ollama");
        let text = format!("{} → {}", check["message"], check["fix"]);
        (check["severity"].clone(), text)
    };
    let (severity, text) = fix("backend.far");
    assert_eq!(severity, "error");
    assert!(text.contains("backends.far.urls"), "{text}");
    let (_, text) = fix("role.vision");
    assert!(text.contains("&& ghostline models pull vision"), "{text}");
    let (_, text) = fix("role.chat");
    assert!(text.ends_with("\"ghostline models pull chat\""), "{text}");
    for check in report["checks"].as_array().expect("checks") {
        let fix = check["fix"].as_str().unwrap_or_default();
        assert!(!fix.contains("NAME"), "{check}");
    }
}

/// An Ollama that takes `first` for a prompt and `each` for a token.
async fn paced(first: Duration, each: Duration) -> OllamaDouble {
    let double = OllamaDouble::start(config(&[COMPLETION]))
        .await
        .expect("a free port");
    double.answer_with(move |_| {
        let tokens = (0..16).flat_map(|_| [Step::Wait(each), Step::Token("x ".into())]);
        Answer::steps([Step::Wait(first)].into_iter().chain(tokens)).then(Step::Done(String::new()))
    });
    double
}

/// Waits far apart, so that a busy machine changes nothing.
#[tokio::test]
async fn the_quicker_place_is_measured_and_serves() {
    let ms = Duration::from_millis;
    let slow = paced(ms(400), ms(40)).await;
    let quick = paced(ms(10), ms(1)).await;
    let settings = format!(
        "[backends.ollama]\nkind = \"ollama\"\nurls = [\"{}\"]\n\
         [backends.other]\nkind = \"ollama\"\nurls = [\"{}\"]\n",
        slow.url(),
        quick.url()
    );
    let home = Home::new(&settings, "");
    let serving = |report: &Value| {
        let roles = report["places"].as_array().expect("places");
        let role = roles.iter().find(|role| role["role"] == "completion");
        let places = role.expect("completion")["places"].as_array();
        let places = places.expect("places").clone();
        let names: Vec<_> = places
            .iter()
            .map(|place| place["backend"].clone())
            .collect();
        assert_eq!(names, ["ollama", "other"], "the order stands");
        let measured = places
            .iter()
            .all(|place| place["prefill_tokens_per_second"].is_number());
        let serving = places.iter().find(|place| place["serves"] == true);
        (serving.expect("one")["backend"].clone(), measured)
    };
    for (arguments, backend, measured, says) in [
        (
            &["doctor", "--json"][..],
            "ollama",
            false,
            "--calibrate completion",
        ),
        (
            &["doctor", "--json", "--calibrate"],
            "other",
            true,
            "other serves, as a typical request takes",
        ),
        // Kept, and read by the next process.
        (&["doctor", "--json"], "other", true, "other serves"),
    ] {
        let report = home.run(arguments).await.json();
        assert_eq!(serving(&report), (backend.into(), measured), "{report:#}");
        let check = check(&report, "completion.backends", "two places");
        let message = check["message"].as_str().expect("a message");
        assert!(message.contains(says), "{message}");
    }
    let role = check(
        &home.run(&["doctor", "--json"]).await.json(),
        "role.completion",
        "",
    )
    .clone();
    assert!(role["message"].to_string().contains("on other"), "{role}");
    let kept = fs::read_to_string(home.cache().join("speeds.json")).expect("a file");
    assert!(!kept.contains("http"), "{kept}");
    let run = home.run(&["doctor", "--calibrate", "embedding"]).await;
    assert_eq!(run.code, 2, "{run:?}");
}
