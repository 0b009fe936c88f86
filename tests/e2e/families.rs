//! How a model fills in the middle: from its metadata or name, and what is said where neither tells.

use serde_json::json;

use super::support::server::TestServer;

const TEXT: &str = "fn a() {\n    let x = \n}\n";

#[tokio::test]
async fn each_model_is_asked_as_its_family_wants_it_and_the_others_are_said() {
    for (model, fim, prompt, state, said) in [
        (
            "qwen2.5-coder:1.5b-base",
            Some(true),
            "<|fim_prefix|>fn a() {\n<|fim_suffix|>\n}\n<|fim_middle|>    let x =",
            "ready",
            "",
        ),
        (
            "codellama:7b-code",
            None,
            "<PRE> fn a() {\n <SUF>\n}\n <MID>    let x =",
            "ready",
            "",
        ),
        (
            "deepseek-coder:1.3b-base",
            None,
            "<｜fim▁begin｜>fn a() {\n<｜fim▁hole｜>\n}\n<｜fim▁end｜>    let x =",
            "ready",
            "",
        ),
        (
            "codestral:22b",
            None,
            "[SUFFIX]\n}\n[PREFIX]fn a() {\n    let x =",
            "ready",
            "",
        ),
        (
            "mystery:7b",
            None,
            "fn a() {\n    let x =",
            "degraded",
            "nothing tells how it fills in the middle",
        ),
        // What its metadata says decides, whatever the name promises.
        (
            "qwen2.5-coder:chat",
            Some(false),
            "fn a() {\n    let x =",
            "degraded",
            "it cannot fill in the middle",
        ),
    ] {
        let mut server = TestServer::with_model(model, fim).await;
        let status = server.client.request("ghostline/status", json!({})).await;
        let status = status.unwrap();
        let message = status["message"].as_str().unwrap();
        assert_eq!(status["state"], state, "{model}: {message}");
        assert!(message.contains(model), "{model}: {message}");
        assert!(message.contains(said), "{model}: {message}");
        assert_eq!(message.contains("middle"), !said.is_empty(), "{message}");
        server.open(TEXT).await;
        let id = server.ask((1, 12)).await;
        let running = server.script.next().await;
        assert_eq!(running.prompt(), prompt, "{model}");
        running.say(" 1;\n");
        assert_eq!(server.ghost(&id).await.as_deref(), Some("1;"), "{model}");
        server.finish().await;
    }
}
