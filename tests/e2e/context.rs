//! What other files add to prompts: in an idle moment, never while somebody types.
//!
//! Time is the runtime's own: an idle moment passes as soon as nothing else is left to do.

use std::time::Duration;

use ghostline::backend::Priority;
use ghostline::config::Settings;
use serde_json::json;

use super::support::scripted::Running;
use super::support::server::{TestServer, URI};

const STORE: &str = "file:///project/store.rs";
const STORE_TEXT: &str = "pub struct Store {\n    open: u32,\n}\n\nimpl Store {\n    \
pub fn snapshot(&self, uri: &str) -> Option<u32> {\n        Some(self.open)\n    }\n}\n";
const MAIN: &str = "fn run(store: &Store) {\n    let found = \n}\n";
/// What the block says of the store, in the form of the model's family.
const FRONT: &str = "<|repo_name|>project\n<|file_sep|>store.rs\npub struct Store {\n    open: u32,\n}\n\
impl Store {\n    pub fn snapshot(&self, uri: &str) -> Option<u32>;\n}\n<|file_sep|>add.rs\n\
<|fim_prefix|>fn run(store: &Store) {\n";

/// A server with the two documents open.
async fn with_store(settings: Settings) -> TestServer {
    let mut server = TestServer::start(settings, true, json!({})).await;
    server.open_as(STORE, STORE_TEXT).await;
    server.open(MAIN).await;
    server
}

/// Types `s`, the first key in the document, and lets the answer come and go.
async fn first_key(server: &mut TestServer) -> Running {
    server.insert((1, 16), "s").await;
    let id = server.ask((1, 17)).await;
    let running = server.script.next().await;
    running.say("tore;\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("tore;"));
    running
}

/// No key for so long.
async fn pause(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn in_an_idle_moment_the_front_is_made_and_warmed_and_then_used() {
    let mut server = with_store(Settings::default()).await;
    let first = first_key(&mut server).await;
    assert!(
        first.prompt().starts_with("<|fim_prefix|>fn run"),
        "{}",
        first.prompt()
    );
    // While somebody types nothing happens.
    pause(0).await;
    assert!(server.script.try_next().is_none());
    let warming = server.script.next().await;
    assert_eq!(warming.request.priority, Priority::WarmUp);
    assert_eq!(warming.request.max_tokens, 0);
    assert!(warming.prompt().starts_with(FRONT), "{}", warming.prompt());
    warming.finish();
    warming.dropped().await;
    server.insert((1, 17), "x").await;
    let id = server.ask((1, 18)).await;
    let second = server.script.next().await;
    assert_eq!(second.request.priority, Priority::Completion);
    let expected = warming.prompt() + "x";
    assert_eq!(second.prompt(), expected);
    second.finish();
    assert_eq!(server.ghost(&id).await, None);
    server.finish().await;
}

#[tokio::test(start_paused = true)]
async fn while_somebody_types_the_front_stays_whatever_changes_elsewhere() {
    let mut server = with_store(Settings::default()).await;
    first_key(&mut server).await;
    server.script.next().await.finish();
    // Another file becomes better; keys go on, each within the idle time.
    server
        .open_as(
            "file:///project/more.rs",
            "pub fn sx(deep: u8) -> u8 {\n    deep\n}\n",
        )
        .await;
    for (n, key) in ["x", "(", "y", "z"].into_iter().enumerate() {
        pause(2).await;
        let column = 17 + u32::try_from(n).unwrap();
        server.insert((1, column), key).await;
        let id = server.ask((1, column + 1)).await;
        let running = server.script.next().await;
        assert_eq!(running.request.priority, Priority::Completion);
        assert!(running.prompt().starts_with(FRONT), "{}", running.prompt());
        running.finish();
        assert_eq!(server.ghost(&id).await, None);
    }
    // The old snippets stay in front, the new one stands behind.
    let warming = server.script.next().await;
    assert_eq!(warming.request.priority, Priority::WarmUp);
    let more = "<|file_sep|>more.rs\npub fn sx(deep: u8) -> u8;\n<|file_sep|>add.rs\n";
    let (kept, own) = FRONT.split_once("<|file_sep|>add.rs\n").unwrap();
    let expected = [kept, more, own].concat();
    assert!(
        warming.prompt().starts_with(&expected),
        "{}",
        warming.prompt()
    );
    server.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_ends_the_warm_up_before_its_own_generation() {
    let mut server = with_store(Settings::default()).await;
    first_key(&mut server).await;
    let warming = server.script.next().await;
    server.insert((1, 17), "x").await;
    let id = server.ask((1, 18)).await;
    let running = server.script.next().await;
    warming.dropped().await;
    assert_eq!(running.request.priority, Priority::Completion);
    assert_eq!(server.script.most_running(), 1);
    running.finish();
    assert_eq!(server.ghost(&id).await, None);
    server.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_file_is_in_no_prompt_and_the_switches_hold() {
    let mut off = Settings::default();
    off.context.declarations = false;
    off.context.open_files = false;
    off.context.recent_edits = false;
    off.context.clipboard = false;
    for (settings, uri) in [
        (Settings::default(), "file:///project/.env.rs"),
        (Settings::default(), "file:///project/secrets.yaml"),
        (off, STORE),
    ] {
        let mut server = TestServer::start(settings, true, json!({})).await;
        server.open_as(uri, STORE_TEXT).await;
        server.open(MAIN).await;
        let copied = json!({ "text": "let copied = one();", "uri": uri });
        server
            .client
            .notify("ghostline/didCopy", copied)
            .await
            .unwrap();
        first_key(&mut server).await;
        pause(10).await;
        assert!(server.script.try_next().is_none(), "{uri}");
        server.insert((1, 17), "x").await;
        let id = server.ask((1, 18)).await;
        let running = server.script.next().await;
        let prompt = running.prompt();
        assert!(prompt.starts_with("<|fim_prefix|>fn run"), "{prompt}");
        running.finish();
        assert_eq!(server.ghost(&id).await, None);
        server.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn copied_text_that_the_editor_tells_of_is_in_the_next_front() {
    let mut server = with_store(Settings::default()).await;
    let copied = json!({ "text": "let copied = one(two);\n", "uri": STORE });
    server
        .client
        .notify("ghostline/didCopy", copied)
        .await
        .unwrap();
    first_key(&mut server).await;
    let prompt = server.script.next().await.prompt();
    assert!(
        prompt.contains("let copied = one(two);\n<|file_sep|>add.rs\n"),
        "{prompt}"
    );
    // Closing forgets the front with the document.
    let params = json!({ "textDocument": { "uri": URI } });
    server
        .client
        .notify("textDocument/didClose", params)
        .await
        .unwrap();
    server.open(MAIN).await;
    server.insert((1, 16), "q").await;
    let id = server.ask((1, 17)).await;
    let running = server.script.next().await;
    assert!(running.prompt().starts_with("<|fim_prefix|>fn run"));
    running.finish();
    assert_eq!(server.ghost(&id).await, None);
    server.finish().await;
}
