//! draft

pub mod backend;
pub mod cli;
pub mod client;
pub mod config;
pub mod document;
pub mod eval;
pub mod host;
pub mod inline;
pub mod metrics;
pub mod models;
pub mod prompt;
pub mod router;
pub mod server;
