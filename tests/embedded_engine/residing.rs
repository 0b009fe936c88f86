//! Several models in memory, one line in front of them.
//!
//! One file under several names and links stands for several models: the engine tells them by file.

use std::path::Path;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use ghostline::backend::embedded::{Embedded, EmbeddedModel, EngineOptions, EngineState};
use ghostline::backend::{
    Backend, BackendError, Chunk, EmbedRequest, Finish, Priority, Request, Urgency,
};
use ghostline::prompt::Segment;
use tempfile::TempDir;

use crate::support::{collect, document, fim, first_text, request};
use crate::{Case, on_runtime};

pub(crate) const CASES: &[(&str, Case)] = &[
    ("residing::several_models_stay_in_memory", |weights| {
        on_runtime(several_models_stay_in_memory(weights))
    }),
    (
        "residing::a_completion_goes_before_a_chat_of_another_model",
        |weights| on_runtime(a_completion_goes_before_a_chat_of_another_model(weights)),
    ),
    ("residing::nothing_waits_for_anothers_load", |weights| {
        on_runtime(nothing_waits_for_anothers_load(weights))
    }),
    (
        "residing::where_memory_is_short_the_oldest_goes",
        |weights| on_runtime(where_memory_is_short_the_oldest_goes(weights)),
    ),
    ("residing::prompts_survive_a_restart", |weights| {
        on_runtime(prompts_survive_a_restart(weights))
    }),
    ("residing::a_joined_guess_goes_first", |weights| {
        on_runtime(a_joined_guess_goes_first(weights))
    }),
];

const NAMES: [&str; 3] = ["first", "second", "third"];

/// Three models; they are there as long as the folder is.
fn three(weights: &Path, options: EngineOptions) -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let models: Vec<_> = NAMES
        .iter()
        .map(|&name| {
            let path = folder.path().join(name);
            std::fs::hard_link(weights, &path)
                .or_else(|_| std::fs::copy(weights, &path).map(drop))
                .unwrap();
            EmbeddedModel {
                name: name.to_owned(),
                path,
                digest: Some(name.to_owned()),
            }
        })
        .collect();
    let options = EngineOptions {
        context_tokens: 1024,
        ..options
    };
    (
        folder,
        Embedded::new("embedded", move || models.clone(), options),
    )
}

fn ask(model: &str, prompt: Vec<Segment>, max_tokens: u32) -> Request {
    Request {
        model: model.to_owned(),
        ..request(prompt, max_tokens)
    }
}

async fn one(engine: &Embedded, model: &str) -> Finish {
    let prompt = fim("fn add(a: i32, b: i32) -> i32 {\n", "\n}\n", "    ");
    let (text, finish) = collect(engine.stream(ask(model, prompt, 8))).await.unwrap();
    assert!(text.contains("a + b"), "{text:?}");
    finish
}

fn in_memory(engine: &Embedded) -> Vec<&'static str> {
    let loaded = NAMES.into_iter();
    loaded
        .filter(|name| engine.state(name) == EngineState::Ready)
        .collect()
}

async fn several_models_stay_in_memory(weights: &Path) {
    let (_folder, engine) = three(weights, EngineOptions::default());
    for name in ["first", "second"] {
        assert!(one(&engine, name).await.load.is_some(), "{name}");
    }
    for name in ["first", "second", "first"] {
        let again = one(&engine, name).await;
        assert_eq!(again.load, None, "{name} was loaded again");
        assert!(
            again.cached_tokens.unwrap() + 1 >= again.prompt_tokens,
            "{name} lost its cache: {again:?}"
        );
    }
    assert_eq!(in_memory(&engine), ["first", "second"]);
    let embedded = engine.embed(EmbedRequest {
        model: "third".to_owned(),
        texts: vec!["fn main() {}".to_owned()],
        priority: Priority::Embedding,
    });
    assert_eq!(embedded.await.unwrap().vectors.len(), 1);
    assert_eq!(in_memory(&engine), NAMES);
}

/// It counts on for ever.
fn numbers() -> Vec<Segment> {
    vec![Segment::Text("1, 2, 3, 4, 5, 6, 7, 8,".to_owned())]
}

async fn a_completion_goes_before_a_chat_of_another_model(weights: &Path) {
    let (_folder, engine) = three(weights, EngineOptions::default());
    one(&engine, "first").await;
    let chat = Request {
        priority: Priority::Chat,
        ..ask("second", numbers(), 80)
    };
    let (expect, alone) = collect(engine.stream(chat.clone())).await.unwrap();
    assert_eq!(alone.generated_tokens, 80, "{alone:?}");
    let mut running = engine.stream(chat);
    let mut before = first_text(&mut running).await;
    one(&engine, "first").await;
    while let Some(Some(Ok(Chunk::Text(piece)))) = running.next().now_or_never() {
        before.push_str(&piece);
    }
    assert!(
        before.len() < expect.len() / 2,
        "the chat was finished first: {before:?}"
    );
    let (rest, _) = collect(running).await.unwrap();
    assert_eq!(before + &rest, expect, "the interruption changed the chat");
}

async fn nothing_waits_for_anothers_load(weights: &Path) {
    let (_folder, engine) = three(weights, EngineOptions::default());
    one(&engine, "first").await;
    let mut chat = engine.stream(Request {
        priority: Priority::Chat,
        ..ask("second", numbers(), 4)
    });
    assert!(chat.next().now_or_never().is_none());
    while engine.state("second") == EngineState::Unloaded {
        tokio::task::yield_now().await;
    }
    let completed = one(&engine, "first").await;
    assert_eq!(completed.load, None, "it waited for the other model");
    let (_, chatted) = collect(chat).await.unwrap();
    assert!(chatted.load.is_some());
}

async fn where_memory_is_short_the_oldest_goes(weights: &Path) {
    let size = weights.metadata().unwrap().len();
    // Two fit: cache and buffers of each take less than the weights.
    let limited = |models: u64| EngineOptions {
        memory_bytes: Some(size * models),
        ..EngineOptions::default()
    };
    let (_folder, engine) = three(weights, limited(4));
    for name in ["first", "second", "first", "third"] {
        one(&engine, name).await;
    }
    assert_eq!(in_memory(&engine), ["first", "third"]);
    // What nobody waits for puts nothing out that somebody waited for.
    let embedded = engine.embed(EmbedRequest {
        model: "second".to_owned(),
        texts: vec!["text".to_owned()],
        priority: Priority::Embedding,
    });
    let error = embedded.await.unwrap_err();
    assert!(error.to_string().contains("of memory"), "{error}");
    assert!(matches!(engine.state("second"), EngineState::Failed { .. }));
    assert_eq!(in_memory(&engine), ["first", "third"]);
    one(&engine, "second").await;
    assert_eq!(in_memory(&engine), ["second", "third"]);

    let (_folder, engine) = three(weights, limited(1));
    let error = collect(engine.stream(ask("first", numbers(), 1)))
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Load { .. }), "{error}");
}

async fn a_joined_guess_goes_first(weights: &Path) {
    let (_folder, engine) = three(weights, EngineOptions::default());
    one(&engine, "first").await;
    let chat = Request {
        priority: Priority::Chat,
        ..ask("first", numbers(), 60)
    };
    let mut running = engine.stream(chat);
    first_text(&mut running).await;
    let guess = Request {
        priority: Priority::Prefetch,
        ..ask("first", fim(&document("widget"), "", "pub fn "), 4)
    };
    let urgency = Urgency::new(guess.priority);
    let mut guessed = engine.stream_raisable(guess, &urgency);
    assert!(guessed.next().now_or_never().is_none());
    let urgency: Arc<Urgency> = urgency;
    urgency.raise(Priority::Completion);
    collect(guessed).await.unwrap();
    let mut rest = 0;
    while let Some(Some(Ok(chunk))) = running.next().now_or_never() {
        assert!(!matches!(chunk, Chunk::Done(_)), "the chat went first");
        rest += 1;
    }
    assert!(rest < 40, "the chat went first");
    collect(running).await.unwrap();
}

/// What was computed in one run need not be in the next, and the answer is the same.
async fn prompts_survive_a_restart(weights: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let options = || EngineOptions {
        state_dir: Some(folder.path().join("prompts")),
        ..EngineOptions::default()
    };
    let model = "first";
    let prompt = fim(&document("widget"), "\n}\n", "pub fn ");
    let run = async |request: Request| {
        let (_weights, engine) = three(weights, options());
        let done = collect(engine.stream(request)).await.unwrap();
        drop(engine);
        done
    };
    let (expect, first) = run(ask(model, prompt.clone(), 8)).await;
    assert_eq!(first.cached_tokens, Some(0));
    let (again, second) = run(ask(model, prompt.clone(), 8)).await;
    assert_eq!(again, expect);
    assert!(
        second.cached_tokens.unwrap() + 8 >= second.prompt_tokens,
        "{second:?}"
    );
    // What a person asks in a chat is not written down.
    let files = || walk(folder.path());
    let before = files();
    let secret = fim(&document("secret"), "\n}\n", "pub fn ");
    run(Request {
        priority: Priority::Chat,
        ..ask(model, secret, 8)
    })
    .await;
    assert_eq!(files(), before);
    for file in before {
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
    let (damaged, third) = run(ask(model, prompt, 8)).await;
    assert_eq!((damaged, third.cached_tokens), (expect, Some(0)));
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => walk(&path),
            path => vec![path],
        })
        .collect();
    files.sort();
    files
}
