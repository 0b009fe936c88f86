//! What is known of the files that are listed, so that a probe does not read them again.
//!
//! Called by the backend's probe, on a thread that may block.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::prompt::fim::{Metadata, known};

use super::{EmbeddedModel, Header, Installed, weights};

/// Headers already read, by path, size and time of change. A std mutex: held for a lookup, never while
/// a file is read.
#[derive(Debug, Default)]
pub(super) struct Headers(Mutex<HashMap<PathBuf, (FileStamp, Option<Header>)>>);

/// Tells whether a file was replaced.
type FileStamp = (u64, Option<SystemTime>);

impl Headers {
    /// What the file is, if the engine can run it.
    pub(super) fn installed(&self, model: &EmbeddedModel) -> Option<Installed> {
        let header = self.read(&model.path)?;
        let metadata = Metadata {
            architecture: header.architecture.as_deref(),
            names: header.names.iter().map(String::as_str).collect(),
            template: None,
            vocabulary: header.families.clone(),
            ends: header.end.as_deref().into_iter().collect(),
        };
        let family = known(&model.name, &metadata);
        let fills_in = header.families.as_ref().map(|all| !all.is_empty());
        Some(Installed {
            name: model.name.clone(),
            digest: model.digest.clone(),
            size_bytes: Some(header.size_bytes),
            quantization: header.quantization,
            architecture: header.architecture,
            fim: family.map(|known| known.fills_in()).or(fills_in),
            family,
            chat: Some(header.chat),
            vision: Some(false),
            embedding: Some(header.embedding),
        })
    }

    fn read(&self, path: &Path) -> Option<Header> {
        let file = path.metadata().ok()?;
        let stamp = (file.len(), file.modified().ok());
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned();
        if let Some((known_stamp, header)) = known
            && known_stamp == stamp
        {
            return header;
        }
        let header = weights::inspect(path)
            .inspect_err(|message| tracing::warn!(%message, "a model is not listed"))
            .ok();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(path.to_owned(), (stamp, header.clone()));
        header
    }
}
