//! What the tests with real weights share: a prompt, the answer as a whole, a runtime for each case.

use futures_util::StreamExt;
use ghostline::backend::{BackendError, Chunk, ChunkStream, Finish};
use ghostline::prompt::Segment;
use libtest_mimic::Failed;

/// Line-anchored fill-in-the-middle: lines above, text below, the typed part of the line.
pub(crate) fn gap(above: &str, below: &str, typed: &str) -> Vec<Segment> {
    vec![
        Segment::Special("<|fim_prefix|>"),
        Segment::Text(above.to_owned()),
        Segment::Special("<|fim_suffix|>"),
        Segment::Text(below.to_owned()),
        Segment::Special("<|fim_middle|>"),
        Segment::Text(typed.to_owned()),
    ]
}

/// The whole text and its end. Nothing may follow the end.
pub(crate) async fn collect(mut stream: ChunkStream) -> Result<(String, Finish), BackendError> {
    let mut text = String::new();
    while let Some(chunk) = stream.next().await {
        match chunk? {
            Chunk::Prompt { .. } | Chunk::Thinking(_) => {}
            Chunk::Text(piece) => text.push_str(&piece),
            Chunk::Done(finish) => {
                assert!(stream.next().await.is_none(), "something follows the end");
                return Ok((text, finish));
            }
        }
    }
    panic!("the stream ended without its end");
}

/// Runs a case to its end.
pub(crate) fn on_runtime(case: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(case);
    Ok(())
}
