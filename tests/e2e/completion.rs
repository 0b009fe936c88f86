//! Inline completion through the protocol: what a person sees, and what the backend is spared.

use ghostline::config::Settings;
use ghostline::server::transport::Ended;
use serde_json::{Value, json};

use super::support::server::{TestServer, URI};

const ADD: &str = "fn add(a: i32, b: i32) -> i32 {\n    \n}\n";

#[tokio::test]
async fn a_ghost_text_comes_with_a_range_on_one_line_and_an_accept_command() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    let id = server.ask((1, 4)).await;
    let running = server.script.next().await;
    assert_eq!(
        running.prompt(),
        "<|fim_prefix|>fn add(a: i32, b: i32) -> i32 {\n<|fim_suffix|>\n}\n<|fim_middle|>"
    );
    running.say("a +");
    running.say(" b\n}");
    let answer = server.client.response(&id).await.unwrap();
    let item = &answer["result"][0];
    let place = json!({ "line": 1, "character": 4 });
    assert_eq!(item["insertText"], "a + b");
    assert_eq!(item["range"], json!({ "start": place, "end": place }));
    assert_eq!(item["command"]["command"], "ghostline.didAccept");
    // More is not wanted: the stream was closed before the model ended.
    running.dropped().await;
    let arguments = item["command"]["arguments"].clone();
    let accept = json!({ "command": "ghostline.didAccept", "arguments": arguments });
    server
        .client
        .request("workspace/executeCommand", accept)
        .await
        .unwrap();
    let metrics = server
        .client
        .request("ghostline/metrics", json!({}))
        .await
        .unwrap();
    assert_eq!(metrics["completions"]["accepted"], 1);
    server.finish().await;
}

#[tokio::test]
async fn an_editor_may_tell_what_it_draws_and_which_part_was_taken() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    let id = server.ask((1, 4)).await;
    server.script.next().await.say("a + b\n");
    let answer = server.client.response(&id).await.unwrap();
    let item = &answer["result"][0];
    let partly = |length: u64| json!({ "item": item, "acceptedLength": length });
    for (method, params) in [
        ("textDocument/didShowCompletion", json!({ "item": item })),
        ("textDocument/didPartiallyAcceptCompletion", partly(0)),
        ("textDocument/didPartiallyAcceptCompletion", partly(1)),
        // What is malformed is nothing to stumble over.
        ("textDocument/didShowCompletion", json!({ "item": 3 })),
        ("textDocument/didPartiallyAcceptCompletion", json!([])),
    ] {
        server.client.notify(method, params).await.unwrap();
    }
    let metrics = server.client.request("ghostline/metrics", json!({}));
    assert_eq!(metrics.await.unwrap()["completions"]["partlyAccepted"], 1);
    server.finish().await;
}

#[tokio::test]
async fn typing_along_asks_nobody_again() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    let id = server.ask((1, 4)).await;
    let running = server.script.next().await;
    running.say("a + b\n");
    assert_eq!(server.ghost(&id).await.unwrap(), "a + b");
    for (n, (key, rest)) in [("a", " + b"), (" ", "+ b"), ("+", " b"), (" ", "b")]
        .iter()
        .enumerate()
    {
        let column = u32::try_from(n).unwrap() + 4;
        server.insert((1, column), key).await;
        let id = server.ask((1, column + 1)).await;
        assert_eq!(server.ghost(&id).await.as_deref(), Some(*rest));
    }
    assert!(server.script.try_next().is_none());
    server.finish().await;
}

#[tokio::test]
async fn a_newer_request_settles_the_older_one_and_joins_its_stream() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    let older = server.ask((1, 4)).await;
    let running = server.script.next().await;
    server.insert((1, 4), "a").await;
    let newer = server.ask((1, 5)).await;
    assert_eq!(server.ghost(&older).await, None);
    assert!(!running.is_dropped());
    running.say("a + b\n");
    assert_eq!(server.ghost(&newer).await.as_deref(), Some(" + b"));
    assert!(server.script.try_next().is_none());
    server.finish().await;
}

#[tokio::test]
async fn a_cancelled_request_leaves_the_stream_and_a_diverging_key_ends_it() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    let id = server.ask((1, 4)).await;
    let running = server.script.next().await;
    running.say("a +");
    server
        .client
        .notify("$/cancelRequest", json!({ "id": id }))
        .await
        .unwrap();
    let answer = server.client.response(&id).await.unwrap();
    assert_eq!(answer["error"]["code"], -32800);
    assert!(!running.is_dropped());
    server.insert((1, 4), "x").await;
    running.dropped().await;
    server.finish().await;
}

#[tokio::test]
async fn closing_the_document_ends_its_stream() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    let id = server.ask((1, 4)).await;
    let running = server.script.next().await;
    let params = json!({ "textDocument": { "uri": URI } });
    server
        .client
        .notify("textDocument/didClose", params)
        .await
        .unwrap();
    running.dropped().await;
    assert_eq!(server.ghost(&id).await, None);
    let id = server.ask((1, 4)).await;
    assert_eq!(server.ghost(&id).await, None);
    server.finish().await;
}

#[tokio::test]
async fn one_generation_at_a_time_whatever_the_documents() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    server
        .open_as("file:///project/other.rs", "let x = \n")
        .await;
    let older = server.ask((1, 4)).await;
    let first = server.script.next().await;
    let second = server.ask_in("file:///project/other.rs", (0, 8)).await;
    first.dropped().await;
    let running = server.script.next().await;
    running.say("1;\n");
    assert_eq!(server.ghost(&second).await.as_deref(), Some("1;"));
    assert_eq!(server.ghost(&older).await, None);
    assert_eq!(server.script.most_running(), 1);
    server.finish().await;
}

#[tokio::test]
async fn ten_thousand_changes_then_a_request_sees_exactly_the_final_text() {
    let mut server = TestServer::ready().await;
    server.open("").await;
    let mut text = String::new();
    let (mut line, mut column) = (0, 0);
    for n in 0..10_000_u32 {
        let key = if n % 60 == 59 {
            '\n'
        } else {
            char::from(b'a' + u8::try_from(n % 26).unwrap())
        };
        server.insert((line, column), &key.to_string()).await;
        text.push(key);
        (line, column) = if key == '\n' {
            (line + 1, 0)
        } else {
            (line, column + 1)
        };
    }
    server.ask((line, column)).await;
    let prompt = server.script.next().await.prompt();
    let (above, typed) = prompt.split_once("<|fim_suffix|><|fim_middle|>").unwrap();
    let above = above.strip_prefix("<|fim_prefix|>").unwrap();
    assert!(text.ends_with(&format!("{above}{typed}")));
    assert!(above.len() > 3000);
    assert_eq!(Some(typed), text.rsplit('\n').next());
    server.finish().await;
}

#[tokio::test]
async fn what_cannot_be_served_is_empty_and_said_in_the_status() {
    let mut server = TestServer::start(Settings::default(), false, json!({})).await;
    server.open(ADD).await;
    let id = server.ask((1, 4)).await;
    assert_eq!(server.ghost(&id).await, None);
    let status = server
        .client
        .request("ghostline/status", json!({}))
        .await
        .unwrap();
    assert_eq!(status["state"], "unavailable");
    assert_eq!(status["roles"]["completion"]["model"], Value::Null);
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("No model for completion")
    );
    server.finish().await;
}

#[tokio::test]
async fn a_failing_backend_is_an_empty_answer_and_the_next_request_is_served() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    let id = server.ask((1, 4)).await;
    server.script.next().await.fail();
    assert_eq!(server.ghost(&id).await, None);
    let id = server.ask((1, 4)).await;
    server.script.next().await.say("a + b\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("a + b"));
    server.finish().await;
}

#[tokio::test]
async fn the_selected_entry_of_the_completion_list_is_extended() {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\n    let n = s.le\n}\n").await;
    let range =
        json!({ "start": { "line": 1, "character": 14 }, "end": { "line": 1, "character": 16 } });
    let params = json!({
        "textDocument": { "uri": URI },
        "position": { "line": 1, "character": 16 },
        "context": {
            "triggerKind": 2,
            "selectedCompletionInfo": { "range": range, "text": "length" },
        },
    });
    let id = json!(
        server
            .client
            .start("textDocument/inlineCompletion", params)
            .await
            .unwrap()
    );
    let running = server.script.next().await;
    assert!(
        running
            .prompt()
            .ends_with("<|fim_middle|>    let n = s.length")
    );
    running.say("_bytes();\n");
    let answer = server.client.response(&id).await.unwrap();
    assert_eq!(answer["result"][0]["insertText"], "length_bytes();");
    assert_eq!(answer["result"][0]["range"], range);
    server.finish().await;
}

#[tokio::test]
async fn windows_line_ends_stay() {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\r\n").await;
    let id = server.ask((0, 8)).await;
    let running = server.script.next().await;
    running.say("\n    a();\n    b();\n");
    running.finish();
    assert_eq!(
        server.ghost(&id).await.as_deref(),
        Some("\r\n    a();\r\n    b();")
    );
    server.finish().await;
}

#[tokio::test]
async fn a_setting_switches_completions_off_at_once() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    let params = json!({ "settings": { "inline": { "enabled": false } } });
    server
        .client
        .notify("workspace/didChangeConfiguration", params)
        .await
        .unwrap();
    let id = server.ask((1, 4)).await;
    assert_eq!(server.ghost(&id).await, None);
    assert!(server.script.try_next().is_none());
    server.finish().await;
}

#[tokio::test]
async fn hanging_up_ends_the_server_and_the_stream() {
    let mut server = TestServer::ready().await;
    server.open(ADD).await;
    server.ask((1, 4)).await;
    let running = server.script.next().await;
    assert_eq!(server.hang_up().await, Ended::Unclean);
    running.dropped().await;
}

const GROWS: &str = "ghostline/completionUpdated";

fn growing() -> Value {
    json!({ "experimental": { "ghostline": { "completionUpdates": true } } })
}

#[tokio::test]
async fn a_ghost_text_is_shown_as_soon_as_it_is_safe_and_grows_in_place() {
    let mut server = TestServer::start(Settings::default(), true, growing()).await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    let running = server.script.next().await;
    running.say(" foo(b");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("foo"));
    running.say(", c) +");
    let update = server.client.notification(GROWS).await.unwrap();
    assert_eq!(update["uri"], URI);
    assert_eq!(update["version"], 1);
    assert_eq!(update["items"][0]["insertText"], "foo(b, c)");
    running.say(" d;\n");
    let update = server.client.notification(GROWS).await.unwrap();
    assert_eq!(update["items"][0]["insertText"], "foo(b, c) + d;");
    assert_eq!(update["complete"], true);
    running.dropped().await;
    server.finish().await;
}

#[tokio::test]
async fn a_change_ends_the_growth_of_the_older_ghost_text() {
    let mut server = TestServer::start(Settings::default(), true, growing()).await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    let running = server.script.next().await;
    running.say(" foo(b");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("foo"));
    server.insert((0, 8), "f").await;
    let id = server.ask((0, 9)).await;
    assert_eq!(server.ghost(&id).await.as_deref(), Some("oo"));
    running.say(", c);\n");
    let update = server.client.notification(GROWS).await.unwrap();
    assert_eq!(update["version"], 2);
    assert_eq!(update["items"][0]["insertText"], "oo(b, c);");
    server.finish().await;
}

#[tokio::test]
async fn the_line_after_an_accepted_one_is_there_at_once() {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\n    let a = \n    b();\n}\n").await;
    let id = server.ask((1, 12)).await;
    server.script.next().await.say(" 1;\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("1;"));
    server.insert((1, 12), "1;").await;
    let prefetched = server.script.next().await;
    assert_eq!(
        prefetched.request.priority,
        ghostline::backend::Priority::Prefetch
    );
    assert!(
        prefetched
            .prompt()
            .ends_with("<|fim_middle|>    let a = 1;\n")
    );
    server.insert((1, 14), "\n    ").await;
    prefetched.say("    let c = 2;\n");
    prefetched.dropped().await;
    let id = server.ask((2, 4)).await;
    assert_eq!(server.ghost(&id).await.as_deref(), Some("let c = 2;"));
    server.finish().await;
}

/// What a backend computed of a prompt serves it after Enter too.
#[tokio::test]
async fn after_enter_the_prompt_goes_on_where_it_was() {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\n    let a = \n    b();\n}\n").await;
    let id = server.ask((1, 12)).await;
    let first = server.script.next().await.prompt();
    server.insert((1, 12), "2;\n    ").await;
    assert_eq!(server.ghost(&id).await, None);
    let id = server.ask((2, 4)).await;
    let second = server.script.next().await.prompt();
    assert_eq!(second, format!("{first} 2;\n"));
    // Text below that changed is computed anew in any case.
    server.insert((3, 5), "c").await;
    assert_eq!(server.ghost(&id).await, None);
    let id = server.ask((2, 4)).await;
    let running = server.script.next().await;
    let third = running.prompt();
    assert!(
        third.starts_with("<|fim_prefix|>fn f() {\n    let a = 2;\n<|fim_suffix|>"),
        "{third}"
    );
    running.say("    d();\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("d();"));
    server.finish().await;
}

#[tokio::test]
async fn a_real_request_ends_a_prefetch_at_once() {
    let mut server = TestServer::ready().await;
    server.open("fn f() {\n    let a = \n    b();\n}\n").await;
    let id = server.ask((1, 12)).await;
    server.script.next().await.say(" 1;\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("1;"));
    server.insert((1, 12), "1;").await;
    let prefetched = server.script.next().await;
    server.change((1, 13), (1, 14), " + x").await;
    prefetched.dropped().await;
    let id = server.ask((1, 17)).await;
    server.script.next().await.say("y;\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("y;"));
    assert_eq!(server.script.most_running(), 1);
    server.finish().await;
}

#[tokio::test]
async fn a_change_settles_what_was_asked_of_the_older_text() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    let id = server.ask((0, 8)).await;
    let running = server.script.next().await;
    server.insert((0, 0), "// ").await;
    running.dropped().await;
    assert_eq!(server.ghost(&id).await, None);
    server.finish().await;
}

#[tokio::test]
async fn a_text_that_disagrees_with_what_was_typed_before_it_came_ends() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    server.ask((0, 8)).await;
    let running = server.script.next().await;
    server.insert((0, 8), "x").await;
    // Nothing speaks against it yet.
    server
        .client
        .request("ghostline/status", json!({}))
        .await
        .unwrap();
    assert!(!running.is_dropped());
    running.say(" foo");
    running.dropped().await;
}

#[tokio::test]
async fn a_partial_that_does_not_parse_is_no_answer_and_the_whole_is() {
    let mut server = TestServer::start(Settings::default(), true, growing()).await;
    server
        .open("impl S {\n    fn len(&self) -> usize {\n        \n    }\n}\n")
        .await;
    let id = server.ask((2, 8)).await;
    let running = server.script.next().await;
    running.say("        self.docs.");
    running.say("len()\n    }");
    running.finish();
    let first = server.ghost(&id).await.unwrap();
    let last = if first == "self.docs.len()" {
        first
    } else {
        let update = server.client.notification(GROWS).await.unwrap();
        update["items"][0]["insertText"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(last, "self.docs.len()");
}
