//! What comes with a question: documents, ranges, diagnostics, pictures.
//!
//! What is open is taken as the editor has it, at once; what is not is read from the disk, beside.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tower_lsp::gen_lsp_types as lsp;
use tower_lsp::jsonrpc::{Error, Result};

use super::error::{failed, words};
use super::session::{Session, path_of};
use crate::chat::attach::{self, AttachError, Attached, Remark};
use crate::chat::nearby::Nearby;
use crate::document::Document;
use crate::document::position::{Encoding, to_byte_range};
use crate::prompt::Image;
use crate::prompt::instruct::Piece;

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Attachment {
    File {
        uri: String,
        #[serde(default)]
        range: Option<lsp::Range>,
        #[serde(default)]
        diagnostics: Vec<Diagnostic>,
    },
    Picture {
        base64: String,
    },
}

impl Attachment {
    /// The document, where it is one.
    pub(super) fn uri(&self) -> Option<&str> {
        match self {
            Self::File { uri, .. } => Some(uri),
            Self::Picture { .. } => None,
        }
    }
}

/// Of the protocol's diagnostic, what a model can use.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Diagnostic {
    pub(super) range: lsp::Range,
    pub(super) message: String,
    #[serde(default)]
    pub(super) source: Option<String>,
}

/// Attachments of which the open documents are there, and the rest is to be read.
#[derive(Debug)]
pub(super) struct Taken {
    all: Vec<Found>,
    encoding: Encoding,
}

#[derive(Debug)]
enum Found {
    Text(Document, Part, Nearby),
    Path(PathBuf, Part, Nearby),
    Base64(String),
}

/// The part of a document that is meant.
#[derive(Debug)]
struct Part {
    range: Option<lsp::Range>,
    diagnostics: Vec<Diagnostic>,
}

/// Takes the open documents. A file that is kept out of prompts is refused.
pub(super) fn take(session: &Arc<Session>, attachments: Vec<Attachment>) -> Result<Taken> {
    let found = attachments.into_iter().map(|attachment| {
        let (uri, part) = match attachment {
            Attachment::Picture { base64 } => return Ok(Found::Base64(base64)),
            Attachment::File {
                uri,
                range,
                diagnostics,
            } => (uri, Part { range, diagnostics }),
        };
        allowed(session, &uri)?;
        let nearby = nearby(session, &uri);
        match (session.store.snapshot(&uri), path_of(&uri)) {
            (Some(document), _) => Ok(Found::Text(document, part, nearby)),
            (None, Some(path)) => Ok(Found::Path(path, part, nearby)),
            (None, None) => Err(Error::invalid_params(format!(
                "{uri} is neither open nor a file"
            ))),
        }
    });
    Ok(Taken {
        all: found.collect::<Result<_>>()?,
        encoding: session.encoding(),
    })
}

/// Where to look for what stands around lines of a document.
fn nearby(session: &Arc<Session>, uri: &str) -> Nearby {
    let engine = session.engine_of(uri);
    let (_, settings) = session.asked_about(uri);
    Nearby {
        seen: engine.seen(),
        folders: session.folders(),
        context: settings.context.clone(),
        allowed: Arc::new(move |uri| engine.kept_out(uri).is_none()),
        redact_secrets: settings.privacy.redact_secrets,
    }
}

/// Refuses what is kept out of prompts.
pub(super) fn allowed(session: &Session, uri: &str) -> Result<()> {
    let skip = session.engine_of(uri).kept_out(&Arc::from(uri));
    match skip.and_then(crate::inline::Skip::keeps_out_because) {
        None => Ok(()),
        Some(why) => {
            let shown = crate::context::shown_path(uri, &session.folders());
            Err(failed(format!("{shown} is kept out of prompts: {why}")))
        }
    }
}

impl Taken {
    /// Reads what is not open and prepares the pictures, away from this thread.
    pub(super) async fn read(self) -> Result<(Vec<Piece>, Vec<Image>)> {
        if self.all.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let read = tokio::task::spawn_blocking(move || self.read_now());
        let read = read.await.map_err(|_| Error::internal_error())?;
        read.map_err(|error| failed(words(&error)))
    }

    fn read_now(self) -> std::result::Result<(Vec<Piece>, Vec<Image>), AttachError> {
        let (mut pieces, mut around, mut images) = (Vec::new(), Vec::new(), Vec::new());
        let mut text = |document: &Document, part: Part, nearby: &Nearby| {
            let (own, near) = part.pieces(document, nearby, self.encoding);
            pieces.extend(own);
            around.extend(near);
        };
        for found in self.all {
            match found {
                Found::Base64(base64) => images.push(attach::picture_from_base64(&base64)?),
                Found::Text(document, part, nearby) => text(&document, part, &nearby),
                Found::Path(path, part, nearby) => match attach::read(&path)? {
                    Attached::Picture(image) => images.push(image),
                    Attached::Text(document) => text(&document, part, &nearby),
                },
            }
        }
        // What is attached comes first: the rest is what has no room.
        pieces.extend(around);
        Ok((pieces, images))
    }
}

impl Part {
    /// The part and what the linter says of it; and what stands around lines.
    fn pieces(
        self,
        document: &Document,
        nearby: &Nearby,
        encoding: Encoding,
    ) -> (Vec<Piece>, Vec<Piece>) {
        let bytes =
            |range: lsp::Range| -> Range<usize> { to_byte_range(&document.text, range, encoding) };
        let range = self.range.map(bytes);
        let own = attach::piece_of(document, range.clone(), &nearby.folders);
        let around = range.map(|_| nearby.of(document, &own.lines));
        let mut pieces = vec![own];
        let remarks: Vec<Remark> = remarks(document, &self.diagnostics, encoding);
        pieces.extend(attach::remarks_on(document, &remarks, &nearby.folders));
        (pieces, around.unwrap_or_default())
    }
}

/// Whole lines as the protocol's location.
pub(super) fn location(uri: &str, lines: &Range<usize>) -> Value {
    let at = |line: usize| json!({ "line": line, "character": 0 });
    json!({ "uri": uri, "range": { "start": at(lines.start), "end": at(lines.end) } })
}

/// Diagnostics by line.
pub(super) fn remarks(
    document: &Document,
    diagnostics: &[Diagnostic],
    encoding: Encoding,
) -> Vec<Remark> {
    let remark = |diagnostic: &Diagnostic| {
        let range = to_byte_range(&document.text, diagnostic.range, encoding);
        let source = diagnostic.source.as_deref().unwrap_or_default();
        let message = diagnostic.message.trim();
        Remark {
            line: document.text.byte_to_line(range.start),
            message: match source {
                "" => message.to_owned(),
                source => format!("{source}: {message}"),
            },
        }
    };
    diagnostics.iter().map(remark).collect()
}
