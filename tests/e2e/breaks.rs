//! A generation takes a break when enough of it lies ahead, and goes on when more is wanted.

use ghostline::backend::Priority;
use ghostline::config::Settings;
use serde_json::{Value, json};

use super::support::server::TestServer;

const GROWS: &str = "ghostline/completionUpdated";

async fn growing() -> TestServer {
    let announced = json!({ "experimental": { "ghostline": { "completionUpdates": true } } });
    TestServer::start(Settings::default(), true, announced).await
}

fn text_of(update: &Value) -> Option<&str> {
    update["items"][0]["insertText"].as_str()
}

#[tokio::test(start_paused = true)]
async fn enough_ahead_frees_the_backend_and_little_left_asks_for_more() {
    let mut server = growing().await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    let first = server.script.next().await;
    first.say(" one_long_name.two");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("one_long_name."));
    first.dropped().await;
    server.insert((0, 8), "one_long_name").await;
    let id = server.ask((0, 21)).await;
    let second = server.script.next().await;
    assert!(second.prompt().ends_with("let a = one_long_name.two"));
    assert_eq!(second.request.priority, Priority::Completion);
    assert_eq!(second.request.max_tokens, first.request.max_tokens - 1);
    assert_eq!(server.ghost(&id).await.as_deref(), Some("."));
    second.say("_words();\n");
    let update = server.client.notification(GROWS).await.unwrap();
    assert_eq!(text_of(&update), Some(".two_words();"));
    assert_eq!(update["complete"], true);
    second.dropped().await;
    assert_eq!(server.script.most_running(), 1);
    server.finish().await;
}

#[tokio::test(start_paused = true)]
async fn who_stops_to_read_gets_the_rest() {
    let mut server = growing().await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    let first = server.script.next().await;
    first.say(" one_long_name.two");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("one_long_name."));
    first.dropped().await;
    server.script.next().await.say("_words();\n");
    let update = server.client.notification(GROWS).await.unwrap();
    assert_eq!(text_of(&update), Some("one_long_name.two_words();"));
    server.finish().await;
}

#[tokio::test(start_paused = true)]
async fn who_goes_another_way_during_a_break_gets_another_text() {
    let mut server = growing().await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    let first = server.script.next().await;
    first.say(" one_long_name.two");
    assert!(server.ghost(&id).await.is_some());
    first.dropped().await;
    server.insert((0, 8), "x").await;
    let id = server.ask((0, 9)).await;
    let other = server.script.next().await;
    assert!(other.prompt().ends_with("let a = x"));
    other.say("yz;\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("yz;"));
    server.finish().await;
}

/// An editor that cannot draw what grows would show the first part for ever.
#[tokio::test(start_paused = true)]
async fn without_updates_there_are_no_breaks() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    let running = server.script.next().await;
    running.say(" one_long_name.two");
    running.say("_words();\n");
    assert_eq!(
        server.ghost(&id).await.as_deref(),
        Some("one_long_name.two_words();")
    );
    assert!(server.script.try_next().is_none());
    server.finish().await;
}
