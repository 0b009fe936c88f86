//! Text that is cached at another place: how little is computed, and that it stays the same text.

use std::path::Path;

use futures_util::StreamExt;
use ghostline::backend::embedded::Splicing;
use ghostline::backend::{Backend, Chunk};
use ghostline::prompt::Segment;

use crate::support::{MODEL, answer, computed, document, engine_splicing, fim, refreshed, request};

/// The inserted line, both sentinels, the typed part, and a token or two where a text was cut.
const INSERTED_TOKENS: u32 = 32;

/// What is written, line by line.
const LINE: &str = "    let width = widget_1(2);\n";

/// Half a document, about 165 tokens.
fn half(name: &str) -> String {
    let text = document(name);
    let end = text.find(&format!("/// Gives {name} number 5")).unwrap();
    text.get(..end).unwrap().to_owned()
}

/// A place in the middle of a document, `lines_more` lines further down than at first: those lines
/// were written, and the text below stayed.
fn after_lines(lines_more: usize) -> Vec<Segment> {
    let above = half("widget") + "fn sum() -> i32 {\n" + &LINE.repeat(lines_more);
    fim(&above, &half("gadget"), "    let")
}

pub(crate) async fn a_line_more_computes_little(weights: &Path) {
    let engine = engine_splicing(weights, Splicing::Unrefreshed);
    let (_, first) = answer(&engine, &after_lines(0), 8).await;
    assert_eq!(computed(&first), first.prompt_tokens);
    let mut moved = 0;
    for lines in 1..6 {
        let (_, finish) = answer(&engine, &after_lines(lines), 8).await;
        assert!(computed(&finish) <= INSERTED_TOKENS, "{finish:?}");
        let moved_now = engine.tokens_moved() - moved;
        moved = engine.tokens_moved();
        assert!(
            moved_now > 100,
            "{moved_now} tokens of the text below were moved"
        );
    }
    // The window's first lines are dropped: what follows them moves up, and the text below as well.
    let text = half("widget") + "fn sum() -> i32 {\n" + &LINE.repeat(5);
    let dropped = text.find("/// Gives widget number 1").unwrap();
    let above = text.get(dropped..).unwrap();
    let prompt = fim(above, &half("gadget"), "    let");
    let (_, finish) = answer(&engine, &prompt, 8).await;
    assert!(computed(&finish) <= INSERTED_TOKENS, "{finish:?}");
    // An edit of a name above, not at the end: both texts stay but for the line.
    let above = above.replacen("number 3", "the third number", 1);
    let prompt = fim(&above, &half("gadget"), "    let");
    let (_, finish) = answer(&engine, &prompt, 8).await;
    assert!(computed(&finish) <= INSERTED_TOKENS, "{finish:?}");
    // On a processor the look at load found that both ways agree.
    assert_eq!(engine.tokens_turned(), engine.tokens_moved());
}

pub(crate) async fn moved_there_and_back_is_as_before(weights: &Path) {
    let engine = engine_splicing(weights, Splicing::Unrefreshed);
    let (expect, _) = answer(&engine, &after_lines(0), 24).await;
    for lines in [3, 0, 1, 0] {
        let (text, finish) = answer(&engine, &after_lines(lines), 24).await;
        if lines == 0 {
            assert!(computed(&finish) <= INSERTED_TOKENS, "{finish:?}");
            assert_eq!(text, expect);
        }
    }
}

pub(crate) async fn refreshed_is_as_computed_whole(weights: &Path) {
    let whole = engine_splicing(weights, Splicing::Off);
    let engine = engine_splicing(weights, Splicing::Refreshed);
    answer(&engine, &after_lines(0), 4).await;
    for lines in 1..5 {
        let (_, spliced) = answer(&engine, &after_lines(lines), 4).await;
        assert!(computed(&spliced) <= INSERTED_TOKENS, "{spliced:?}");
        refreshed(&engine).await;
        let (text, again) = answer(&engine, &after_lines(lines), 24).await;
        assert!(
            computed(&again) <= 2,
            "the refresh lost something: {again:?}"
        );
        let (expect, _) = answer(&whole, &after_lines(lines), 24).await;
        assert_eq!(text, expect);
    }
    assert!(engine.tokens_refreshed() > 0);
}

pub(crate) async fn nothing_is_moved_when_off(weights: &Path) {
    let engine = engine_splicing(weights, Splicing::Off);
    for lines in [0, 2, 1] {
        let (text, _) = answer(&engine, &after_lines(lines), 16).await;
        let fresh = engine_splicing(weights, Splicing::Off);
        let (expect, _) = answer(&fresh, &after_lines(lines), 16).await;
        assert_eq!(text, expect);
    }
    assert_eq!((engine.tokens_moved(), engine.tokens_stale()), (0, 0));
}

/// Broken off in that, some layers would be turned and some not, and the text would be another one.
pub(crate) async fn a_cancel_while_keys_are_turned_breaks_nothing(weights: &Path) {
    let engine = engine_splicing(weights, Splicing::Unrefreshed);
    let (expect, _) = answer(&engine, &after_lines(0), 24).await;
    for lines in [3, 1, 4, 2, 5] {
        let mut stream = engine.stream(request(after_lines(lines), 4));
        // Said when the prompt was placed: the keys are turned next.
        let placed = stream.next().await.unwrap().unwrap();
        assert!(matches!(placed, Chunk::Prompt { .. }), "{placed:?}");
        drop(stream);
        let (text, _) = answer(&engine, &after_lines(0), 24).await;
        assert_eq!(text, expect, "after {lines}");
    }
}

/// The engine checks its books at each step in a build with assertions; a wrong position is refused by
/// llama.cpp. In the end everything is as if nothing had been moved.
pub(crate) async fn any_order_of_edits_and_cancels_works(weights: &Path) {
    let engine = engine_splicing(weights, Splicing::Refreshed);
    engine.warm_up(MODEL).await.unwrap();
    let mut seed = 7_u64;
    let mut next = |below: u64| {
        // Knuth's MMIX generator.
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..40 {
        let lines = usize::try_from(next(6)).unwrap();
        let mut prompt = after_lines(lines);
        if next(3) == 0 {
            prompt = fim(&half("sprocket"), &half("gadget"), "    let");
        }
        let mut stream = engine.stream(request(prompt, 4));
        // Given up before, in or after the prompt, or not at all.
        let patience = std::time::Duration::from_millis(next(120));
        let reading = async {
            while let Some(chunk) = stream.next().await {
                chunk.unwrap();
            }
        };
        drop(tokio::time::timeout(patience, reading).await);
    }
    let whole = engine_splicing(weights, Splicing::Off);
    for lines in [2, 5] {
        answer(&engine, &after_lines(lines), 4).await;
        refreshed(&engine).await;
        let (text, _) = answer(&engine, &after_lines(lines), 24).await;
        let (expect, _) = answer(&whole, &after_lines(lines), 24).await;
        assert_eq!(text, expect);
    }
}
