//! Speeds that settle, what counts as cached, and whose budget holds.

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn the_budget_follows_the_speed_and_not_every_answer() {
    let mut measured = Measured::default();
    assert_eq!(measured.budget(), PromptBudget::UNMEASURED);
    // Tokens and time of an answer, and the speed that the budget is made for then.
    for (tokens, took, speed) in [
        (63, MS(10_000), None),
        (100, MS(0), None),
        (100, MS(2_000), Some(50.0)),
        // Noise, either way, and what is too short.
        (100, MS(2_500), Some(50.0)),
        (100, MS(1_500), Some(50.0)),
        (3, MS(3_000), Some(50.0)),
        // Two that were cached without anybody's knowledge, or waited.
        (100, MS(1), Some(50.0)),
        (100, MS(9_000), Some(50.0)),
        (100, MS(1), Some(50.0)),
        (100, MS(2_000), Some(50.0)),
    ] {
        measured.add(tokens, took, Says::Server);
        assert_eq!(measured.settled, speed, "{tokens} {took:?}");
    }
    for _ in 0..ANSWERS {
        measured.add(100, MS(2_000), Says::Server);
    }
    assert_eq!(measured.budget(), PromptBudget::SMALLEST);
    // The server was moved to a graphics device: one change, no steps in between.
    let mut speeds = Vec::new();
    for _ in 0..20 {
        measured.add(900, MS(30), Says::Server);
        speeds.extend(measured.settled);
    }
    speeds.dedup();
    assert_eq!(speeds, [50.0, 30_000.0]);
    assert_eq!(measured.budget(), PromptBudget::at_speed(30_000.0));
}

#[test]
fn the_clock_needs_several_answers_and_gives_way_to_the_server() {
    let mut measured = Measured::default();
    for (tokens, took, says, speed) in [
        // The first one waited for a load.
        (100, MS(20_000), Says::Clock, None),
        (100, MS(100), Says::Clock, None),
        (100, MS(100), Says::Clock, Some(1_000.0)),
        (100, MS(50), Says::Server, Some(2_000.0)),
        (100, MS(1_000), Says::Clock, Some(2_000.0)),
        (100, MS(1_000), Says::Clock, Some(2_000.0)),
        (100, MS(1_000), Says::Clock, Some(2_000.0)),
    ] {
        measured.add(tokens, took, says);
        assert_eq!(measured.settled, speed, "{tokens} {took:?} {says:?}");
    }
}

#[test]
fn what_was_sent_before_is_taken_for_cached() {
    let speeds = Speeds::default();
    // Prompt, its tokens, and how many of them count.
    for (prompt, tokens, computed) in [
        ("aaaabbbb", 80, Some(80)),
        ("aaaabbbb", 80, None),
        ("aaaacccc", 80, Some(40)),
        ("aaaaccdd", 80, None),
        ("dddddddd", 80, Some(80)),
        ("aaaabbbb", 80, None),
        ("", 80, None),
    ] {
        let sent = speeds.send("m", prompt);
        assert_eq!(sent.computed(tokens), computed, "{prompt}");
    }
    // Another model caches for itself.
    assert_eq!(speeds.send("n", "aaaabbbb").computed(80), Some(80));
    // What was sent long ago has been computed over.
    for other in 0..CACHED_PROMPTS {
        speeds.send("m", &format!("{other}"));
    }
    assert_eq!(speeds.send("m", "aaaabbbb").computed(80), Some(80));
}

#[test]
fn the_slowest_model_in_use_decides() {
    let speeds = Speeds::default();
    assert_eq!(speeds.budget(), PromptBudget::UNMEASURED);
    for (model, took) in [("slow", MS(2_000)), ("fast", MS(1))] {
        speeds.send(model, "x");
        speeds.add(model, 100, took, Says::Server);
        assert_eq!(speeds.budget(), PromptBudget::SMALLEST, "{model}");
    }
    for _ in 0..OTHER_PROMPTS {
        speeds.send("fast", "x");
    }
    assert_eq!(speeds.budget(), PromptBudget::at_speed(100_000.0));
}

#[test]
fn estimates_of_a_length_are_high_and_low() {
    let sent = Speeds::default().send("m", "aaaabbbbcccc");
    assert_eq!((sent.tokens(), sent.fewest_tokens()), (4, 3));
}
