//! A small language client, for the demo, the benchmarks and the tests.
//!
//! Speaks to a server over any pair of pipes: the standard input and output of a process, or memory.
//! Every message that arrives is kept until somebody takes it.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// How long a server may take to answer before the client gives up: model loads included.
const PATIENCE: Duration = Duration::from_mins(2);

/// What can go wrong in a conversation.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A pipe broke.
    #[error("the connection to the language server broke")]
    Io(#[from] std::io::Error),
    /// The server closed its end.
    #[error("the language server ended in the middle of a conversation")]
    Closed,
    /// Something that is not a message.
    #[error("the language server sent something that is not JSON")]
    Json(#[from] serde_json::Error),
    /// No answer in time.
    #[error("the language server did not answer {waiting_for} within {} s", PATIENCE.as_secs())]
    Silent {
        /// What was waited for.
        waiting_for: String,
    },
    /// The server answered with an error.
    #[error("{method} failed: {error}")]
    Refused {
        /// The request's method.
        method: String,
        /// The JSON-RPC error.
        error: Value,
    },
}

/// Reads what a server writes, message by message.
#[derive(Debug)]
pub struct Incoming<R>(BufReader<R>);

/// Writes what a server reads.
#[derive(Debug)]
pub struct Outgoing<W>(W);

/// One end of a conversation with a server.
#[derive(Debug)]
pub struct Client<R, W> {
    reader: Incoming<R>,
    writer: Outgoing<W>,
    next_id: i64,
    unread: VecDeque<Value>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Client<R, W> {
    /// A client over `reader`, what the server writes, and `writer`, what it reads.
    pub fn new(reader: R, writer: W) -> Self {
        Self {
            reader: Incoming(BufReader::new(reader)),
            writer: Outgoing(writer),
            next_id: 1,
            unread: VecDeque::new(),
        }
    }

    /// `initialize` and `initialized`; returns the server's answer.
    pub async fn initialize(&mut self, params: Value) -> Result<Value, ClientError> {
        let answer = self.request("initialize", params).await?;
        self.notify("initialized", json!({})).await?;
        Ok(answer)
    }

    /// `shutdown` and `exit`.
    pub async fn shut_down(&mut self) -> Result<(), ClientError> {
        self.request("shutdown", Value::Null).await?;
        self.notify("exit", Value::Null).await
    }

    /// Sends a notification.
    pub async fn notify(&mut self, method: &str, params: Value) -> Result<(), ClientError> {
        let mut message = json!({ "jsonrpc": "2.0", "method": method });
        if !params.is_null() {
            message["params"] = params;
        }
        self.send(&message).await
    }

    /// Sends a request and waits for its answer.
    pub async fn request(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        let id = self.start(method, params).await?;
        let mut answer = self.response(&json!(id)).await?;
        match answer.get_mut("error") {
            Some(error) => Err(ClientError::Refused {
                method: method.to_owned(),
                error: error.take(),
            }),
            None => Ok(answer["result"].take()),
        }
    }

    /// Sends a request and returns its id; take the answer with [`Self::response`].
    pub async fn start(&mut self, method: &str, params: Value) -> Result<i64, ClientError> {
        let (id, body) = self.prepared(method, params)?;
        self.send_raw(&body).await?;
        Ok(id)
    }

    /// A request to send later with [`Self::send_raw`], and its id.
    pub fn prepared(&mut self, method: &str, params: Value) -> Result<(i64, Vec<u8>), ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if !params.is_null() {
            message["params"] = params;
        }
        Ok((id, serde_json::to_vec(&message)?))
    }

    /// Waits for the response to the request `id`, errors included.
    pub async fn response(&mut self, id: &Value) -> Result<Value, ClientError> {
        self.take(&format!("request {id}"), |m| {
            m.get("method").is_none() && m.get("id") == Some(id)
        })
        .await
    }

    /// Waits for the notification `method` and returns its params.
    pub async fn notification(&mut self, method: &str) -> Result<Value, ClientError> {
        let mut message = self.take(method, |m| m["method"] == method).await?;
        Ok(message["params"].take())
    }

    /// Waits for a request of the server's, and returns its id and params; answer it with
    /// [`Self::respond`].
    pub async fn incoming(&mut self, method: &str) -> Result<(Value, Value), ClientError> {
        let mut message = self
            .take(method, |m| m["method"] == method && m.get("id").is_some())
            .await?;
        Ok((message["id"].take(), message["params"].take()))
    }

    /// Answers a request of the server's.
    pub async fn respond(&mut self, id: &Value, result: Value) -> Result<(), ClientError> {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
            .await
    }

    /// Waits until the completion role is served or known not to be; returns the last status.
    pub async fn settled_status(&mut self) -> Result<Value, ClientError> {
        loop {
            let status = self.request("ghostline/status", json!({})).await?;
            if !matches!(status["state"].as_str(), Some("starting" | "loading")) {
                return Ok(status);
            }
            self.notification("ghostline/statusChanged").await?;
        }
    }

    /// Both directions apart, for somebody who reads and writes at once. The next request of theirs has
    /// the id that is given back, or a higher one. What arrived and was not taken is dropped.
    pub fn split(self) -> (Incoming<R>, Outgoing<W>, i64) {
        (self.reader, self.writer, self.next_id)
    }

    /// Sends any message, well formed or not.
    pub async fn send(&mut self, message: &Value) -> Result<(), ClientError> {
        self.send_raw(&serde_json::to_vec(message)?).await
    }

    /// Frames and sends any bytes.
    pub async fn send_raw(&mut self, body: &[u8]) -> Result<(), ClientError> {
        self.writer.send(body).await
    }

    /// Frames and sends many bodies as one write, as fast as the server reads.
    pub async fn send_all_raw(&mut self, bodies: &[Vec<u8>]) -> Result<(), ClientError> {
        let mut frames = Vec::new();
        for body in bodies {
            frames.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            frames.extend_from_slice(body);
        }
        self.writer.write(&frames).await
    }

    /// What has arrived and was not taken.
    pub fn unread(&self) -> impl Iterator<Item = &Value> {
        self.unread.iter()
    }

    async fn take(
        &mut self,
        waiting_for: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, ClientError> {
        if let Some(at) = self.unread.iter().position(&wanted) {
            return self.unread.remove(at).ok_or(ClientError::Closed);
        }
        let answer = tokio::time::timeout(PATIENCE, async {
            loop {
                let message = self.reader.next().await?;
                if wanted(&message) {
                    return Ok(message);
                }
                self.unread.push_back(message);
            }
        });
        let silent = || ClientError::Silent {
            waiting_for: waiting_for.to_owned(),
        };
        answer.await.map_err(|_| silent())?
    }
}

impl<W: AsyncWrite + Unpin> Outgoing<W> {
    /// Frames and sends a body.
    pub async fn send(&mut self, body: &[u8]) -> Result<(), ClientError> {
        let mut frame = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        frame.extend_from_slice(body);
        self.write(&frame).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.0.write_all(bytes).await?;
        Ok(self.0.flush().await?)
    }
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// The next message. Dropping the future loses the beginning of it.
    pub async fn next(&mut self) -> Result<Value, ClientError> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await? == 0 {
                return Err(ClientError::Closed);
            }
            match line.trim() {
                "" => break,
                header => {
                    if let Some(value) = header.strip_prefix("Content-Length:") {
                        length = value.trim().parse().map_err(|_| ClientError::Closed)?;
                    }
                }
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(serde_json::from_slice(&body)?)
    }
}
