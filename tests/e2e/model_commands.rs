//! Models from the editor: the one question, fetching with progress, choosing, live settings.

use std::fs;

use serde_json::{Value, json};

use crate::support::ollama_double::{Answer, Config, End, Model, OllamaDouble, Step};
use crate::support::program::Home;

async fn double(models: &[&str]) -> OllamaDouble {
    let config = Config {
        models: models.iter().map(|name| Model::new(name)).collect(),
        ..Config::default()
    };
    OllamaDouble::start(config).await.expect("a free port")
}

fn lines(lines: &[Value]) -> Answer {
    Answer::pieces(lines.iter().map(|line| format!("{line}\n")))
}

fn layer(completed: u64) -> Value {
    json!({"status": "pulling 01", "digest": "sha256:01", "total": 100, "completed": completed})
}

#[tokio::test]
async fn a_missing_model_is_asked_about_once_and_fetched() {
    let double = double(&[]).await;
    double.answer_path(
        "/api/pull",
        lines(&[
            layer(10),
            layer(60),
            layer(100),
            json!({"status": "success"}),
        ]),
    );
    let home = Home::with_ollama(&double.url());
    let (_child, mut client) = home.serve();
    client
        .initialize(home.initialize())
        .await
        .expect("a server");
    let (id, question) = client
        .incoming("window/showMessageRequest")
        .await
        .expect("a question");
    let text = question["message"].as_str().expect("a text");
    assert!(
        text.contains("no model for completions is installed"),
        "{text}"
    );
    assert!(text.contains(&double.url()), "{text}");
    let fetch = question["actions"][0].clone();
    assert_eq!(fetch["title"], "Fetch");
    client.respond(&id, fetch).await.expect("a pipe");
    let (id, created) = client
        .incoming("window/workDoneProgress/create")
        .await
        .expect("a progress");
    client.respond(&id, Value::Null).await.expect("a pipe");
    let mut kinds = Vec::new();
    let mut percentages = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "end") {
        let progress = client.notification("$/progress").await.expect("progress");
        assert_eq!(progress["token"], created["token"]);
        kinds.push(
            progress["value"]["kind"]
                .as_str()
                .expect("a kind")
                .to_owned(),
        );
        percentages.extend(progress["value"]["percentage"].as_u64());
    }
    assert_eq!(kinds.first().map(String::as_str), Some("begin"));
    assert_eq!(percentages, [0, 10, 60, 100]);
    // Nothing is fetched yet as far as the double lists: nobody asks again all the same.
    let uri = "file:///project/a.rs";
    let document = json!({"uri": uri, "languageId": "rust", "version": 1, "text": "fn f() { \n"});
    client
        .notify("textDocument/didOpen", json!({ "textDocument": document }))
        .await
        .expect("a pipe");
    for _ in 0..3 {
        let params = json!({
            "textDocument": {"uri": uri}, "position": {"line": 0, "character": 9},
            "context": {"triggerKind": 2},
        });
        let items = client
            .request("textDocument/inlineCompletion", params)
            .await
            .expect("no error");
        assert_eq!(items, json!([]));
    }
    client.shut_down().await.expect("a pipe");
    let asked = client.unread().filter(|message| {
        message["method"] == "window/showMessageRequest"
            || message["method"] == "window/showMessage"
    });
    assert_eq!(asked.count(), 0);
}

#[tokio::test]
async fn a_fetch_is_cancelled_by_its_progress() {
    let double = double(&["qwen2.5-coder:1.5b"]).await;
    double.answer_path("/api/pull", lines(&[layer(10)]).then(Step::Hang));
    let home = Home::with_ollama(&double.url());
    let (_child, mut client) = home.serve();
    client
        .initialize(home.initialize())
        .await
        .expect("a server");
    client.settled_status().await.expect("a status");
    let params = json!({
        "command": "ghostline.pullModel", "arguments": ["some:tag"], "workDoneToken": "mine",
    });
    let id = client
        .start("workspace/executeCommand", params)
        .await
        .expect("a pipe");
    loop {
        let progress = client.notification("$/progress").await.expect("progress");
        assert_eq!(progress["token"], "mine");
        if progress["value"]["percentage"] == 10 {
            break;
        }
    }
    client
        .notify("window/workDoneProgress/cancel", json!({"token": "mine"}))
        .await
        .expect("a pipe");
    let answer = client.response(&json!(id)).await.expect("an answer");
    assert_eq!(answer["error"]["code"], -32800, "{answer}");
    double
        .wait_for(|log| {
            let pull = log.requests.iter().find(|r| r.path == "/api/pull");
            pull.is_some_and(|pull| pull.end == Some(End::Disconnected))
        })
        .await;
    for (arguments, said) in [
        (
            json!(["embedded/nothing"]),
            "nothing that fetches models has it",
        ),
        (json!(["no:tag"]), "file does not exist"),
    ] {
        let params = json!({"command": "ghostline.pullModel", "arguments": arguments,
            "workDoneToken": "next"});
        let id = client
            .start("workspace/executeCommand", params)
            .await
            .expect("a pipe");
        let answer = client.response(&json!(id)).await.expect("an answer");
        assert_eq!(answer["error"]["code"], -32803, "{answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(said), "{message}");
    }
    client.shut_down().await.expect("a pipe");
}

/// Waits until completions come from `model`.
async fn served_by(
    client: &mut ghostline::client::Client<tokio::process::ChildStdout, tokio::process::ChildStdin>,
    model: &str,
) {
    loop {
        let params = json!({});
        let status = client
            .request("ghostline/status", params)
            .await
            .expect("it");
        let completion = &status["roles"]["completion"];
        if completion["model"] == model && completion["state"] == "ready" {
            return;
        }
        client
            .notification("ghostline/statusChanged")
            .await
            .expect("a change");
    }
}

#[tokio::test]
async fn choices_and_changed_files_hold_at_once() {
    let names = ["qwen2.5-coder:1.5b", "qwen2.5-coder:3b", "qwen2.5-coder:7b"];
    let double = double(&names).await;
    let home = Home::with_ollama(&double.url());
    let (_child, mut client) = home.serve();
    client
        .initialize(home.initialize())
        .await
        .expect("a server");
    served_by(&mut client, names[0]).await;
    let params = json!({
        "command": "ghostline.selectModel", "arguments": ["completion", format!("ollama/{}", names[1])],
    });
    let answer = client.request("workspace/executeCommand", params).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer["model"], "ollama/qwen2.5-coder:3b");
    served_by(&mut client, names[1]).await;
    let text = fs::read_to_string(home.user_file()).expect("a file");
    assert!(text.contains("\"ollama/qwen2.5-coder:3b\","), "{text}");

    // The editor asks the person.
    let params = json!({"command": "ghostline.selectModel"});
    let asked = client
        .start("workspace/executeCommand", params)
        .await
        .expect("a pipe");
    let (id, question) = client
        .incoming("window/showMessageRequest")
        .await
        .expect("a question");
    let actions = question["actions"].as_array().expect("buttons").clone();
    let wanted = format!("ollama/{}", names[2]);
    let button = actions.iter().find(|action| action["title"] == wanted);
    client
        .respond(&id, button.expect("a button").clone())
        .await
        .expect("a pipe");
    let answer = client.response(&json!(asked)).await.expect("an answer");
    assert_eq!(answer["result"]["model"], wanted, "{answer}");
    served_by(&mut client, names[2]).await;

    // A file that changes on disk, of which no client tells.
    let env = home.workspace().join(".env");
    fs::write(env, format!("OLLAMA_COMPLETION_MODEL={}\n", names[0])).expect("a file");
    served_by(&mut client, names[0]).await;
    client.shut_down().await.expect("a pipe");
}
