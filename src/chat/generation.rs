//! One generation in words, from the route that serves to its end. Called by `chat` and `action`.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use crate::backend::{BackendError, Chunk, Conversation, Finish, Priority, Request, StopReason};
use crate::config::Role;
use crate::redact::redact;
use crate::router::{RoleState, Route, Router};

/// Tokens of a conversation where the backend does not tell: what Ollama is asked for.
const USUAL_WINDOW_TOKENS: usize = 8192;
/// Most tokens of an answer. A long one has 1,500; of more, nobody reads.
const MOST_ANSWER_TOKENS: usize = 3072;
/// One part in so many of the window that an answer may fill, thoughts included.
const ANSWER_SHARE: usize = 3;

/// What a generation cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u32,
    /// Tokens generated, thoughts included.
    pub completion_tokens: u32,
    /// From the question to the first token, thoughts included.
    pub first_token: Option<Duration>,
    /// From the question to the end.
    pub total: Duration,
}

/// A piece of what a model writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delta<'t> {
    /// Of the answer.
    Text(&'t str),
    /// Of what it thinks before.
    Thinking(&'t str),
}

/// Tokens for question and answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// For the prompt.
    pub prompt_tokens: usize,
    /// For the answer, thoughts included.
    pub answer_tokens: u32,
}

impl Budget {
    /// What the backend of `route` has room for.
    pub fn of(route: &Route) -> Self {
        let window = route.backend.window_tokens();
        let window = window.unwrap_or(USUAL_WINDOW_TOKENS);
        let answer = (window / ANSWER_SHARE).clamp(1, MOST_ANSWER_TOKENS);
        Self {
            prompt_tokens: window.saturating_sub(answer),
            answer_tokens: u32::try_from(answer).unwrap_or(u32::MAX),
        }
    }
}

/// What serves `role`, waited for while backends are asked; else the sentence that says what to do. A
/// person waits, so backends that had nothing are asked once more: one may have been started since.
pub async fn serving(router: &Arc<Router>, role: Role) -> Result<Arc<Route>, String> {
    if let Some(route) = router.ready(role).await {
        return Ok(route);
    }
    router.check().await;
    match router.route(role) {
        RoleState::Loading(route) | RoleState::Ready(route) => Ok(route),
        RoleState::Unavailable(why) => Err(why),
        RoleState::Starting => Err(format!("no model for {role}; see `ghostline doctor`")),
    }
}

/// Asks `route` and hands on what it writes, until `on` has enough: that frees the backend, and tokens are
/// counted as pieces. Secrets are taken out of every message before. A person waits: completions go first.
///
/// # Errors
/// The backend's; the router is told of it.
pub async fn generate(
    router: &Router,
    route: &Route,
    mut asked: Conversation,
    max_tokens: u32,
    redact_secrets: bool,
    on: &mut (dyn FnMut(Delta<'_>) -> ControlFlow<()> + Send),
) -> Result<(StopReason, Usage), BackendError> {
    let started = Instant::now();
    if redact_secrets {
        for message in &mut asked.messages {
            if let Cow::Owned(redacted) = redact(&message.text) {
                message.text = redacted;
            }
        }
    }
    let request = Request {
        model: route.model.clone(),
        prompt: asked.into(),
        max_tokens,
        stop: Vec::new(),
        priority: Priority::Chat,
    };
    let _at_work = router.at_work();
    let mut stream = route.backend.stream(request);
    let mut first_token = None;
    let mut so_far = Finish {
        stop: StopReason::Stop,
        ..Finish::default()
    };
    let ended = loop {
        let chunk = match stream.next().await {
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => break Err(error),
            None => {
                break Err(BackendError::Interrupted {
                    backend: route.backend.name().to_owned(),
                    message: "no end came".to_owned(),
                });
            }
        };
        let delta = match &chunk {
            Chunk::Text(text) => Delta::Text(text),
            Chunk::Thinking(text) => Delta::Thinking(text),
            Chunk::Prompt { prompt_tokens, .. } => {
                so_far.prompt_tokens = *prompt_tokens;
                continue;
            }
            Chunk::Done(finish) => break Ok(*finish),
        };
        first_token.get_or_insert_with(|| started.elapsed());
        so_far.generated_tokens += 1;
        if on(delta).is_break() {
            break Ok(so_far);
        }
    };
    drop(stream);
    let finish: Finish = ended.inspect_err(|error| router.report(route, error))?;
    let usage = Usage {
        prompt_tokens: finish.prompt_tokens,
        completion_tokens: finish.generated_tokens,
        first_token,
        total: started.elapsed(),
    };
    Ok((finish.stop, usage))
}
