//! Tests of whole features against the real components, one file per feature.

mod ollama;
mod support;
