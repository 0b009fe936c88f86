//! How an Ollama says no, made into a [`BackendError`].
//!
//! Before the first byte a failure is a status and `{"error": …}`; after it, one more line with
//! `error` on an answer of status 200. Source of the wordings: Ollama's `server/routes.go`,
//! `server/sched.go`, `llm/llama_server.go`, versions 0.24 to 0.34.

use reqwest::StatusCode;

use crate::backend::BackendError;
use crate::backend::failure::{Asked, error_message, shorten};

/// An answer whose status is not 200.
pub(super) fn refusal(asked: Asked<'_>, status: StatusCode, body: &[u8]) -> BackendError {
    if let Some(message) = error_message(body) {
        return match status {
            StatusCode::NOT_FOUND => asked.missing(),
            StatusCode::SERVICE_UNAVAILABLE => asked.busy(),
            _ => error_line(asked, &message),
        };
    }
    if status == StatusCode::FORBIDDEN && body.is_empty() {
        return asked.failed(
            "it refuses requests under this host name; use its IP address, or set \
             OLLAMA_HOST=0.0.0.0 where it runs",
        );
    }
    asked.protocol(format!("status {status} without Ollama's error"))
}

/// The server's own words, from an error body or an error line.
pub(super) fn error_line(asked: Asked<'_>, message: &str) -> BackendError {
    if !is_load_failure(message) {
        return asked.failed(message);
    }
    BackendError::Load {
        backend: asked.backend.to_owned(),
        model: asked.model.to_owned(),
        message: format!(
            "{}; choose another model in the settings or another version of Ollama",
            shorten(message)
        ),
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
        E::Load {
            backend,
            model,
            message,
        } => E::Load {
            backend: backend.clone(),
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
                "ollama cannot load m: llama-server process has terminated",
            ),
            (
                500,
                r#"{"error":"timed out waiting for llama-server to start - x"}"#,
                "ollama cannot load m: timed out",
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
            let message = refusal(ASKED, status, body.as_bytes()).to_string();
            assert!(message.starts_with(expect), "{status} {body}: {message}");
            assert!(!message.contains("<html"), "{message}");
        }
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
            refusal(ASKED, StatusCode::NOT_FOUND, br#"{"error":"x"}"#),
            BackendError::Busy { backend },
            error_line(ASKED, "x"),
            error_line(ASKED, "error loading model: x"),
            ASKED.protocol("x"),
            ASKED.interrupted("x"),
        ] {
            assert_eq!(format!("{error:?}"), format!("{:?}", copy(&error)));
        }
    }
}
