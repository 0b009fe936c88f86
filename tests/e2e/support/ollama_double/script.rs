//! What the double says: answers as lists of steps, and how they go out.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::record::Ticket;
use super::{Body, Shared, whole};

/// More identical tokens than this end a stream without a word, as in Ollama up to 0.34.
const REPEAT_LIMIT: usize = 30;

/// One step of an answer. The answer ends after the last one, with or without [`Step::Done`].
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A line with this text. Stop strings and `num_predict` of the request are honoured.
    Token(String),
    /// A line of a chat with this thought and no text.
    Thinking(String),
    /// These bytes, in a piece of their own.
    Bytes(Vec<u8>),
    /// This long a pause.
    Wait(Duration),
    /// A pause until the semaphore gives a permit.
    Gate(Arc<Semaphore>),
    /// Nothing more, with the connection open.
    Hang,
    /// The connection is reset.
    Reset,
    /// The closing line, with this text.
    Done(String),
}

/// What a request gets.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(super) content_type: &'static str,
    /// Status, content type and body instead of a stream.
    pub(super) refusal: Option<(u16, String, String)>,
    pub(super) steps: Vec<Step>,
    /// Headers beside the content type.
    pub(super) headers: Vec<(&'static str, String)>,
    /// What `load_duration` says, in place of the truth.
    pub(super) load: Option<Duration>,
}

impl Answer {
    /// `text`, a token for about every four characters, and the closing line.
    pub(crate) fn text(text: &str) -> Self {
        let characters: Vec<char> = text.chars().collect();
        let tokens = characters
            .chunks(4)
            .map(|token| token.iter().collect::<String>());
        Self::steps(tokens.map(Step::Token)).then(Step::Done(String::new()))
    }

    /// These steps and nothing else.
    pub(crate) fn steps(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            content_type: "application/x-ndjson",
            refusal: None,
            steps: steps.into_iter().collect(),
            headers: Vec::new(),
            load: None,
        }
    }

    /// These bytes, each element a piece of its own.
    pub(crate) fn pieces<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> Self {
        let bytes = pieces.into_iter().map(|piece| piece.as_ref().to_vec());
        Self::steps(bytes.map(Step::Bytes))
    }

    /// Ollama's error before the first byte.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let body = go_json(&json!({"error": message}));
        Self::refusal(status, "application/json; charset=utf-8", &body)
    }

    /// Any answer that is not a stream; the only kind that takes headers.
    pub(crate) fn refusal(status: u16, content_type: &str, body: &str) -> Self {
        let mut answer = Self::steps([]);
        answer.refusal = Some((status, content_type.to_owned(), body.to_owned()));
        answer
    }

    /// One step more.
    pub(crate) fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// One header more.
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Claims this much `load_duration`.
    pub(crate) fn claiming_load(mut self, load: Duration) -> Self {
        self.load = Some(load);
        self
    }
}

/// JSON as Go writes it.
pub(super) fn go_json(value: &Value) -> String {
    // The three characters occur within strings only.
    let json = value.to_string();
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// What really goes out, once stops and limits are known.
enum Write {
    Bytes(Vec<u8>),
    Wait(Duration),
    Gate(Arc<Semaphore>),
    Hang,
    Reset,
    Done(Vec<u8>),
}

/// Plans all writes ahead. The real one holds tokens back while they may begin a stop string, which
/// comes to the same.
fn plan(
    steps: Vec<Step>,
    request: &Value,
    statistics: &Value,
    per_token: Duration,
) -> VecDeque<Write> {
    let model = &request["model"];
    let options = &request["options"];
    let limit = options["num_predict"].as_u64().filter(|limit| *limit > 0);
    let stop: Vec<&str> = options["stop"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let is_chat = request["messages"].is_array();
    let object = |text: &str, done: bool| {
        let mut line = json!({"model": model, "created_at": "2026-11-01T00:00:00Z", "done": done});
        if is_chat {
            line["message"] = json!({"role": "assistant", "content": text});
        } else {
            line["response"] = text.into();
        }
        line
    };
    let bytes = |line: &Value| (go_json(line) + "\n").into_bytes();
    let line = |text: &str| bytes(&object(text, false));
    let done = |text: &str, reason: &str, tokens: u64| {
        let mut line = object(text, true);
        line["done_reason"] = reason.into();
        line["total_duration"] = 1_000_000.into();
        if tokens > 0 {
            line["eval_count"] = tokens.into();
        }
        for (key, value) in statistics.as_object().into_iter().flatten() {
            if value.as_u64() != Some(0) {
                line[key] = value.clone();
            }
        }
        Write::Done(bytes(&line))
    };
    let mut writes = VecDeque::new();
    let mut text = String::new();
    let mut tokens = 0;
    let mut same = 0;
    let mut last = String::new();
    for step in steps {
        match step {
            Step::Token(token) => {
                if tokens > 0 && !per_token.is_zero() {
                    writes.push_back(Write::Wait(per_token));
                }
                same = if token.trim() == last { same + 1 } else { 1 };
                token.trim().clone_into(&mut last);
                if same > REPEAT_LIMIT {
                    return writes;
                }
                let sent = text.len();
                text.push_str(&token);
                tokens += 1;
                if let Some(at) = stop.iter().filter_map(|stop| text.find(stop)).min() {
                    // What went out of the stop's beginning would have been held back; a test that
                    // wants that wants another double.
                    if let Some(rest) = text.get(sent..at).filter(|rest| !rest.is_empty()) {
                        writes.push_back(Write::Bytes(line(rest)));
                    }
                    writes.push_back(done("", "stop", tokens));
                    return writes;
                }
                writes.push_back(Write::Bytes(line(&token)));
                if limit.is_some_and(|limit| tokens >= limit) {
                    writes.push_back(done("", "length", tokens));
                    return writes;
                }
            }
            Step::Thinking(thought) => {
                let mut line = object("", false);
                line["message"]["thinking"] = thought.into();
                writes.push_back(Write::Bytes(bytes(&line)));
            }
            Step::Done(text) => writes.push_back(done(&text, "stop", tokens)),
            Step::Bytes(bytes) => writes.push_back(Write::Bytes(bytes)),
            Step::Wait(time) => writes.push_back(Write::Wait(time)),
            Step::Gate(gate) => writes.push_back(Write::Gate(gate)),
            Step::Hang => writes.push_back(Write::Hang),
            Step::Reset => writes.push_back(Write::Reset),
        }
    }
    writes
}

/// Sends an answer. Status and headers wait for its first bytes; `held` is kept until its end.
pub(super) async fn play<H: Send + 'static>(
    shared: &Arc<Shared>,
    answer: Answer,
    request: &Value,
    statistics: &Value,
    ticket: Ticket,
    held: H,
) -> Response<Body> {
    if let Some((status, content_type, body)) = answer.refusal {
        ticket.finished();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = whole(status, &content_type, &body);
        for (name, value) in answer.headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        return response;
    }
    let mut player = Player {
        writes: plan(answer.steps, request, statistics, shared.config.per_token),
        ticket: Some(ticket),
        _held: held,
    };
    let first = player.next().await;
    let rest = stream::unfold(player, |mut player| async {
        Some((player.next().await?, player))
    });
    let frames = stream::iter(first).chain(rest);
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let content_type = HeaderValue::from_static(answer.content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

struct Player<H> {
    writes: VecDeque<Write>,
    ticket: Option<Ticket>,
    _held: H,
}

impl<H> Player<H> {
    async fn next(&mut self) -> Option<io::Result<Frame<Bytes>>> {
        loop {
            match self.writes.pop_front() {
                Some(Write::Bytes(bytes)) => return Some(Ok(Frame::data(bytes.into()))),
                Some(Write::Done(bytes)) => {
                    self.finished();
                    return Some(Ok(Frame::data(bytes.into())));
                }
                Some(Write::Wait(time)) => sleep(time).await,
                Some(Write::Gate(gate)) => {
                    if let Ok(permit) = gate.acquire().await {
                        permit.forget();
                    }
                }
                Some(Write::Hang) => pending().await,
                Some(Write::Reset) => {
                    // What was written before goes out while nothing more is ready.
                    yield_now().await;
                    self.finished();
                    return Some(Err(io::ErrorKind::ConnectionReset.into()));
                }
                None => {
                    self.finished();
                    return None;
                }
            }
        }
    }

    fn finished(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            ticket.finished();
        }
    }
}
