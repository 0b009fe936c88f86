//! Tests of whole features against the real components, one file per feature.

mod bench;
mod completion;
mod ollama;
mod protocol;
mod shaping;
mod support;
