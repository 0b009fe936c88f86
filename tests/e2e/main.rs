//! Tests of whole features against the real components, one file per feature.

mod action;
mod attacks;
mod bench;
mod chat;
mod command_line;
mod completion;
mod context;
mod doctor;
mod families;
mod folders;
mod infill;
mod kept_out;
mod llama_server;
mod model_commands;
mod models;
mod ollama;
mod openai;
mod protocol;
mod reuse;
mod sandbox;
mod search;
mod server_faults;
mod shaping;
mod soak;
mod support;
mod typing;
