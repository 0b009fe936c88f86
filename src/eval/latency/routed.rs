//! What the router and the backends cost: between a feature that asks and a server that answers.
//!
//! In this process, so without editor and pipes: the same router, pool and Ollama backend that the server
//! uses, against the scripted Ollama over a real connection. What the server itself takes is subtracted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::backend::{Answer, Backend, Event, MODEL, NAME};
use super::{LatencyError, cannot};
use crate::backend::ollama::{Ollama, OllamaOptions};
use crate::backend::pool::Pool;
use crate::backend::{
    self, BackendError, Chunk, ChunkStream, Conversation, Finish, Installed, Priority,
    PromptBudget, Request,
};
use crate::config::{Candidate, Role};
use crate::prompt::{Message, Segment, Speaker};
use crate::router::{Choices, RoleState, Route, Router};

/// Endpoints of the pool whose choice is timed.
const ENDPOINTS: usize = 4;
/// Prompt of the timed choice: what a completion sends at most, about 2,000 tokens.
const PROMPT_BYTES: usize = 8_000;
/// Tokens of each timed chat.
const DELTAS: usize = 20;
/// Between two tokens: as a model of 30 billion parameters on a GPU, so that no delta waits for the one
/// before it.
const TOKEN: Duration = Duration::from_millis(2);
/// Chats and choices thrown away first.
const WARM_UP: usize = 20;

const MEASURE: &str = "chat through the router";

/// How long the way takes.
pub(super) struct Routed {
    /// From asking for a role's route to the backend's being asked, and back with its first chunk.
    pub(super) choice: Vec<Duration>,
    /// A chat's first token, less the server's time.
    pub(super) first_token: Vec<Duration>,
    /// Each further token, from its line's leaving the server.
    pub(super) delta: Vec<Duration>,
}

pub(super) async fn measure(samples: usize, backend: &mut Backend) -> Result<Routed, LatencyError> {
    let choice = choices(samples).await?;
    let ollama = Ollama::new(NAME, &backend.url(), OllamaOptions::default());
    let ollama = ollama
        .map_err(|error| cannot("reach the loopback address")(std::io::Error::other(error)))?;
    let members: Vec<Arc<dyn backend::Backend>> = vec![Arc::new(ollama)];
    let router = routed(members).await;
    let mut first_token = Vec::with_capacity(samples);
    let mut delta = Vec::with_capacity(samples * DELTAS);
    let chats = samples.div_ceil(DELTAS).max(samples.min(200));
    for n in 0..chats + WARM_UP {
        let (first, rest) = chat(&router, backend, n).await?;
        if n >= WARM_UP {
            first_token.push(first);
            delta.extend(rest);
        }
    }
    Ok(Routed {
        choice,
        first_token,
        delta,
    })
}

/// A router whose roles are served by a pool of these.
async fn routed(members: Vec<Arc<dyn backend::Backend>>) -> Arc<Router> {
    let devices = members.iter().map(|_| Arc::default()).collect();
    let pool =
        Pool::new(NAME, members).map(|pool| Arc::new(pool.on_devices(devices, false)) as Arc<_>);
    let candidate = Candidate {
        backend: Some(NAME.to_owned()),
        model: MODEL.to_owned(),
    };
    let roles = [Role::Completion, Role::Chat];
    let router = Router::new(Choices {
        backends: pool.into_iter().collect(),
        candidates: roles.map(|role| (role, vec![candidate.clone()])).into(),
        ..Choices::default()
    });
    router.check().await;
    router.ready(Role::Completion).await;
    router
}

fn route(router: &Router, role: Role) -> Result<Arc<Route>, LatencyError> {
    match router.route(role) {
        RoleState::Ready(route) => Ok(route),
        other => Err(LatencyError::NotServed {
            status: format!("{role} is {}", other.name()),
        }),
    }
}

/// One chat: what was added to its first token and to each of the others.
async fn chat(
    router: &Router,
    backend: &mut Backend,
    n: usize,
) -> Result<(Duration, Vec<Duration>), LatencyError> {
    let problem = |problem| LatencyError::Backend {
        measure: MEASURE,
        problem,
    };
    let texts: Vec<String> = (0..DELTAS).map(|delta| format!("{n}.{delta} ")).collect();
    backend.answer_next(Answer::Lines(texts.clone(), TOKEN));
    let message = Message::new(Speaker::User, format!("question {n}"));
    let request = |route: &Route| Request {
        model: route.model.clone(),
        prompt: Conversation::from(vec![message]).into(),
        max_tokens: 1024,
        stop: Vec::new(),
        priority: Priority::Chat,
    };
    let started = Instant::now();
    let route = route(router, Role::Chat)?;
    let mut chunks = route.backend.stream(request(&route));
    let mut received = Vec::with_capacity(DELTAS);
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(Chunk::Text(text)) => received.push((Instant::now(), text)),
            Ok(_) => {}
            Err(_) => return Err(problem("the answer broke off")),
        }
    }
    if !received.iter().map(|(_, text)| text).eq(&texts) {
        return Err(problem("the answer is another"));
    }
    let mut arrived = None;
    let mut sent = Vec::with_capacity(DELTAS);
    while sent.len() < DELTAS {
        match backend.event().await.ok_or_else(|| problem("it is gone"))? {
            Event::Sent { arrived: at, .. } => arrived = Some(at),
            Event::Line(at) => sent.push(at),
            Event::Closed(_) => return Err(problem("its connection was closed")),
        }
    }
    let arrived = arrived.ok_or_else(|| problem("it was not asked"))?;
    let ways = sent
        .iter()
        .zip(&received)
        .map(|(sent, (received, _))| received.duration_since(*sent));
    let mut ways = ways.collect::<Vec<_>>().into_iter();
    let back = ways.next().unwrap_or_default();
    Ok((arrived.duration_since(started) + back, ways.collect()))
}

/// The router's and the pool's own time, with backends that answer at once.
async fn choices(samples: usize) -> Result<Vec<Duration>, LatencyError> {
    let members = (0..ENDPOINTS).map(|_| Arc::new(AtOnce) as Arc<dyn backend::Backend>);
    let router = routed(members.collect()).await;
    let text: String = "let weight = input * 7;\n"
        .chars()
        .cycle()
        .take(PROMPT_BYTES)
        .collect();
    let mut times = Vec::with_capacity(samples);
    for n in 0..samples + WARM_UP {
        // As typing does: the end of the prompt grows.
        let segments = vec![
            Segment::Special("<|fim_prefix|>"),
            Segment::Text(text.clone()),
            Segment::Special("<|fim_middle|>"),
            Segment::Text("x".repeat(n % 40)),
        ];
        let request = Request {
            model: MODEL.to_owned(),
            prompt: segments.into(),
            max_tokens: 64,
            stop: Vec::new(),
            priority: Priority::Completion,
        };
        let started = Instant::now();
        let route = route(&router, Role::Completion)?;
        let mut chunks = route.backend.stream(request);
        let first = chunks.next().await;
        let took = started.elapsed();
        if !matches!(first, Some(Ok(Chunk::Done(_)))) {
            return Err(LatencyError::Backend {
                measure: "the choice of an endpoint",
                problem: "nothing came",
            });
        }
        if n >= WARM_UP {
            times.push(took);
        }
    }
    Ok(times)
}

/// A backend that takes no time.
#[derive(Debug)]
struct AtOnce;

impl backend::Backend for AtOnce {
    fn name(&self) -> &str {
        NAME
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        let model = Installed {
            name: MODEL.to_owned(),
            ..Installed::default()
        };
        std::future::ready(Ok(vec![model])).boxed()
    }

    fn warm_up(&self, _: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn stream(&self, _: Request) -> ChunkStream {
        stream::once(async { Ok(Chunk::Done(Finish::default())) }).boxed()
    }

    fn prompt_budget(&self) -> PromptBudget {
        PromptBudget::UNMEASURED
    }
}
