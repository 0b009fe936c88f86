//! Fetching and making models: long answers, one JSON object a line.
//!
//! A failure is a last line with `error` on an answer of status 200, and success is a last line that
//! says so: an answer that just ends is neither. Dropping the future closes the connection, which
//! pauses a fetch; the next one carries on from the parts that are there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{OllamaError, OllamaModels, SILENCE_LIMIT};
use crate::backend::wire::Ndjson;
use crate::models::{Event, Progress};

/// Longest message passed on, in characters: enough for Ollama's own sentences and a path.
const MOST_MESSAGE_CHARS: usize = 300;

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    status: String,
    digest: Option<String>,
    #[serde(default)]
    total: u64,
    #[serde(default)]
    completed: u64,
    error: Option<Value>,
}

impl OllamaModels {
    /// Fetches `model` from Ollama's registry into this Ollama.
    ///
    /// # Errors
    /// [`OllamaError::Refused`] with Ollama's words, of which [`OllamaError::is_unknown_tag`] knows
    /// the most frequent; [`OllamaError::NoSpace`] where its disk is known to be too full.
    pub async fn pull(&self, model: &str, progress: &dyn Progress) -> Result<(), OllamaError> {
        let body = json!({ "model": model, "stream": true });
        let disk = if self.is_local() { models_dir() } else { None };
        self.follow(
            "api/pull",
            "fetch the model",
            &body,
            disk.as_deref(),
            progress,
        )
        .await
    }

    /// Makes `model` from the model `from`, quantised as `to`, such as `q4_K_M`.
    ///
    /// # Errors
    /// As [`OllamaModels::pull`]; Ollama refuses a source that is quantised already.
    pub async fn quantize(
        &self,
        from: &str,
        model: &str,
        to: &str,
        progress: &dyn Progress,
    ) -> Result<(), OllamaError> {
        let body = json!({ "model": model, "from": from, "quantize": to, "stream": true });
        self.follow("api/create", "quantise the model", &body, None, progress)
            .await
    }

    async fn follow(
        &self,
        path: &str,
        doing: &str,
        body: &Value,
        disk: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<(), OllamaError> {
        let sent = self.send(reqwest::Method::POST, path, Some(body), SILENCE_LIMIT);
        let mut response = self.checked(doing, sent.await?, "").await?;
        let mut lines = Ndjson::new();
        let mut layers = Layers::default();
        let mut last = String::new();
        loop {
            let piece = match timeout(SILENCE_LIMIT, response.chunk()).await {
                Ok(Ok(piece)) => piece,
                Ok(Err(error)) => return Err(self.broken(&error)),
                Err(_) => return Err(self.interrupted(format!("silent for {SILENCE_LIMIT:?}"))),
            };
            let ended = piece.is_none();
            lines.push(&piece.unwrap_or_default());
            loop {
                let line = match lines.next_value::<Line>() {
                    Ok(Some(line)) => line,
                    Ok(None) if ended => match lines.finish() {
                        Ok(Some(line)) => line,
                        _ => break,
                    },
                    Ok(None) => break,
                    Err(error) => return Err(self.protocol(error.to_string())),
                };
                if let Some(error) = &line.error {
                    return Err(self.told(doing, &error_text(error)));
                }
                if let Some(known) = layers.take(&line) {
                    if let Some(disk) = disk.filter(|_| layers.grown) {
                        check_space(disk, known.1 - known.0.min(known.1))?;
                    }
                    progress.on(Event::Fetched {
                        done_bytes: known.0,
                        total_bytes: known.1,
                    });
                } else if line.status != last {
                    progress.on(Event::Doing { what: &line.status });
                }
                last = line.status;
            }
            if ended {
                return if last == "success" {
                    Ok(())
                } else {
                    Err(self.interrupted("the answer ended before it was done"))
                };
            }
        }
    }
}

impl OllamaModels {
    /// What an error line within a stream means.
    fn told(&self, doing: &str, message: &str) -> OllamaError {
        if is_full(message) {
            return OllamaError::DiskFull {
                url: self.url(),
                message: message.to_owned(),
            };
        }
        self.refused(doing, message)
    }
}

/// Go's words for a full disk, on Unix and on Windows.
fn is_full(message: &str) -> bool {
    ["no space left on device", "not enough space on the disk"]
        .iter()
        .any(|words| message.contains(words))
}

/// The layers of a model as their lines come: the sum is what a person wants to see.
#[derive(Debug, Default)]
struct Layers {
    by_digest: BTreeMap<String, (u64, u64)>,
    /// The last line told of a new layer.
    grown: bool,
}

impl Layers {
    /// Bytes done and bytes in all, if the line counts any.
    fn take(&mut self, line: &Line) -> Option<(u64, u64)> {
        let digest = line.digest.as_ref()?;
        if line.total == 0 {
            return None;
        }
        let before = self
            .by_digest
            .insert(digest.clone(), (line.completed, line.total));
        self.grown = before.is_none();
        Some(
            self.by_digest
                .values()
                .fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1)),
        )
    }
}

/// Where an Ollama of this user keeps its models, if it is there: `OLLAMA_MODELS`, else
/// `~/.ollama/models` (its `envconfig/config.go`). A service's own user may have another.
fn models_dir() -> Option<PathBuf> {
    let named = std::env::var_os("OLLAMA_MODELS").filter(|dir| !dir.is_empty());
    let dir = match named {
        Some(dir) => PathBuf::from(dir),
        None => etcetera::home_dir().ok()?.join(".ollama").join("models"),
    };
    // Without manifests this user runs none of their own.
    dir.join("manifests").is_dir().then_some(dir)
}

/// Refuses early; a file system that does not tell is believed to have room.
fn check_space(dir: &Path, needed_bytes: u64) -> Result<(), OllamaError> {
    match fs4::available_space(dir) {
        Ok(available_bytes) if available_bytes < needed_bytes => Err(OllamaError::NoSpace {
            dir: dir.to_owned(),
            needed_bytes,
            available_bytes,
        }),
        _ => Ok(()),
    }
}

/// Ollama's words on one line; what stands in front of it may send an object with a `message`.
pub(super) fn error_text(error: &Value) -> String {
    let text = error.as_str().or_else(|| error.get("message")?.as_str());
    let text = text.map_or_else(|| error.to_string(), str::to_owned);
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MOST_MESSAGE_CHARS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: &str) -> Line {
        serde_json::from_str(json).expect("a line")
    }

    #[test]
    fn layers_add_up_and_may_fall_back() {
        let mut layers = Layers::default();
        let rows = [
            (r#"{"status":"pulling manifest"}"#, None, false),
            (
                r#"{"status":"pulling a","digest":"a","total":10}"#,
                Some((0, 10)),
                true,
            ),
            (
                r#"{"status":"pulling a","digest":"a","total":10,"completed":7}"#,
                Some((7, 10)),
                false,
            ),
            (
                r#"{"status":"pulling a","digest":"a","total":10,"completed":4}"#,
                Some((4, 10)),
                false,
            ),
            (
                r#"{"status":"pulling b","digest":"b","total":5,"completed":5}"#,
                Some((9, 15)),
                true,
            ),
        ];
        for (json, expect, grown) in rows {
            assert_eq!(layers.take(&line(json)), expect, "{json}");
            if expect.is_some() {
                assert_eq!(layers.grown, grown, "{json}");
            }
        }
    }

    #[test]
    fn a_full_disk_is_told_from_a_refusal() {
        let ollama = OllamaModels::at("http://127.0.0.1:1").expect("an address");
        for (message, full) in [
            (
                "write /m/blobs/sha256-1-partial: no space left on device",
                true,
            ),
            ("write C:\\m: There is not enough space on the disk.", true),
            ("pull model manifest: file does not exist", false),
        ] {
            let error = ollama.told("fetch m", message);
            let is_full = matches!(error, OllamaError::DiskFull { .. });
            assert_eq!(is_full, full, "{error}");
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn space_is_refused_before_it_is_used() {
        let dir = std::env::temp_dir();
        assert!(check_space(&dir, 1).is_ok());
        assert!(matches!(
            check_space(&dir, u64::MAX),
            Err(OllamaError::NoSpace { .. })
        ));
        assert!(check_space(Path::new("/no/such/folder"), u64::MAX).is_ok());
    }
}
