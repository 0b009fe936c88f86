//! Texts that were generated before: what uses them, and what does not take them away.

use std::time::Duration;

use serde_json::json;

use super::support::server::{TestServer, URI};

const OTHER: &str = "file:///project/other.rs";

#[tokio::test]
async fn an_edit_in_another_file_takes_nothing_away() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    server.open_as(OTHER, "let b = \n").await;
    let id = server.ask((0, 8)).await;
    server.script.next().await.say(" foo(1);\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("foo(1);"));
    let place = json!({ "line": 0, "character": 0 });
    let params = json!({
        "textDocument": { "uri": OTHER, "version": 2 },
        "contentChanges": [{ "range": { "start": place, "end": place }, "text": "// " }],
    });
    server
        .client
        .notify("textDocument/didChange", params)
        .await
        .unwrap();
    let id = server.ask((0, 8)).await;
    assert_eq!(server.ghost(&id).await.as_deref(), Some("foo(1);"));
    // The same line in the other file is another place.
    server.ask_in(OTHER, (0, 11)).await;
    let prompt = server.script.next().await.prompt();
    assert!(prompt.ends_with("// let b ="), "{prompt}");
    server.finish().await;
}

#[tokio::test]
async fn after_accepting_a_word_or_a_line_the_rest_is_there() {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\n    \n}\n").await;
    let id = server.ask((1, 4)).await;
    let running = server.script.next().await;
    running.say("let a = b(c);\n    d();\n}");
    assert_eq!(
        server.ghost(&id).await.as_deref(),
        Some("let a = b(c);\n    d();")
    );
    server.insert((1, 4), "let a").await;
    let id = server.ask((1, 9)).await;
    assert_eq!(
        server.ghost(&id).await.as_deref(),
        Some(" = b(c);\n    d();")
    );
    server.insert((1, 9), " = b(c);\n    ").await;
    let id = server.ask((2, 4)).await;
    assert_eq!(server.ghost(&id).await.as_deref(), Some("d();"));
    server.finish().await;
}

#[tokio::test]
async fn a_changed_suffix_is_another_place() {
    let mut server = TestServer::ready().await;
    server.open("let a = \nb();\n").await;
    let id = server.ask((0, 8)).await;
    server.script.next().await.say(" foo(1);\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("foo(1);"));
    server.change((1, 0), (1, 1), "c").await;
    server.ask((0, 8)).await;
    let prompt = server.script.next().await.prompt();
    assert!(prompt.contains("c();"), "{prompt}");
    server.finish().await;
}

/// Virtual time: it does not pass while an answer is there already, so a debounce would show.
#[tokio::test(start_paused = true)]
async fn what_is_there_is_answered_without_a_debounce() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    server.script.next().await.say(" some_long_name(1);\n");
    assert!(server.ghost(&id).await.is_some());
    for (n, key) in (0..).zip(["s", "o", "m", "e", "_", "l", "o", "n", "g"]) {
        tokio::time::advance(Duration::from_millis(90)).await;
        server.insert((0, 8 + n), key).await;
        let started = tokio::time::Instant::now();
        let id = server.ask((0, 9 + n)).await;
        assert!(server.ghost(&id).await.is_some());
        assert_eq!(started.elapsed(), Duration::ZERO, "key {n}");
    }
    server.finish().await;
}

/// No model is asked after a closer, but a text that goes on behind it stays on the screen.
#[tokio::test]
async fn a_text_that_is_typed_along_stays_behind_a_closer() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    server.script.next().await.say(" foo(1).bar(2);\n");
    assert!(server.ghost(&id).await.is_some());
    server.insert((0, 8), "foo(1)").await;
    let id = server.ask((0, 14)).await;
    assert_eq!(server.ghost(&id).await.as_deref(), Some(".bar(2);"));
    server.insert((0, 14), ".bar(2);").await;
    let id = server.ask((0, 22)).await;
    assert_eq!(server.ghost(&id).await, None);
    server.finish().await;
}

#[tokio::test]
async fn old_line_ends_stay() {
    let mut server = TestServer::ready().await;
    server.open_as(URI, "fn f() {\r    \r}\r").await;
    let id = server.ask((1, 4)).await;
    let running = server.script.next().await;
    running.say("a();\n    b();\n}");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("a();\r    b();"));
    server.finish().await;
}
