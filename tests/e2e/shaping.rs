//! What is shown of a generated text, through the real engine: the tables in `tests/data/shaping`.
//!
//! A case is a document with the cursor at `█`, the language id, the text a model streams, and the
//! document after accepting; `(nothing)` where nothing may be shown. `⇥` is a tab, `␠` a space at a
//! line's end, `␍` a carriage return. Each case runs with chunks of one, three and all characters, and
//! the stream goes on until the engine closes it or the text ends.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use ghostline::backend::{
    Backend, BackendError, Chunk, ChunkStream, Finish, Installed, PromptBudget, Request,
};
use ghostline::config::Settings;
use ghostline::document::{Document, Edit};
use ghostline::inline::{Ask, Engine, Nothing, Skip};
use ghostline::metrics::Metrics;
use ghostline::router::Router;

use super::support::scripted::MODEL;

const TABLES: &[(&str, &str)] = &[
    ("braces", include_str!("../data/shaping/braces.txt")),
    ("doubled", include_str!("../data/shaping/doubled.txt")),
    (
        "indentation",
        include_str!("../data/shaping/indentation.txt"),
    ),
    ("repetition", include_str!("../data/shaping/repetition.txt")),
    ("lines", include_str!("../data/shaping/lines.txt")),
    ("grammar", include_str!("../data/shaping/grammar.txt")),
    ("specials", include_str!("../data/shaping/specials.txt")),
];

struct Case {
    name: String,
    language_id: String,
    document: String,
    text: String,
    after: String,
}

/// Reads a table: `=== name [language]`, then `--- document`, `--- text` and `--- after`.
fn read(table: &str) -> Vec<Case> {
    let section = |case: &str, name: &str| {
        let marker = format!("--- {name}\n");
        let (_, rest) = case.split_once(&marker).expect("every section is there");
        let end = rest.find("\n---").unwrap_or(rest.len());
        rest.split_at(end)
            .0
            .replace('⇥', "\t")
            .replace('␠', " ")
            .replace('␍', "\r")
    };
    table
        .split("\n=== ")
        .skip(1)
        .map(|case| {
            let case = case.trim_end_matches('\n');
            let (name, _) = case.split_once("]\n").expect("a language in brackets");
            let (name, language_id) = name.split_once(" [").expect("a language in brackets");
            Case {
                name: name.to_owned(),
                language_id: language_id.to_owned(),
                document: section(case, "document"),
                text: section(case, "text"),
                after: section(case, "after"),
            }
        })
        .collect()
}

/// Streams one text to everybody.
#[derive(Debug)]
struct Streaming {
    chunks: Vec<String>,
}

impl Backend for Streaming {
    fn name(&self) -> &'static str {
        "streaming"
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        async { Ok(()) }.boxed()
    }

    fn stream(&self, _: Request) -> ChunkStream {
        let texts = self.chunks.clone().into_iter().map(Chunk::Text);
        let end = [Chunk::Done(Finish::default())];
        futures_util::stream::iter(texts.chain(end).map(Ok)).boxed()
    }

    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget {
            prefix_tokens: 4096,
            suffix_tokens: 1024,
            context_tokens: 0,
        }
    }
}

/// The document after accepting what is shown; `None` when nothing is.
async fn accepted(case: &Case, chunk_chars: usize) -> Option<String> {
    let offset_bytes = case.document.find('█').expect("a cursor");
    let text = case.document.replacen('█', "", 1);
    let mut document = Document::new("file:///project/x", 1, &case.language_id, &text);
    // The whitespace left of the cursor is generated again, as a part of the text.
    let before = text.get(..offset_bytes).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let typed_after_word = !line.trim().is_empty() && case.text.starts_with([' ', '\n']);
    let space = line
        .get(line.trim_end().len()..)
        .filter(|_| !typed_after_word)
        .unwrap_or_default();
    let chars: Vec<char> = [space, &case.text].concat().chars().collect();
    let chunks = chars
        .chunks(chunk_chars)
        .map(|c| c.iter().collect())
        .collect();
    let router = Router::fixed(Arc::new(Streaming { chunks }), MODEL);
    let engine = Arc::new(Engine::new(
        router,
        Arc::new(Settings::default()),
        Arc::<Metrics>::default(),
    ));
    let ask = |explicit| Ask {
        document: document.clone(),
        offset_bytes,
        explicit,
        selected: None,
    };
    let completion = match engine.complete(ask(false)).await {
        // Not asked for while typing.
        Err(Nothing::Skipped(_)) => engine.complete(ask(true)).await,
        answer => answer,
    };
    let completion = completion.ok()?;
    document.apply(&Edit {
        range_bytes: Some(completion.range_bytes),
        text: completion.insert_text,
    });
    Some(document.text.to_string())
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_right_whatever_the_chunks() {
    let mut wrong = String::new();
    let mut cases = 0;
    for (table, text) in TABLES {
        for case in read(text) {
            cases += 1;
            let expected = (case.after != "(nothing)").then_some(case.after.as_str());
            for chunk_chars in [1, 3, usize::MAX] {
                let got = accepted(&case, chunk_chars).await;
                let got = got.as_deref().map(|t| t.trim_end_matches(['\r', '\n']));
                if got != expected.map(|t| t.trim_end_matches(['\r', '\n'])) {
                    let _ = write!(
                        wrong,
                        "\n{table}: {} [{}], chunks of {chunk_chars}\n  got      {got:?}\n  expected {expected:?}",
                        case.name, case.language_id
                    );
                }
            }
        }
    }
    assert!(cases >= 60, "only {cases} cases were read");
    assert!(wrong.is_empty(), "{wrong}");
}

/// A generation keeps its own shape: one line here changes nothing for the next block.
#[tokio::test(start_paused = true)]
async fn a_later_block_gets_many_lines_as_the_first_did() {
    let text = "fn a() {\n    █\n}\n\nfn b() {\n    let x = █\n}\n\nfn c() {\n    █\n}\n";
    let plain = text.replace('█', "");
    let document = Document::new("file:///project/x.rs", 1, "rust", &plain);
    let chunks = vec!["d();\n".to_owned(), "    e();\n".to_owned(), "}".to_owned()];
    let router = Router::fixed(Arc::new(Streaming { chunks }), MODEL);
    let engine = Arc::new(Engine::new(
        router,
        Arc::new(Settings::default()),
        Arc::<Metrics>::default(),
    ));
    for (n, expected) in ["d();\n    e();", "d();", "d();\n    e();"]
        .iter()
        .enumerate()
    {
        let (at, _) = text.match_indices('█').nth(n).unwrap();
        let ask = Ask {
            document: document.clone(),
            offset_bytes: at - n * '█'.len_utf8(),
            explicit: false,
            selected: None,
        };
        let completion = engine.complete(ask).await.unwrap();
        assert_eq!(completion.insert_text, *expected, "place {n}");
    }
}

/// Also when the rest of the line is known already; and what was asked for by hand goes on being shown.
#[tokio::test(start_paused = true)]
async fn who_asks_by_hand_gets_lines_where_there_is_room() {
    let lines = "d();\n    e();";
    for (text, typing, by_hand) in [
        ("fn b() {\n    let x = █\n}\n", "d();", lines),
        ("fn b() {\n    let x = █;\n}\n", "d()", "d()"),
        ("fn b() {\n    let x = █\n    e();\n}\n", "d();", "d();"),
    ] {
        let chunks = vec!["d();\n".to_owned(), "    e();\n".to_owned(), "}".to_owned()];
        let engine = Arc::new(Engine::new(
            Router::fixed(Arc::new(Streaming { chunks }), MODEL),
            Arc::new(Settings::default()),
            Arc::<Metrics>::default(),
        ));
        let plain = text.replace('█', "");
        for (explicit, expected) in [(false, typing), (true, by_hand), (false, by_hand)] {
            let ask = Ask {
                document: Document::new("file:///project/x.rs", 1, "rust", &plain),
                offset_bytes: text.find('█').unwrap(),
                explicit,
                selected: None,
            };
            let completion = engine.complete(ask).await.unwrap();
            assert_eq!(completion.insert_text, expected, "{text:?} {explicit}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_file_gets_nothing_even_when_asked_for() {
    let router = Router::fixed(Arc::new(Streaming { chunks: Vec::new() }), MODEL);
    let engine = Arc::new(Engine::new(
        router,
        Arc::new(Settings::default()),
        Arc::<Metrics>::default(),
    ));
    for (uri, expected) in [
        (
            "file:///project/deploy/id_rsa",
            Nothing::Skipped(Skip::Secret),
        ),
        (
            "file:///project/.environment",
            Nothing::Skipped(Skip::Ignored),
        ),
        ("file:///project/config.json", Nothing::Empty),
        ("file:///project/tests/keys/a.rs", Nothing::Empty),
    ] {
        let ask = Ask {
            document: Document::new(uri, 1, "plaintext", "KEY="),
            offset_bytes: 4,
            explicit: true,
            selected: None,
        };
        assert_eq!(engine.complete(ask).await, Err(expected), "{uri}");
    }
}
