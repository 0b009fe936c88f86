//! A backend whose every word is scripted by the test, in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use ghostline::backend::{
    Backend, BackendError, Chunk, ChunkStream, Finish, Installed, PromptBudget, Request,
};
use tokio::sync::mpsc;

/// The model it has.
pub(crate) const MODEL: &str = "qwen2.5-coder:1.5b-base";

/// The backend's end.
#[derive(Debug)]
pub(crate) struct Scripted {
    started: mpsc::UnboundedSender<Running>,
    running: Arc<AtomicUsize>,
    most_running: Arc<AtomicUsize>,
    /// The next `stream` panics.
    pub panics: AtomicBool,
    /// The one model that is installed.
    pub model: Installed,
}

/// The test's end: the generations that were started.
#[derive(Debug)]
pub(crate) struct Script {
    started: mpsc::UnboundedReceiver<Running>,
    most_running: Arc<AtomicUsize>,
}

/// One generation, driven by the test.
#[derive(Debug)]
pub(crate) struct Running {
    /// What was asked.
    pub request: Request,
    chunks: mpsc::UnboundedSender<Result<Chunk, BackendError>>,
}

/// Waits for what must come; the limit only bounds a failure.
async fn within<T>(coming: impl Future<Output = T>) -> T {
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, coming)
        .await
        .expect("nothing came within 10 s")
}

/// A backend with one model, and its script; `fim` is what the model's metadata says.
pub(crate) fn scripted_with(model: &str, fim: Option<bool>) -> (Arc<Scripted>, Script) {
    let (sender, started) = mpsc::unbounded_channel();
    let most_running = Arc::<AtomicUsize>::default();
    let backend = Scripted {
        started: sender,
        running: Arc::default(),
        most_running: most_running.clone(),
        panics: AtomicBool::new(false),
        model: Installed {
            name: model.into(),
            fim,
            ..Installed::default()
        },
    };
    (
        Arc::new(backend),
        Script {
            started,
            most_running,
        },
    )
}

impl Script {
    /// Waits for the next generation.
    pub(crate) async fn next(&mut self) -> Running {
        within(self.started.recv())
            .await
            .expect("the backend is alive")
    }

    /// A generation that has been started and not been looked at yet.
    pub(crate) fn try_next(&mut self) -> Option<Running> {
        self.started.try_recv().ok()
    }

    /// How many generations ran at the same time, at most.
    pub(crate) fn most_running(&self) -> usize {
        self.most_running.load(Ordering::SeqCst)
    }
}

impl Running {
    /// Generates a piece of text.
    pub(crate) fn say(&self, text: &str) {
        let _ = self.chunks.send(Ok(Chunk::Text(text.into())));
    }

    /// Thinks a piece of text.
    pub(crate) fn think(&self, text: &str) {
        let _ = self.chunks.send(Ok(Chunk::Thinking(text.into())));
    }

    /// Ends as a model does that had no room for more.
    pub(crate) fn run_out(&self) {
        let finish = Finish {
            stop: ghostline::backend::StopReason::Length,
            ..Finish::default()
        };
        let _ = self.chunks.send(Ok(Chunk::Done(finish)));
    }

    /// Ends as a model does.
    pub(crate) fn finish(&self) {
        let finish = Finish {
            prompt_tokens: 10,
            generated_tokens: 3,
            ..Finish::default()
        };
        let _ = self.chunks.send(Ok(Chunk::Done(finish)));
    }

    /// Breaks off.
    pub(crate) fn fail(&self) {
        let error = BackendError::Interrupted {
            backend: "scripted".into(),
            message: "test".into(),
        };
        let _ = self.chunks.send(Err(error));
    }

    /// Waits until the stream was dropped.
    pub(crate) async fn dropped(&self) {
        within(self.chunks.closed()).await;
    }

    /// Whether the stream was dropped.
    pub(crate) fn is_dropped(&self) -> bool {
        self.chunks.is_closed()
    }

    /// The messages of a conversation: who says what.
    pub(crate) fn messages(&self) -> Vec<(&'static str, String)> {
        let ghostline::backend::Prompt::Chat(conversation) = &self.request.prompt else {
            panic!("not a conversation: {:?}", self.request.prompt)
        };
        let said = conversation.messages.iter();
        said.map(|m| (m.speaker.name(), m.text.clone())).collect()
    }

    /// What the person asked last.
    pub(crate) fn question(&self) -> String {
        self.messages()
            .pop()
            .map(|(_, text)| text)
            .unwrap_or_default()
    }

    /// The prompt as one string.
    pub(crate) fn prompt(&self) -> String {
        let text = |s: &ghostline::prompt::Segment| match s {
            ghostline::prompt::Segment::Special(s) => (*s).to_owned(),
            ghostline::prompt::Segment::Text(t) => t.clone(),
        };
        self.request.prompt.segments().iter().map(text).collect()
    }
}

/// Counts a stream for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Backend for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        let model = self.model.clone();
        async move { Ok(vec![model]) }.boxed()
    }

    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        async { Ok(()) }.boxed()
    }

    fn stream(&self, request: Request) -> ChunkStream {
        assert!(
            !self.panics.swap(false, Ordering::SeqCst),
            "the test wants a panic"
        );
        let (chunks, receiver) = mpsc::unbounded_channel();
        let started = self.started.clone();
        let running = self.running.clone();
        let most = self.most_running.clone();
        // As the trait asks: nothing happens before the first poll.
        futures_util::stream::once(async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let counted = Counted(running);
            let _ = started.send(Running { request, chunks });
            tokio_stream::wrappers::UnboundedReceiverStream::new(receiver).map(move |chunk| {
                let _ = &counted;
                chunk
            })
        })
        .flatten()
        .boxed()
    }

    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget {
            prefix_tokens: 4096,
            suffix_tokens: 1024,
            context_tokens: 1365,
        }
    }
}
