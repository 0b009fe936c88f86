//! Tests of whole features against the real components, one file per feature.

mod bench;
mod completion;
mod context;
mod infill;
mod llama_server;
mod models;
mod ollama;
mod protocol;
mod sandbox;
mod shaping;
mod support;
