//! A scripted Ollama that tells when a request arrived, when its answer was sent, and when the other
//! side closed the connection.
//!
//! Runs on a thread of its own with a runtime of its own. Arrival is stamped once the whole request is
//! there, and sending before the bytes are written: what this server costs counts as the measured
//! side's.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{LatencyError, cannot};

/// The backend's name in the settings.
pub(super) const NAME: &str = "bench";
/// The model it serves, of a family that fills in the middle.
pub(super) const MODEL: &str = "qwen2.5-coder:1.5b";

/// From a request to its answer. Less than any model takes to its first token, and more than the server
/// needs for what it does meanwhile: a server may use the time that a model gives it.
pub(super) const FIRST_TEXT_AFTER: Duration = Duration::from_millis(5);

/// The answer to one generation.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// This text and the closing line.
    Whole(String),
    /// This text; then the stream stays open.
    Held(String),
    /// A line for each of these texts, so long after each other, and the closing line.
    Lines(Vec<String>, Duration),
}

/// What happened to a generation, in order.
#[derive(Debug)]
pub(super) enum Event {
    /// The answer, or its held part, went out.
    Sent {
        /// When the whole request was there.
        arrived: Instant,
        /// When the last byte was handed to the connection.
        sent: Instant,
        /// The prompt that was asked.
        prompt: String,
    },
    /// A line of [`Answer::Lines`] was handed to the connection; the first follows its [`Event::Sent`].
    Line(Instant),
    /// The other side closed the connection of a held answer.
    Closed(Instant),
}

#[derive(Debug)]
struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    events: mpsc::UnboundedSender<Event>,
}

/// The running server; ends when dropped.
#[derive(Debug)]
pub(super) struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    events: mpsc::UnboundedReceiver<Event>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Backend {
    pub(super) fn start() -> Result<Self, LatencyError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(cannot("start a runtime"))?;
        let listen = cannot("listen on the loopback address");
        let (listener, address) = listen_on_loopback().map_err(listen)?;
        let (sender, events) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            answers: Mutex::default(),
            events: sender,
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let accept = accept(listener, shared.clone());
        std::thread::Builder::new()
            .name("scripted-backend".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept => {}
                        _ = stopped => {}
                    }
                });
            })
            .map_err(cannot("start a thread"))?;
        Ok(Self {
            address,
            shared,
            events,
            _stop: stop,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next generation gets this answer.
    pub(super) fn answer_next(&self, answer: Answer) {
        let mut answers = self.shared.answers.lock();
        let answers = answers.as_mut().unwrap_or_else(|p| p.get_mut());
        answers.push_back(answer);
    }

    /// What happened next; waits for it. `None` only when the server is gone.
    pub(super) async fn event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Whether something happened that nobody has taken.
    pub(super) fn has_event(&self) -> bool {
        !self.events.is_empty()
    }
}

fn listen_on_loopback() -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, shared.clone()));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Ollama's server, as every one written in Go, sets this too.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(respond(request, &shared).await) }
    });
    // An error here is a client that closed the connection, which is what is being measured.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Reply> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await;
    let arrived = Instant::now();
    let body = body.map(http_body_util::Collected::to_bytes);
    match path.as_str() {
        "/api/version" => Reply::object(&json!({ "version": "0.33.0" })),
        "/api/ps" => Reply::object(&json!({ "models": [{ "name": MODEL, "digest": "0" }] })),
        "/api/show" => Reply::object(&json!({})),
        "/api/tags" => Reply::object(&json!({ "models": [{
            "name": MODEL,
            "digest": "0",
            "details": { "family": "qwen2" },
            "capabilities": ["completion", "insert"],
        }] })),
        _ => {
            tokio::time::sleep(FIRST_TEXT_AFTER).await;
            generate(&body.unwrap_or_default(), arrived, shared)
        }
    }
}

fn generate(body: &[u8], arrived: Instant, shared: &Arc<Shared>) -> Response<Reply> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let done = json!({
        "response": "", "done": true, "done_reason": "stop", "load_duration": 1_000_000,
        "prompt_eval_count": 1, "eval_count": 1,
    });
    // A load, or the one token after it.
    if request["stream"] == false {
        return Reply::object(&done);
    }
    let answer = {
        let mut answers = shared
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        answers.pop_front().unwrap_or(Answer::Whole(String::new()))
    };
    let line = |text: &str| {
        let said = if request["messages"].is_array() {
            json!({ "message": { "role": "assistant", "content": text }, "done": false })
        } else {
            json!({ "response": text, "done": false })
        };
        said.to_string() + "\n"
    };
    let done = done.to_string() + "\n";
    let mut timed = None;
    let (lines, held) = match answer {
        Answer::Whole(text) => (line(&text) + &done, false),
        Answer::Held(text) => (line(&text), true),
        Answer::Lines(texts, gap) => {
            let mut lines: VecDeque<Bytes> = texts.iter().map(|text| line(text).into()).collect();
            let first = lines.pop_front().unwrap_or_default();
            lines.push_back(done.into());
            timed = Some(Timed {
                lines,
                gap,
                wait: Box::pin(tokio::time::sleep(gap)),
            });
            (String::from_utf8_lossy(&first).into_owned(), false)
        }
    };
    Response::new(Reply {
        lines: Some(lines.into()),
        held,
        timed,
        watch: Some(Watch {
            shared: shared.clone(),
            arrived,
            prompt: request["prompt"].as_str().unwrap_or_default().to_owned(),
        }),
    })
}

#[derive(Debug)]
struct Watch {
    shared: Arc<Shared>,
    arrived: Instant,
    prompt: String,
}

/// Lines with a pause before each.
#[derive(Debug)]
struct Timed {
    lines: VecDeque<Bytes>,
    gap: Duration,
    wait: Pin<Box<tokio::time::Sleep>>,
}

/// A body that reports its way.
#[derive(Debug)]
struct Reply {
    lines: Option<Bytes>,
    held: bool,
    /// What follows, line by line.
    timed: Option<Timed>,
    watch: Option<Watch>,
}

impl Reply {
    fn note_line(&self) {
        if let (Some(_), Some(watch)) = (&self.timed, &self.watch) {
            let _ = watch.shared.events.send(Event::Line(Instant::now()));
        }
    }

    fn object(value: &Value) -> Response<Self> {
        Response::new(Self {
            lines: Some(value.to_string().into()),
            held: false,
            timed: None,
            watch: None,
        })
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(lines) = self.lines.take() {
            if let Some(watch) = &mut self.watch {
                let event = Event::Sent {
                    arrived: watch.arrived,
                    prompt: std::mem::take(&mut watch.prompt),
                    sent: Instant::now(),
                };
                let _ = watch.shared.events.send(event);
            }
            self.note_line();
            return Poll::Ready(Some(Ok(Frame::data(lines))));
        }
        if let Some(timed) = &mut self.timed {
            std::task::ready!(timed.wait.as_mut().poll(context));
            let next = tokio::time::Instant::now() + timed.gap;
            timed.wait.as_mut().reset(next);
            let Some(line) = timed.lines.pop_front() else {
                return Poll::Ready(None);
            };
            // The closing line is no token.
            if timed.lines.is_empty() {
                self.timed = None;
            } else {
                self.note_line();
            }
            return Poll::Ready(Some(Ok(Frame::data(line))));
        }
        // A held body is never woken: it ends with its connection.
        if self.held {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let (true, Some(watch)) = (self.held, &self.watch) {
            let _ = watch.shared.events.send(Event::Closed(Instant::now()));
        }
    }
}
