//! Failures that all servers have in common, made into [`BackendError`]s.
//!
//! Called by the backends that are servers. Text that is not the server's own, such as a proxy's page,
//! is never repeated, nor is an address.

use serde_json::Value;

use super::BackendError;

/// Longest message passed on, in characters: enough for a server's own sentences and a path.
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

    /// The server's own words.
    pub(super) fn failed(self, message: &str) -> BackendError {
        BackendError::Failed {
            backend: self.backend.to_owned(),
            message: shorten(message),
        }
    }

    pub(super) fn missing(self) -> BackendError {
        BackendError::ModelMissing {
            backend: self.backend.to_owned(),
            model: self.model.to_owned(),
        }
    }

    pub(super) fn busy(self) -> BackendError {
        BackendError::Busy {
            backend: self.backend.to_owned(),
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

/// The message of a body such as `{"error": "…"}`, `{"error": {"message": "…"}}`, or, of servers made
/// with `FastAPI`, `{"message": "…"}` and `{"detail": "…"}`.
pub(super) fn error_message(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    ["error", "message", "detail"]
        .iter()
        .find_map(|field| body.get(field))
        .map(error_text)
}

/// Some servers send a string, others an object with a `message`.
pub(super) fn error_text(error: &Value) -> String {
    let text = error.as_str().or_else(|| error.get("message")?.as_str());
    text.map_or_else(|| error.to_string(), str::to_owned)
}

/// One line of at most [`MAX_MESSAGE_CHARS`] characters.
pub(super) fn shorten(message: &str) -> String {
    let mut line: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MAX_MESSAGE_CHARS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'_> = Asked {
        backend: "ollama",
        model: "m",
    };

    #[test]
    fn messages_are_short_and_one_line() {
        let message = ASKED.failed(&"日本\r\n".repeat(1000)).to_string();
        assert!(message.chars().count() < MAX_MESSAGE_CHARS + 40);
        assert!(!message.contains('\n'));
    }
}
