//! What the tests share.

pub(crate) mod http_double;
pub(crate) mod ollama_double;
pub(crate) mod program;
pub(crate) mod scripted;
pub(crate) mod server;
