//! What is not computed again, and that it changes no answer.

use std::path::Path;

use futures_util::{FutureExt, StreamExt};
use ghostline::backend::embedded::EngineOptions;
use ghostline::backend::{Backend, Priority, Request, StopReason};
use ghostline::prompt::Segment;

use crate::support::{
    MODEL, answer, collect, computed, computed_since, document, engine, engine_with, fim, request,
};

/// A new prompt on the same line: what was typed, and the token the generation began with.
const TYPED_TOKENS: u32 = 8;

pub(crate) async fn the_next_key_computes_little(weights: &Path) {
    let reused = engine(weights);
    let above = document("widget");
    let mut typed = "pub fn total(a: i32) -> i32 {\n    ".to_owned();
    let (_, first) = answer(&reused, &fim(&above, "\n}\n", &typed), 8).await;
    assert!(first.prompt_tokens > 260, "{first:?}");
    let mut last = (String::new(), Vec::new());
    for key in ["wid", "get_1(", "a)"] {
        typed.push_str(key);
        let prompt = fim(&above, "\n}\n", &typed);
        let (text, finish) = answer(&reused, &prompt, 8).await;
        assert!(computed(&finish) <= TYPED_TOKENS, "{finish:?}");
        assert_eq!(finish.load, None);
        last = (text, prompt);
    }
    let (text, prompt) = last;
    let (fresh_text, fresh) = answer(&engine(weights), &prompt, 8).await;
    assert_eq!(fresh.cached_tokens, Some(0));
    assert_eq!(text, fresh_text, "reuse changed the answer");
}

/// Who takes back a key asks for the same text again, and who types along a completion comes to a place in it.
pub(crate) async fn what_was_chosen_is_chosen_again(weights: &Path) {
    let remembering = engine(weights);
    let above = document("widget");
    let ask = |typed: &str| {
        fim(
            &above,
            "\n}\n",
            &["pub fn total(a: i32) -> i32 {\n    ", typed].concat(),
        )
    };
    let (text, _) = answer(&remembering, &ask("widget_1(a) + wid"), 8).await;
    let before = remembering.tokens_decoded();
    let (again, _) = answer(&remembering, &ask("widget_1(a) + wid"), 8).await;
    assert_eq!(again, text);
    assert_eq!(remembering.tokens_decoded(), before, "nothing is computed");

    // What lies ahead is computed in one step with what comes.
    let (along, _) = text.split_at(text.find('(').expect("a call"));
    for end in ["", "(", "s"] {
        let prompt = ask(&["widget_1(a) + wid", along, end].concat());
        let (steps, tokens) = (remembering.steps_decoded(), remembering.tokens_decoded());
        let (text, _) = answer(&remembering, &prompt, 2).await;
        let (fresh, _) = answer(&engine(weights), &prompt, 2).await;
        assert_eq!(text, fresh, "{end:?}");
        let steps = remembering.steps_decoded() - steps;
        let tokens = remembering.tokens_decoded() - tokens;
        assert!(
            steps <= 2 && tokens <= 12,
            "{end:?}: {tokens} tokens in {steps} steps"
        );
    }
}

pub(crate) async fn a_cancel_stops_and_leaves_a_valid_cache(weights: &Path) {
    // It breaks off in a function, so the answer is not short.
    let text = document("gadget") + "/// Gives gadget number 10.\npub fn";
    let prompt = vec![Segment::Text(text)];
    let (expect, fresh) = answer(&engine(weights), &prompt, 24).await;
    assert!(fresh.generated_tokens > 8, "{fresh:?}");
    let prompt_tokens = u64::from(fresh.prompt_tokens);

    let in_the_prompt = prompt_tokens / 4;
    let in_the_answer = prompt_tokens + 4;
    for cancel_at in [in_the_prompt, in_the_answer] {
        let engine = engine(weights);
        engine.warm_up(MODEL).await.unwrap();
        let chunk_tokens = u64::try_from(engine.speed(MODEL).unwrap().chunk_tokens).unwrap();
        let before = engine.tokens_decoded();
        let mut stream = engine.stream(request(prompt.clone(), 24));
        // The first poll sends the request; on a quick machine what the prompt costs is told at once.
        drop(stream.next().now_or_never());
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
            cached <= at_cancel - before + chunk_tokens,
            "the cancel came too late: {finish:?}"
        );
    }
}

pub(crate) async fn two_documents_keep_their_caches(weights: &Path) {
    let engine = engine(weights);
    let prompts = ["widget", "gadget"].map(|name| fim(&document(name), "\n}\n", "pub fn "));
    let mut texts = Vec::new();
    for prompt in &prompts {
        let (text, finish) = answer(&engine, prompt, 4).await;
        assert!(computed(&finish) > 260, "{finish:?}");
        texts.push(text);
    }
    for _ in 0..2 {
        for (prompt, expect) in prompts.iter().zip(&texts) {
            let (text, finish) = answer(&engine, prompt, 4).await;
            assert!(computed(&finish) <= 1, "{finish:?}");
            assert_eq!(text, *expect);
        }
    }
}

pub(crate) async fn a_chat_has_a_context_of_its_own(weights: &Path) {
    // Large enough that two contexts pay on any processor.
    let large = EngineOptions {
        context_tokens: 16_384,
        ..EngineOptions::default()
    };
    let engine = engine_with(weights, large);
    let prompt = fim(&document("widget"), "\n}\n", "pub fn ");
    let (expect, _) = answer(&engine, &prompt, 4).await;
    let chat = Request {
        priority: Priority::Chat,
        ..request(prompt.clone(), 4)
    };
    let (text, finish) = collect(engine.stream(chat)).await.unwrap();
    assert_eq!((text, finish.cached_tokens), (expect.clone(), Some(0)));
    let (text, finish) = answer(&engine, &prompt, 4).await;
    assert!(computed(&finish) <= 1, "{finish:?}");
    assert_eq!(text, expect);
}

pub(crate) async fn a_full_context_makes_room(weights: &Path) {
    let small = EngineOptions {
        context_tokens: 512,
        ..EngineOptions::default()
    };
    let engine = engine_with(weights, small);
    let prompts = ["widget", "gadget", "sprocket"].map(|name| fim(&document(name), "", "pub fn "));
    let mut texts = Vec::new();
    for prompt in prompts.iter().chain(&prompts) {
        let (text, finish) = answer(&engine, prompt, 4).await;
        assert!(finish.prompt_tokens > 260, "two must not fit: {finish:?}");
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
