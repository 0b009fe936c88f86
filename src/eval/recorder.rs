//! A backend that lets each generation run to its end and keeps it, then hands it on.
//!
//! Called by `eval/infilling`: the engine ends a stream as soon as it wants no more, and what the model
//! would have said without it is the other half of the comparison. Both halves are one generation, so
//! nothing but the engine's work differs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};

use crate::backend::{
    Backend, BackendError, Capabilities, Chunk, ChunkStream, Finish, Installed, Priority,
    PromptBudget, Request,
};

/// Fits every published problem whole. A constant, so that a slow machine asks the same as a fast one.
const BUDGET: PromptBudget = PromptBudget {
    prefix_tokens: 2048,
    suffix_tokens: 1024,
    context_tokens: 0,
};

/// All that a model said to one request.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What it was asked.
    pub request: Request,
    /// Its text to the end.
    pub text: String,
    /// How it ended.
    pub finish: Finish,
    /// Tokens of the prompt that were computed, where the backend tells.
    pub computed_tokens: Option<u32>,
}

/// Records what another backend says.
#[derive(Debug)]
pub struct Recorder {
    inner: Arc<dyn Backend>,
    /// What was generated since it was taken last, warm-ups left out. A std mutex, held for a push.
    recorded: Arc<Mutex<Vec<Result<Recording, BackendError>>>>,
    /// The most tokens of each generation.
    most_tokens: AtomicU32,
}

impl Recorder {
    /// Records `inner`.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self {
            inner,
            recorded: Arc::default(),
            most_tokens: AtomicU32::new(u32::MAX),
        }
    }

    /// From now on no generation has more than so many tokens, whatever is asked for.
    pub fn say_at_most(&self, tokens: u32) {
        self.most_tokens.store(tokens, Ordering::Relaxed);
    }

    /// Takes what was recorded, oldest first.
    pub fn take(&self) -> Vec<Result<Recording, BackendError>> {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *recorded)
    }
}

impl Backend for Recorder {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        self.inner.probe()
    }

    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        self.inner.warm_up(model)
    }

    fn stream(&self, mut request: Request) -> ChunkStream {
        let most_tokens = self.most_tokens.load(Ordering::Relaxed);
        request.max_tokens = request.max_tokens.min(most_tokens);
        let inner = self.inner.stream(request.clone());
        if request.priority == Priority::WarmUp {
            return inner;
        }
        let recorded = self.recorded.clone();
        let whole = async move {
            let (recording, chunks) = to_the_end(request, inner).await;
            let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
            recorded.push(recording);
            stream::iter(chunks.into_iter().map(Ok))
        };
        Box::pin(whole.flatten_stream())
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn prompt_budget(&self) -> PromptBudget {
        BUDGET
    }
}

/// Reads a generation to its end. After an error the chunks end without an end of their own, which
/// whoever reads them takes for a cut.
pub(super) async fn to_the_end(
    request: Request,
    mut inner: ChunkStream,
) -> (Result<Recording, BackendError>, Vec<Chunk>) {
    let mut chunks = Vec::new();
    let mut recording = Recording {
        request,
        text: String::new(),
        finish: Finish::default(),
        computed_tokens: None,
    };
    while let Some(chunk) = inner.next().await {
        match chunk {
            Ok(chunk) => {
                match &chunk {
                    Chunk::Text(text) => recording.text.push_str(text),
                    Chunk::Done(finish) => recording.finish = *finish,
                    Chunk::Prompt {
                        prompt_tokens,
                        cached_tokens,
                        ..
                    } => {
                        recording.computed_tokens =
                            cached_tokens.map(|cached| prompt_tokens.saturating_sub(cached));
                    }
                    Chunk::Thinking(_) => {}
                }
                chunks.push(chunk);
            }
            Err(error) => return (Err(error), chunks),
        }
    }
    (Ok(recording), chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::oracle::{Oracle, OracleOptions};
    use crate::prompt::Segment;

    #[tokio::test(start_paused = true)]
    async fn what_is_only_warmed_is_not_recorded() {
        let recorder = Recorder::new(Arc::new(Oracle::new(OracleOptions::default(), 1)));
        for priority in [Priority::WarmUp, Priority::Completion] {
            let request = Request {
                model: "qwen2.5-coder".into(),
                prompt: vec![Segment::Text("fn main() {".into())].into(),
                max_tokens: 4,
                stop: Vec::new(),
                priority,
            };
            recorder.stream(request).count().await;
        }
        let taken = recorder.take().into_iter().map(Result::unwrap);
        let priorities: Vec<_> = taken.map(|r| r.request.priority).collect();
        assert_eq!(priorities, [Priority::Completion]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_generation_ends_after_as_many_tokens_as_it_may_have() {
        let options = OracleOptions::default();
        let oracle = Oracle::new(options, 1);
        oracle.look_ahead(0, "", "a + b + c;");
        let recorder = Recorder::new(Arc::new(oracle));
        for (most, expect) in [(u32::MAX, 4), (1, 1)] {
            recorder.say_at_most(most);
            let request = Request {
                model: "qwen2.5-coder".into(),
                prompt: vec![Segment::Text("fn main() {".into())].into(),
                max_tokens: 4,
                stop: Vec::new(),
                priority: Priority::Completion,
            };
            recorder.stream(request).count().await;
            let [Ok(recording)] = &recorder.take()[..] else {
                panic!("one generation is recorded");
            };
            assert_eq!(recording.finish.generated_tokens, expect);
        }
    }
}
