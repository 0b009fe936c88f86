//! Filling the cache ahead of need, and that ten thousand requests leave nothing behind.

use std::path::Path;

use ghostline::backend::embedded::Splicing;
use ghostline::backend::{Backend, Priority, Request};

use crate::support::{
    answer, collect, computed, document, engine, engine_splicing, fim, first_text, request,
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
