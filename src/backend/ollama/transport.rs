//! HTTP to one address: connections, limits, and the check that the other side may be an Ollama.
//!
//! Called by the rest of the backend. Knows statuses and sizes, not what a generation is.

use std::time::Duration;

use reqwest::{Client, Response, Url, header, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::address::is_loopback;
use super::{AddressError, Inner, OllamaOptions};
use crate::backend::BackendError;

/// Limit for what a probe asks, each. Both answers come from memory or a few small files.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Largest answer read that is not a stream, in bytes. A list of 1000 models is about half a megabyte.
const MAX_BODY_BYTES: usize = 4 << 20;

/// An address and the client that keeps connections to it.
pub(super) struct Endpoint {
    base: Url,
    client: Client,
}

impl Endpoint {
    pub(super) fn new(base: Url, options: &OllamaOptions) -> Result<Self, AddressError> {
        let mut client = Client::builder()
            .connect_timeout(options.connect)
            .redirect(redirect::Policy::none())
            // A compressing proxy would collect tokens before it passes them on.
            .no_gzip()
            .http1_only();
        if is_loopback(&base) {
            client = client.no_proxy();
            if base.scheme() == "http" {
                // Nothing on this way is ever encrypted, and reading the system's certificates would
                // be half of the time that the server takes to start.
                client = client.tls_built_in_root_certs(false);
            }
        }
        let client = client.build().map_err(AddressError::Client)?;
        Ok(Self { base, client })
    }

    /// `path` below the base, whose path ends in `/`.
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }
}

impl Inner {
    /// Asks for a small object.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        path: &str,
    ) -> Result<T, BackendError> {
        let asked = self.asked("");
        let answer = async {
            let sent = endpoint.client.get(endpoint.url(path)).send().await;
            let response = sent.map_err(|error| asked.transport(error))?;
            let status = response.status();
            if !status.is_success() {
                return Err(asked.protocol(format!("status {status} for /{path}")));
            }
            let body = self.body("", response).await?;
            serde_json::from_slice(&body)
                .map_err(|_| asked.protocol(format!("/{path} is not the JSON expected")))
        };
        match timeout(PROBE_LIMIT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(asked.interrupted(format!("/{path} took over {PROBE_LIMIT:?}"))),
        }
    }

    /// Sends `body` to `path` and waits up to `limit` for a status of 200 and something that may be
    /// Ollama's.
    pub(super) async fn post(
        &self,
        model: &str,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<Response, BackendError> {
        let asked = self.asked(model);
        let endpoint = self.endpoint();
        let request = endpoint.client.post(endpoint.url(path));
        let response = match timeout(limit, request.json(body).send()).await {
            Ok(sent) => sent.map_err(|error| asked.transport(error))?,
            Err(_) => return Err(asked.interrupted(format!("no answer within {limit:?}"))),
        };
        let status = response.status();
        if !status.is_success() {
            let body = self.body(model, response).await.unwrap_or_default();
            return Err(asked.refusal(status, &body));
        }
        let content_type = response.headers().get(header::CONTENT_TYPE);
        if content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/")) {
            return Err(asked.protocol("a page of text"));
        }
        Ok(response)
    }

    /// A body that is not a stream.
    pub(super) async fn body(
        &self,
        model: &str,
        mut response: Response,
    ) -> Result<Vec<u8>, BackendError> {
        let asked = self.asked(model);
        let mut body = Vec::new();
        loop {
            let piece = timeout(self.options.stall, response.chunk()).await;
            match piece {
                Ok(Ok(Some(bytes))) if body.len() + bytes.len() <= MAX_BODY_BYTES => {
                    body.extend_from_slice(&bytes);
                }
                Ok(Ok(Some(_))) => {
                    return Err(asked.protocol(format!("over {MAX_BODY_BYTES} bytes")));
                }
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => return Err(asked.transport(error)),
                Err(_) => return Err(asked.interrupted("an answer stalled")),
            }
        }
    }
}
