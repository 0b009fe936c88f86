//! The weights that are measured, and engines with them.
//!
//! Called by the measurements that compare the in-process engine with itself.

use std::path::PathBuf;

use crate::backend::embedded::{Embedded, EmbeddedModel, EngineOptions};

/// What an engine computes with.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Their name, for the family and the report.
    pub model: String,
    /// A GGUF file.
    pub file: PathBuf,
    /// Threads that compute; `None` for the engine's own choice.
    pub threads: Option<usize>,
}

impl Weights {
    /// An engine with these weights and threads, and else as `options` say.
    pub fn engine(&self, options: EngineOptions) -> Embedded {
        let model = EmbeddedModel {
            name: self.model.clone(),
            path: self.file.clone(),
            digest: None,
        };
        let options = EngineOptions {
            threads: self.threads,
            ..options
        };
        Embedded::new("embedded", move || vec![model.clone()], options)
    }
}
