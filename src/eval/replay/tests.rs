//! Replays of a small slice: repeatable, without stale items, and with figures that hang together.

use super::*;
use crate::eval::typist;

fn options(keys: usize) -> Options {
    Options {
        trace_name: "typist".to_owned(),
        oracle: OracleOptions::default(),
        policies: Name::all(),
        seed: 1,
        limit_keys: Some(keys),
        settings: Arc::new(Settings::default()),
    }
}

#[test]
fn a_seed_gives_one_report() {
    let options = options(400);
    let trace = typist::trace(1);
    let first = replay(&trace, &options).unwrap();
    let second = replay(&trace, &options).unwrap();
    let json = |report| serde_json::to_string(report).unwrap();
    assert_eq!(json(&first), json(&second));
    let other_seed = Options { seed: 2, ..options };
    let third = replay(&trace, &other_seed).unwrap();
    assert_ne!(json(&first), json(&third));
}

#[test]
fn a_ghost_is_right_when_its_beginning_is_typed() {
    for (ghost, future, expected) in [
        ("foo(bar)", "foo(bar);", true),
        ("foo(barbecue", "foo(bar", false),
        ("foo(bar1", "foo(bar2", false),
        ("foo(bar.x", "foo(bar.y", true),
        ("f", "foo", true),
        ("f", "", false),
    ] {
        assert_eq!(is_right(ghost, future), expected, "{ghost:?} {future:?}");
    }
}
