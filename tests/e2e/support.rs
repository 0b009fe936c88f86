//! What the tests share.

pub(crate) mod ollama_double;
