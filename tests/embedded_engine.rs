//! The in-process engine with real weights.
//!
//! `GHOSTLINE_TEST_WEIGHTS` names a GGUF file of Qwen2.5-Coder; the 0.5B is enough. Without it every
//! trial is marked ignored, and a line on stderr says how many were. Nothing here depends on time:
//! what a cancel saved is read from the engine's counters.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "skipped tests are announced")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use ghostline::backend::embedded::{Embedded, EmbeddedModel, EngineOptions, EngineState};
use ghostline::backend::{
    Backend, BackendError, Chunk, ChunkStream, Finish, Priority, Request, StopReason,
};
use ghostline::prompt::Segment;
use libtest_mimic::{Arguments, Failed, Trial};

const WEIGHTS: &str = "GHOSTLINE_TEST_WEIGHTS";
const MODEL: &str = "under-test";

/// A new prompt on the same line: what was typed, and the token the generation began with.
const TYPED_TOKENS: u32 = 8;

type Case = fn(&Path) -> Result<(), Failed>;

fn main() {
    let weights = std::env::var_os(WEIGHTS)
        .map(PathBuf::from)
        .filter(|path| path.is_file());
    let cases: &[(&str, Case)] = &[
        ("a_gap_is_filled", |weights| {
            on_runtime(a_gap_is_filled(weights))
        }),
        ("the_next_key_computes_little", |weights| {
            on_runtime(the_next_key_computes_little(weights))
        }),
        ("a_cancel_stops_and_leaves_a_valid_cache", |weights| {
            on_runtime(a_cancel_stops_and_leaves_a_valid_cache(weights))
        }),
        ("text_is_no_sentinel", |weights| {
            on_runtime(text_is_no_sentinel(weights))
        }),
        ("bad_files_are_load_errors", |weights| {
            on_runtime(bad_files_are_load_errors(weights))
        }),
        ("two_documents_keep_their_caches", |weights| {
            on_runtime(two_documents_keep_their_caches(weights))
        }),
        ("a_completion_goes_before_a_chat", |weights| {
            on_runtime(a_completion_goes_before_a_chat(weights))
        }),
        ("an_answer_ends_where_it_should", |weights| {
            on_runtime(an_answer_ends_where_it_should(weights))
        }),
        ("a_full_context_makes_room", |weights| {
            on_runtime(a_full_context_makes_room(weights))
        }),
        ("the_installed_model_is_described", |weights| {
            on_runtime(the_installed_model_is_described(weights))
        }),
        ("a_dropped_engine_ends_its_streams", |weights| {
            on_runtime(a_dropped_engine_ends_its_streams(weights))
        }),
    ];
    if weights.is_none() {
        eprintln!(
            "SKIPPED: {} tests of the in-process engine, because {WEIGHTS} names no file",
            cases.len()
        );
    }
    let trials = cases
        .iter()
        .map(|&(name, case)| {
            let path = weights.clone().unwrap_or_default();
            Trial::test(name, move || case(&path)).with_ignored_flag(weights.is_none())
        })
        .collect();
    let mut arguments = Arguments::from_args();
    // Each trial holds a model and its cache; one after the other is kind to a small machine.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}

fn on_runtime(case: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(case);
    Ok(())
}

fn engine(weights: &Path) -> Embedded {
    engine_with(
        weights,
        EngineOptions {
            context_tokens: 2048,
            ..EngineOptions::default()
        },
    )
}

fn engine_with(weights: &Path, options: EngineOptions) -> Embedded {
    let model = EmbeddedModel {
        name: MODEL.to_owned(),
        path: weights.to_owned(),
        digest: None,
    };
    Embedded::new("embedded", vec![model], options)
}

/// Line-anchored fill-in-the-middle: lines above, text below, the typed part of the line.
fn fim(prefix: &str, suffix: &str, typed: &str) -> Vec<Segment> {
    vec![
        Segment::Special("<|fim_prefix|>"),
        Segment::Text(prefix.to_owned()),
        Segment::Special("<|fim_suffix|>"),
        Segment::Text(suffix.to_owned()),
        Segment::Special("<|fim_middle|>"),
        Segment::Text(typed.to_owned()),
    ]
}

fn request(prompt: Vec<Segment>, max_tokens: u32) -> Request {
    Request {
        model: MODEL.to_owned(),
        prompt,
        max_tokens,
        stop: Vec::new(),
        priority: Priority::Completion,
    }
}

async fn collect(mut stream: ChunkStream) -> Result<(String, Finish), BackendError> {
    let mut text = String::new();
    while let Some(chunk) = stream.next().await {
        match chunk? {
            Chunk::Text(piece) => text.push_str(&piece),
            Chunk::Done(finish) => {
                assert!(stream.next().await.is_none(), "something follows the end");
                return Ok((text, finish));
            }
        }
    }
    panic!("the stream ended without its end");
}

async fn answer(engine: &Embedded, prompt: &[Segment], max_tokens: u32) -> (String, Finish) {
    collect(engine.stream(request(prompt.to_vec(), max_tokens)))
        .await
        .unwrap()
}

/// Prompt tokens that were computed.
fn computed(finish: &Finish) -> u32 {
    finish.prompt_tokens - finish.cached_tokens.unwrap()
}

/// About 350 tokens of code in which `name` occurs, so that two of them share no long prefix.
fn document(name: &str) -> String {
    use std::fmt::Write;

    let mut text = format!("//! The {name} module.\n\n");
    for number in 0..14 {
        writeln!(
            text,
            "/// Gives {name} number {number}.\npub fn {name}_{number}(a: i32) -> i32 {{\n    a + {number}\n}}\n"
        )
        .unwrap();
    }
    text
}

/// Waits until the engine has computed `tokens` more than `since`.
async fn computed_since(engine: &Embedded, since: u64, tokens: u64) {
    while engine.tokens_decoded() < since + tokens {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn a_gap_is_filled(weights: &Path) {
    let engine = engine(weights);
    let prompt = fim("fn add(a: i32, b: i32) -> i32 {\n", "\n}\n", "    ");
    let (text, finish) = answer(&engine, &prompt, 16).await;
    assert!(text.contains("a + b"), "{text:?}");
    assert!(!text.contains("<|"), "{text:?}");
    assert_eq!(finish.stop, StopReason::Stop);
    assert!(finish.load.is_some(), "the first request loads");
    assert_eq!(
        engine.state(),
        EngineState::Ready {
            model: MODEL.to_owned()
        }
    );
}

async fn the_next_key_computes_little(weights: &Path) {
    let reused = engine(weights);
    let above = document("widget");
    let mut typed = "pub fn total(a: i32) -> i32 {\n    ".to_owned();
    let (_, first) = answer(&reused, &fim(&above, "\n}\n", &typed), 8).await;
    assert!(first.prompt_tokens > 300, "{first:?}");
    for key in ["wid", "get_1(", "a)"] {
        typed.push_str(key);
        let prompt = fim(&above, "\n}\n", &typed);
        let (text, finish) = answer(&reused, &prompt, 8).await;
        assert!(computed(&finish) <= TYPED_TOKENS, "{finish:?}");
        assert_eq!(finish.load, None);
        let (fresh_text, fresh) = answer(&engine(weights), &prompt, 8).await;
        assert_eq!(fresh.cached_tokens, Some(0));
        assert_eq!(text, fresh_text, "reuse changed the answer");
    }
}

async fn a_cancel_stops_and_leaves_a_valid_cache(weights: &Path) {
    let prompt = fim(
        &document("gadget"),
        "\n}\n",
        "pub fn all(a: i32) -> i32 {\n    ",
    );
    let (expect, fresh) = answer(&engine(weights), &prompt, 24).await;
    assert!(fresh.generated_tokens > 8, "{fresh:?}");
    let prompt_tokens = u64::from(fresh.prompt_tokens);

    let in_the_prompt = prompt_tokens / 4;
    let in_the_answer = prompt_tokens + 4;
    for cancel_at in [in_the_prompt, in_the_answer] {
        let engine = engine(weights);
        engine.warm_up(MODEL).await.unwrap();
        let chunk_tokens = u64::try_from(engine.speed().unwrap().chunk_tokens).unwrap();
        let before = engine.tokens_decoded();
        let mut stream = engine.stream(request(prompt.clone(), 24));
        // The first poll sends the request.
        assert!(stream.next().now_or_never().is_none());
        computed_since(&engine, before, cancel_at).await;
        drop(stream);
        let at_cancel = engine.tokens_decoded();
        // Served by the same thread, so it ends after the cancelled one has.
        let (_, other) = answer(&engine, &fim("x", "y", "z"), 1).await;
        let wasted = engine.tokens_decoded() - at_cancel - u64::from(computed(&other));
        assert!(
            wasted <= chunk_tokens,
            "{wasted} tokens after the cancel, a chunk has {chunk_tokens}"
        );

        let (text, finish) = answer(&engine, &prompt, 24).await;
        assert_eq!(text, expect, "cancelled after {cancel_at} tokens");
        let cached = u64::from(finish.cached_tokens.unwrap());
        assert!(cached >= cancel_at.min(prompt_tokens - 1), "{finish:?}");
        assert!(
            cached <= cancel_at + 2 * chunk_tokens,
            "the cancel came too late: {finish:?}"
        );
    }
}

async fn text_is_no_sentinel(weights: &Path) {
    let engine = engine(weights);
    let sentinel = "<|fim_middle|>";
    let plain = |text: &str| vec![Segment::Text(text.to_owned())];
    let (_, as_text) = answer(&engine, &plain(sentinel), 1).await;
    let (_, as_special) = answer(&engine, &[Segment::Special("<|fim_middle|>")], 1).await;
    assert_eq!(as_special.prompt_tokens, 1);
    assert!(as_text.prompt_tokens > 3, "{as_text:?}");

    let unknown =
        collect(engine.stream(request(vec![Segment::Special("<no such token>")], 1))).await;
    let error = unknown.unwrap_err();
    assert!(matches!(error, BackendError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("<no such token>"), "{error}");
}

async fn bad_files_are_load_errors(weights: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(weights).unwrap();
    let truncated = |bytes: usize| whole.get(..bytes).unwrap().to_vec();
    let mut unknown_architecture = truncated(whole.len());
    let key = b"general.architecture";
    let at = whole
        .windows(key.len())
        .position(|window| window == key)
        .unwrap();
    // Behind the key: the value's type (4 bytes) and length (8 bytes).
    unknown_architecture[at + key.len() + 12] = b'?';
    let cases = [
        ("empty", Vec::new(), "not a GGUF file"),
        ("text", b"hello, weights".to_vec(), "not a GGUF file"),
        ("header", truncated(1000), "header"),
        ("half", truncated(whole.len() / 2), "cut short"),
        ("unknown", unknown_architecture, "architecture"),
    ];
    for (name, bytes, expect) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let engine = engine(&path);
        let error = collect(engine.stream(request(fim("a", "b", "c"), 1)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, BackendError::Load { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(expect), "{name}: {error}");
        assert!(
            matches!(engine.state(), EngineState::Failed { .. }),
            "{name}"
        );
        let error = engine.warm_up(MODEL).await.unwrap_err();
        assert!(error.to_string().contains(expect), "{name}: {error}");
        std::fs::remove_file(&path).unwrap();
    }

    let gone = engine(&folder.path().join("gone"));
    let error = gone.warm_up(MODEL).await.unwrap_err();
    assert!(matches!(error, BackendError::Load { .. }), "{error}");
    assert_eq!(gone.probe().await.unwrap(), []);
    let error = gone.warm_up("another").await.unwrap_err();
    assert!(
        matches!(error, BackendError::ModelMissing { .. }),
        "{error}"
    );
}

async fn two_documents_keep_their_caches(weights: &Path) {
    let engine = engine(weights);
    let prompts = ["widget", "gadget"].map(|name| fim(&document(name), "\n}\n", "pub fn "));
    let mut texts = Vec::new();
    for prompt in &prompts {
        let (text, finish) = answer(&engine, prompt, 4).await;
        assert!(computed(&finish) > 300, "{finish:?}");
        texts.push(text);
    }
    for _ in 0..2 {
        for (prompt, expect) in prompts.iter().zip(&texts) {
            let (text, finish) = answer(&engine, prompt, 4).await;
            assert_eq!(computed(&finish), 1, "{finish:?}");
            assert_eq!(text, *expect);
        }
    }
}

async fn a_completion_goes_before_a_chat(weights: &Path) {
    let question = vec![
        Segment::Special("<|im_start|>"),
        Segment::Text("user\nCount from one to forty in words.".to_owned()),
        Segment::Special("<|im_end|>"),
        Segment::Text("\n".to_owned()),
        Segment::Special("<|im_start|>"),
        Segment::Text("assistant\n".to_owned()),
    ];
    let chat = Request {
        priority: Priority::Chat,
        ..request(question, 80)
    };
    let (expect, alone) = collect(engine(weights).stream(chat.clone())).await.unwrap();
    assert!(alone.generated_tokens > 40, "{alone:?}");

    let engine = engine(weights);
    let mut running = engine.stream(chat);
    let Some(Ok(Chunk::Text(begun))) = running.next().await else {
        panic!("the chat does not begin")
    };
    let (_, completion) = answer(&engine, &fim("fn main() {\n", "\n}\n", "    print"), 8).await;
    // The chat's stream holds what was generated before the completion, and not the end.
    let mut before = begun.clone();
    while let Some(Some(Ok(Chunk::Text(piece)))) = running.next().now_or_never() {
        before.push_str(&piece);
    }
    assert!(
        before.len() < expect.len() / 2,
        "the chat was finished first: {before:?}"
    );
    assert!(completion.generated_tokens > 0);
    let (rest, finish) = collect(running).await.unwrap();
    assert_eq!(before + &rest, expect, "the interruption changed the chat");
    assert_eq!(
        finish,
        Finish {
            load: finish.load,
            ..alone
        }
    );
}

async fn an_answer_ends_where_it_should(weights: &Path) {
    let engine = engine(weights);
    let prompt = fim("fn add(a: i32, b: i32) -> i32 {\n", "\n}\n", "    ");
    let (whole, _) = answer(&engine, &prompt, 16).await;
    let (left, _) = whole.split_once('+').unwrap();
    let stopping = Request {
        stop: vec!["+ b".to_owned()],
        ..request(prompt.clone(), 16)
    };
    let (text, finish) = collect(engine.stream(stopping)).await.unwrap();
    assert_eq!((text.as_str(), finish.stop), (left, StopReason::Stop));

    let (text, finish) = answer(&engine, &prompt, 1).await;
    assert_eq!(
        (finish.stop, finish.generated_tokens),
        (StopReason::Length, 1)
    );
    assert!(whole.starts_with(&text), "{text:?}");
}

async fn a_full_context_makes_room(weights: &Path) {
    let small = EngineOptions {
        context_tokens: 512,
        ..EngineOptions::default()
    };
    let engine = engine_with(weights, small);
    let prompts = ["widget", "gadget", "sprocket"].map(|name| fim(&document(name), "", "pub fn "));
    let mut texts = Vec::new();
    for prompt in prompts.iter().chain(&prompts) {
        let (text, finish) = answer(&engine, prompt, 4).await;
        assert!(finish.prompt_tokens > 300, "two must not fit: {finish:?}");
        texts.push(text);
    }
    let (first, again) = texts.split_at(prompts.len());
    assert_eq!(first, again);

    let too_long = fim(&document("widget").repeat(2), "", "");
    let error = collect(engine.stream(request(too_long, 4)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the context 512"), "{error}");

    // An answer that does not fit ends at the context's end.
    let (_, finish) = answer(&engine, &[Segment::Text("1, 2, 3, 4, 5,".to_owned())], 4000).await;
    assert_eq!(finish.stop, StopReason::Length);
    assert!(finish.generated_tokens < 512, "{finish:?}");
}

async fn the_installed_model_is_described(weights: &Path) {
    let engine = engine(weights);
    for _ in 0..2 {
        let installed = engine.probe().await.unwrap();
        let [model] = installed.as_slice() else {
            panic!("{installed:?}")
        };
        assert_eq!(model.name, MODEL);
        assert_eq!(model.architecture.as_deref(), Some("qwen2"));
        assert_eq!(model.fim, Some(true));
        assert_eq!(model.quantization.as_deref(), Some("Q4_K_M"));
        assert_eq!(
            model.size_bytes,
            weights.metadata().ok().map(|file| file.len())
        );
    }
    assert_eq!(
        engine.state(),
        EngineState::Unloaded,
        "a probe loads nothing"
    );
    engine.set_models(Vec::new());
    assert_eq!(engine.probe().await.unwrap(), []);
}

async fn a_dropped_engine_ends_its_streams(weights: &Path) {
    let engine = engine(weights);
    let mut stream = engine.stream(request(fim(&document("widget"), "", "pub fn "), 400));
    assert!(matches!(stream.next().await, Some(Ok(Chunk::Text(_)))));
    drop(engine);
    let error = collect(stream).await.unwrap_err();
    assert!(matches!(error, BackendError::Interrupted { .. }), "{error}");
}
