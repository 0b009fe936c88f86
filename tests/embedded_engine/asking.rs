//! A conversation and an action, from the question to what comes of it, with real weights.

use std::path::Path;
use std::sync::Arc;

use ghostline::action::{self, Actions, Job, Outcome, Scene};
use ghostline::backend::Backend;
use ghostline::backend::embedded::EngineOptions;
use ghostline::chat::{Ask, Chats, Event, TurnState};
use ghostline::config::{Candidate, ContextSettings, Role, Settings};
use ghostline::document::Document;
use ghostline::router::{Choices, Router};

use crate::support::{MODEL, engine_with};
use crate::{Case, on_runtime};

/// The cases of this file.
pub(crate) const CASES: &[(&str, Case)] = &[
    ("asking::a_conversation_is_held_and_kept", |weights| {
        on_runtime(a_conversation_is_held_and_kept(weights))
    }),
    ("asking::documenting_leaves_the_code_alone", |weights| {
        on_runtime(documenting_leaves_the_code_alone(weights))
    }),
];

async fn router(weights: &Path) -> Arc<Router> {
    let options = EngineOptions {
        context_tokens: 4096,
        ..EngineOptions::default()
    };
    let engine: Arc<dyn Backend> = Arc::new(engine_with(weights, options));
    let candidate = Candidate {
        backend: None,
        model: MODEL.to_owned(),
    };
    let router = Router::new(Choices {
        backends: vec![engine],
        candidates: [(Role::Chat, vec![candidate])].into(),
        ..Choices::default()
    });
    router.check().await;
    router
}

async fn a_conversation_is_held_and_kept(weights: &Path) {
    let home = tempfile::tempdir().unwrap();
    let router = router(weights).await;
    let chats = Chats::new(router.clone(), Some(home.path().to_owned()));
    let mut streamed = String::new();
    let mut on = |event: Event<'_>| {
        if let Event::Delta(text) = event {
            streamed.push_str(text);
        }
    };
    let ask = Ask {
        message: Some("What is the capital of France? Answer with one word.".to_owned()),
        ..Ask::default()
    };
    let first = chats.answer(ask, &mut on).await.unwrap();
    assert!(first.message.contains("Paris"), "{first:?}");
    assert_eq!(streamed, first.message);
    assert_eq!(first.state, TurnState::Answered);
    assert!(first.usage.prompt_tokens > 50 && first.usage.completion_tokens > 0);
    // Another process finds it on the disk.
    let chats = Chats::new(router, Some(home.path().to_owned()));
    let ask = Ask {
        conversation: Some(first.begun.conversation),
        message: Some("And of Italy?".to_owned()),
        ..Ask::default()
    };
    let second = chats.answer(ask, &mut |_| {}).await.unwrap();
    assert!(second.message.contains("Rome"), "{second:?}");
    assert_eq!(second.begun.turn, 1);
}

/// Whatever a small model writes: the code stays, or the reply is refused with a sentence.
async fn documenting_leaves_the_code_alone(weights: &Path) {
    let text = "fn middle(lo: usize, hi: usize) -> usize {\n    lo + (hi - lo) / 2\n}\n";
    let document = Document::new("file:///project/a.rs", 1, "rust", text);
    let actions = Actions::new(router(weights).await, true);
    let job = Job {
        action: action::named("document").unwrap(),
        scene: Scene {
            document: document.clone(),
            lines: 0..3,
            selected: true,
            remarks: Vec::new(),
            instruction: None,
            asks: false,
        },
        seen: Vec::new(),
        folders: Vec::new(),
        context: context(),
        allowed: Arc::new(|_| true),
        searcher: None,
    };
    match actions.run(job, &mut |_| {}).await {
        Ok(made) => {
            let Outcome::Edit { changes, .. } = made.outcome else {
                panic!("an edit")
            };
            let after = action::applied(&document, &changes);
            let code: String = after
                .split_inclusive('\n')
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            assert_eq!(code, text);
            assert!(after.len() > text.len(), "{after}");
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.starts_with("the model"), "{sentence}");
        }
    }
}

fn context() -> ContextSettings {
    Settings::default().context
}
