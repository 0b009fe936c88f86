//! What is learned of what a person does with an item.

use super::*;
use crate::backend::StopReason;
use crate::inline::place::tests::place;
use crate::inline::{Source, Trace};

fn completion() -> Completion {
    let trace = Trace {
        model: "m".into(),
        backend: "b".into(),
        prompt_tokens: None,
        prompt_estimated: false,
        cached_tokens: None,
        generated_tokens: 2,
        first_token: None,
        total: Duration::ZERO,
        stop: StopReason::Stop,
    };
    Completion {
        id: 1,
        range_bytes: 1..1,
        insert_text: "bc".to_owned(),
        whole: true,
        source: Source::Generated,
        trace,
    }
}

fn show(outcomes: &mut Outcomes, item: &Completion, at: &str) -> bool {
    let at = place(at);
    outcomes.show(item, &at, &at, false)
}

/// Whether the shown item stands in the document now that the person may be at one of `places`.
fn moved_to(outcomes: &mut Outcomes, places: &[&str]) -> bool {
    let places: Vec<_> = places.iter().map(|at| place(at)).collect();
    outcomes.moved(&places).is_some()
}

fn moved(outcomes: &mut Outcomes, to: &str) -> bool {
    moved_to(outcomes, &[to])
}

fn learned(outcomes: &Outcomes) -> (u64, u64) {
    (outcomes.gate.accepted, outcomes.gate.rejected)
}

/// A gate that holds `item` back.
fn gate_against(item: &Completion) -> Gate {
    let mut gate = Gate::default();
    let features = Features::of(item, &place("a|"), &Lately::default());
    for _ in 0..400 {
        gate.learn(&features, false);
    }
    gate.accepted = gate.rejected;
    gate
}

#[tokio::test(start_paused = true)]
async fn a_bracket_that_the_editor_closed_is_typed_along() {
    let mut outcomes = Outcomes::default();
    let item = Completion {
        insert_text: "(b);".to_owned(),
        ..completion()
    };
    assert!(show(&mut outcomes, &item, "a|"));
    tokio::time::advance(READ_AFTER * 2).await;
    assert!(!moved_to(&mut outcomes, &["a(|)", "a()|"]));
    assert_eq!(learned(&outcomes), (0, 0));
    assert!(moved(&mut outcomes, "a(b);|"));
}

#[tokio::test(start_paused = true)]
async fn an_item_that_grew_is_accepted_whole() {
    let mut outcomes = Outcomes::default();
    let item = |text: &str| Completion {
        insert_text: text.to_owned(),
        ..completion()
    };
    assert!(show(&mut outcomes, &item("\n    b"), "{|"));
    let other = Completion {
        id: 2,
        ..item("never shown")
    };
    outcomes.grown(&other);
    outcomes.grown(&item("\r\n    b;\r\n    c;"));
    tokio::time::advance(READ_AFTER * 2).await;
    assert!(moved(&mut outcomes, "{\n    b;\n    c;|"));
    outcomes.accepted(1);
    assert_eq!(learned(&outcomes), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_item_behind_a_selected_entry_is_typed_along() {
    let mut outcomes = Outcomes::default();
    let item = Completion {
        insert_text: "to_string()".to_owned(),
        ..completion()
    };
    let (place, start) = (place("x.to_string|"), place("x.|"));
    assert!(outcomes.show(&item, &place, &start, false));
    tokio::time::advance(READ_AFTER * 2).await;
    assert!(!moved(&mut outcomes, "x.to_s|"));
    assert!(moved(&mut outcomes, "x.to_string()|"));
    outcomes.accepted(1);
    assert_eq!(learned(&outcomes), (1, 0));
}

#[test]
fn what_is_on_the_screen_is_not_held_back_while_it_is_typed() {
    let mut outcomes = Outcomes::default();
    shown_at_a(&mut outcomes);
    outcomes.gate = gate_against(&completion());
    let rest = Completion {
        insert_text: "c".to_owned(),
        ..completion()
    };
    assert!(show(&mut outcomes, &rest, "ab|"));
    assert!(!show(&mut outcomes, &rest, "zz|"), "another item");
}

#[test]
fn a_blank_typed_is_no_sign_that_an_item_is_followed() {
    let mut outcomes = Outcomes::default();
    for (text, at, follows) in [
        (" bc", "a|", false),
        ("bc", "a |", false),
        ("c", "a b|", true),
    ] {
        let item = Completion {
            insert_text: text.to_owned(),
            ..completion()
        };
        assert!(show(&mut outcomes, &item, at));
        assert_eq!(outcomes.follows_what_is_shown(), follows, "{at}");
    }
}

fn shown_at_a(outcomes: &mut Outcomes) {
    assert!(show(outcomes, &completion(), "a|"));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_drawn_or_was_taken_in_part_is_not_rejected() {
    // What the editor tells of the item, and what is learned when the person types something else.
    type Tell = fn(&mut Outcomes);
    let cases: [(Tell, u64, u64); 4] = [
        (|_| {}, 0, 1),
        (|outcomes| outcomes.drawn(1), 0, 1),
        (|outcomes| outcomes.drawn(2), 0, 0),
        (|outcomes| outcomes.partly_accepted(1), 1, 0),
    ];
    for (number, (tell, accepted, rejected)) in cases.into_iter().enumerate() {
        let mut outcomes = Outcomes::default();
        shown_at_a(&mut outcomes);
        tell(&mut outcomes);
        tokio::time::advance(READ_AFTER * 2).await;
        assert!(!moved(&mut outcomes, "ax|"));
        let learned = (outcomes.gate.accepted, outcomes.gate.rejected);
        assert_eq!(learned, (accepted, rejected), "case {number}");
    }
}

#[test]
fn an_item_is_followed_once_some_of_it_was_typed() {
    let mut outcomes = Outcomes::default();
    shown_at_a(&mut outcomes);
    assert!(!outcomes.follows_what_is_shown());
    // The same again: the person has not moved.
    shown_at_a(&mut outcomes);
    assert!(!outcomes.follows_what_is_shown());
    let rest = Completion {
        insert_text: "c".to_owned(),
        ..completion()
    };
    assert!(show(&mut outcomes, &rest, "ab|"));
    assert!(outcomes.follows_what_is_shown());
    shown_at_a(&mut outcomes);
    assert!(!outcomes.follows_what_is_shown(), "another item");
}

#[test]
fn one_stroke_tells_an_accept_from_typing_the_same() {
    let mut outcomes = Outcomes::default();
    assert!(outcomes.takes_what_is_shown(), "nobody knows yet");
    for _ in 0..100 {
        shown_at_a(&mut outcomes);
        assert!(!moved(&mut outcomes, "ab|"));
        assert!(moved(&mut outcomes, "abc|"));
    }
    assert!(!outcomes.takes_what_is_shown(), "all was typed");
    shown_at_a(&mut outcomes);
    assert!(moved(&mut outcomes, "abc|"));
    assert!(outcomes.takes_what_is_shown(), "one was accepted");
}
