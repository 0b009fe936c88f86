//! Sentences as the protocol's errors.

use tower_lsp::jsonrpc::{Error, ErrorCode};

/// `RequestFailed` of the protocol: understood, and not possible. Clients show its message.
const REQUEST_FAILED: i64 = -32803;

/// Understood, and not possible.
pub(super) fn failed(message: impl Into<String>) -> Error {
    Error {
        code: ErrorCode::ServerError(REQUEST_FAILED),
        message: message.into().into(),
        data: None,
    }
}

/// An error with its causes, on one line.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.replace('\n', " ")
}
