//! Every way Ollama says no, made into a [`BackendError`].
//!
//! Before the first byte a failure is a status and `{"error": …}`; after it, one more line with
//! `error` on an answer of status 200. Text that is not Ollama's own, such as a proxy's page, is never
//! repeated. Source of the wordings: Ollama's `server/routes.go`, `server/sched.go`,
//! `llm/llama_server.go`, versions 0.24 to 0.34.

use reqwest::StatusCode;

use super::api::ErrorBody;
use crate::backend::BackendError;

/// Longest message passed on, in characters: enough for Ollama's own sentences and a path.
const MAX_MESSAGE_CHARS: usize = 300;

/// Who asked for what: the two names that go into errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) backend: &'a str,
    pub(super) model: &'a str,
}

impl Asked<'_> {
    /// The request did not get through, or the connection broke.
    pub(super) fn transport(self, error: reqwest::Error) -> BackendError {
        let backend = self.backend.to_owned();
        // A URL may hold a password.
        let error = error.without_url();
        if error.is_connect() {
            return BackendError::Unreachable {
                backend,
                source: Some(Box::new(error)),
            };
        }
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        BackendError::Interrupted {
            backend,
            message: shorten(&message),
        }
    }

    /// An answer whose status is not 200.
    pub(super) fn refusal(self, status: StatusCode, body: &[u8]) -> BackendError {
        let backend = self.backend.to_owned();
        if let Ok(error) = serde_json::from_slice::<ErrorBody>(body) {
            let message = error.message();
            return match status {
                StatusCode::NOT_FOUND => BackendError::ModelMissing {
                    backend,
                    model: self.model.to_owned(),
                },
                StatusCode::SERVICE_UNAVAILABLE => BackendError::Busy { backend },
                _ => self.error_line(&message),
            };
        }
        if status == StatusCode::FORBIDDEN && body.is_empty() {
            return BackendError::Failed {
                backend,
                message: "it refuses requests under this host name; use its IP address, or set \
                          OLLAMA_HOST=0.0.0.0 where it runs"
                    .to_owned(),
            };
        }
        BackendError::Protocol {
            backend,
            message: format!("status {status} without Ollama's error"),
        }
    }

    /// The server's own words, from an error body or an error line.
    pub(super) fn error_line(self, message: &str) -> BackendError {
        if is_load_failure(message) {
            return BackendError::Load {
                model: self.model.to_owned(),
                message: format!(
                    "{}; choose another model in the settings or another version of Ollama",
                    shorten(message)
                ),
            };
        }
        BackendError::Failed {
            backend: self.backend.to_owned(),
            message: shorten(message),
        }
    }

    pub(super) fn protocol(self, message: impl Into<String>) -> BackendError {
        BackendError::Protocol {
            backend: self.backend.to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn interrupted(self, message: impl Into<String>) -> BackendError {
        BackendError::Interrupted {
            backend: self.backend.to_owned(),
            message: message.into(),
        }
    }
}

/// Whether the weights are the trouble, so that asking again is no use.
fn is_load_failure(message: &str) -> bool {
    [
        "process has terminated",
        "unknown model architecture",
        "error loading model",
        "unable to load model",
        "timed out waiting for llama",
        "requires more system memory",
    ]
    .iter()
    .any(|part| message.contains(part))
}

/// One line of at most [`MAX_MESSAGE_CHARS`] characters.
fn shorten(message: &str) -> String {
    let mut line: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MAX_MESSAGE_CHARS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// A second copy of `error`, for those who wait on one shared load.
pub(super) fn copy(error: &BackendError) -> BackendError {
    use BackendError as E;
    match error {
        E::Unreachable { backend, source } => E::Unreachable {
            backend: backend.clone(),
            source: source.as_ref().map(|source| source.to_string().into()),
        },
        E::ModelMissing { backend, model } => E::ModelMissing {
            backend: backend.clone(),
            model: model.clone(),
        },
        E::Unsupported {
            backend,
            model,
            what,
        } => E::Unsupported {
            backend: backend.clone(),
            model: model.clone(),
            what,
        },
        E::Busy { backend } => E::Busy {
            backend: backend.clone(),
        },
        E::Failed { backend, message } => E::Failed {
            backend: backend.clone(),
            message: message.clone(),
        },
        E::Protocol { backend, message } => E::Protocol {
            backend: backend.clone(),
            message: message.clone(),
        },
        E::Interrupted { backend, message } => E::Interrupted {
            backend: backend.clone(),
            message: message.clone(),
        },
        E::Load { model, message } => E::Load {
            model: model.clone(),
            message: message.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'_> = Asked {
        backend: "ollama",
        model: "m",
    };

    #[test]
    fn refusal_table() {
        let cases = [
            (
                404,
                r#"{"error":"model 'm' not found"}"#,
                "ollama has no model m",
            ),
            (
                404,
                "404 page not found",
                "ollama sent something that is not",
            ),
            (
                400,
                r#"{"error":"registry.ollama.ai/library/m:latest does not support insert"}"#,
                "ollama failed: registry.ollama.ai/library/m:latest does not support insert",
            ),
            (
                400,
                r#"{"error":"missing request body"}"#,
                "ollama failed: missing request body",
            ),
            (
                401,
                r#"{"error":"unauthorized"}"#,
                "ollama failed: unauthorized",
            ),
            (403, "", "ollama failed: it refuses requests"),
            (
                405,
                "",
                "ollama sent something that is not its protocol: status 405",
            ),
            (
                499,
                r#"{"error":"request canceled"}"#,
                "ollama failed: request canceled",
            ),
            (
                500,
                r#"{"error":"llama-server process has terminated: exit status 1: error loading model: unknown model architecture: 'mllama'"}"#,
                "cannot load m: llama-server process has terminated",
            ),
            (
                500,
                r#"{"error":"timed out waiting for llama-server to start - x"}"#,
                "cannot load m: timed out",
            ),
            (
                500,
                r#"{"error":"model runner has unexpectedly stopped"}"#,
                "ollama failed: model runner",
            ),
            (
                500,
                r#"{"error":{"code":500,"message":"two\nlines"}}"#,
                "ollama failed: two lines",
            ),
            (
                500,
                "<html>oops</html>",
                "ollama sent something that is not its protocol: status 500",
            ),
            (
                500,
                "",
                "ollama sent something that is not its protocol: status 500",
            ),
            (502, r#"{"error":"upstream"}"#, "ollama failed: upstream"),
            (502, "<html>Bad gateway</html>", "ollama sent something"),
            (
                503,
                r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
                "ollama is busy",
            ),
            (
                503,
                "<html>",
                "ollama sent something that is not its protocol: status 503",
            ),
            (
                302,
                "",
                "ollama sent something that is not its protocol: status 302",
            ),
        ];
        for (status, body, expect) in cases {
            let status = StatusCode::from_u16(status).expect("a status");
            let message = ASKED.refusal(status, body.as_bytes()).to_string();
            assert!(message.starts_with(expect), "{status} {body}: {message}");
            assert!(!message.contains("<html"), "{message}");
        }
    }

    #[test]
    fn messages_are_short_and_one_line() {
        let message = ASKED.error_line(&"日本\r\n".repeat(1000)).to_string();
        assert!(message.chars().count() < MAX_MESSAGE_CHARS + 40);
        assert!(!message.contains('\n'));
    }

    #[test]
    fn copies_say_the_same() {
        let source = Some("refused".into());
        let backend = "ollama".to_owned();
        for error in [
            BackendError::Unreachable {
                backend: backend.clone(),
                source,
            },
            ASKED.refusal(StatusCode::NOT_FOUND, br#"{"error":"x"}"#),
            BackendError::Busy { backend },
            ASKED.error_line("x"),
            ASKED.error_line("error loading model: x"),
            ASKED.protocol("x"),
            ASKED.interrupted("x"),
        ] {
            assert_eq!(format!("{error:?}"), format!("{:?}", copy(&error)));
        }
    }
}
