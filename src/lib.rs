//! draft

pub mod backend;
pub mod cli;
pub mod config;
pub mod document;
pub mod inline;
pub mod metrics;
pub mod prompt;
pub mod router;
pub mod server;
