//! Servers that answer as llama.cpp's does: the real one, and an oracle behind its API.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::{WallError, cannot};
use crate::backend::{Backend as _, BackendError, Chunk, Conversation, Priority, StopReason};
use crate::eval::oracle::{MODEL, Oracle};
use crate::prompt::fim::{PREFIX_ONLY, family_of};
use crate::prompt::{Message, Segment, Speaker};

/// Starts llama.cpp's server by way of the Python package `xllamacpp`.
const SCRIPT: &str = include_str!("../../../tests/http_servers/serve.py");
/// Tokens of its one slot: a prompt of the largest budget and an answer.
const CONTEXT_TOKENS: &str = "4096";

/// llama.cpp's server in a process of its own; ends when dropped.
#[derive(Debug)]
pub(super) struct LlamaProcess {
    pub(super) url: String,
    child: Child,
}

impl LlamaProcess {
    /// Waits until the weights are loaded.
    pub(super) async fn start(
        python: &Path,
        weights: &Path,
        alias: &str,
        threads: usize,
    ) -> Result<Self, WallError> {
        let mut child = Command::new(python)
            .arg("-c")
            .arg(SCRIPT)
            .arg(weights)
            .args(["--alias", alias, "--context", CONTEXT_TOKENS])
            .args(["--threads", &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot("start the Python of --server-python"))?;
        let mut url = String::new();
        if let Some(stdout) = child.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut url).await;
            read.map_err(cannot("read what llama.cpp's server says"))?;
        }
        let url = url.trim_end().to_owned();
        if url.starts_with("http://") {
            Ok(Self { url, child })
        } else {
            Err(WallError::NoServer {
                python: python.display().to_string(),
            })
        }
    }

    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.id()
    }
}

/// Serves an oracle on this machine and gives its address. Ends with the runtime.
pub(super) async fn serve_oracle(oracle: Oracle) -> Result<String, WallError> {
    let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listen.map_err(cannot("listen on the loopback address"))?;
    let address = listener.local_addr();
    let address = address.map_err(cannot("listen on the loopback address"))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, oracle.clone()));
        }
    });
    Ok(format!("http://{address}"))
}

async fn connection(stream: TcpStream, oracle: Oracle) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let oracle = oracle.clone();
        async move { Ok::<_, Infallible>(respond(request, &oracle).await) }
    });
    // An error here is a client that closed the connection: that is how it cancels.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Frames = stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>;

async fn respond(request: Request<Incoming>, oracle: &Oracle) -> Response<StreamBody<Frames>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    let frames = match path.as_str() {
        "/health" => once(&json!({ "status": "ok" })),
        "/props" => once(&json!({
            // One for who types, one for a chat.
            "total_slots": 2,
            "model_alias": MODEL,
            "default_generation_settings": { "n_ctx": 8192 },
        })),
        // Sentinels are looked up at the start: each is one token.
        "/tokenize" => once(&json!({ "tokens": [1] })),
        "/v1/chat/completions" => said(&body, oracle),
        _ => events(&body, oracle),
    };
    Response::new(StreamBody::new(frames))
}

fn once(value: &Value) -> Frames {
    let frame = Frame::data(Bytes::from(value.to_string()));
    stream::iter([Ok(frame)]).boxed()
}

fn events(body: &Value, oracle: &Oracle) -> Frames {
    let prompt = segments(body["prompt"].as_str().unwrap_or_default());
    let stops = body["stop"].as_array().into_iter().flatten();
    let most = body["n_predict"].as_u64().unwrap_or(1);
    let chunks = oracle.stream(crate::backend::Request {
        model: MODEL.to_owned(),
        prompt: prompt.into(),
        max_tokens: u32::try_from(most).unwrap_or(u32::MAX),
        stop: stops
            .filter_map(|s| s.as_str().map(str::to_owned))
            .collect(),
        priority: Priority::Completion,
    });
    let event = |chunk: Result<Chunk, BackendError>| {
        let event = match chunk {
            Ok(Chunk::Text(text)) => json!({ "content": text, "stop": false }),
            Ok(Chunk::Done(finish)) => {
                let cached = finish.cached_tokens.unwrap_or_default();
                json!({
                    "content": "",
                    "stop": true,
                    "stop_type": if finish.stop == StopReason::Length { "limit" } else { "word" },
                    "tokens_evaluated": finish.prompt_tokens,
                    "timings": {
                        "cache_n": cached,
                        "prompt_n": finish.prompt_tokens - cached,
                        "predicted_n": finish.generated_tokens,
                    },
                })
            }
            Ok(Chunk::Prompt { .. } | Chunk::Thinking(_)) => return None,
            Err(error) => json!({ "error": { "message": error.to_string() } }),
        };
        Some(Ok(Frame::data(Bytes::from(format!("data: {event}\n\n")))))
    };
    chunks
        .filter_map(move |chunk| std::future::ready(event(chunk)))
        .boxed()
}

/// An answer in the dialect of OpenAI.
fn said(body: &Value, oracle: &Oracle) -> Frames {
    let messages = body["messages"].as_array().into_iter().flatten();
    let asked: Vec<Message> = messages
        .filter_map(|message| message["content"].as_str())
        .map(|text| Message::new(Speaker::User, text))
        .collect();
    let chunks = oracle.stream(crate::backend::Request {
        model: MODEL.to_owned(),
        prompt: Conversation::from(asked).into(),
        max_tokens: u32::MAX,
        stop: Vec::new(),
        priority: Priority::Chat,
    });
    let event = |chunk: Result<Chunk, BackendError>| {
        let event = match chunk {
            Ok(Chunk::Text(text)) => json!({ "choices": [{ "delta": { "content": text } }] }),
            Ok(Chunk::Done(finish)) => json!({
                "choices": [{ "delta": {}, "finish_reason": "stop" }],
                "usage": {
                    "prompt_tokens": finish.prompt_tokens,
                    "completion_tokens": finish.generated_tokens,
                },
            }),
            Ok(Chunk::Prompt { .. } | Chunk::Thinking(_)) => return None,
            Err(error) => json!({ "error": { "message": error.to_string() } }),
        };
        Some(format!("data: {event}\n\n"))
    };
    let end = stream::iter(["data: [DONE]\n\n".to_owned()]);
    chunks
        .filter_map(move |chunk| std::future::ready(event(chunk)))
        .chain(end)
        .map(|text| Ok(Frame::data(Bytes::from(text))))
        .boxed()
}

/// A prompt taken apart again.
fn segments(prompt: &str) -> Vec<Segment> {
    let family = family_of(MODEL, None).unwrap_or(&PREFIX_ONLY);
    let sentinels: Vec<&'static str> = family.sentinels().into_iter().collect();
    let mut segments = Vec::new();
    let mut rest = prompt;
    loop {
        let first = sentinels
            .iter()
            .filter_map(|&sentinel| Some((rest.find(sentinel)?, sentinel)))
            .min();
        let (at, sentinel) = first.unwrap_or((rest.len(), ""));
        let (text, behind) = rest.split_at(at);
        if !text.is_empty() {
            segments.push(Segment::Text(text.to_owned()));
        }
        if sentinel.is_empty() {
            return segments;
        }
        segments.push(Segment::Special(sentinel));
        rest = behind.strip_prefix(sentinel).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::render;

    #[test]
    fn a_prompt_is_taken_apart_as_it_was_laid_out() {
        let family = family_of(MODEL, None).unwrap();
        for (above, typed, after) in [("a\n", "b", "c\n"), ("", "", ""), ("x\n", "", "")] {
            let laid_out = family.lay_out(above.into(), typed.into(), after.into());
            let filled: Vec<Segment> = laid_out
                .iter()
                .filter(|segment| !segment.as_str().is_empty())
                .cloned()
                .collect();
            assert_eq!(segments(&render(&laid_out)), filled);
        }
    }
}
