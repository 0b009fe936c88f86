//! Code actions through the real server, with a model whose every word is scripted.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::path::Path;

use serde_json::{Value, json};

use crate::support::scripted::Running;
use crate::support::server::{TestServer, URI};

const LIST: &str = "textDocument/codeAction";
const RESOLVE: &str = "codeAction/resolve";

/// A client that can do everything.
fn all() -> Value {
    json!({
        "textDocument": { "codeAction": {
            "dataSupport": true, "resolveSupport": { "properties": ["edit"] },
        } },
        "workspace": { "workspaceEdit": {
            "documentChanges": true, "changeAnnotationSupport": {}, "resourceOperations": ["create"],
        } },
        "experimental": { "ghostline": { "markdown": true } },
    })
}

async fn server(home: &Path) -> TestServer {
    TestServer::conversing(home, all()).await
}

fn range(from: (u32, u32), to: (u32, u32)) -> Value {
    let at = |(line, character)| json!({ "line": line, "character": character });
    json!({ "start": at(from), "end": at(to) })
}

async fn list(server: &mut TestServer, uri: &str, range: Value, diagnostics: Value) -> Vec<Value> {
    let params = json!({
        "textDocument": { "uri": uri }, "range": range,
        "context": { "diagnostics": diagnostics },
    });
    let listed = server.client.request(LIST, params).await.unwrap();
    listed.as_array().unwrap().clone()
}

fn titled(listed: &[Value], start: &str) -> Value {
    let found = listed
        .iter()
        .find(|item| item["title"].as_str().unwrap().starts_with(start));
    found
        .unwrap_or_else(|| panic!("no {start} in {listed:?}"))
        .clone()
}

/// Resolves an action that is answered with `reply`.
async fn resolve(server: &mut TestServer, item: Value, reply: &str) -> Value {
    let id = json!(server.client.start(RESOLVE, item).await.unwrap());
    let running = server.script.next().await;
    running.say(reply);
    running.finish();
    server.client.response(&id).await.unwrap()
}

/// Asks for simpler code; gives the request and what the model is asked.
async fn simplify(server: &mut TestServer) -> (Value, Running) {
    server.open(CODE).await;
    let listed = list(server, URI, range((7, 0), (11, 0)), json!([])).await;
    let item = titled(&listed, "Simplify");
    let id = json!(server.client.start(RESOLVE, item).await.unwrap());
    (id, server.script.next().await)
}

const CODE: &str = "use std::fmt;\n\nfn helper() -> u8 {\n    1\n}\n\nimpl A {\n    fn μ(&self) -> u8 {\n        let x = helper();\n        x\n    }\n}\n";

#[tokio::test]
async fn an_edit_touches_only_what_changes() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    server.open(CODE).await;
    let listed = list(&mut server, URI, range((7, 0), (11, 0)), json!([])).await;
    assert!(server.script.try_next().is_none(), "listing asked a model");
    let item = titled(&listed, "Simplify");
    assert_eq!(item["kind"], "refactor.rewrite.ghostline.simplify");
    assert!(item.get("edit").is_none());
    let id = json!(server.client.start(RESOLVE, item.clone()).await.unwrap());
    let running = server.script.next().await;
    let question = running.question();
    assert!(
        question.contains("(its imports)\n```rust\nuse std::fmt;"),
        "{question}"
    );
    assert!(
        question.contains("(a declaration it uses)\n```rust\nfn helper() -> u8;"),
        "{question}"
    );
    assert!(
        question.contains("(the code to work on)\n```rust\n    fn μ(&self)"),
        "{question}"
    );
    // As models do: prose around it, and no indentation.
    running.say("Sure:\n```rust\nfn μ(&self) -> u8 {\n    helper()\n}\n```\nDone.");
    running.finish();
    let answer = server.client.response(&id).await.unwrap();
    let changes = &answer["result"]["edit"]["documentChanges"][0];
    assert_eq!(changes["textDocument"], json!({ "uri": URI, "version": 1 }));
    assert_eq!(
        changes["edits"],
        json!([{
            "range": range((8, 0), (10, 0)),
            "newText": "        helper()\n",
            "annotationId": "ghostline",
        }])
    );
    let annotation = &answer["result"]["edit"]["changeAnnotations"]["ghostline"];
    assert_eq!(annotation["label"], "Simplify");
    assert!(
        annotation["description"]
            .as_str()
            .unwrap()
            .contains("scripted")
    );
    server.finish().await;
}

#[tokio::test]
async fn what_is_no_edit_is_refused_with_a_sentence() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    server.open(CODE).await;
    let listed = list(&mut server, URI, range((7, 0), (11, 0)), json!([])).await;
    let item = titled(&listed, "Simplify");
    for (reply, expected) in [
        ("I would inline the variable.", "is not code"),
        ("```rust\nfn μ(&self) -> u8 {\n", "was cut off"),
        ("```rust\n// ... existing code ...\n```", "left code out"),
        (
            "```rust\nfn μ(&self) -> u8 {\n    let x = helper();\n    x\n}\n```",
            "changes nothing",
        ),
    ] {
        let answer = resolve(&mut server, item.clone(), reply).await;
        assert_eq!(answer["error"]["code"], -32803);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
    // The limit of tokens.
    let id = json!(server.client.start(RESOLVE, item.clone()).await.unwrap());
    let running = server.script.next().await;
    running.say("```rust\nfn μ(&self) -> u8 {\n    2\n}\n```");
    running.run_out();
    let answer = server.client.response(&id).await.unwrap();
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("was cut off")
    );
    // The document changes while the model writes, and after the list was made.
    let id = json!(server.client.start(RESOLVE, item.clone()).await.unwrap());
    let running = server.script.next().await;
    server.insert((0, 0), "// new\n").await;
    running.say("```rust\nfn μ(&self) -> u8 {\n    2\n}\n```");
    running.finish();
    let answer = server.client.response(&id).await.unwrap();
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("changed meanwhile")
    );
    let id = json!(server.client.start(RESOLVE, item).await.unwrap());
    let answer = server.client.response(&id).await.unwrap();
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("changed meanwhile")
    );
    assert!(server.script.try_next().is_none());
    server.finish().await;
}

#[tokio::test]
async fn what_breaks_is_asked_for_once_more() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    server.open(CODE).await;
    let listed = list(&mut server, URI, range((7, 0), (11, 0)), json!([])).await;
    let item = titled(&listed, "Simplify");
    let broken = "```rust\nfn μ(&self) -> u8 {\n    helper(\n}\n```";
    for (second, works) in [
        ("```rust\nfn μ(&self) -> u8 {\n    helper()\n}\n```", true),
        (broken, false),
    ] {
        let id = json!(server.client.start(RESOLVE, item.clone()).await.unwrap());
        let running = server.script.next().await;
        running.say(broken);
        running.finish();
        let running = server.script.next().await;
        let said = running.messages();
        assert_eq!(said.len(), 4);
        assert!(
            said[3].1.contains("the file does not parse: line"),
            "{said:?}"
        );
        running.say(second);
        running.finish();
        let answer = server.client.response(&id).await.unwrap();
        if works {
            assert!(answer["result"]["edit"].is_object(), "{answer}");
        } else {
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains("does not parse (line"), "{message}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn a_cancelled_action_stops_the_model() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    let (id, running) = simplify(&mut server).await;
    running.say("```rust\n");
    server
        .client
        .notify("$/cancelRequest", json!({ "id": id }))
        .await
        .unwrap();
    let answer = server.client.response(&id).await.unwrap();
    assert_eq!(answer["error"]["code"], -32800);
    running.dropped().await;
    server.finish().await;
}

#[tokio::test]
async fn a_model_that_has_written_the_code_need_not_explain_it() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    let (id, running) = simplify(&mut server).await;
    for piece in [
        "```rust\nfn μ(&self) -> u8 {\n",
        "    helper()\n}\n```",
        "\n",
        "I took",
    ] {
        running.say(piece);
    }
    let answer = server.client.response(&id).await.unwrap();
    let edits = &answer["result"]["edit"]["documentChanges"][0]["edits"];
    assert_eq!(edits[0]["newText"], "        helper()\n");
    running.dropped().await;
    server.finish().await;
}

#[tokio::test]
async fn documenting_changes_no_code() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    server.open(CODE).await;
    let listed = list(&mut server, URI, range((2, 3), (2, 3)), json!([])).await;
    let item = titled(&listed, "Document");
    let reply = "```rust\n/// Always 1.\nfn helper() -> u8 {\n    2\n}\n```";
    let answer = resolve(&mut server, item, reply).await;
    let edits = &answer["result"]["edit"]["documentChanges"][0]["edits"];
    assert_eq!(edits.as_array().unwrap().len(), 1);
    assert_eq!(edits[0]["newText"], "/// Always 1.\n");
    assert_eq!(edits[0]["range"], range((2, 0), (2, 0)));
    server.finish().await;
}

#[tokio::test]
async fn a_diagnostic_and_a_todo_are_answered_in_their_item() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    let text = "fn a() -> u8 {\n    todo!()\n}\n\nfn b() -> u8 {\n    \"1\"\n}\n";
    server.open(text).await;
    let wrong =
        json!([{ "range": range((5, 4), (5, 7)), "message": "expected `u8`, found `&str`" }]);
    let listed = list(&mut server, URI, range((5, 4), (5, 4)), wrong.clone()).await;
    let item = titled(&listed, "Fix: expected `u8`");
    assert_eq!(item["diagnostics"], wrong);
    let id = json!(server.client.start(RESOLVE, item).await.unwrap());
    let running = server.script.next().await;
    assert!(
        running
            .question()
            .contains("- line 6: expected `u8`, found `&str`")
    );
    running.say("```rust\nfn b() -> u8 {\n    1\n}\n```");
    running.finish();
    let answer = server.client.response(&id).await.unwrap();
    let edits = &answer["result"]["edit"]["documentChanges"][0]["edits"];
    assert_eq!(edits[0]["range"], range((5, 0), (6, 0)));
    assert_eq!(edits[0]["newText"], "    1\n");

    let listed = list(&mut server, URI, range((1, 4), (1, 4)), json!([])).await;
    let item = titled(&listed, "Complete the todo");
    let answer = resolve(&mut server, item, "```rust\nfn a() -> u8 {\n    7\n}\n```").await;
    let edits = &answer["result"]["edit"]["documentChanges"][0]["edits"];
    assert_eq!(edits[0]["newText"], "    7\n");
    server.finish().await;
}

#[tokio::test]
async fn tests_go_where_the_language_keeps_them() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(&home.path().join("chats")).await;
    server.open("fn a() {}\n").await;
    let listed = list(&mut server, URI, range((0, 0), (1, 0)), json!([])).await;
    let item = titled(&listed, "Write tests");
    let reply = "```rust\n#[test]\nfn a_works() {\n    a();\n}\n```";
    let answer = resolve(&mut server, item, reply).await;
    let edits = &answer["result"]["edit"]["documentChanges"][0]["edits"];
    assert_eq!(
        edits[0]["newText"],
        "\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn a_works() {\n        a();\n    }\n}\n"
    );

    let code = home.path().join("mid.py");
    std::fs::write(&code, "def mid(a):\n    return a\n").unwrap();
    let uri = url::Url::from_file_path(&code).unwrap();
    let document = json!({
        "uri": uri.as_str(), "languageId": "python", "version": 3,
        "text": "def mid(a):\n    return a\n",
    });
    let params = json!({ "textDocument": document });
    server
        .client
        .notify("textDocument/didOpen", params)
        .await
        .unwrap();
    let listed = list(&mut server, uri.as_str(), range((0, 0), (0, 0)), json!([])).await;
    let item = titled(&listed, "Write tests");
    let reply = "```python\nfrom mid import mid\n\n\ndef test_mid():\n    assert mid(1) == 1\n```";
    let answer = resolve(&mut server, item.clone(), reply).await;
    let changes = &answer["result"]["edit"]["documentChanges"];
    assert_eq!(changes[0]["kind"], "create");
    assert!(
        changes[0]["uri"]
            .as_str()
            .unwrap()
            .ends_with("/test_mid.py")
    );
    assert_eq!(changes[1]["textDocument"]["version"], Value::Null);
    assert!(
        changes[1]["edits"][0]["newText"]
            .as_str()
            .unwrap()
            .starts_with("from mid import")
    );

    // An existing file is added to.
    std::fs::write(home.path().join("test_mid.py"), "import mid\n").unwrap();
    let answer = resolve(
        &mut server,
        item,
        "```python\ndef test_two():\n    pass\n```",
    )
    .await;
    let changes = &answer["result"]["edit"]["documentChanges"];
    assert_eq!(changes[0]["edits"][0]["range"], range((1, 0), (1, 0)));
    assert_eq!(
        changes[0]["edits"][0]["newText"],
        "\ndef test_two():\n    pass\n"
    );
    server.finish().await;
}

#[tokio::test]
async fn an_explanation_is_shown_as_the_client_can() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    server.open(CODE).await;
    let listed = list(&mut server, URI, range((8, 0), (8, 5)), json!([])).await;
    let command = titled(&listed, "Explain")["command"].clone();
    assert_eq!(command["command"], "ghostline.explain");
    let id = json!(
        server
            .client
            .start("workspace/executeCommand", command)
            .await
            .unwrap()
    );
    let running = server.script.next().await;
    let question = running.question();
    assert!(question.contains("(the item it is in)"), "{question}");
    running.say("It asks `helper`.");
    running.finish();
    let answer = server.client.response(&id).await.unwrap();
    assert_eq!(answer["result"]["shown"], true);
    let shown = server
        .client
        .notification("ghostline/showMarkdown")
        .await
        .unwrap();
    let markdown = shown["markdown"].as_str().unwrap();
    assert!(markdown.starts_with("It asks `helper`.\n"), "{markdown}");
    assert!(
        markdown.contains("- `add.rs`, lines 9 to 9: the selection"),
        "{markdown}"
    );
    assert_eq!(shown["references"][0]["uri"], URI);
    assert_eq!(shown["source"], URI);
    server.finish().await;
}

#[tokio::test]
async fn an_explanation_without_an_end_says_so() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    server.open(CODE).await;
    let listed = list(&mut server, URI, range((8, 0), (8, 5)), json!([])).await;
    let command = titled(&listed, "Explain")["command"].clone();
    for (said, shown) in [
        ("It asks", "It asks\n\n*The model's answer ends here"),
        (
            "So:\n```rust\nlet x",
            "let x\n```\n\n*The model's answer ends here",
        ),
    ] {
        let id = json!(
            server
                .client
                .start("workspace/executeCommand", command.clone())
                .await
                .unwrap()
        );
        let running = server.script.next().await;
        running.say(said);
        running.run_out();
        server.client.response(&id).await.unwrap();
        let markdown = server
            .client
            .notification("ghostline/showMarkdown")
            .await
            .unwrap();
        let markdown = markdown["markdown"].as_str().unwrap();
        assert!(markdown.contains(shown), "{markdown}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_client_without_resolve_runs_commands() {
    let home = tempfile::tempdir().unwrap();
    let mut server = TestServer::conversing(home.path(), json!({})).await;
    server.open(CODE).await;
    let listed = list(&mut server, URI, range((7, 0), (11, 0)), json!([])).await;
    let command = titled(&listed, "Simplify")["command"].clone();
    assert_eq!(command["command"], "ghostline.action");
    let id = json!(
        server
            .client
            .start("workspace/executeCommand", command)
            .await
            .unwrap()
    );
    let running = server.script.next().await;
    running.say("```rust\nfn μ(&self) -> u8 {\n    helper()\n}\n```");
    running.finish();
    let (request, params) = server.client.incoming("workspace/applyEdit").await.unwrap();
    let edits = &params["edit"]["changes"][URI];
    assert_eq!(edits[0]["newText"], "        helper()\n");
    server
        .client
        .respond(&request, json!({ "applied": true }))
        .await
        .unwrap();
    let answer = server.client.response(&id).await.unwrap();
    assert_eq!(answer["result"]["applied"], true);
    // The person's own words, and orders that make no sense.
    for (order, expected) in [
        (
            json!({ "action": "dance", "uri": URI, "range": range((0, 0), (0, 0)) }),
            "no action dance",
        ),
        (
            json!({ "action": "rewrite", "uri": URI, "range": range((2, 0), (3, 0)) }),
            "say how to rewrite",
        ),
        (
            json!({ "action": "complete", "uri": URI, "range": range((2, 0), (3, 0)) }),
            "does not apply",
        ),
        (
            json!({ "action": "explain", "uri": "file:///no", "range": range((2, 0), (3, 0)) }),
            "is not open",
        ),
        (json!({ "action": "explain" }), "missing field"),
    ] {
        let params = json!({ "command": "ghostline.action", "arguments": [order] });
        let id = json!(
            server
                .client
                .start("workspace/executeCommand", params)
                .await
                .unwrap()
        );
        let answer = server.client.response(&id).await.unwrap();
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(expected), "{answer}");
    }
    let order = json!({
        "action": "rewrite", "uri": URI, "range": range((2, 0), (5, 0)), "version": 1,
        "instruction": "return two",
    });
    let params = json!({ "command": "ghostline.action", "arguments": [order] });
    let id = json!(
        server
            .client
            .start("workspace/executeCommand", params)
            .await
            .unwrap()
    );
    let running = server.script.next().await;
    assert!(
        running
            .question()
            .contains("as the person asks: return two")
    );
    running.say("```rust\nfn helper() -> u8 {\n    2\n}\n```");
    running.finish();
    let (request, _) = server.client.incoming("workspace/applyEdit").await.unwrap();
    let refusal = json!({ "applied": false, "failureReason": "read only" });
    server.client.respond(&request, refusal).await.unwrap();
    let answer = server.client.response(&id).await.unwrap();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("nothing was changed: read only"),
        "{message}"
    );
    server.finish().await;
}

#[tokio::test]
async fn a_file_that_is_kept_out_has_no_actions() {
    let home = tempfile::tempdir().unwrap();
    let mut server = server(home.path()).await;
    let uri = "file:///project/.env";
    server.open_as(uri, "KEY=1\n").await;
    assert!(
        list(&mut server, uri, range((0, 0), (0, 3)), json!([]))
            .await
            .is_empty()
    );
    let order = json!({ "action": "explain", "uri": uri, "range": range((0, 0), (0, 3)) });
    let params = json!({ "command": "ghostline.action", "arguments": [order] });
    let id = json!(
        server
            .client
            .start("workspace/executeCommand", params)
            .await
            .unwrap()
    );
    let answer = server.client.response(&id).await.unwrap();
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("kept out of prompts")
    );
    server.finish().await;
}
