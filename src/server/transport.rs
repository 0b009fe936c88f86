//! Messages in and out of the process.
//!
//! Drives the protocol service by hand instead of the framework's bundled loop, because of what that
//! loop cannot do: here no number of slow requests blocks a change or a cancel, a panic in a handler is
//! one error response, a bad message costs only itself, and the end of the input ends everything at
//! once. Called by `cli/serve`, and by tests over in-memory pipes.
//!
//! Invariant: the first poll of every handler happens here, in the order of arrival, so what a handler
//! does before its first await is ordered. All output goes through one queue ([`Outbox`]).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tower::Service;
use tower_lsp::jsonrpc::{Error, ErrorCode, Request, Response};
use tower_lsp::{ClientSocket, LspService};

use super::Server;
use super::framing::{FrameError, Frames};

/// Bytes a client may leave unread before it is taken for dead. Notifications stop at half of it.
const MOST_QUEUED_BYTES: usize = 64 << 20;

/// The one queue of messages to the client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    sender: mpsc::UnboundedSender<Vec<u8>>,
    queued_bytes: Arc<AtomicUsize>,
}

/// The other end of an [`Outbox`].
#[derive(Debug)]
pub struct Outgoing {
    receiver: mpsc::UnboundedReceiver<Vec<u8>>,
    queued_bytes: Arc<AtomicUsize>,
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// `shutdown`, then `exit` or the end of the input.
    Clean,
    /// Anything else: no `shutdown`, output closed, or framing lost.
    Unclean,
}

/// A queue to a client.
pub fn outbox() -> (Outbox, Outgoing) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let queued_bytes = Arc::<AtomicUsize>::default();
    (
        Outbox {
            sender,
            queued_bytes: queued_bytes.clone(),
        },
        Outgoing {
            receiver,
            queued_bytes,
        },
    )
}

impl Outbox {
    /// Queues a notification. One to a client that has stopped reading is dropped.
    pub fn notify(&self, method: &str, params: &Value) {
        if self.queued_bytes.load(Ordering::Relaxed) < MOST_QUEUED_BYTES / 2 {
            self.push(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
        }
    }

    fn push(&self, message: &impl serde::Serialize) {
        let body = serde_json::to_vec(message).unwrap_or_default();
        let mut frame = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        frame.extend(body);
        self.queued_bytes.fetch_add(frame.len(), Ordering::Relaxed);
        // Without a receiver the conversation is over and nobody waits for this.
        let _ = self.sender.send(frame);
    }
}

/// Serves one client until it leaves.
pub async fn serve<R, W>(
    reader: R,
    writer: W,
    service: LspService<Server>,
    socket: ClientSocket,
    outbox: Outbox,
    outgoing: Outgoing,
) -> Ended
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mut requests, responses) = socket.split();
    let queued_bytes = outgoing.queued_bytes.clone();
    let mut write = std::pin::pin!(write(writer, outgoing));
    let ended = {
        let to_client = outbox.clone();
        let pump = async move {
            while let Some(request) = requests.next().await {
                to_client.push(&request);
            }
            // The socket closes at `exit`; the reader ends the conversation.
            std::future::pending::<()>().await;
        };
        let read = Conversation {
            service,
            responses,
            outbox,
            queued_bytes,
            shut_down: false,
        }
        .run(Frames::new(reader));
        tokio::select! {
            // What is ready to be written has waited for this.
            biased;
            () = &mut write => return Ended::Unclean,
            ended = read => ended,
            () = pump => Ended::Unclean,
        }
    };
    // What was answered before the end is still delivered, if the client reads it.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), write).await;
    ended
}

/// Writes until the queue closes or the client does.
async fn write<W: AsyncWrite + Unpin>(mut writer: W, mut outgoing: Outgoing) {
    while let Some(frame) = outgoing.receiver.recv().await {
        outgoing
            .queued_bytes
            .fetch_sub(frame.len(), Ordering::Relaxed);
        let written = async {
            writer.write_all(&frame).await?;
            // One flush for all that is there.
            if outgoing.receiver.is_empty() {
                writer.flush().await
            } else {
                Ok(())
            }
        };
        if let Err(error) = written.await {
            tracing::warn!(%error, "the client closed its end");
            return;
        }
    }
}

struct Conversation<S> {
    service: LspService<Server>,
    responses: S,
    outbox: Outbox,
    queued_bytes: Arc<AtomicUsize>,
    shut_down: bool,
}

impl<S: futures_util::Sink<Response> + Unpin> Conversation<S> {
    async fn run<R: AsyncRead + Unpin>(mut self, mut frames: Frames<R>) -> Ended {
        let mut running = JoinSet::new();
        loop {
            while running.try_join_next().is_some() {}
            if self.queued_bytes.load(Ordering::Relaxed) > MOST_QUEUED_BYTES {
                tracing::error!("the client does not read; giving up");
                return Ended::Unclean;
            }
            let body = match frames.next().await {
                Ok(Some(body)) => body,
                Ok(None) => break,
                Err(FrameError::Header(message)) => {
                    self.refuse(Error::parse_error(), &message);
                    continue;
                }
                Err(FrameError::Lost(message)) => {
                    self.refuse(Error::parse_error(), &message);
                    return Ended::Unclean;
                }
            };
            match decode(&body) {
                Ok(Message::Request(request)) if request.method() == "exit" => break,
                Ok(Message::Request(request)) => self.handle(request, &mut running).await,
                Ok(Message::Response(response)) => {
                    let _ = self.responses.send(response).await;
                }
                Err((id, error)) => {
                    tracing::warn!(%error, "a message could not be read");
                    self.outbox.push(&Response::from_error(id, error));
                }
            }
        }
        if self.shut_down {
            Ended::Clean
        } else {
            Ended::Unclean
        }
    }

    /// Polls the handler once, here and now; what does not finish at once goes on beside others.
    async fn handle(&mut self, request: Request, running: &mut JoinSet<()>) {
        let id = request.id().cloned();
        let method = request.method().to_owned();
        let future = self.service.call(request);
        let outbox = self.outbox.clone();
        let mut guarded = Box::pin(async move {
            let answer = AssertUnwindSafe(future).catch_unwind().await;
            let response = match (answer, id) {
                (Ok(Ok(Some(response))), _) => Some(response),
                // Every request is answered, unknown `$/` methods too.
                (Ok(Ok(None)), Some(id)) => {
                    let error = Error {
                        code: ErrorCode::MethodNotFound,
                        message: "method not found".into(),
                        data: Some(method.clone().into()),
                    };
                    Some(Response::from_error(id, error))
                }
                (Ok(Err(_)), Some(id)) => Some(Response::from_error(id, Error::invalid_request())),
                (Err(panic), id) => {
                    tracing::error!(
                        method,
                        panic = panic_message(panic.as_ref()),
                        "a handler panicked"
                    );
                    id.map(|id| Response::from_error(id, Error::internal_error()))
                }
                (Ok(_), None) => None,
            };
            let ok = response.as_ref().is_some_and(Response::is_ok);
            if let Some(response) = response {
                outbox.push(&response);
            }
            ok && method == "shutdown"
        });
        match futures_util::poll!(&mut guarded) {
            std::task::Poll::Ready(shut_down) => self.shut_down |= shut_down,
            std::task::Poll::Pending => {
                running.spawn(async move {
                    guarded.await;
                });
            }
        }
    }

    fn refuse(&self, mut error: Error, message: &str) {
        tracing::warn!(message, "a message could not be framed");
        error.data = Some(message.into());
        self.outbox
            .push(&Response::from_error(tower_lsp::jsonrpc::Id::Null, error));
    }
}

enum Message {
    Request(Request),
    Response(Response),
}

fn decode(body: &[u8]) -> Result<Message, (tower_lsp::jsonrpc::Id, Error)> {
    use tower_lsp::jsonrpc::Id;
    // Nearly every message is a request as it should be.
    if let Ok(request) = serde_json::from_slice::<Request>(body)
        && !request.method().is_empty()
    {
        return Ok(Message::Request(with_own_params(request)));
    }
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => super::framing::without_lone_surrogates(body)
            .and_then(|repaired| serde_json::from_slice(&repaired).ok())
            .ok_or_else(|| {
                let mut refused = Error::parse_error();
                refused.data = Some(error.to_string().into());
                (Id::Null, refused)
            })?,
    };
    let id = value
        .get("id")
        .and_then(|id| serde_json::from_value::<Id>(id.clone()).ok());
    let message = if value.get("method").is_some() {
        serde_json::from_value(value).map(|request| Message::Request(with_own_params(request)))
    } else {
        serde_json::from_value(value).map(Message::Response)
    };
    message.map_err(|error| {
        let mut refused = Error::invalid_request();
        refused.data = Some(error.to_string().into());
        (id.unwrap_or(Id::Null), refused)
    })
}

/// Our own requests may come without params; the framework insists on some.
fn with_own_params(request: Request) -> Request {
    let is_ours = request.method().starts_with("ghostline/");
    if !is_ours || request.params().is_some_and(|params| !params.is_null()) {
        return request;
    }
    let (method, id, _) = request.into_parts();
    let request = Request::build(method).params(json!({}));
    match id {
        Some(id) => request.id(id).finish(),
        None => request.finish(),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
