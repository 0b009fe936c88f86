//! What comes out: the text, where it ends, what is a sentinel.

use std::path::Path;

use ghostline::backend::embedded::{Embedded, EngineState};
use ghostline::backend::{Backend, BackendError, Request, StopReason};
use ghostline::prompt::Segment;

use crate::support::{MODEL, answer, collect, engine, fim, request};

pub(crate) async fn a_gap_is_filled(weights: &Path) {
    let engine = engine(weights);
    let prompt = fim("fn add(a: i32, b: i32) -> i32 {\n", "\n}\n", "    ");
    let (text, finish) = answer(&engine, &prompt, 16).await;
    assert!(text.contains("a + b"), "{text:?}");
    assert!(finish.load.is_some(), "the first request loads");
    assert_eq!(engine.state(MODEL), EngineState::Ready);
}

pub(crate) async fn text_is_no_sentinel(weights: &Path) {
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

pub(crate) async fn an_answer_ends_where_it_should(weights: &Path) {
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

    ends_by_itself(&engine).await;
}

/// The model's own end token, which is not a part of the text.
async fn ends_by_itself(engine: &Embedded) {
    let question = [
        Segment::Special("<|im_start|>"),
        Segment::Text("user\nIs Rust a language? Answer with one word.".to_owned()),
        Segment::Special("<|im_end|>"),
        Segment::Text("\n".to_owned()),
        Segment::Special("<|im_start|>"),
        Segment::Text("assistant\n".to_owned()),
    ];
    let (text, finish) = answer(engine, &question, 40).await;
    assert_eq!(finish.stop, StopReason::Stop, "{text:?}");
    assert!(text.contains("Yes") && !text.contains("<|"), "{text:?}");
}
