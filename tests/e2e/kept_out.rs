//! Files that are kept out of prompts: nothing is asked about them, and the status says why, once.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::path::Path;

use ghostline::config::Settings;
use serde_json::json;

use super::support::server::{TestServer, URI};

const STATUS_CHANGED: &str = "ghostline/statusChanged";

fn uri(path: &Path) -> String {
    url::Url::from_file_path(path).unwrap().into()
}

async fn message(server: &mut TestServer) -> String {
    let status = server.client.request("ghostline/status", json!({})).await;
    status.unwrap()["message"].as_str().unwrap().to_owned()
}

/// Asks at the end of `let a = ` and lets the model answer.
async fn served(server: &mut TestServer, uri: &str) -> Option<String> {
    let id = server.ask_in(uri, (0, 8)).await;
    server.script.next().await.say(" 1;\n");
    server.ghost(&id).await
}

/// The status messages that came since the last call.
fn told(server: &TestServer) -> Vec<String> {
    let messages = server.client.unread();
    messages
        .filter(|m| m["method"] == STATUS_CHANGED)
        .filter_map(|m| m.pointer("/params/message")?.as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_secret_looking_file_is_said_once_and_not_per_key() {
    let mut server = TestServer::ready().await;
    let secret = "file:///project/deploy/id_rsa";
    server.open_as(secret, "KEY=\n").await;
    server.open("let a = \n").await;
    let before = told(&server).len();
    for _ in 0..5 {
        let id = server.ask_in(secret, (0, 4)).await;
        assert_eq!(server.ghost(&id).await, None);
        let now = message(&mut server).await;
        assert!(
            now.starts_with("No completions in this file: its name says that it holds keys"),
            "{now}"
        );
        // What serves the other files is still said.
        assert!(now.contains("Completions from"), "{now}");
    }
    assert_eq!(told(&server).len(), before + 1, "{:?}", told(&server));
    assert!(server.script.try_next().is_none());

    // In another file there is nothing to say any more.
    assert_eq!(served(&mut server, URI).await.as_deref(), Some("1;"));
    let now = message(&mut server).await;
    assert!(now.starts_with("Completions from"), "{now}");
    server.finish().await;
}

#[tokio::test]
async fn files_with_harmless_names_are_completed() {
    let mut server = TestServer::ready().await;
    for path in [
        "config.json",
        "settings.json",
        "tests/keys/loader.rs",
        "src/secrets.rs",
        "credentials.ts",
    ] {
        let uri = format!("file:///project/{path}");
        server.open_as(&uri, "let a = \n").await;
        let ghost = served(&mut server, &uri).await;
        assert_eq!(ghost.as_deref(), Some("1;"), "{path}");
        let now = message(&mut server).await;
        assert!(now.starts_with("Completions from"), "{path}: {now}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_changed_ignore_file_counts_from_the_next_request_on() {
    let folder = tempfile::tempdir().unwrap();
    let watching = json!({
        "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } },
    });
    let mut server = TestServer::in_folder(Settings::default(), folder.path(), watching).await;
    let asked = server.client.incoming("client/registerCapability").await;
    let (id, asked) = asked.unwrap();
    server.client.respond(&id, json!(null)).await.unwrap();
    let registration = &asked["registrations"][0];
    assert_eq!(registration["method"], "workspace/didChangeWatchedFiles");
    let watched: Vec<_> = registration["registerOptions"]["watchers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|w| w["globPattern"].as_str())
        .collect();
    for name in [
        "**/.gitignore",
        "**/.ghostlineignore",
        "**/.ghostline.toml",
        "**/.env",
    ] {
        assert!(watched.contains(&name), "{name} in {watched:?}");
    }

    let document = uri(&folder.path().join("gen.rs"));
    server.open_as(&document, "let a = \n").await;
    assert!(served(&mut server, &document).await.is_some());
    for (name, text, kept_out) in [
        (".gitignore", "gen.rs\n", true),
        (".gitignore", "", false),
        (".ghostlineignore", "*.rs\n", true),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let changes = json!({ "changes": [{ "uri": uri(&file), "type": 2 }] });
        server
            .client
            .notify("workspace/didChangeWatchedFiles", changes)
            .await
            .unwrap();
        let id = server.ask_in(&document, (0, 8)).await;
        if kept_out {
            assert_eq!(server.ghost(&id).await, None, "{name} {text:?}");
            assert!(server.script.try_next().is_none(), "{name} {text:?}");
            let now = message(&mut server).await;
            assert!(now.contains(".ghostlineignore names it"), "{now}");
        } else {
            // Generated before.
            assert_eq!(server.ghost(&id).await.as_deref(), Some("1;"));
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_does_not_watch_has_its_ignore_files_read_at_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = TestServer::in_folder(Settings::default(), folder.path(), json!({})).await;
    let document = uri(&folder.path().join("gen.rs"));
    server.open_as(&document, "let a = \n").await;
    assert!(served(&mut server, &document).await.is_some());
    std::fs::write(folder.path().join(".gitignore"), "gen.rs\n").unwrap();
    server.open_as(&document, "let a = \n").await;
    let id = server.ask_in(&document, (0, 8)).await;
    assert_eq!(server.ghost(&id).await, None);
    // Nobody was asked to watch anything.
    server.finish().await;
}

#[tokio::test]
async fn closing_the_file_takes_the_sentence_back() {
    let mut server = TestServer::ready().await;
    let secret = "file:///project/.env";
    server.open_as(secret, "KEY=\n").await;
    let id = server.ask_in(secret, (0, 4)).await;
    assert_eq!(server.ghost(&id).await, None);
    assert!(message(&mut server).await.starts_with("No completions"));
    let params = json!({ "textDocument": { "uri": secret } });
    server
        .client
        .notify("textDocument/didClose", params)
        .await
        .unwrap();
    let now = message(&mut server).await;
    assert!(now.starts_with("Completions from"), "{now}");
    server.finish().await;
}
