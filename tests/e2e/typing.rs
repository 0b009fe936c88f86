//! What editors do beside the keys: they close brackets and select entries of their lists.

use serde_json::{Value, json};

use super::support::scripted::Running;
use super::support::server::{TestServer, URI};

#[tokio::test]
async fn a_bracket_that_the_editor_closes_ends_no_stream() {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\n    foo\n}\n").await;
    let older = server.ask((1, 7)).await;
    let running = server.script.next().await;
    running.say("(a");
    server.insert((1, 7), "()").await;
    let id = server.ask((1, 8)).await;
    assert_eq!(server.ghost(&older).await, None);
    assert!(!running.is_dropped());
    running.say(", b);\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("a, b"));
    assert!(server.script.try_next().is_none());
    server.finish().await;
}

#[tokio::test]
async fn a_pair_that_the_text_does_not_go_on_in_ends_the_stream() {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\n    foo\n}\n").await;
    let id = server.ask((1, 7)).await;
    let running = server.script.next().await;
    running.say(".bar");
    server.insert((1, 7), "()").await;
    running.dropped().await;
    assert_eq!(server.ghost(&id).await, None);
    server.finish().await;
}

/// Asks between braces that the editor has just closed.
async fn between_braces() -> (TestServer, Value, Running) {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\n    if a \n}\n").await;
    server.insert((1, 9), "{}").await;
    let id = server.ask((1, 10)).await;
    let running = server.script.next().await;
    (server, id, running)
}

#[tokio::test]
async fn a_block_is_typed_along_through_the_braces_that_the_editor_closes() {
    let (mut server, id, running) = between_braces().await;
    // Not before a line of it is there: it may open what stays open.
    running.say("\n        b(");
    running.say(");\n");
    let body = server.ghost(&id).await;
    assert_eq!(body.as_deref(), Some("\n        b();\n    "));
    server.insert((1, 10), "\n        \n    ").await;
    assert!(!running.is_dropped());
    let id = server.ask((2, 8)).await;
    assert_eq!(server.ghost(&id).await.as_deref(), Some("b();"));
    running.say("    }\n}\n");
    running.dropped().await;
    server.insert((2, 8), "b").await;
    let id = server.ask((2, 9)).await;
    assert_eq!(server.ghost(&id).await.as_deref(), Some("();"));
    assert!(server.script.try_next().is_none());
    server.finish().await;
}

#[tokio::test]
async fn what_grows_between_braces_goes_on_in_lines_when_a_part_was_accepted() {
    let (mut server, id, running) = between_braces().await;
    running.say("\n        b();\n");
    let body = server.ghost(&id).await.expect("a body");
    server.insert((1, 10), &body).await;
    running.say("        c();\n        d();\n    }\n");
    running.dropped().await;
    let id = server.ask((3, 4)).await;
    let lines = "    c();\n        d();\n    ";
    assert_eq!(server.ghost(&id).await.as_deref(), Some(lines));
    // A word of the next line.
    server.insert((3, 4), "    c").await;
    let id = server.ask((3, 9)).await;
    let lines = "();\n        d();\n    ";
    assert_eq!(server.ghost(&id).await.as_deref(), Some(lines));
    assert!(server.script.try_next().is_none());
    server.finish().await;
}

/// Asks where line 1 is typed up to `column` and the list has `length` selected from column 14 on.
async fn ask_with_length_selected(server: &mut TestServer, column: u32) -> Value {
    let position = json!({ "line": 1, "character": column });
    let range = json!({ "start": { "line": 1, "character": 14 }, "end": position });
    let params = json!({
        "textDocument": { "uri": URI },
        "position": position,
        "context": {
            "triggerKind": 2,
            "selectedCompletionInfo": { "range": range, "text": "length" },
        },
    });
    let asked = server.client.start("textDocument/inlineCompletion", params);
    json!(asked.await.expect("the server listens"))
}

#[tokio::test]
async fn typing_the_selected_entry_of_the_list_asks_nobody_again() {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\n    let n = s.l\n}\n").await;
    let older = ask_with_length_selected(&mut server, 15).await;
    let running = server.script.next().await;
    server.insert((1, 15), "e").await;
    let newer = ask_with_length_selected(&mut server, 16).await;
    assert_eq!(server.ghost(&older).await, None);
    assert!(!running.is_dropped());
    running.say("_bytes");
    server.insert((1, 16), "n").await;
    let newest = ask_with_length_selected(&mut server, 17).await;
    assert_eq!(server.ghost(&newer).await, None);
    running.say("();\n");
    let ghost = server.ghost(&newest).await;
    assert_eq!(ghost.as_deref(), Some("length_bytes();"));
    assert!(server.script.try_next().is_none());
    // Away from the entry.
    server.insert((1, 17), "x").await;
    let id = server.ask((1, 18)).await;
    let other = server.script.next().await;
    assert!(other.prompt().ends_with("let n = s.lenx"));
    other.say("y\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("y"));
    server.finish().await;
}

#[tokio::test]
async fn what_was_generated_under_other_settings_is_asked_for_again() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    server.script.next().await.say("1;\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("1;"));
    for enabled in [false, true] {
        let params = json!({ "settings": { "inline": { "enabled": enabled } } });
        let told = server
            .client
            .notify("workspace/didChangeConfiguration", params);
        told.await.unwrap();
    }
    let id = server.ask((0, 8)).await;
    server.script.next().await.say("2;\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("2;"));
    server.finish().await;
}
