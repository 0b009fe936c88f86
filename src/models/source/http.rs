//! Hugging Face, or a mirror that answers as it does.
//!
//! One GET with a range; a connection that breaks is taken up again from the last byte. A source
//! that never delivered a byte is given up at its first error, so that the next one gets its turn.

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode, Url};

use super::{Fetch, Stopped};
use crate::models::store::{BATCH_BYTES, Part};
use crate::models::{Event, SourceError};

/// How often in a row a server may break off without a new byte. With the pauses doubling from one
/// second this bridges a restart of a router, about 15 seconds.
const RETRIES: u32 = 4;

/// The source's name for people. The host only: an endpoint may carry a password.
pub(super) fn label(endpoint: &str) -> String {
    let url = Url::parse(endpoint).ok();
    match url.as_ref().and_then(Url::host_str) {
        Some(host) => format!("Hugging Face ({host})"),
        None => "Hugging Face (HF_ENDPOINT is not a URL)".to_owned(),
    }
}

/// Appends what is missing to `part`.
pub(super) async fn fetch(fetch: &Fetch<'_>, repo: &str, part: &mut Part) -> Result<(), Stopped> {
    let client = fetch.fetcher.client().map_err(SourceError::Http)?;
    let endpoint = fetch.fetcher.hugging_face.trim_end_matches('/');
    let url = format!("{endpoint}/{repo}/resolve/main/{}", fetch.model.file);
    let label = label(endpoint);

    let first_bytes = part.len_bytes();
    let mut most_bytes = first_bytes;
    let mut failures = 0;
    let mut resume = true;
    loop {
        let error = match attempt(fetch, &client, &url, resume, part).await {
            Ok(()) => return Ok(()),
            Err(Stopped::Source(error)) => error,
            Err(stopped) => return Err(stopped),
        };
        if part.len_bytes() > most_bytes {
            most_bytes = part.len_bytes();
            failures = 0;
        }
        match &error {
            // The range was refused, so ask for the whole file. What is there is kept until the
            // server shows that it has the right one.
            SourceError::Range if resume => resume = false,
            _ if failures < RETRIES && passes(&error, most_bytes > first_bytes) => {
                fetch.progress.on(Event::Retrying {
                    source: &label,
                    reason: &error.to_string(),
                });
                tokio::time::sleep(fetch.fetcher.retry_pause * 2_u32.pow(failures)).await;
                failures += 1;
            }
            _ => return Err(error.into()),
        }
    }
}

/// Whether a later try may go better.
fn passes(error: &SourceError, delivered: bool) -> bool {
    match error {
        SourceError::Http(_) | SourceError::Short { .. } => delivered,
        SourceError::Status(status) => {
            status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
        }
        _ => false,
    }
}

/// One request.
async fn attempt(
    fetch: &Fetch<'_>,
    client: &reqwest::Client,
    url: &str,
    resume: bool,
    part: &mut Part,
) -> Result<(), Stopped> {
    let from_bytes = if resume { part.len_bytes() } else { 0 };
    let mut request = client.get(url);
    if from_bytes > 0 {
        request = request.header(RANGE, format!("bytes={from_bytes}-"));
    }
    let response = request.send().await.map_err(broken)?;
    let expected_bytes = fetch.model.size_bytes;
    let starts_at_bytes = match response.status() {
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(from_bytes) => from_bytes,
        StatusCode::PARTIAL_CONTENT => return Err(SourceError::Range.into()),
        StatusCode::RANGE_NOT_SATISFIABLE if from_bytes > 0 => {
            return Err(SourceError::Range.into());
        }
        status => return Err(SourceError::Status(status).into()),
    };
    if let Some(rest_bytes) = response.content_length() {
        let found_bytes = starts_at_bytes + rest_bytes;
        if found_bytes != expected_bytes {
            return Err(SourceError::Size {
                found_bytes,
                expected_bytes,
            }
            .into());
        }
    }
    if starts_at_bytes < part.len_bytes() {
        part.restart()?;
    }
    receive(fetch, response, part).await
}

/// Appends the answer's body.
async fn receive(
    fetch: &Fetch<'_>,
    mut response: Response,
    part: &mut Part,
) -> Result<(), Stopped> {
    let expected_bytes = fetch.model.size_bytes;
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    let ended = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                batch.extend_from_slice(&chunk);
                let got_bytes = part.len_bytes() + batch.len() as u64;
                if got_bytes > expected_bytes {
                    break Err(SourceError::Size {
                        found_bytes: got_bytes,
                        expected_bytes,
                    });
                }
                fetch.fetched(got_bytes);
                if batch.len() >= BATCH_BYTES {
                    part.append(std::mem::take(&mut batch)).await?;
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(broken(error)),
        }
    };
    if !matches!(ended, Err(SourceError::Size { .. })) {
        part.append(batch).await?;
    }
    ended?;
    let got_bytes = part.len_bytes();
    if got_bytes < expected_bytes {
        return Err(SourceError::Short {
            got_bytes,
            expected_bytes,
        }
        .into());
    }
    Ok(())
}

/// The addresses that Hugging Face redirects to are signed: they belong in no message.
fn broken(error: reqwest::Error) -> SourceError {
    SourceError::Http(error.without_url())
}

/// Where the range of a 206 begins, from `Content-Range: bytes 7-99/100`.
fn range_start(response: &Response) -> Option<u64> {
    let value = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    value
        .strip_prefix("bytes ")?
        .split_once('-')?
        .0
        .trim()
        .parse()
        .ok()
}
