//! Filling the cache ahead of need, and that ten thousand requests leave nothing behind.

use std::path::Path;

use futures_util::{FutureExt, StreamExt};
use ghostline::backend::embedded::Splicing;
use ghostline::backend::{Backend, Chunk, Priority, Request};
use ghostline::prompt::Segment;

use crate::support::{
    MODEL, answer, collect, computed, document, engine, engine_splicing, fim, first_text, request,
};

pub(crate) async fn a_prefilled_prompt_is_cached(weights: &Path) {
    let engine = engine(weights);
    let prompt = fim("fn add(a: i32, b: i32) -> i32 {\n", "\n}\n", "    a");
    let steps = engine.steps_decoded();
    engine.prefill(request(prompt.clone(), 8)).await.unwrap();
    let filling = engine.steps_decoded() - steps;
    engine.prefill(request(prompt.clone(), 8)).await.unwrap();
    assert_eq!(
        engine.steps_decoded() - steps,
        filling,
        "it was there already"
    );
    let (text, finish) = answer(&engine, &prompt, 8).await;
    // The last token, and one of the typed part that is taken back and spelled again.
    assert!(computed(&finish) <= 2, "{finish:?}");
    assert!(text.contains("+ b"), "{text:?}");
}

/// A warm-up's first step is computed when the request comes that begins like it, and is not lost. The engine's
/// thread may be held up before that step, so that there is none yet to go on: such an attempt tells nothing.
pub(crate) async fn a_step_goes_on_for_who_needs_it(weights: &Path) {
    const ATTEMPTS: usize = 5;
    let typed = fim(&document("widget"), "\n}\n", "pub fn ");
    let (expect, _) = answer(&engine(weights), &typed, 8).await;
    for (warmed, serves) in [("widget", true), ("gadget", false)] {
        let mut served = false;
        for _ in 0..ATTEMPTS {
            let (text, is_served) = follow_a_warm_up(weights, warmed, &typed).await;
            assert_eq!(text, expect, "{warmed}");
            served = is_served;
            if served || !serves {
                break;
            }
        }
        assert_eq!(served, serves, "{warmed}");
    }
}

/// The answer to a prompt that is asked for as soon as a warm-up for the document `warmed` has begun, and
/// whether it was given the warm-up's first step.
async fn follow_a_warm_up(weights: &Path, warmed: &str, typed: &[Segment]) -> (String, bool) {
    let engine = engine(weights);
    engine.warm_up(MODEL).await.unwrap();
    let chunk_tokens = engine.speed(MODEL).unwrap().chunk_tokens;
    let mut warming = engine.stream(Request {
        priority: Priority::WarmUp,
        ..request(fim(&document(warmed), "\n}\n", ""), 1)
    });
    // Told right before the first step.
    let begun = warming.next().await.unwrap().unwrap();
    assert!(matches!(begun, Chunk::Prompt { .. }), "{begun:?}");
    // The first poll sends the request.
    let mut stream = engine.stream(request(typed.to_vec(), 8));
    assert!(stream.next().now_or_never().is_none(), "{warmed}");
    drop(warming);
    let (text, finish) = collect(stream).await.unwrap();
    let cached_tokens = finish.cached_tokens.unwrap() as usize;
    (text, cached_tokens >= chunk_tokens)
}

/// Steps of the chat's prompt are broken off again and again; it gets to its end all the same.
pub(crate) async fn a_prompt_survives_many_completions(weights: &Path) {
    let chat = Request {
        priority: Priority::Chat,
        ..request(fim(&document("widget"), "\n", "pub fn"), 12)
    };
    let (expect, _) = collect(engine(weights).stream(chat.clone())).await.unwrap();
    let engine = engine_splicing(weights, Splicing::Off);
    let typed = fim("fn add(a: i32, b: i32) -> i32 {\n", "\n}\n", "    a");
    let (add, _) = answer(&engine, &typed, 2).await;
    let mut running = engine.stream(chat);
    let completions = async {
        for _ in 0..8 {
            let (text, finish) = answer(&engine, &typed, 2).await;
            assert_eq!((text, computed(&finish)), (add.clone(), 1));
            tokio::task::yield_now().await;
        }
    };
    let (begun, ()) = futures_util::join!(first_text(&mut running), completions);
    let (rest, _) = collect(running).await.unwrap();
    assert_eq!(begun + &rest, expect);
}

/// Mebibytes of memory that this process has; `None` where the system does not tell.
fn resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes >> 10)
}

/// What a leak of one kilobyte per request would come to, is more than what may be added.
pub(crate) async fn ten_thousand_requests_leave_nothing_behind(weights: &Path) {
    let engine = engine_splicing(weights, Splicing::Unrefreshed);
    let below = "pub fn width() -> i32 {\n    widget_1(2) + gadget_3(4) - sprocket_5(6)\n}\n";
    let prompt = |lines: usize| fim(&"let a = b;\n".repeat(lines), below, "    le");
    let mut after_warming = None;
    for number in 0..10_000_usize {
        let lines = number / 50 % 3;
        if number % 500 == 0 {
            answer(&engine, &prompt(lines), 1).await;
        } else if number % 50 == 7 {
            drop(engine.stream(request(prompt(lines), 1)));
        } else {
            let fill = request(prompt(lines), 1);
            engine.prefill(fill).await.unwrap();
        }
        if number == 2_000 {
            after_warming = resident_mib();
        }
    }
    assert!(engine.tokens_moved() > 0, "nothing was spliced");
    if let (Some(before), Some(after)) = (after_warming, resident_mib()) {
        assert!(after <= before + 7, "{before} MiB grew to {after} MiB");
    }
}
