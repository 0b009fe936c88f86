//! The backend for llama.cpp's server against scripted bytes: what is asked, and every way an answer
//! can go wrong. `tests/http_servers` has the real server.

use std::time::Duration;

use futures_util::StreamExt;
use ghostline::backend::llama_server::LlamaServer;
use ghostline::backend::{
    Backend, BackendError, Chunk, ChunkStream, Finish, Limits, Priority, Prompt, PromptBudget,
    Request, StopReason,
};
use ghostline::prompt::Segment;
use serde_json::{Value, json};

use crate::support::http_double::{HttpDouble, Piece, Reply};

const MODEL: &str = "qwen2.5-coder-1.5b";
const PATH: &str = "/completion";

/// A test that takes longer hangs.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), test)
        .await
        .expect("the test hangs")
}

async fn start(limits: Limits) -> (HttpDouble, LlamaServer) {
    let double = HttpDouble::start().await;
    let key = Some("s3cret".to_owned());
    let backend = LlamaServer::new("llama", &double.url(), key, limits).expect("a good address");
    (double, backend)
}

pub(crate) fn request(text: &str) -> Request {
    Request {
        model: MODEL.to_owned(),
        prompt: Prompt::Fim(vec![
            Segment::Special("<|fim_prefix|>"),
            Segment::Text(text.to_owned()),
            Segment::Special("<|fim_middle|>"),
        ]),
        max_tokens: 0,
        stop: vec!["<|endoftext|>".to_owned()],
        priority: Priority::Completion,
    }
}

fn event(value: &Value) -> Piece {
    Piece::Bytes(format!("data: {value}\n\n").into_bytes())
}

fn token(text: &str) -> Piece {
    event(&json!({ "content": text, "stop": false }))
}

fn stop() -> Piece {
    event(&json!({
        "content": "", "stop": true, "stop_type": "limit", "tokens_evaluated": 12,
        "timings": { "cache_n": 4, "prompt_n": 8, "predicted_n": 2 },
    }))
}

pub(crate) async fn collect(mut stream: ChunkStream) -> (String, Result<Finish, BackendError>) {
    let mut text = String::new();
    loop {
        match stream.next().await.expect("an end") {
            Ok(Chunk::Text(piece)) => text.push_str(&piece),
            Ok(Chunk::Prompt { .. } | Chunk::Thinking(_)) => {}
            end => {
                assert!(stream.next().await.is_none(), "something follows the end");
                return (
                    text,
                    end.map(|chunk| match chunk {
                        Chunk::Done(finish) => finish,
                        other => panic!("{other:?}"),
                    }),
                );
            }
        }
    }
}

#[tokio::test]
async fn a_completion_is_asked_for_as_the_server_wants_it() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        for _ in 0..2 {
            double.next(PATH, Reply::events([token("a é"), token("日"), stop()]));
            let (text, end) = collect(backend.stream(request("fn f() "))).await;
            assert_eq!(text, "a é日");
            let end = end.expect("an answer");
            assert_eq!(end.stop, StopReason::Length);
            assert_eq!((end.prompt_tokens, end.cached_tokens), (12, Some(4)));
            assert_eq!(end.generated_tokens, 2);
        }
        let seen = double.seen(PATH);
        assert_eq!(seen[0].headers["authorization"], "Bearer s3cret");
        assert_eq!(
            seen[0].body,
            json!({
                "prompt": "<|fim_prefix|>fn f() <|fim_middle|>",
                "n_predict": 1, "stop": ["<|endoftext|>"], "stream": true, "cache_prompt": true,
                "temperature": 0.0, "top_k": 1, "samplers": ["top_k"], "repeat_penalty": 1.0,
                "t_max_predict_ms": 10000, "timings_per_token": true,
                "response_fields": [
                    "content", "stop", "stop_type", "timings", "tokens_evaluated", "tokens_predicted",
                ],
            })
        );
        assert_eq!(seen[0].connection, seen[1].connection, "kept alive");
    })
    .await;
}

#[tokio::test]
async fn text_that_looks_like_a_sentinel_goes_as_tokens() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        double.always("/tokenize", Reply::json(&json!({ "tokens": [7, 8] })));
        double.next(PATH, Reply::events([stop()]));
        collect(backend.stream(request("x <|fim_suffix|>")))
            .await
            .1
            .expect("an answer");
        let tokenize = &double.seen("/tokenize")[0].body;
        assert_eq!(
            *tokenize,
            json!({ "content": "x <|fim_suffix|>", "add_special": false, "parse_special": false })
        );
        assert_eq!(
            double.seen(PATH)[0].body["prompt"],
            json!(["<|fim_prefix|>", 7, 8, "<|fim_middle|>"])
        );
    })
    .await;
}

/// The variant's name, for tables.
pub(crate) fn kind(end: &Result<Finish, BackendError>) -> &'static str {
    match end {
        Ok(_) => "done",
        Err(BackendError::Unreachable { .. }) => "unreachable",
        Err(BackendError::Busy { .. }) => "busy",
        Err(BackendError::Failed { .. }) => "failed",
        Err(BackendError::Protocol { .. }) => "protocol",
        Err(BackendError::Interrupted { .. }) => "interrupted",
        Err(_) => "other",
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of faults")]
async fn every_fault_ends_in_an_answer_or_an_error() {
    let bytes = |bytes: &[u8]| Piece::Bytes(bytes.to_vec());
    let whole = "data: {\"content\":\"日🦀\"}\n\n".as_bytes();
    let (half, rest) = whole.split_at(19);
    let page = |status| Reply::whole(status, "text/html", "<html>hello</html>");
    let json = |status, body: &str| Reply::whole(status, "application/json", body);
    let mut long = b"data: {\"content\":\"".to_vec();
    long.resize(8 << 20, b'x');
    let cases = [
        (
            "half a character",
            Reply::events([bytes(half), bytes(rest), stop()]),
            "日🦀",
            "done",
        ),
        (
            "CRLF",
            Reply::events([bytes(b"data: {\"content\":\"a\"}\r\n\r\n"), stop()]),
            "a",
            "done",
        ),
        (
            "no last blank line",
            Reply::events([token("a"), bytes(b"data: {\"stop\":true}")]),
            "a",
            "done",
        ),
        ("no end", Reply::events([token("a")]), "a", "interrupted"),
        (
            "cut in an event",
            Reply::events([token("a"), bytes(b"data: {\"con")]),
            "a",
            "interrupted",
        ),
        (
            "reset",
            Reply::events([token("a"), Piece::Reset]),
            "a",
            "interrupted",
        ),
        (
            "a stall",
            Reply::events([token("a"), Piece::Hang]),
            "a",
            "interrupted",
        ),
        (
            "no first byte",
            Reply::events([Piece::Hang]),
            "",
            "interrupted",
        ),
        (
            "8 MB without an end",
            Reply::events([bytes(&long)]),
            "",
            "protocol",
        ),
        (
            "nonsense",
            Reply::events([bytes(b"data: hello\n\n")]),
            "",
            "protocol",
        ),
        ("an empty body", Reply::events([bytes(b"")]), "", "protocol"),
        (
            "an error within",
            Reply::events([
                token("a"),
                bytes(b"data: {\"error\":{\"message\":\"x\"}}\n\n"),
            ]),
            "a",
            "failed",
        ),
        (
            "an old error within",
            Reply::events([bytes(b"error: {\"message\":\"x\"}\n\n")]),
            "",
            "failed",
        ),
        ("a page", page(200), "", "protocol"),
        ("a proxy's page", page(502), "", "protocol"),
        (
            "loading",
            json(
                503,
                "{\"error\":{\"code\":503,\"message\":\"Loading model\"}}",
            ),
            "",
            "busy",
        ),
        (
            "too long",
            json(400, "{\"error\":{\"message\":\"exceeds the context\"}}"),
            "",
            "failed",
        ),
        (
            "a wrong key",
            json(401, "{\"error\":{\"message\":\"Invalid API Key\"}}"),
            "",
            "failed",
        ),
        ("not there", json(404, ""), "", "protocol"),
    ];
    let limits = Limits {
        first_byte: Duration::from_millis(200),
        stall: Duration::from_millis(200),
        ..Limits::default()
    };
    for (case, reply, expect, end) in cases {
        within(async {
            let (double, backend) = start(limits).await;
            double.next(PATH, reply);
            let (text, result) = collect(backend.stream(request("a"))).await;
            assert_eq!(
                (text.as_str(), kind(&result)),
                (expect, end),
                "{case}: {result:?}"
            );
            let shown = format!("{result:?}");
            assert!(
                !shown.contains("s3cret") && !shown.contains("html"),
                "{case}: {shown}"
            );
            // Whatever it was, the slot is free again.
            double.next(PATH, Reply::events([stop()]));
            let (_, result) = collect(backend.stream(request("a"))).await;
            assert_eq!(kind(&result), "done", "after {case}: {result:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_dropped_stream_closes_its_connection_and_frees_its_slot() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        for reply in [
            Reply::events([Piece::Hang]),
            Reply::events([token("a"), Piece::Hang]),
        ] {
            let seen = double.seen(PATH).len();
            double.next(PATH, reply);
            let mut stream = backend.stream(request("a"));
            let read = async { while stream.next().await.is_some() {} };
            let came = async {
                while double.seen(PATH).len() == seen {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = read => panic!("it hangs"),
                () = came => {}
            }
            drop(stream);
        }
        double.wait_left(2).await;
        double.next(PATH, Reply::events([stop()]));
        collect(backend.stream(request("a")))
            .await
            .1
            .expect("an answer");
    })
    .await;
}

#[tokio::test]
async fn the_prompt_budget_follows_the_servers_speed() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        double.always("/health", Reply::json(&json!({ "status": "ok" })));
        assert_eq!(backend.prompt_budget(), PromptBudget::UNMEASURED);
        let timings = |tokens: u32, ms: f64| {
            json!({ "content": "a", "stop": true,
                "timings": { "cache_n": 0, "prompt_n": tokens, "prompt_ms": ms, "predicted_n": 1 } })
        };
        // A server that cannot be measured is one all the same.
        double.next(PATH, Reply::whole(500, "application/json", "{}"));
        backend.warm_up(MODEL).await.expect("it is ready");
        double.next(PATH, Reply::json(&timings(96, 2_000.0)));
        backend.warm_up(MODEL).await.expect("it is ready");
        assert_eq!(backend.prompt_budget(), PromptBudget::SMALLEST);
        backend.warm_up(MODEL).await.expect("it is ready");
        let measured = double.seen(PATH);
        assert_eq!(measured.len(), 2, "once it is known nobody measures");
        assert_eq!(measured[1].body["cache_prompt"], false);

        // A completion that is cut early tells what its prompt cost.
        let first = json!({ "content": "a", "stop": false,
            "timings": { "cache_n": 100, "prompt_n": 900, "prompt_ms": 30.0, "predicted_n": 1 } });
        for _ in 0..20 {
            double.next(PATH, Reply::events([event(&first), Piece::Hang]));
            let mut stream = backend.stream(request("fn f() "));
            let cost = stream.next().await.expect("a chunk").expect("no error");
            let expect = Chunk::Prompt {
                prompt_tokens: 1_000,
                cached_tokens: Some(100),
                estimated: false,
            };
            assert_eq!(cost, expect);
        }
        assert_eq!(
            backend.prompt_budget(),
            PromptBudget::at_speed(900.0 / 0.03)
        );
    })
    .await;
}

#[tokio::test]
async fn a_probe_tells_the_model_its_slots_and_whether_it_fills_in() {
    within(async {
        let (double, backend) = start(Limits::default()).await;
        let loading = "{\"error\":{\"code\":503,\"message\":\"Loading model\"}}";
        double.next("/health", Reply::whole(503, "application/json", loading));
        assert!(matches!(
            backend.probe().await,
            Err(BackendError::Busy { .. })
        ));
        assert!(double.seen("/props").is_empty());

        double.always("/health", Reply::json(&json!({ "status": "ok" })));
        let props = |path: &str| {
            Reply::json(&json!({
                "total_slots": 2, "model_path": path, "model_ftype": "Q4_K - Medium",
                "default_generation_settings": { "n_ctx": 1000 },
            }))
        };
        double.always("/props", props("/m/qwen2.5-coder-1.5b.gguf"));
        double.always("/tokenize", Reply::json(&json!({ "tokens": [1] })));
        for _ in 0..2 {
            let models = backend.probe().await.expect("a model");
            assert_eq!(models[0].name, MODEL);
            assert_eq!(models[0].fim, Some(true));
            assert_eq!(models[0].quantization.as_deref(), Some("Q4_K - Medium"));
        }
        assert_eq!(double.seen("/tokenize").len(), 3, "once for each sentinel");
        assert_eq!(backend.prompt_budget().prefix_tokens, 400);

        // Another model was started there, one that splits the sentinels.
        double.always("/props", props("/m/llama3.gguf"));
        double.always("/tokenize", Reply::json(&json!({ "tokens": [1, 2] })));
        let models = backend.probe().await.expect("a model");
        assert_eq!(
            (models[0].name.as_str(), models[0].fim),
            ("llama3", Some(false))
        );
    })
    .await;
}
