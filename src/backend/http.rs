//! HTTP to one address: connections, limits, keys.
//!
//! Used by the backends that are servers. Knows statuses and sizes, not what a generation is.
//!
//! - Connections are kept alive, and all backends of this process share those to one host.
//! - Connecting, the first byte and the gap between two pieces have a limit each ([`Limits`]).
//! - Text and keys go where the settings say and nowhere else: redirects are not followed, and
//!   addresses of this machine are never reached through a proxy. For other addresses `HTTP_PROXY`,
//!   `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of this process count.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::BackendError;
use super::failure::Asked;

mod address;

pub use self::address::{AddressError, is_loopback};
pub(super) use self::address::{as_base, base_url};

/// Limit for what a probe asks, each. The answers come from memory or a few small files.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Largest answer read that is not a stream, in bytes. A list of 1000 models is about half a megabyte.
const MAX_BODY_BYTES: usize = 4 << 20;

/// How long and how much is read after the last line that counts, to get at the end of the body.
/// Servers end it at once; what takes longer costs a new connection and nothing else.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 64 * 1024;

/// After how long without traffic the system asks whether the other side is still there, so that a
/// cable that was pulled does not look like a slow model for ever.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long each wait may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For making a connection.
    pub connect: Duration,
    /// From sending a request to the first byte of the answer: queue and prompt.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A machine in the same network answers within milliseconds; a wrong address shows soon.
            connect: Duration::from_secs(2),
            // 4096 tokens at 35 tokens per second: a 7B model on a laptop's processor.
            first_byte: Duration::from_mins(2),
            // One token takes under 2 s even where memory swaps; a prompt cache move takes a few.
            stall: Duration::from_secs(30),
        }
    }
}

/// How a server's "no" becomes an error: from the status and the body.
pub(super) type Refusal = fn(Asked<'_>, StatusCode, &[u8]) -> BackendError;

/// An address and the client that keeps connections to it.
pub(super) struct Endpoint {
    base: Url,
    client: Client,
    limits: Limits,
    refusal: Refusal,
    /// Sent with every request, to this address only.
    key: Option<String>,
}

impl Endpoint {
    pub(super) fn new(
        base: Url,
        limits: Limits,
        key: Option<String>,
        refusal: Refusal,
    ) -> Result<Self, AddressError> {
        Ok(Self {
            client: client(&base, limits.connect)?,
            base,
            limits,
            refusal,
            key,
        })
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// A request for `path` below the base, whose path ends in `/`.
    fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        let request = self.client.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Asks for a small object.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        asked: Asked<'_>,
        path: &str,
    ) -> Result<T, BackendError> {
        let request = self.request(reqwest::Method::GET, path);
        let answer = async {
            let response = self.send(asked, request, PROBE_LIMIT).await?;
            self.json(asked, path, response).await
        };
        match timeout(PROBE_LIMIT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(asked.interrupted(format!("/{path} took over {PROBE_LIMIT:?}"))),
        }
    }

    /// Sends `body` and reads the object that answers it. `limit` is for the first byte.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        asked: Asked<'_>,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<T, BackendError> {
        let response = self.post(asked, path, body, limit).await?;
        self.json(asked, path, response).await
    }

    /// Sends `body` and waits up to `limit` for a status of 200 and something that is no page.
    pub(super) async fn post(
        &self,
        asked: Asked<'_>,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<Response, BackendError> {
        let request = self.request(reqwest::Method::POST, path).json(body);
        self.send(asked, request, limit).await
    }

    async fn send(
        &self,
        asked: Asked<'_>,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<Response, BackendError> {
        let again = request.try_clone();
        let sent = async {
            match (request.send().await, again) {
                // A kept connection that the server closed meanwhile: a new one tells.
                (Err(error), Some(again)) if broke_before_an_answer(&error) => again.send().await,
                (sent, _) => sent,
            }
        };
        let response = match timeout(limit, sent).await {
            Ok(sent) => sent.map_err(|error| asked.transport(error))?,
            Err(_) => return Err(asked.interrupted(format!("no answer within {limit:?}"))),
        };
        let status = response.status();
        if !status.is_success() {
            let body = self.body(asked, response).await.unwrap_or_default();
            return Err((self.refusal)(asked, status, &body));
        }
        let content_type = response.headers().get(header::CONTENT_TYPE);
        if content_type.is_some_and(|value| is_page(value.as_bytes())) {
            return Err(asked.protocol("a page of text"));
        }
        Ok(response)
    }

    async fn json<T: DeserializeOwned>(
        &self,
        asked: Asked<'_>,
        path: &str,
        response: Response,
    ) -> Result<T, BackendError> {
        let body = self.body(asked, response).await?;
        serde_json::from_slice(&body)
            .map_err(|_| asked.protocol(format!("/{path} is not the JSON expected")))
    }

    /// A body that is not a stream.
    pub(super) async fn body(
        &self,
        asked: Asked<'_>,
        response: Response,
    ) -> Result<Vec<u8>, BackendError> {
        let mut pieces = Body::new(response, self.limits.stall);
        let mut body = Vec::new();
        while let Some(bytes) = pieces.next(asked).await? {
            body.extend_from_slice(bytes.as_ref());
            if body.len() > MAX_BODY_BYTES {
                return Err(asked.protocol(format!("over {MAX_BODY_BYTES} bytes")));
            }
        }
        Ok(body)
    }
}

/// Whether a connection that was made ended before anything was answered. Asking again is safe: a
/// generation changes nothing.
fn broke_before_an_answer(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// Whether a content type is that of something written for people. Server-sent events are text too.
fn is_page(content_type: &[u8]) -> bool {
    content_type.starts_with(b"text/") && !content_type.starts_with(b"text/event-stream")
}

/// The pieces of an answer's body. Dropping it closes the connection, which is how a server learns
/// that nobody waits; [`Body::keep`] keeps the connection for the next request instead.
pub(super) struct Body {
    /// `None` once the rest was given away.
    response: Option<Response>,
    stall: Duration,
}

impl Body {
    pub(super) fn new(response: Response, stall: Duration) -> Self {
        Self {
            response: Some(response),
            stall,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(
        &mut self,
        asked: Asked<'_>,
    ) -> Result<Option<impl AsRef<[u8]> + use<>>, BackendError> {
        let Some(response) = &mut self.response else {
            return Ok(None);
        };
        match timeout(self.stall, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(asked.transport(error)),
            Err(_) => {
                let stall_s = self.stall.as_secs_f32();
                Err(asked.interrupted(format!("nothing came for {stall_s} s")))
            }
        }
    }

    /// All that counts was read: reads the rest aside, so that the connection can be used again.
    pub(super) fn keep(&mut self) {
        if let Some(response) = self.response.take() {
            tokio::spawn(timeout(DRAIN_TIME, drain(response)));
        }
    }
}

async fn drain(mut response: Response) {
    let mut read_bytes = 0;
    while let Ok(Some(bytes)) = response.chunk().await {
        read_bytes += bytes.len();
        if read_bytes > DRAIN_BYTES {
            return;
        }
    }
}

/// Clients by origin and limit for connecting. Held for a look-up only.
static CLIENTS: LazyLock<Mutex<HashMap<(String, Duration), Client>>> =
    LazyLock::new(Mutex::default);

/// The client of this process for the host of `base`.
fn client(base: &Url, connect: Duration) -> Result<Client, AddressError> {
    let key = (base.origin().ascii_serialization(), connect);
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = clients.get(&key) {
        return Ok(client.clone());
    }
    let client = build(base, connect)?;
    clients.insert(key, client.clone());
    Ok(client)
}

fn build(base: &Url, connect: Duration) -> Result<Client, AddressError> {
    let mut client = Client::builder()
        .connect_timeout(connect)
        .tcp_keepalive(TCP_KEEP_ALIVE)
        .redirect(redirect::Policy::none())
        // A compressing proxy would collect tokens before it passes them on.
        .no_gzip()
        .http1_only();
    if is_loopback(base) {
        client = client.no_proxy();
        if base.scheme() == "http" {
            // Nothing on this way is ever encrypted, and reading the system's certificates would
            // be half of the time that the server takes to start.
            client = client.tls_built_in_root_certs(false);
        }
    }
    client.build().map_err(AddressError::Client)
}
