//! Who goes first, who is refused, what ends with the engine.

use std::path::Path;

use futures_util::{FutureExt, StreamExt};
use ghostline::backend::{Backend, BackendError, Chunk, Finish, Priority, Request};
use ghostline::prompt::Segment;

use crate::support::{answer, collect, document, engine, fim, first_text, request};

pub(crate) async fn a_completion_goes_before_a_chat(weights: &Path) {
    // It counts on for ever.
    let numbers = vec![Segment::Text("1, 2, 3, 4, 5, 6, 7, 8,".to_owned())];
    let chat = Request {
        priority: Priority::Chat,
        ..request(numbers, 80)
    };
    let (expect, alone) = collect(engine(weights).stream(chat.clone())).await.unwrap();
    assert_eq!(alone.generated_tokens, 80, "{alone:?}");

    let engine = engine(weights);
    let mut running = engine.stream(chat);
    let begun = first_text(&mut running).await;
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

pub(crate) async fn a_full_queue_is_busy(weights: &Path) {
    let engine = engine(weights);
    let mut running = engine.stream(request(vec![Segment::Text("1, 2, 3, 4,".to_owned())], 1000));
    first_text(&mut running).await;
    let mut waiting = Vec::new();
    let refused = loop {
        let mut stream = engine.stream(request(fim("a", "b", "c"), 1));
        match stream.next().now_or_never() {
            None => waiting.push(stream),
            Some(first) => break first,
        }
        assert!(waiting.len() < 1000, "nothing bounds the queue");
    };
    assert!(
        matches!(refused, Some(Err(BackendError::Busy { .. }))),
        "{refused:?}"
    );
    // Who gave up takes no place.
    drop((running, waiting));
    answer(&engine, &fim("a", "b", "c"), 1).await;
}

pub(crate) async fn a_dropped_engine_ends_its_streams(weights: &Path) {
    let engine = engine(weights);
    let mut stream = engine.stream(request(fim(&document("widget"), "", "pub fn "), 400));
    first_text(&mut stream).await;
    drop(engine);
    let error = collect(stream).await.unwrap_err();
    assert!(matches!(error, BackendError::Interrupted { .. }), "{error}");
}
