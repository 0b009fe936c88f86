//! What goes where, and what the books say after it.

use llama_cpp_2::token::LlamaToken;

use super::{Choice, MOST_MOVES, Moving, Rest, Run, Slots};

/// A run that is worth moving.
const RUN: &str = "abcdefghijklmnopqrstuvwxyz";

/// One letter is one token.
fn tokens(text: &str) -> Vec<LlamaToken> {
    text.bytes()
        .map(|byte| LlamaToken(i32::from(byte)))
        .collect()
}

fn is_sentinel(token: LlamaToken) -> bool {
    token == LlamaToken(i32::from(b'^'))
}

/// Three slots, the given ones filled from slot 0 on, the first being the oldest.
fn slots(held: &[&str]) -> Slots {
    let mut slots = Slots::new(3);
    for (slot, held) in held.iter().enumerate() {
        slots.touch(slot, held.len(), true);
        slots.extend(slot, &tokens(held));
    }
    slots
}

fn choose(slots: &Slots, prompt: &str) -> Choice {
    slots.choose(&tokens(prompt), false, Moving::Always, &is_sentinel)
}

fn choice(slot: usize, keep: usize, rest: Rest) -> Choice {
    Choice { slot, keep, rest }
}

#[test]
fn a_prompt_goes_where_most_of_it_is() {
    let here = |slot, keep| choice(slot, keep, Rest::Dropped);
    let copy = |slot, keep, from| choice(slot, keep, Rest::CopyFrom(from));
    let cases: &[(&[&str], &str, Choice)] = &[
        (&[], "abc", here(0, 0)),
        (&[], "a", here(0, 0)),
        // The last token is computed again, even when it is cached.
        (&["abc"], "abc", here(0, 2)),
        (&["abc"], "abcd", here(0, 3)),
        (&["abc"], "ab", copy(1, 1, 0)),
        // Another text takes an empty slot, then the oldest.
        (&["abcdef"], "xyz", here(1, 0)),
        (&["abc", "def", "ghi"], "xyz", here(0, 0)),
        // The longest common prefix wins over the latest use.
        (&["abcdef", "abxxxx", "qqq"], "abcdxx", here(0, 4)),
        // Little in common: the other text stays, and what is common is copied.
        (&["abcdef"], "axyz", copy(1, 1, 0)),
        (&["qqq", "abcdef", "rrr"], "axyz", copy(0, 1, 1)),
        // Unless it is the one to be given up anyway.
        (&["abcdef", "qqq", "rrr"], "axyz", here(0, 1)),
    ];
    for (held, prompt, expect) in cases {
        assert_eq!(choose(&slots(held), prompt), *expect, "{held:?} {prompt}");
    }
}

#[test]
fn a_prompt_whose_end_is_known_is_kept_whole() {
    let choice = slots(&["abcd"]).choose(&tokens("abc"), true, Moving::Never, &is_sentinel);
    assert_eq!((choice.slot, choice.keep), (0, 3));
}

#[test]
fn text_at_another_place_is_moved_where_it_is_worth_it() {
    let (held, prompt) = (format!("^above^{RUN}^t"), format!("^above, more^{RUN}^"));
    let moved = Run {
        from: 7,
        to: 13,
        len: RUN.len(),
    };
    let spliced = Rest::Spliced(vec![moved]);
    assert_eq!(choose(&slots(&[&held]), &prompt), choice(0, 6, spliced));
    // What cannot move is computed.
    assert_eq!(
        slots(&[&held]).choose(&tokens(&prompt), false, Moving::Never, &is_sentinel),
        choice(1, 6, Rest::CopyFrom(0))
    );
    // Few tokens are computed sooner than moved.
    let choice = choose(&slots(&["^a^abcdefghijk^t"]), "^aa^abcdefghijk^");
    assert_eq!(choice.rest, Rest::CopyFrom(0));
}

#[test]
fn what_nobody_waits_for_takes_no_more_than_it_gives() {
    let held = slots(&[&format!("^above^{RUN}^t")]);
    let more = |count| format!("^above, {}^{RUN}^", "x".repeat(count));
    let moves = |moving, prompt: &str| {
        let choice = held.choose(&tokens(prompt), false, moving, &is_sentinel);
        matches!(choice.rest, Rest::Spliced(_))
    };
    let (cached, rest) = (6 + RUN.len(), 4);
    let (half, less) = (more(cached - rest), more(cached - rest + 2));
    assert!(moves(Moving::ForMost, &half));
    assert!(!moves(Moving::ForMost, &less));
    assert!(moves(Moving::Always, &less));
}

#[test]
fn a_splice_is_written_down_step_by_step() {
    let mut slots = slots(&[&format!("^ab^{RUN}^xy")]);
    let prompt = format!("^abcd^{RUN}^");
    let Choice {
        slot: 0,
        keep: 3,
        rest: Rest::Spliced(runs),
    } = choose(&slots, &prompt)
    else {
        panic!("it is not moved")
    };
    slots.park(0, 3, &runs, &[7]);
    slots.touch(0, prompt.len(), true);
    assert_eq!(slots.tokens(0), tokens("^ab"));
    assert_eq!((slots.parked(0)[0].sequence, slots.parked(0)[0].at), (7, 6));
    assert!(slots.next_home(0).is_none(), "there is a gap");
    assert_eq!(slots.inexact(), None, "it is not finished");
    assert_eq!(slots.stale_tokens(), 0, "nobody can wait for its refresh");
    // Broken off there, the same prompt goes on, and so does one with a longer typed part.
    for prompt in [prompt.clone(), format!("{prompt}xy")] {
        assert_eq!(choose(&slots, &prompt), choice(0, 3, Rest::Resumed));
    }
    // Another place for the run: counted as if it stood right behind the others.
    let other = format!("^abcdef^{RUN}^");
    let moved = Run {
        from: 3,
        to: 8,
        len: RUN.len(),
    };
    assert_eq!(
        choose(&slots, &other),
        choice(0, 3, Rest::Spliced(vec![moved]))
    );

    slots.extend(0, &tokens("cd^"));
    assert_eq!(slots.next_home(0).map(|parked| parked.at), Some(6));
    slots.join(0);
    slots.extend(0, &tokens("^"));
    assert_eq!(slots.tokens(0), tokens(&prompt));
    assert_eq!(slots.inexact(), Some((0, 6)));
    assert_eq!(slots.stale_tokens(), prompt.len() - 6);
    slots.refreshed(0);
    assert_eq!(slots.inexact(), None);
}

#[test]
fn what_moved_often_is_computed_again() {
    let mut slots = slots(&[&format!("^^{RUN}^")]);
    for times in 1..=u64::from(MOST_MOVES) + 1 {
        let above = "x".repeat(usize::try_from(times).unwrap_or_default());
        let prompt = format!("^{above}^{RUN}^");
        let Choice { slot, keep, rest } = choose(&slots, &prompt);
        let Rest::Spliced(runs) = rest else {
            assert_eq!(times, u64::from(MOST_MOVES) + 1);
            return;
        };
        slots.park(slot, keep, &runs, &[7]);
        slots.extend(slot, &tokens(&prompt)[keep..runs[0].to]);
        slots.join(slot);
        slots.extend(slot, &tokens("^"));
    }
    panic!("it is moved without end");
}

#[test]
fn only_equal_beginnings_share_cells() {
    let slots = slots(&["abcd", "abxx", "qqq"]);
    assert_eq!(slots.sharing(0, 1), [1]);
    assert!(slots.sharing(0, 2).is_empty());
    assert!(slots.sharing(2, 0).is_empty());
}

#[test]
fn the_one_unused_for_longest_makes_room() {
    let mut slots = slots(&["a", "b"]);
    assert_eq!(slots.victim(0), Some(1));
    assert_eq!(slots.victim(1), Some(0));
    assert_eq!(slots.victim(2), Some(0));
    slots.extend(0, &tokens("a"));
    assert_eq!(slots.victim(2), Some(1));
    slots.truncate(1, 0);
    assert_eq!(slots.victim(0), None);
    assert_eq!(slots.total_tokens(), 2);
    slots.clear();
    assert_eq!((slots.victim(1), slots.total_tokens()), (None, 0));
}
