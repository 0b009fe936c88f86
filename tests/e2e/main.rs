//! Tests of whole features against the real components, one file per feature.

mod attacks;
mod bench;
mod completion;
mod context;
mod doctor;
mod infill;
mod llama_server;
mod model_commands;
mod models;
mod ollama;
mod protocol;
mod sandbox;
mod shaping;
mod support;
