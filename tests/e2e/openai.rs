//! The backend for the `OpenAI` dialect against scripted bytes: what is asked, and every way an answer
//! can go wrong. `tests/http_servers` has a real server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use ghostline::backend::openai::OpenAi;
use ghostline::backend::{
    Backend, BackendError, Chunk, Conversation, EmbedRequest, Limits, Priority, Prompt,
    PromptBudget, Request,
};
use ghostline::prompt::{Image, Message, Speaker};
use serde_json::{Value, json};

use crate::llama_server::{collect, kind, request, within};
use crate::support::http_double::{HttpDouble, Piece, Reply};

const COMPLETIONS: &str = "/v1/completions";
const CHAT: &str = "/v1/chat/completions";

async fn start(limits: Limits) -> (HttpDouble, OpenAi) {
    let double = HttpDouble::start().await;
    let url = format!("{}/v1/", double.url());
    let backend = OpenAi::new("team", &url, Some("s3cret".to_owned()), limits);
    (double, backend.expect("a good address"))
}

fn event(value: &Value) -> Piece {
    Piece::Bytes(format!("data: {value}\n\n").into_bytes())
}

fn text(text: &str) -> Piece {
    event(&json!({ "choices": [{ "text": text, "finish_reason": null }] }))
}

fn done() -> Piece {
    Piece::Bytes(b"data: [DONE]\n\n".to_vec())
}

#[tokio::test]
async fn a_completion_is_one_string_with_four_stops() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        let usage =
            json!({ "choices": [], "usage": { "prompt_tokens": 5, "completion_tokens": 2 } });
        double.next(
            COMPLETIONS,
            Reply::events([text("a"), text(" b"), event(&usage), done()]),
        );
        let request = Request {
            stop: ["1", "2", "3", "4", "5"].map(str::to_owned).to_vec(),
            ..request("fn f() ")
        };
        let (said, end) = collect(backend.stream(request)).await;
        let end = end.expect("an answer");
        assert_eq!(
            (said.as_str(), end.prompt_tokens, end.generated_tokens),
            ("a b", 5, 2)
        );
        let seen = &double.seen(COMPLETIONS)[0];
        assert_eq!(seen.headers["authorization"], "Bearer s3cret");
        assert_eq!(
            seen.body,
            json!({
                "model": "qwen2.5-coder-1.5b", "prompt": "<|fim_prefix|>fn f() <|fim_middle|>",
                "max_tokens": 1, "temperature": 0.0, "stop": ["1", "2", "3", "4"],
                "stream": true, "stream_options": { "include_usage": true },
            })
        );
    })
    .await;
}

#[tokio::test]
async fn a_stop_string_of_ours_ends_the_servers_work() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        double.next(
            COMPLETIONS,
            Reply::events([text("a<|endof"), text("text|>b"), Piece::Hang]),
        );
        let (said, end) = collect(backend.stream(request("a"))).await;
        assert_eq!((said.as_str(), kind(&end)), ("a", "done"));
    })
    .await;
}

#[tokio::test]
async fn a_conversation_goes_as_messages() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        let delta =
            json!({ "choices": [{ "delta": { "content": "yes" }, "finish_reason": "stop" }] });
        double.always(CHAT, Reply::events([event(&delta), done()]));
        let picture = Image {
            mime: "image/png".to_owned(),
            bytes: Arc::from(&b"png"[..]),
        };
        let mut shown = Message::new(Speaker::User, "what is this?");
        shown.images.push(picture);
        let ask = |messages: Vec<Message>, think| Request {
            prompt: Prompt::Chat(Conversation {
                messages,
                think,
                temperature: None,
            }),
            max_tokens: 7,
            stop: Vec::new(),
            ..request("")
        };
        let (said, end) = collect(backend.stream(ask(vec![shown.clone()], false))).await;
        assert_eq!((said.as_str(), kind(&end)), ("yes", "done"));
        let begun = Message::new(Speaker::Assistant, "it is");
        collect(backend.stream(ask(vec![shown, begun], true)))
            .await
            .1
            .expect("an answer");
        let seen = double.seen(CHAT);
        let question = json!({ "role": "user", "content": [
            { "type": "text", "text": "what is this?" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,cG5n" } },
        ]});
        assert_eq!(
            seen[0].body,
            json!({
                "model": "qwen2.5-coder-1.5b", "messages": [question], "max_tokens": 7,
                "stream": true, "stream_options": { "include_usage": true },
                "chat_template_kwargs": { "enable_thinking": false },
            })
        );
        assert_eq!(seen[1].body["continue_final_message"], true);
        assert_eq!(seen[1].body["add_generation_prompt"], false);
    })
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of faults")]
async fn every_fault_ends_in_an_answer_or_an_error() {
    let json = |status, body: &str| Reply::whole(status, "application/json", body);
    let bytes = |bytes: &[u8]| Piece::Bytes(bytes.to_vec());
    let mut long = b"data: {\"choices\":[{\"text\":\"".to_vec();
    long.resize(8 << 20, b'x');
    let crab = "data: {\"choices\":[{\"text\":\"🦀\"}]}\n\n".as_bytes();
    let (half, rest) = crab.split_at(28);
    let missing = "{\"error\":{\"message\":\"The model `x` does not exist.\",\"code\":404}}";
    let cases = [
        (
            "half a character",
            Reply::events([bytes(half), bytes(rest), done()]),
            "🦀",
            "done",
        ),
        (
            "a comment",
            Reply::events([bytes(b": ping\n\n"), text("a"), done()]),
            "a",
            "done",
        ),
        ("no end", Reply::events([text("a")]), "a", "interrupted"),
        (
            "reset",
            Reply::events([text("a"), Piece::Reset]),
            "a",
            "interrupted",
        ),
        (
            "a stall",
            Reply::events([text("a"), Piece::Hang]),
            "a",
            "interrupted",
        ),
        (
            "no first byte",
            Reply::events([Piece::Hang]),
            "",
            "interrupted",
        ),
        ("8 MB", Reply::events([bytes(&long)]), "", "protocol"),
        ("an empty body", Reply::events([bytes(b"")]), "", "protocol"),
        (
            "an error within",
            Reply::events([text("a"), event(&json!({"error": {"message": "x"}}))]),
            "a",
            "failed",
        ),
        (
            "a page",
            Reply::whole(200, "text/html", "<html>"),
            "",
            "protocol",
        ),
        (
            "a proxy's page",
            Reply::whole(502, "text/html", "<html>"),
            "",
            "protocol",
        ),
        (
            "a wrong key",
            json(401, "{\"error\":{\"message\":\"bad key\"}}"),
            "",
            "failed",
        ),
        ("no such model", json(404, missing), "", "other"),
        (
            "old vLLM",
            json(400, "{\"object\":\"error\",\"message\":\"too long\"}"),
            "",
            "failed",
        ),
        (
            "FastAPI",
            json(422, "{\"detail\":[{\"msg\":\"field required\"}]}"),
            "",
            "failed",
        ),
        (
            "too many",
            json(429, "{\"error\":{\"message\":\"slow down\"}}"),
            "",
            "busy",
        ),
    ];
    let limits = Limits {
        first_byte: Duration::from_millis(200),
        stall: Duration::from_millis(200),
        ..Limits::default()
    };
    for (case, reply, expect, end) in cases {
        within(async {
            let (double, backend) = start(limits).await;
            double.next(COMPLETIONS, reply);
            let (said, result) = collect(backend.stream(request("a"))).await;
            assert_eq!(
                (said.as_str(), kind(&result)),
                (expect, end),
                "{case}: {result:?}"
            );
            assert!(!format!("{result:?}").contains("s3cret"), "{case}");
        })
        .await;
    }
}

#[tokio::test]
async fn vectors_come_in_the_order_of_their_texts() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        let vectors = json!({ "data": [
            { "index": 1, "embedding": [0.0, 2.0] },
            { "index": 0, "embedding": [3.0, 0.0] },
        ], "usage": { "prompt_tokens": 4 } });
        double.next("/v1/embeddings", Reply::json(&vectors));
        double.next("/v1/embeddings", Reply::json(&json!({ "data": [] })));
        let ask = || EmbedRequest {
            model: "e".to_owned(),
            texts: vec!["a".to_owned(), "b".to_owned()],
            priority: Priority::Embedding,
        };
        let embeddings = backend.embed(ask()).await.expect("vectors");
        assert_eq!(embeddings.vectors, [[1.0, 0.0], [0.0, 1.0]]);
        assert_eq!(embeddings.prompt_tokens, 4);
        let error = backend.embed(ask()).await.expect_err("too few");
        assert!(matches!(error, BackendError::Protocol { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_probe_lists_models_and_their_contexts() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        let models = json!({ "object": "list", "data": [
            { "id": "a", "max_model_len": 1000 }, { "id": "b", "meta": { "n_ctx": 4096 } }, { "id": "c" },
        ]});
        double.always("/v1/models", Reply::json(&models));
        let installed = backend.probe().await.expect("models");
        let names: Vec<_> = installed.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let contexts = ["a", "b", "c"].map(|model| backend.context_tokens(model));
        assert_eq!(contexts, [Some(1000), Some(4096), None]);
        assert_eq!(backend.prompt_budget().prefix_tokens, 400);
    })
    .await;
}

#[tokio::test]
async fn the_prompt_budget_follows_what_the_server_tells() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        assert_eq!(backend.prompt_budget(), PromptBudget::UNMEASURED);
        // As llama.cpp's server ends an answer.
        let end = json!({ "choices": [{ "text": "", "finish_reason": "length" }],
            "usage": { "prompt_tokens": 900, "completion_tokens": 1 },
            "timings": { "cache_n": 0, "prompt_n": 900, "prompt_ms": 30.0 } });
        double.next(COMPLETIONS, Reply::events([text("a"), event(&end), done()]));
        let cold = "let a = 1;\n".repeat(300);
        collect(backend.stream(request(&cold)))
            .await
            .1
            .expect("an answer");
        let budget = PromptBudget::at_speed(30_000.0);
        assert_eq!(backend.prompt_budget(), budget);

        // Answers that are cut tell about what they cost, and nothing that outweighs it.
        for begin in ["1", "2", "3", "4", "5", "6"] {
            double.next(COMPLETIONS, Reply::events([text("a"), Piece::Hang]));
            let mut stream = backend.stream(request(&begin.repeat(3_000)));
            let first = stream.next().await.expect("a chunk").expect("no error");
            assert!(
                matches!(
                    first,
                    Chunk::Prompt {
                        prompt_tokens: 1_000..1_020,
                        cached_tokens: None,
                        estimated: true
                    }
                ),
                "{first:?}"
            );
        }
        assert_eq!(backend.prompt_budget(), budget);
    })
    .await;
}

/// Neither the text nor the key goes where the settings do not say.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        let elsewhere = HttpDouble::start().await;
        let paths = ["/v1/completions", "/v1/models"];
        for path in paths {
            let to = format!("{}{path}", elsewhere.url());
            double.always(path, Reply::redirect(to));
        }
        let (_, end) = collect(backend.stream(request("secret"))).await;
        assert_eq!(kind(&end), "protocol", "{end:?}");
        let error = backend.probe().await.expect_err("no list");
        assert!(matches!(error, BackendError::Protocol { .. }), "{error:?}");
        for path in paths {
            assert_eq!(double.seen(path).len(), 1);
            assert!(elsewhere.seen(path).is_empty());
        }
    })
    .await;
}
