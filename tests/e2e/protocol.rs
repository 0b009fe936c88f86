//! The base protocol: what a client may send, in any order and any shape.

use std::sync::atomic::Ordering;

use ghostline::config::Settings;
use ghostline::server::transport::Ended;
use serde_json::{Value, json};

use super::support::server::{TestServer, URI};

#[tokio::test]
async fn initialize_promises_what_the_interface_says() {
    for (offered, chosen) in [
        (json!(["utf-8", "utf-16"]), "utf-8"),
        (json!(["utf-32"]), "utf-32"),
        (json!(["latin-1"]), "utf-16"),
        (Value::Null, "utf-16"),
    ] {
        let mut server = TestServer::unstarted(Settings::default(), true);
        let capabilities = json!({ "general": { "positionEncodings": offered } });
        let params = json!({ "processId": null, "rootUri": null, "capabilities": capabilities });
        let answer = server.client.initialize(params).await.unwrap();
        assert_eq!(answer["capabilities"]["positionEncoding"], chosen);
        assert_eq!(answer["capabilities"]["inlineCompletionProvider"], true);
        assert_eq!(answer["capabilities"]["textDocumentSync"]["change"], 2);
        assert_eq!(answer["serverInfo"]["name"], "ghostline");
        server.client.settled_status().await.unwrap();
        server.finish().await;
    }
}

#[tokio::test]
async fn every_request_is_answered_once_whatever_its_id_and_method() {
    let mut server = TestServer::ready().await;
    for (id, method, code) in [
        (json!("a-string"), "ghostline/status", None),
        (json!(0), "ghostline/status", None),
        (json!(1), "ghostline/metrics", None),
        (json!("x"), "textDocument/unknown", Some(-32601)),
        (json!("y"), "$/unknown", Some(-32601)),
    ] {
        for params in [
            json!({ "params": {} }),
            json!({ "params": null }),
            json!({}),
        ] {
            let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
            message
                .as_object_mut()
                .unwrap()
                .extend(params.as_object().unwrap().clone());
            server.client.send(&message).await.unwrap();
            let answer = server.client.response(&id).await.unwrap();
            assert_eq!(answer["error"]["code"].as_i64(), code, "{answer}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn a_bad_message_costs_only_itself() {
    let mut server = TestServer::ready().await;
    for (body, code) in [
        (&b"{ not json"[..], -32700),
        (b"\"\xff\"", -32700),
        (b"[]", -32600),
        (b"3", -32600),
        (br#"{"jsonrpc":"2.0","method":7,"id":null}"#, -32600),
    ] {
        server.client.send_raw(body).await.unwrap();
        let answer = server.client.response(&Value::Null).await.unwrap();
        assert_eq!(
            answer["error"]["code"],
            code,
            "{}",
            String::from_utf8_lossy(body)
        );
        server
            .client
            .request("ghostline/status", json!({}))
            .await
            .unwrap();
    }
    server.finish().await;
}

#[tokio::test]
async fn half_a_surrogate_pair_in_an_edit_keeps_later_positions_right() {
    let mut server = TestServer::ready().await;
    server.open("ab\n").await;
    let body = format!(
        r#"{{"jsonrpc":"2.0","method":"textDocument/didChange","params":{{"textDocument":{{"uri":"{URI}","version":2}},"contentChanges":[{{"range":{{"start":{{"line":0,"character":1}},"end":{{"line":0,"character":1}}}},"text":"\ud83d"}}]}}}}"#
    );
    server.client.send_raw(body.as_bytes()).await.unwrap();
    server.ask((0, 3)).await;
    assert!(
        server
            .script
            .next()
            .await
            .prompt()
            .ends_with("<|fim_middle|>a\u{fffd}b")
    );
    server.finish().await;
}

#[tokio::test]
async fn a_change_that_cannot_be_read_leaves_no_wrong_text() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    let range =
        json!({ "start": { "line": -1, "character": 0 }, "end": { "line": 0, "character": 0 } });
    let params = json!({
        "textDocument": { "uri": URI, "version": 2 },
        "contentChanges": [{ "range": range, "text": "x" }],
    });
    server
        .client
        .notify("textDocument/didChange", params)
        .await
        .unwrap();
    let id = server.ask((0, 8)).await;
    assert_eq!(server.ghost(&id).await, None);
    server.open("let a = \n").await;
    server.ask((0, 8)).await;
    server.script.next().await;
    server.finish().await;
}

#[tokio::test]
async fn a_panic_in_a_handler_is_one_error_response() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    server.backend.panics.store(true, Ordering::SeqCst);
    let id = server.ask((0, 8)).await;
    let answer = server.client.response(&id).await.unwrap();
    assert_eq!(answer["error"]["code"], -32603);
    let id = server.ask((0, 8)).await;
    server.script.next().await.say("1;\n");
    assert_eq!(server.ghost(&id).await.as_deref(), Some("1;"));
    server.finish().await;
}

#[tokio::test]
async fn hanging_requests_block_neither_changes_nor_cancels_nor_others() {
    let mut server = TestServer::ready().await;
    let mut hanging = Vec::new();
    for n in 0..100 {
        let uri = format!("file:///project/{n}.rs");
        server.open_as(&uri, "let a = \n").await;
        hanging.push(server.ask_in(&uri, (0, 8)).await);
    }
    server.open("let a = \n").await;
    server.insert((0, 8), "b").await;
    server
        .client
        .request("ghostline/status", json!({}))
        .await
        .unwrap();
    for id in &hanging {
        server
            .client
            .notify("$/cancelRequest", json!({ "id": id }))
            .await
            .unwrap();
    }
    for id in &hanging {
        let answer = server.client.response(id).await.unwrap();
        let settled = answer["result"] == json!([]) || answer["error"]["code"] == -32800;
        assert!(settled, "{answer}");
    }
    server.finish().await;
}

#[tokio::test]
async fn requests_for_what_is_not_open_or_another_version_are_empty() {
    let mut server = TestServer::ready().await;
    let id = server.ask((0, 0)).await;
    assert_eq!(server.ghost(&id).await, None);
    server.open("let a = \n").await;
    let params = json!({
        "textDocument": { "uri": URI, "version": 99 },
        "position": { "line": 0, "character": 8 },
        "context": { "triggerKind": 2 },
    });
    let answer = server
        .client
        .request("textDocument/inlineCompletion", params)
        .await
        .unwrap();
    assert_eq!(answer, json!([]));
    let error = server
        .client
        .request("textDocument/inlineCompletion", json!({}))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("-32602"), "{error}");
    server.finish().await;
}

#[tokio::test]
async fn exit_without_shutdown_is_unclean_and_shutdown_may_carry_null() {
    let mut server = TestServer::ready().await;
    server
        .client
        .send(&json!({ "jsonrpc": "2.0", "method": "exit" }))
        .await
        .unwrap();
    assert_eq!(server.hang_up().await, Ended::Unclean);

    let mut server = TestServer::ready().await;
    let shutdown = json!({ "jsonrpc": "2.0", "id": 9, "method": "shutdown", "params": null });
    server.client.send(&shutdown).await.unwrap();
    let answer = server.client.response(&json!(9)).await.unwrap();
    assert!(answer.get("error").is_none(), "{answer}");
    server
        .client
        .send(&json!({ "jsonrpc": "2.0", "method": "exit" }))
        .await
        .unwrap();
    assert_eq!(server.hang_up().await, Ended::Clean);
}
