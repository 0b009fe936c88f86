//! `ghostline models` against the scripted Ollama, through the program itself.

use std::fs;

use serde_json::{Value, json};

use crate::support::ollama_double::{Answer, Config, Model, OllamaDouble, Step};
use crate::support::program::Home;

const CHAT: &str = "qwen3-coder:30b";

async fn double(models: &[&str]) -> OllamaDouble {
    let config = Config {
        models: models.iter().map(|name| Model::new(name)).collect(),
        ..Config::default()
    };
    OllamaDouble::start(config).await.expect("a free port")
}

/// A pull's lines.
fn lines(lines: &[Value]) -> Answer {
    Answer::pieces(lines.iter().map(|line| format!("{line}\n")))
}

fn row<'a>(listing: &'a Value, role: &str, candidate: &str) -> &'a Value {
    let roles = listing["roles"].as_array().expect("roles");
    let role = roles.iter().find(|r| r["role"] == role).expect("the role");
    let rows = role["candidates"].as_array().expect("candidates");
    let found = rows.iter().find(|r| r["candidate"] == candidate);
    found.unwrap_or_else(|| panic!("no {candidate} in {role}"))
}

#[tokio::test]
async fn a_list_says_who_serves_what_and_why() {
    let mut config = Config::default();
    config.models.push(Model::new(CHAT));
    config.gpu_bytes = config.memory_bytes / 2;
    let double = OllamaDouble::start(config).await.expect("a free port");
    let home = Home::with_ollama(&double.url());
    // Loads the model, as somebody's request would.
    let body = json!({"model": CHAT});
    let load = reqwest::Client::new().post(format!("{}/api/generate", double.url()));
    load.json(&body).send().await.expect("a load");

    let listing = home.run(&["models", "list", "--json"]).await;
    assert_eq!(listing.code, 0, "{listing:?}");
    let listing = listing.json();
    let first = row(&listing, "completion", "qwen3-coder:1.5b-q4_K_M");
    assert_eq!(first["installed"], false, "{first}");
    assert_eq!(first["why"], "not installed");
    let chosen = row(&listing, "completion", "qwen2.5-coder:1.5b");
    assert_eq!(chosen["chosen"], true, "{chosen}");
    assert_eq!(chosen["backend"], "ollama");
    assert_eq!(chosen["quantization"], "Q4_K_M");
    assert_eq!(chosen["loaded"], false);
    let later = row(&listing, "completion", "qwen2.5-coder:*");
    assert_eq!(later["chosen"], false, "{later}");
    assert_eq!(later["why"], "there; an earlier one serves");
    let chat = row(&listing, "chat", CHAT);
    assert_eq!(chat["loaded"], true, "{chat}");
    assert_eq!(chat["gpu_bytes"], 750_000_000);
    assert_eq!(chat["context_tokens"], 4096);
    let backends = listing["backends"].as_array().expect("backends");
    let ollama = backends.iter().find(|b| b["name"] == "ollama").expect("it");
    assert_eq!(ollama["version"], "0.33.0");
    let installed = ollama["models"].as_array().expect("models");
    assert!(installed.contains(&json!(CHAT)), "{ollama}");

    let text = home.run(&["models", "list"]).await;
    assert!(text.out.contains("* qwen2.5-coder:1.5b"), "{text:?}");
    assert!(text.out.contains("50 % GPU"), "{text:?}");
    assert!(
        text.out
            .contains("nothing serves it: `ghostline models pull vision`")
    );
}

#[tokio::test]
async fn a_list_without_ollama_works_and_says_so() {
    let home = Home::with_ollama("http://127.0.0.1:1");
    let text = home.run(&["models", "list"]).await;
    assert_eq!(text.code, 0, "{text:?}");
    assert!(
        text.out.contains("not found; ollama does not answer"),
        "{text:?}"
    );
    let said = "ollama: no Ollama answers at http://127.0.0.1:1; start it with `ollama serve`, or";
    assert!(text.out.contains(said), "{text:?}");
    assert!(text.out.contains("qwen2.5-coder-0.5b"), "{text:?}");
}

#[tokio::test]
async fn pull_courses() {
    let layer = |completed: u64| json!({"status": "pulling 01", "digest": "sha256:01", "total": 100, "completed": completed});
    let success = json!({"status": "success"});
    let cases: &[(&str, Answer, i32, &str)] = &[
        (
            "whole",
            lines(&[layer(50), layer(20), layer(100), success.clone()]),
            0,
            "is in the Ollama at",
        ),
        (
            "an error at the end of a good answer",
            lines(&[layer(90), json!({"error": "unexpected EOF from registry"})]),
            1,
            "cannot fetch the model: unexpected EOF from registry",
        ),
        (
            "no last line",
            lines(&[layer(90)]),
            1,
            "ended before it was done",
        ),
        (
            "reset",
            Answer::pieces([format!("{}\n", layer(1))]).then(Step::Reset),
            1,
            "the same command carries on",
        ),
        (
            "a proxy's page",
            Answer::pieces(["<html>\n"]),
            1,
            "does not answer as an Ollama does",
        ),
        (
            "refused",
            Answer::error(401, "unauthorized"),
            1,
            "cannot fetch the model: unauthorized",
        ),
        (
            "no such tag",
            lines(&[json!({"error": "pull model manifest: file does not exist"})]),
            1,
            "file does not exist",
        ),
    ];
    let double = double(&[]).await;
    let home = Home::with_ollama(&double.url());
    for (name, answer, code, said) in cases {
        double.answer_path("/api/pull", answer.clone());
        let run = home.run(&["models", "pull", "some:tag"]).await;
        assert_eq!(run.code, *code, "{name}: {run:?}");
        let all = format!("{}{}", run.out, run.err);
        assert!(all.contains(said), "{name}: {run:?}");
        assert!(!all.contains("<html"), "{name}: {run:?}");
    }
}

#[tokio::test]
async fn a_role_gets_the_first_name_that_exists() {
    let double = double(&["qwen3-coder:30b"]).await;
    let home = Home::with_ollama(&double.url());
    let run = home.run(&["models", "pull", "chat"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.out.starts_with("qwen3-coder:30b is in the Ollama"),
        "{run:?}"
    );
    let log = double.log();
    let asked: Vec<&str> = log
        .requests
        .iter()
        .filter(|request| request.path == "/api/pull")
        .filter_map(|request| request.body["model"].as_str())
        .collect();
    assert_eq!(
        asked,
        [
            "qwen3-coder:30b-q4_K_M",
            "qwen3-coder:30b-a3b-q4_K_M",
            "qwen3-coder:30b"
        ]
    );
    let run = home.run(&["models", "pull", "vision"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.err.contains("the registry has none of llama3.2-vision"),
        "{run:?}"
    );
}

#[tokio::test]
async fn a_name_that_means_nothing_is_a_usage_error() {
    let home = Home::with_ollama("http://127.0.0.1:1");
    for (arguments, code, said) in [
        (
            &["models", "pull", "qwen2.5-coder-2b"][..],
            2,
            "did you mean",
        ),
        (&["models", "pull", "llama3:8b"], 1, "no Ollama answers"),
        (&["models", "pull", "vision"], 1, "no Ollama answers"),
        (&["models", "verify", "nothing"], 2, "there is no model"),
        (&["models", "rm", "nothing"], 2, "there is no model"),
        (&["models", "use", "chats", "x:1"], 2, "the roles are"),
        (
            &["models", "use", "chat", "a b"],
            2,
            "cannot be a model's name",
        ),
        (&["models", "use", "chat", "olama/x"], 2, "write `ollama/"),
        (&["models", "verify"], 1, "no model is installed"),
    ] {
        let run = home.run(arguments).await;
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert!(run.err.contains(said), "{arguments:?}: {run:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_pull_ends_in_130_and_closes_its_connection() {
    let double = double(&[]).await;
    let started = json!({"status": "pulling 01", "digest": "a", "total": 9, "completed": 1});
    double.answer_path("/api/pull", lines(&[started]).then(Step::Hang));
    let home = Home::with_ollama(&double.url());
    let child = home
        .command(&["models", "pull", "some:tag"])
        .spawn()
        .expect("the program starts");
    double
        .wait_for(|log| log.requests.iter().any(|r| r.path == "/api/pull"))
        .await;
    let pid = child.id().expect("it runs").to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(killed.expect("kill").success());
    let run = home.ended(child).await;
    assert_eq!(run.code, 130, "{run:?}");
    assert!(
        run.err.contains("interrupted; the same command carries on"),
        "{run:?}"
    );
    double
        .wait_for(|log| {
            let pull = log.requests.iter().find(|r| r.path == "/api/pull");
            pull.is_some_and(|r| r.end == Some(crate::support::ollama_double::End::Disconnected))
        })
        .await;
}

#[tokio::test]
async fn removing_goes_to_who_has_it() {
    let double = double(&["some:tag"]).await;
    let home = Home::with_ollama(&double.url());
    let run = home.run(&["models", "rm", "some:tag"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let log = double.log();
    let deleted = log.requests.iter().find(|r| r.path == "/api/delete");
    assert_eq!(
        deleted.expect("a delete").body,
        json!({"model": "some:tag"})
    );
    let run = home.run(&["models", "rm", "other:tag"]).await;
    assert_eq!(run.code, 2, "{run:?}");
}

#[tokio::test]
async fn a_choice_is_written_and_holds() {
    let double = double(&["qwen2.5-coder:7b", "mine:latest"]).await;
    let home = Home::with_ollama(&double.url());
    let before = fs::read_to_string(home.user_file()).expect("a file");
    let run = home.run(&["models", "use", "chat", "mine"]).await;
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    let after = fs::read_to_string(home.user_file()).expect("a file");
    assert!(after.starts_with(&before), "{after}");
    let listing = home.run(&["models", "list", "--json"]).await.json();
    assert_eq!(row(&listing, "chat", "mine")["chosen"], true);

    let env = home.workspace().join(".env");
    fs::write(&env, "# ours\nSECRET='x'\n").expect("a file");
    let run = home
        .run(&["models", "use", "completion", "absent:1b", "--env", ".env"])
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.err.contains("ghostline models pull absent:1b"),
        "{run:?}"
    );
    assert_eq!(
        fs::read_to_string(&env).expect("a file"),
        "# ours\nSECRET='x'\nOLLAMA_COMPLETION_MODEL=absent:1b\n"
    );
    let listing = home.run(&["models", "list", "--json"]).await.json();
    assert_eq!(
        row(&listing, "completion", "ollama/absent:1b")["installed"],
        false
    );
    // A slip in the path makes no folders.
    let slip = home.workspace().join("absent/.env");
    let slip = slip.to_str().expect("UTF-8");
    let run = home
        .run(&["models", "use", "chat", "mine", "--env", slip])
        .await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.err.contains("there is no folder"), "{run:?}");
    assert!(!home.workspace().join("absent").exists());
}
