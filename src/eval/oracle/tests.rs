//! The oracle over the runtime's paused clock.

use futures_util::StreamExt as _;

use super::*;
use crate::backend::{Priority, StopReason};
use crate::prompt::Segment;
use crate::prompt::fim::family_of;

fn request(above: &str, typed: &str, after: &str) -> Request {
    let family = family_of(MODEL, None).unwrap();
    Request {
        model: MODEL.to_owned(),
        prompt: family
            .lay_out(above.into(), typed.into(), after.into())
            .into(),
        max_tokens: 64,
        stop: Vec::new(),
        priority: Priority::Completion,
    }
}

fn oracle(q: f64) -> Oracle {
    let options = OracleOptions {
        q,
        prefill_ms: 1.0,
        ..OracleOptions::default()
    };
    Oracle::new(options, 1)
}

async fn said(oracle: &Oracle, request: Request) -> (String, u128) {
    let started = Instant::now();
    let mut first = None;
    let mut text = String::new();
    let mut stream = oracle.stream(request);
    while let Some(chunk) = stream.next().await {
        if let Chunk::Text(more) = chunk.unwrap() {
            first.get_or_insert_with(|| started.elapsed().as_millis());
            text.push_str(&more);
        }
    }
    (text, first.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn it_says_what_is_typed_next_wherever_the_prompt_is_on_that_way() {
    let oracle = oracle(1.0);
    oracle.look_ahead(0, "fn a() {\n    let x", " = 1;\n    x\n");
    for (typed, expected) in [
        ("    let x", " = 1;\n    x\n"),
        // A prefetch: as if a part had been accepted already.
        ("    let x = 1;", "\n    x\n"),
        // Overtaken by the last key.
        ("    let ", "x = 1;\n    x\n"),
    ] {
        let (text, _) = said(&oracle, request("fn a() {\n", typed, "}\n")).await;
        assert_eq!(text, expected, "{typed:?}");
    }
    // The prompt has context in front and begins in the middle of the file.
    oracle.look_ahead(1, &"some line of code\n".repeat(30), "next");
    let window = ["// other.rs\nfn b()\n", &"some line of code\n".repeat(12)].concat();
    let (text, _) = said(&oracle, request(&window, "", "")).await;
    assert_eq!(text, "next");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_comes_it_is_wrong_and_says_the_same_each_time() {
    let oracle = oracle(1.0);
    oracle.look_ahead(0, "let x", " = 1;");
    let (text, _) = said(&oracle, request("", "let y", "")).await;
    assert!(!text.trim().is_empty());
    assert_eq!(said(&oracle, request("", "let y", "")).await.0, text);
    let always_wrong = self::oracle(0.0);
    always_wrong.look_ahead(0, "let x", " = 1;");
    let (text, _) = said(&always_wrong, request("", "let x", "")).await;
    assert!(text.starts_with(' ') && !text.starts_with(" ="), "{text:?}");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_typed_nothing_is_right() {
    for future in ["", "\n    "] {
        for (q, is_right) in [(1.0, true), (0.0, false)] {
            let oracle = oracle(q);
            oracle.look_ahead(0, "let x", future);
            let (text, _) = said(&oracle, request("", "let x", "")).await;
            assert_eq!(text.is_empty(), is_right, "{q} {future:?}: {text:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_the_cache_does_not_hold_takes_time() {
    let oracle = oracle(1.0);
    oracle.look_ahead(0, "let x", " = 1;");
    // Three sentinels, "let", " x".
    let (_, first_ms) = said(&oracle, request("", "let x", "")).await;
    assert_eq!(first_ms, 25);
    oracle.look_ahead(1, "let x = ", "1;");
    let (_, first_ms) = said(&oracle, request("", "let x = ", "")).await;
    // What was generated is in the cache: " " and "=". Only the last " " is new.
    assert_eq!(first_ms, 21);
    let ledger = oracle.ledger();
    let computed: Vec<u32> = ledger
        .generations
        .iter()
        .filter_map(|g| g.computed_tokens)
        .collect();
    assert_eq!(computed, [5, 1]);
    assert_eq!(ledger.generations[1].key, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_text_before_it_and_a_drop_ends_the_generation() {
    let oracle = oracle(1.0);
    oracle.look_ahead(0, "", "ab();\ncd\n");
    let mut line = request("x\n", "", "");
    oracle.look_ahead(0, "x\n", "ab();\ncd\n");
    line.stop = vec!["\n".to_owned()];
    assert_eq!(said(&oracle, line).await.0, "ab();");
    let mut stream = oracle.stream(request("x\n", "", ""));
    // Nothing happens before the first poll.
    assert_eq!(oracle.ledger().generations.len(), 1);
    while !matches!(stream.next().await, Some(Ok(Chunk::Text(_)))) {}
    drop(stream);
    let ledger = oracle.ledger();
    assert_eq!((ledger.generations[1].tokens, ledger.most_at_once), (1, 1));
}

#[test]
fn a_token_is_right_as_often_as_asked_for_wherever_it_stands() {
    let truth = "word ".repeat(100);
    // The share of answers whose token at that place is right, when those before it need not be, or have to.
    for (wrong, place, share) in [
        (AfterWrong::Token, 0, 0.8),
        (AfterWrong::Token, 9, 0.8),
        (AfterWrong::Line, 0, 0.8),
        (AfterWrong::Line, 3, 0.4096),
    ] {
        let options = OracleOptions {
            q: 0.8,
            wrong,
            ..OracleOptions::default()
        };
        let right = |n: usize| {
            let request = request("", "", "");
            let written = format!("let a{n}");
            let answer = Answer::new(options, 1, &written, Some(&truth), &request);
            assert_eq!(answer.stop, StopReason::Length);
            assert_eq!(answer.tokens.len(), 64);
            answer.tokens[place].trim() == "word"
        };
        let count = (0..2_000).filter(|&n| right(n)).count();
        let expected = f64::from(2_000) * share;
        assert!(
            (f64::from(u32::try_from(count).unwrap()) - expected).abs() < 50.0,
            "{wrong} at {place}: {count}"
        );
    }
}

#[test]
fn a_wrong_name_stands_for_a_right_one_and_in_front_of_the_rest() {
    for (right, behind) in [
        (" word(x)", "(x)"),
        ("words_and_more", "_and_more"),
        ("12;", ";"),
        (".len()", ".len()"),
        (");\n", ");\n"),
        ("", ""),
    ] {
        assert_eq!(answer::behind_name(right), behind, "{right:?}");
    }
}

#[test]
fn a_wrong_token_can_be_the_last() {
    let truth = "word ".repeat(100);
    for (q, expect) in [(0.0, 0), (1.0, 64)] {
        let options = OracleOptions {
            q,
            wrong: AfterWrong::End,
            ..OracleOptions::default()
        };
        let answer = Answer::new(options, 1, "let a", Some(&truth), &request("", "", ""));
        let right = answer.tokens.iter().take_while(|t| t.trim() == "word");
        assert_eq!(right.count(), expect);
        assert_eq!(answer.tokens.len(), expect.clamp(1, 64));
    }
}

#[test]
fn a_sentinel_is_one_token() {
    let prompt = [
        Segment::Special("<|fim_prefix|>"),
        Segment::Text("a b".into()),
    ];
    assert_eq!(tokens::of_prompt(&prompt).len(), 3);
}
