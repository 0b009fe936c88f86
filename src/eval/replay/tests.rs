//! Replays of a small slice: repeatable, without stale items, and with figures that hang together.

use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::person::is_right;
use super::*;
use crate::document::{Document, Edit};
use crate::eval::policy::{Ghost, Policy};
use crate::eval::typist;
use crate::inline::Ask;

fn options(keys: usize) -> Options {
    Options {
        trace_name: "typist".to_owned(),
        oracle: OracleOptions::default(),
        policies: Name::all(),
        seed: 1,
        from_key: 0,
        limit_keys: Some(keys),
        settings: Arc::new(Settings::default()),
        chat: false,
    }
}

#[test]
fn a_seed_gives_one_report() {
    let options = options(400);
    let trace = typist::trace(1);
    let json = |options| {
        let (report, keys) = replay(&trace, options).unwrap();
        (serde_json::to_string(&report).unwrap(), keys)
    };
    let first = json(&options);
    assert_eq!(first, json(&options));
    let other_seed = Options {
        seed: 2,
        ..options.clone()
    };
    assert_ne!(first, json(&other_seed));
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

/// Committed code, so that no edit of the program changes what is typed.
const SOURCE: &str = "//! Counts words.\n\nuse std::collections::HashMap;\n\n\
/// How often each word of `text` occurs.\npub fn count(text: &str) -> HashMap<&str, usize> {\n    \
let mut counts = HashMap::new();\n    for word in text.split_whitespace() {\n        \
*counts.entry(word).or_default() += 1;\n    }\n    counts\n}\n\n\
/// The most frequent word.\npub fn most(text: &str) -> Option<&str> {\n    \
let counts = count(text);\n    let found = counts.into_iter().max_by_key(|(_, n)| *n);\n    \
found.map(|(word, _)| word)\n}\n";

#[test]
fn the_policies_of_today_do_what_they_did() {
    let policies = Name::all().into_iter().filter(|n| *n != Name::Engine);
    let options = Options {
        policies: policies.collect(),
        limit_keys: None,
        ..options(0)
    };
    let (report, _) = replay(&typist::typing(1, &[SOURCE]), &options).unwrap();
    let found = serde_json::to_value(&report.policies).unwrap();
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden.json")).unwrap();
    let pretty = serde_json::to_string_pretty(&report.policies).unwrap();
    assert!(
        found == golden,
        "if this is meant, golden.json becomes:\n{pretty}"
    );
}

#[test]
fn the_engine_is_sooner_and_cheaper_and_never_stale() {
    for seed in 1..=3 {
        // A slow backend: requests wait for streams that end while the person corrects a slip.
        let oracle = "q=0.85,first_ms=60,token_ms=5.9".parse().unwrap();
        let options = Options {
            seed,
            oracle,
            limit_keys: None,
            ..options(0)
        };
        let (report, _) = replay(&typist::typing(seed, &[SOURCE]), &options).unwrap();
        let [engine, debounced, ..] = report.policies.as_slice() else {
            panic!("two policies at least");
        };
        assert!(engine.ghost_before_next_key > debounced.ghost_before_next_key);
        assert!(engine.ghost_before_next_key_goes_on > engine.ghost_before_next_key);
        assert!(engine.right_ghost > debounced.right_ghost);
        assert!(engine.requests_per_1000_keys < debounced.requests_per_1000_keys);
        for policy in &report.policies {
            assert_eq!(policy.stale_items, 0, "{}", policy.name);
            assert_eq!(policy.most_generations_at_once, 1, "{}", policy.name);
        }
        assert!(engine.accepts > 0);
        let page = crate::eval::plot::html(&report).unwrap();
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(report.policies.iter().all(|p| page.contains(p.name)));
    }
}

/// Answers after the person typed on, and one character off.
#[derive(Debug)]
struct Late;

impl Policy for Late {
    fn changed(&self, _: &Document, _: usize, _: &[Edit]) {}

    fn complete(&self, ask: Ask, _: bool) -> BoxFuture<'static, Option<Ghost>> {
        Box::pin(async move {
            if ask.document.version % 2 == 0 {
                sleep(Duration::from_secs(20)).await;
            }
            let range_bytes = 0..ask.offset_bytes;
            let text = "x".to_owned();
            Some(Ghost { range_bytes, text })
        })
    }
}

#[test]
fn what_is_stale_or_misplaced_is_counted() {
    let script = Script::new(&typist::typing(1, &["let a = 1;\n"]), None).unwrap();
    let keys = script.steps.iter().filter(|s| s.is_key()).count();
    let outcome = paused().unwrap().block_on(async {
        let oracle = Oracle::new(OracleOptions::default(), 1);
        let books: Arc<dyn Books> = Arc::new(oracle);
        let person = Person::new(&script, &Late, books, 1);
        person.type_all(PATIENCE).await
    });
    assert_eq!(outcome.stale_items, keys as u64);
    assert!(outcome.keys.iter().all(|k| k.ghost_after.is_none()));
}

/// The engine alone and beside a chat, over the committed code.
fn beside_chat(oracle: &str, seed: u64) -> Report {
    let options = Options {
        policies: vec![Name::Engine],
        oracle: oracle.parse().unwrap(),
        limit_keys: None,
        chat: true,
        seed,
        ..options(0)
    };
    replay(&typist::typing(seed, &[SOURCE]), &options)
        .unwrap()
        .0
}

#[test]
fn a_chat_costs_a_completion_a_step_at_most() {
    for seed in 1..=3 {
        let report = beside_chat("", seed);
        let [alone, beside] = report.policies.as_slice() else {
            panic!("two columns");
        };
        assert_eq!((alone.name, beside.name), ("engine", BESIDE_CHAT));
        assert_eq!(alone.chat, None);
        let chat = beside.chat.as_ref().unwrap();
        assert_eq!(chat.failed, 0);
        assert!(
            chat.answers > 0 && chat.tokens_per_second > 100.0,
            "{chat:?}"
        );
        let (alone_p95, beside_p95) = (alone.key_to_ghost_ms.p95, beside.key_to_ghost_ms.p95);
        assert!(
            beside_p95 <= alone_p95.map(|ms| ms + 5.0),
            "{alone_p95:?} {beside_p95:?}"
        );
        assert_eq!(beside.stale_items, 0);
        // One, and one that was given up and is still being broken off.
        assert!(beside.most_generations_at_once <= 2);
        assert!(report.table().contains("chat, tokens per second"));
    }
}

#[test]
fn a_seed_gives_one_report_beside_a_chat() {
    let json = |seed| serde_json::to_string(&beside_chat("", seed)).unwrap();
    assert_eq!(json(1), json(1));
    assert_ne!(json(1), json(2));
}
