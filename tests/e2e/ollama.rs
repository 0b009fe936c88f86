//! The Ollama backend against the scripted Ollama: requests and cancelling. `loads`, `faults`
//! and `outages` have the rest.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use ghostline::backend::ollama::{KeepAlive, Ollama, OllamaOptions};
use ghostline::backend::{
    Backend, BackendError, Chunk, ChunkStream, Finish, Limits, Priority, Request, StopReason,
};
use ghostline::prompt::Segment;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::ollama_double::{Answer, Config, End, Model, OllamaDouble, Step};

mod conversations;
mod faults;
mod loads;
mod memory;
mod metadata;
mod outages;
mod speed;

const MODEL: &str = "qwen2.5-coder:1.5b";

/// A test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, test)
        .await
        .expect("the test hangs")
}

async fn start(config: Config) -> (OllamaDouble, Ollama) {
    let double = OllamaDouble::start(config).await.expect("a free port");
    let backend = backend(&double, OllamaOptions::default());
    (double, backend)
}

fn backend(double: &OllamaDouble, options: OllamaOptions) -> Ollama {
    Ollama::new("ollama", &double.url(), options).expect("a good address")
}

fn request(prefix: &str) -> Request {
    Request {
        model: MODEL.to_owned(),
        prompt: vec![
            Segment::Special("<|fim_prefix|>"),
            Segment::Text(prefix.to_owned()),
            Segment::Special("<|fim_suffix|>"),
            Segment::Special("<|fim_middle|>"),
        ]
        .into(),
        max_tokens: 64,
        stop: vec!["<|endoftext|>".to_owned()],
        priority: Priority::Completion,
    }
}

/// The whole text and how it ended. Nothing may follow the end.
async fn collect(mut stream: ChunkStream) -> (String, Result<Finish, BackendError>) {
    let mut text = String::new();
    let end = loop {
        match stream
            .next()
            .await
            .expect("a stream ends in Done or an error")
        {
            Ok(Chunk::Text(piece)) => text.push_str(&piece),
            Ok(Chunk::Prompt { .. } | Chunk::Thinking(_)) => {}
            Ok(Chunk::Done(finish)) => break Ok(finish),
            Err(error) => break Err(error),
        }
    };
    assert!(stream.next().await.is_none(), "something follows the end");
    (text, end)
}

#[tokio::test]
async fn text_streams_and_ends_with_counts() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        double.answer(Answer::text("if a < b && c > \"é日🦀\" {"));
        let (text, end) = collect(backend.stream(request("fn f() "))).await;
        assert_eq!(text, "if a < b && c > \"é日🦀\" {");
        let finish = end.expect("a good answer");
        assert_eq!(finish.stop, StopReason::Stop);
        assert_eq!(finish.generated_tokens, 6);
        assert!(finish.prompt_tokens > 0);
        let log = double.log();
        let seen = log.requests.last().expect("a request");
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            ("POST", "/api/generate")
        );
        assert_eq!(
            seen.body,
            json!({
                "model": MODEL, "raw": true, "stream": true, "keep_alive": -1,
                "prompt": "<|fim_prefix|>fn f() <|fim_suffix|><|fim_middle|>",
                "options": {
                    "num_ctx": 4096, "temperature": 0.0, "repeat_penalty": 1.0,
                    "num_predict": 64, "stop": ["<|endoftext|>"],
                },
            })
        );
    })
    .await;
}

#[tokio::test]
async fn limits_and_stops_are_the_servers() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        double.answer_with(|_| Answer::text("0123456789abcdef"));
        let cases = [
            (2, "x", "01234567", StopReason::Length),
            (64, "ab", "0123456789", StopReason::Stop),
            (0, "x", "0123", StopReason::Length),
        ];
        for (max_tokens, stop, expect, reason) in cases {
            let request = Request {
                max_tokens,
                stop: vec![stop.to_owned()],
                ..request("a")
            };
            let (text, end) = collect(backend.stream(request)).await;
            assert_eq!(text, expect);
            assert_eq!(end.expect("a good answer").stop, reason);
        }
    })
    .await;
}

#[tokio::test]
async fn installed_models_are_listed_whatever_the_version_leaves_out() {
    within(async {
        let mut old = Model::new("old:latest");
        old.details = Value::Null;
        old.capabilities = None;
        let config = Config {
            models: vec![Model::new(MODEL), old],
            ..Config::default()
        };
        let (_double, backend) = start(config).await;
        let models = backend.probe().await.expect("a list");
        let seen: Vec<_> = models
            .iter()
            .map(|model| {
                (
                    model.name.as_str(),
                    model.digest.as_deref(),
                    model.quantization.as_deref(),
                    model.architecture.as_deref(),
                    model.fim,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (
                    MODEL,
                    Some("sha256:qwen2.5-coder:1.5b"),
                    Some("Q4_K_M"),
                    Some("qwen2"),
                    Some(true)
                ),
                // What the list leaves out, the model says itself.
                (
                    "old:latest",
                    Some("sha256:old:latest"),
                    None,
                    Some("qwen2"),
                    Some(true)
                ),
            ]
        );
        assert_eq!(backend.version().as_deref(), Some("0.33.0"));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_sent_before_the_first_poll() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        drop(backend.stream(request("never")));
        drop(backend.warm_up(MODEL));
        collect(backend.stream(request("sent")))
            .await
            .1
            .expect("an answer");
        let log = double.log();
        assert!(
            !log.generations()
                .any(|seen| seen.prompt().is_some_and(|text| text.contains("never")))
        );
        assert_eq!(log.requests.len(), 4, "load, heat, measurement, generation");
    })
    .await;
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let token = || Step::Token("a".to_owned());
    let cases = [
        ("between tokens", Answer::steps([token(), Step::Hang]), 2),
        ("before the first byte", Answer::steps([Step::Hang]), 0),
        (
            "within a line",
            Answer::steps([token(), Step::Bytes(b"{\"resp".into()), Step::Hang]),
            2,
        ),
    ];
    // With the estimate of what the prompt costs.
    for (case, answer, chunks) in cases {
        within(async {
            let (double, backend) = start(Config::default()).await;
            backend.warm_up(MODEL).await.expect("a load");
            double.answer(answer);
            let mut stream = backend.stream(request("a"));
            for _ in 0..chunks {
                stream.next().await.expect("a chunk").expect("no error");
            }
            // The rest never comes; poll until the server has the request.
            tokio::select! {
                item = stream.next() => panic!("{case}: {item:?}"),
                _ = double.wait_for(|log| log.generations().count() == 3) => {}
            }
            drop(stream);
            let log = double
                .wait_for(|log| log.ended(End::Disconnected) == 1)
                .await;
            assert_eq!(
                log.requests.last().expect("a request").end,
                Some(End::Disconnected),
                "{case}"
            );
            // And the model is free for the next one.
            collect(backend.stream(request("b")))
                .await
                .1
                .expect("an answer");
        })
        .await;
    }
}

#[tokio::test]
async fn one_request_at_a_time_and_a_dropped_one_never_runs() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        backend.warm_up(MODEL).await.expect("a load");
        let gate = Arc::new(Semaphore::new(0));
        double.answer(Answer::steps([
            Step::Token("held".to_owned()),
            Step::Gate(Arc::clone(&gate)),
            Step::Done(String::new()),
        ]));
        let mut held = backend.stream(request("held"));
        held.next().await.expect("a chunk").expect("text");
        let mut dropped = backend.stream(request("dropped"));
        // Polled, so it stands in the queue, before the others.
        assert!(futures_util::poll!(dropped.next()).is_pending());
        let waiting: Vec<_> = ["third", "fourth"]
            .map(|text| tokio::spawn(collect(backend.stream(request(text)))))
            .into();
        // Time in which a request that does not wait would have arrived.
        for _ in 0..10 {
            assert!(futures_util::poll!(dropped.next()).is_pending());
            backend.probe().await.expect("a list");
        }
        drop(dropped);
        gate.add_permits(1);
        collect(held).await.1.expect("an answer");
        for waiting in waiting {
            waiting.await.expect("no panic").1.expect("an answer");
        }
        let log = double.log();
        assert_eq!(log.most_in_flight, 1);
        let prompts: Vec<_> = log.generations().filter_map(|seen| seen.prompt()).collect();
        assert!(
            !prompts.iter().any(|text| text.contains("dropped")),
            "{prompts:?}"
        );
        assert_eq!(prompts.len(), 5, "heat, measurement, held, third, fourth");
    })
    .await;
}

#[tokio::test]
async fn two_models_run_side_by_side() {
    within(async {
        let config = Config {
            models: vec![Model::new(MODEL), Model::new("other:latest")],
            ..Config::default()
        };
        let (double, backend) = start(config).await;
        double.answer_with(|body| match body["model"].as_str() {
            Some(MODEL) => Answer::steps([Step::Token("a".to_owned()), Step::Hang]),
            _ => Answer::text("b"),
        });
        let mut held = backend.stream(request("a"));
        held.next().await.expect("a chunk").expect("text");
        let other = Request {
            model: "other".to_owned(),
            ..request("b")
        };
        let (text, end) = collect(backend.stream(other)).await;
        end.expect("an answer");
        assert_eq!(text, "b");
    })
    .await;
}

#[tokio::test]
async fn every_request_sends_the_same_options() {
    within(async {
        let (double, _) = start(Config::default()).await;
        let keep_alive = KeepAlive::For(Duration::from_mins(30));
        let options = OllamaOptions {
            num_ctx: 8192,
            keep_alive,
            ..OllamaOptions::default()
        };
        let backend = backend(&double, options);
        backend.warm_up(MODEL).await.expect("a load");
        for (max_tokens, stop) in [
            (1, vec![]),
            (64, vec!["a".to_owned()]),
            (7, vec!["\n".to_owned()]),
        ] {
            let request = Request {
                max_tokens,
                stop,
                ..request("x")
            };
            collect(backend.stream(request)).await.1.expect("an answer");
        }
        backend.warm_up(MODEL).await.expect("still there");
        let log = double.log();
        assert_eq!(log.loads_started, 1);
        let frozen: Vec<_> = log
            .requests
            .iter()
            .map(|seen| {
                let mut options = seen.body["options"].clone();
                let fields = options.as_object_mut().expect("options");
                fields.remove("num_predict");
                fields.remove("stop");
                (seen.body["keep_alive"].clone(), options)
            })
            .collect();
        assert_eq!(frozen.len(), 6, "load, heat, three generations, load");
        let expect = json!({"num_ctx": 8192, "temperature": 0.0, "repeat_penalty": 1.0});
        for seen in frozen {
            assert_eq!(seen, (json!(1800), expect.clone()));
        }
    })
    .await;
}

#[tokio::test]
async fn connections_are_kept_though_the_body_ends_after_the_closing_line() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        let gate = Arc::new(Semaphore::new(0));
        for _ in 0..20 {
            double.answer(Answer::steps([
                Step::Token("a".to_owned()),
                Step::Done(String::new()),
                Step::Gate(Arc::clone(&gate)),
            ]));
            let (_, end) = collect(backend.stream(request("a"))).await;
            end.expect("an answer");
            gate.add_permits(1);
            backend.probe().await.expect("a list");
        }
        // One for the stream, two for the probe, and a few that were not back in time; one for each
        // answer would be over 20.
        let connections = double.log().connections;
        assert!(connections <= 8, "{connections} connections");
    })
    .await;
}
