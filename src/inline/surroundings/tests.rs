//! Where the cursor rests is warm, and what the way of a key costs with a block in front.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::backend::{
    Backend, BackendError, Capabilities, ChunkStream, Installed, Priority, PromptBudget, Request,
    StopReason,
};
use crate::config::Settings;
use crate::document::{Document, Edit};
use crate::eval::oracle::{MODEL, Oracle, OracleOptions};
use crate::inline::{Engine, Trace};
use crate::metrics::Metrics;
use crate::prompt::block_tests::{block, snippet};
use crate::prompt::{Block, Segment};
use crate::router::{RoleState, Route, Router};

fn trace(computed_tokens: u32) -> Trace {
    Trace {
        model: MODEL.into(),
        backend: "oracle".into(),
        prompt_tokens: Some(computed_tokens),
        prompt_estimated: false,
        cached_tokens: Some(0),
        generated_tokens: 1,
        first_token: None,
        total: Duration::ZERO,
        stop: StopReason::Stop,
    }
}

/// An oracle that goes on with what it began and moves what it has, as far as it says.
#[derive(Debug)]
struct LikeEmbedded(Oracle);

impl Backend for LikeEmbedded {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        self.0.probe()
    }

    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        self.0.warm_up(model)
    }

    fn stream(&self, request: Request) -> ChunkStream {
        self.0.stream(request)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            hands_over: true,
            moves_cached: true,
            heals: true,
            ..self.0.capabilities()
        }
    }

    fn prompt_budget(&self) -> PromptBudget {
        self.0.prompt_budget()
    }
}

/// An oracle, the way to it, an engine over both, and a long document.
fn over_400_lines() -> (Oracle, Arc<Route>, Engine, Document) {
    let oracle = Oracle::new(OracleOptions::default(), 1);
    over_400_lines_by(&oracle, Arc::new(oracle.clone()))
}

fn over_400_lines_by(
    oracle: &Oracle,
    backend: Arc<dyn Backend>,
) -> (Oracle, Arc<Route>, Engine, Document) {
    let router = Router::fixed(backend, MODEL);
    let RoleState::Ready(route) = router.route(crate::config::Role::Completion) else {
        unreachable!("a fixed router is ready")
    };
    let engine = Engine::new(router, Arc::default(), Arc::<Metrics>::default());
    let lines = (0..400).map(|n| format!("    let a{n} = found(uri, {n});\n"));
    let document = Document::new("file:///a.rs", 1, "rust", &lines.collect::<String>());
    (oracle.clone(), route, engine, document)
}

#[tokio::test(start_paused = true)]
async fn a_place_where_the_cursor_rests_is_warmed_where_a_cold_prompt_is_late() {
    for (first_ms, warmed) in [(20, false), (60, true)] {
        let (oracle, route, engine, document) = over_400_lines();
        let warm_ups = || {
            let generations = oracle.ledger().generations;
            assert!(generations.iter().all(|g| g.priority == Priority::WarmUp));
            generations.len()
        };
        let first = Duration::from_millis(first_ms);
        engine.surroundings.answered(&trace(1), first);
        let cold = first + Duration::from_millis(34);
        engine.surroundings.answered(&trace(400), cold);
        let place = |line: usize| document.text.line_to_byte(line) + 4;
        drop(
            engine
                .surroundings
                .prompt(&route, &document, place(10), false),
        );
        // A held arrow key passes places by.
        for line in 200..210 {
            engine.cursor_moved(&document, place(line));
            tokio::time::sleep(Duration::from_millis(33)).await;
        }
        assert_eq!(warm_ups(), 0, "{first_ms}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(warm_ups(), usize::from(warmed), "{first_ms}");
        // Near by nothing is cold.
        engine.cursor_moved(&document, place(211));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(warm_ups(), usize::from(warmed), "{first_ms}");
    }
}

/// 66 tokens of a prompt a second.
#[tokio::test(start_paused = true)]
async fn a_slow_backend_begins_at_once_where_that_is_not_lost() {
    let options = OracleOptions {
        prefill_ms: 15.0,
        ..OracleOptions::default()
    };
    for hands_over in [false, true] {
        let oracle = Oracle::new(options, 1);
        let backend: Arc<dyn Backend> = if hands_over {
            Arc::new(LikeEmbedded(oracle.clone()))
        } else {
            Arc::new(oracle.clone())
        };
        let (oracle, route, engine, document) = over_400_lines_by(&oracle, backend);
        let place = |line: usize| document.text.line_to_byte(line) + 4;
        let warm_ups = || oracle.ledger().generations.len();
        let surroundings = &engine.surroundings;
        drop(surroundings.prompt(&route, &document, place(10), false));
        for line in 200..210 {
            engine.cursor_moved(&document, place(line));
            tokio::time::sleep(Duration::from_millis(33)).await;
        }
        assert_eq!(warm_ups(), 0, "a held arrow key");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(warm_ups(), usize::from(hands_over));
        // The next place takes its turn at once.
        engine.cursor_moved(&document, place(300));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(warm_ups(), 2 * usize::from(hands_over));
        // Then the usual window, once the short one is computed.
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(warm_ups(), 1 + 2 * usize::from(hands_over));
        // All is warm.
        engine.cursor_moved(&document, place(300));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(warm_ups(), 1 + 2 * usize::from(hands_over));
        // A click is no held key.
        engine.cursor_moved(&document, place(100));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(warm_ups(), 1 + 3 * usize::from(hands_over));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cold_window_is_short_and_grows_until_the_cursor_rests() {
    let (oracle, route, engine, document) = over_400_lines();
    let place = |line: usize| document.text.line_to_byte(line) + 4;
    // Lines of the prompt at a line, with what stands there; the first of them.
    let window_of = |line: usize, explicit: bool| {
        let surroundings = &engine.surroundings;
        let prompt = surroundings.prompt(&route, &document, place(line), explicit);
        let text: String = prompt.iter().map(Segment::as_str).collect();
        let first = text
            .lines()
            .find(|l| l.contains("let a"))
            .unwrap()
            .to_owned();
        (text.matches("let a").count(), first)
    };
    let window = |line| window_of(line, false);
    let usual = window(10).0;
    let (long, _) = window(200);
    assert!(
        long > 30 && usual > 15,
        "nothing is known of the speed: {usual} and {long}"
    );
    engine
        .surroundings
        .answered(&trace(1), Duration::from_millis(60));
    engine
        .surroundings
        .answered(&trace(400), Duration::from_millis(460));
    let (short, first) = window(305);
    assert!(short < long / 2, "{short} of {long}");
    // Going down it begins at the same line.
    for line in 306..309 {
        let (lines, same) = window(line);
        assert_eq!((lines, &same), (short + line - 305, &first));
    }
    engine.cursor_moved(&document, place(308));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        oracle.ledger().generations.len(),
        1,
        "the usual one is warmed"
    );
    assert!(window(308).0 > 2 * short);
    // Elsewhere it is cold again, and begins elsewhere.
    assert_ne!(window(100).1, first);
    assert!(window(100).0 < long / 2);
    // Who asks by hand waits for what the model does better with.
    assert!(window_of(30, true).0 > long / 2);
}

#[test]
fn an_indentation_stays_in_the_prompt_where_the_backend_heals_it() {
    let oracle = Oracle::new(OracleOptions::default(), 1);
    let backends: [(Arc<dyn Backend>, bool); 2] = [
        (Arc::new(oracle.clone()), false),
        (Arc::new(LikeEmbedded(oracle.clone())), true),
    ];
    for (backend, heals) in backends {
        let (_, route, engine, _) = over_400_lines_by(&oracle, backend);
        // (document with the cursor, the end of the prompt, the same where it is healed)
        for (text, expect, healed) in [
            ("fn a() {\n    |\n}\n", "", "    "),
            ("fn a() {\n\t|\n}\n", "", "\t"),
            ("fn a() {\n    let b = |\n}\n", "    let b =", "    let b ="),
        ] {
            let offset = text.find('|').unwrap();
            let document = Document::new("file:///a.rs", 1, "rust", &text.replace('|', ""));
            let prompt = engine.surroundings.prompt(&route, &document, offset, false);
            let middle = prompt
                .iter()
                .rposition(|s| matches!(s, Segment::Special(_)));
            let typed = prompt.get(middle.unwrap() + 1).map_or("", Segment::as_str);
            assert_eq!(typed, if heals { healed } else { expect }, "{text:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn near_the_last_place_the_window_begins_where_it_did() {
    let oracle = Oracle::new(OracleOptions::default(), 1);
    let backend = Arc::new(LikeEmbedded(oracle.clone()));
    let (_, route, engine, document) = over_400_lines_by(&oracle, backend);
    let surroundings = &engine.surroundings;
    surroundings.answered(&trace(1), Duration::from_millis(60));
    surroundings.answered(&trace(400), Duration::from_millis(460));
    // The first and the last line of the prompt for a line.
    let window = |line: usize, explicit: bool| -> (usize, usize) {
        let end = document.text.line_to_byte(line + 1) - 1;
        let prompt = surroundings.prompt(&route, &document, end, explicit);
        let text: String = prompt.iter().map(Segment::as_str).collect();
        let lines = text.split("let a").skip(1);
        let numbers = lines.filter_map(|l| l.split(' ').next()?.parse::<usize>().ok());
        let numbers: Vec<usize> = numbers.collect();
        (
            *numbers.iter().min().unwrap(),
            *numbers.iter().max().unwrap(),
        )
    };
    let (first, last) = window(210, true);
    let below = last - 210;
    assert_ne!(window(190, true).0, first, "the usual window steps back");
    // (line, the last line of its prompt)
    for (line, expect) in [
        (206, 206 + below),
        (190, 190 + below),
        // Of the text below it has what the last one had.
        (194, 190 + below),
        (190, 190 + below),
    ] {
        if line == 206 {
            window(210, true);
        }
        assert_eq!(window(line, false), (first, expect), "{line}");
    }
    // Hardly anything would stand above, or nothing of it is near.
    for line in [first + 1, 300] {
        window(210, true);
        assert_ne!(window(line, false).0, first, "{line}");
    }
}

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
            drop(black_box(
                surroundings.prompt(&route, document, offset, false),
            ));
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
            drop(black_box(
                surroundings.prompt(&route, document, offset, false),
            ));
        });
    }
}
