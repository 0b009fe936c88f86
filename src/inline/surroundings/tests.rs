//! What the way of a key costs with a block in front.

use std::hint::black_box;

use crate::config::Settings;
use crate::document::{Document, Edit};
use crate::eval::oracle::{MODEL, Oracle, OracleOptions};
use crate::inline::Engine;
use crate::metrics::Metrics;
use crate::prompt::Block;
use crate::prompt::block_tests::{block, snippet};
use crate::router::{RoleState, Router};
use std::sync::Arc;

/// Run with `cargo test --release --lib surroundings::tests::cost -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "prints a measurement"]
async fn cost() {
    const KEYS: u32 = 20_000;
    let oracle = Arc::new(Oracle::new(OracleOptions::default(), 1));
    let router = Router::fixed(oracle, MODEL);
    let RoleState::Ready(route) = router.route(crate::config::Role::Completion) else {
        unreachable!("a fixed router is ready")
    };
    let engine = Engine::new(
        router,
        Arc::new(Settings::default()),
        Arc::<Metrics>::default(),
    );
    for lines in [1_000, 100_000] {
        let text = "    let found = store.snapshot(uri);\n".repeat(lines);
        let mut document = Document::new("file:///a.rs", 1, "rust", &text);
        let key = |document: &mut Document, offset: usize| {
            document.apply(&Edit {
                range_bytes: Some(offset..offset),
                text: "x".into(),
            })
        };
        let lines_of_block = "    let found = store.snapshot(uri);\n".repeat(5);
        let mut offset = text.len() / 2;
        let mut time = |name: &str, act: &mut dyn FnMut(&mut Document, usize)| {
            let started = std::time::Instant::now();
            for _ in 0..KEYS {
                offset = key(&mut document, offset);
                act(&mut document, offset);
                offset = document.apply(&Edit {
                    range_bytes: Some(offset - 1..offset),
                    text: String::new(),
                });
            }
            println!(
                "{lines} lines, {name}: {:?} a key",
                started.elapsed() / KEYS
            );
        };
        let surroundings = &engine.surroundings;
        time("edit alone", &mut |_, _| {});
        time("and a snapshot", &mut |document, _| {
            drop(black_box(document.clone()));
        });
        time("and the hook", &mut |document, offset| {
            surroundings.touched(document, offset);
        });
        time("and the prompt", &mut |document, offset| {
            drop(black_box(surroundings.prompt(&route, document, offset)));
        });
        let full: Block = block(
            (0..5)
                .map(|n| snippet(&n.to_string(), &lines_of_block))
                .collect(),
        );
        surroundings
            .shared
            .blocks
            .insert("file:///a.rs".into(), Arc::new(full));
        time("and the prompt with a block", &mut |document, offset| {
            drop(black_box(surroundings.prompt(&route, document, offset)));
        });
    }
}
