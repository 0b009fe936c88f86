//! At which steps the trigger rules want a completion: found once, by the real engine, for all
//! policies, so that their figures have one denominator.

use std::sync::Arc;

use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt as _, stream};

use super::script::Script;
use crate::backend::{Backend, BackendError, ChunkStream, Installed, PromptBudget, Request};
use crate::config::Settings;
use crate::document::Document;
use crate::inline::{Ask, Engine, Nothing};
use crate::metrics::Metrics;
use crate::router::Router;

/// A backend that never says anything: the rules are applied before it is asked.
#[derive(Debug)]
struct Silent;

impl Backend for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        ready(Ok(())).boxed()
    }

    fn stream(&self, _: Request) -> ChunkStream {
        Box::pin(stream::pending())
    }

    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget {
            prefix_tokens: 1,
            suffix_tokens: 1,
            context_tokens: 0,
        }
    }
}

/// Sets [`skip`](super::script::Step::skip) of each step.
pub(super) async fn mark(script: &mut Script, uri: &str, settings: &Arc<Settings>) {
    let router = Router::fixed(Arc::new(Silent), super::oracle::MODEL);
    let engine = Arc::new(Engine::new(
        router,
        settings.clone(),
        Arc::<Metrics>::default(),
    ));
    let mut document = Document::new(uri, 0, "rust", &script.start);
    for step in &mut script.steps {
        for edit in &step.edits {
            document.apply(edit);
        }
        engine.document_changed(&document, &[step.cursor_bytes]);
        let ask = Ask {
            document: document.clone(),
            offset_bytes: step.cursor_bytes,
            explicit: false,
            selected: None,
        };
        // One poll: whether it skips is settled before its first await.
        let answer = engine.complete(ask).now_or_never();
        step.skip = match answer {
            Some(Err(Nothing::Skipped(skip))) => Some(skip),
            _ => None,
        };
        // Lets the tasks of the generations that were replaced end.
        tokio::task::yield_now().await;
    }
}
