//! What a person attaches: documents, ranges of them, pictures.
//!
//! An open document is taken as the editor has it, another from the disk. Called by the server and the
//! command line, which know paths and positions.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::conversation::Picture;
use super::picture::{self, PictureError};
use crate::context::shown_path;
use crate::document::Document;
use crate::document::language::language_id;
use crate::prompt::Image;
use crate::prompt::instruct::Piece;

/// Largest text file, in bytes. More fits no model's context.
const MOST_TEXT_BYTES: usize = 4 << 20;

/// What a file turned out to be.
#[derive(Debug)]
pub enum Attached {
    /// Text.
    Text(Document),
    /// A picture, ready for a model.
    Picture(Image),
}

/// Why something cannot be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Neither text nor a picture, or a folder.
    #[error("{0} is neither text nor a picture that is known here; attach a text file")]
    NoText(PathBuf),
    /// Too large.
    #[error("{path} has more than {} MB; attach a range of it, open in the editor", MOST_TEXT_BYTES >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not base64.
    #[error("the picture is not base64")]
    Base64(#[from] base64::DecodeError),
    /// A picture that is not taken.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Reads the file at `path`. Blocks.
pub fn read(path: &Path) -> Result<Attached, AttachError> {
    let unreadable = |source| AttachError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(AttachError::NoText(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let most = picture::MOST_BYTES.max(MOST_TEXT_BYTES) as u64 + 1;
    let file = File::open(path).map_err(unreadable)?;
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if picture::is_picture(&bytes) {
        let name = path.display().to_string();
        return Ok(Attached::Picture(picture::prepare(&name, bytes)?));
    }
    if bytes.len() > MOST_TEXT_BYTES {
        return Err(AttachError::TooLarge {
            path: path.to_owned(),
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| AttachError::NoText(path.to_owned()))?;
    let uri = url::Url::from_file_path(path).map(String::from);
    let uri = uri.unwrap_or_else(|()| path.to_string_lossy().into_owned());
    Ok(Attached::Text(Document::new(
        &uri,
        0,
        language_id(path),
        &text,
    )))
}

/// A picture from base64. Decodes: keep it off the thread of the conversation.
pub fn picture_from_base64(base64: &str) -> Result<Image, AttachError> {
    // Browsers hand out data URLs.
    let data = base64.rsplit(',').next().unwrap_or_default();
    let bytes = STANDARD.decode(data.trim())?;
    Ok(picture::prepare("the picture", bytes)?)
}

/// The whole lines of `range_bytes` in a document, or all of it.
pub fn piece_of(
    document: &Document,
    range_bytes: Option<Range<usize>>,
    folders: &[PathBuf],
) -> Piece {
    let text = &document.text;
    let (what, lines) = match range_bytes {
        None => ("the file", 0..text.len_lines()),
        Some(range) => ("the selection", lines_of(document, &range)),
    };
    let shown = text.line_to_char(lines.start)..text.line_to_char(lines.end);
    Piece {
        what,
        uri: document.uri.clone(),
        path: shown_path(&document.uri, folders),
        language_id: document.language_id.clone(),
        text: plain(&text.slice(shown).to_string()),
        lines,
    }
}

/// The lines of `item`, where `lines` are a part of them.
pub fn item_around(
    document: &Document,
    item: Option<Range<usize>>,
    lines: &Range<usize>,
    folders: &[PathBuf],
) -> Option<Piece> {
    let item = item.filter(|item| item != lines)?;
    let text = &document.text;
    let start_of = |line: usize| text.line_to_byte(line.min(text.len_lines()));
    let range_bytes = start_of(item.start)..start_of(item.end);
    Some(Piece {
        what: "the item it is in",
        ..piece_of(document, Some(range_bytes), folders)
    })
}

/// What a compiler or linter says of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Counted from 0.
    pub line: usize,
    /// Its words.
    pub message: String,
}

/// Remarks as a piece; `None` without any.
pub fn remarks_on(document: &Document, remarks: &[Remark], folders: &[PathBuf]) -> Option<Piece> {
    let first = remarks.iter().map(|remark| remark.line).min()?;
    let last = remarks.iter().map(|remark| remark.line).max()?;
    let line = |remark: &Remark| format!("line {}: {}\n", remark.line + 1, remark.message);
    Some(Piece {
        what: "what the compiler or linter says of it",
        uri: document.uri.clone(),
        path: shown_path(&document.uri, folders),
        language_id: "text".into(),
        lines: first..last + 1,
        text: remarks.iter().map(line).collect(),
    })
}

/// The lines that a range touches; one that ends at a line's start does not touch that line.
pub fn lines_of(document: &Document, range_bytes: &Range<usize>) -> Range<usize> {
    let text = &document.text;
    let line_at = |byte: usize| text.byte_to_line(byte.min(text.len_bytes()));
    let first = line_at(range_bytes.start);
    let mut last = line_at(range_bytes.end);
    if last > first && text.line_to_byte(last) == range_bytes.end.min(text.len_bytes()) {
        last -= 1;
    }
    first..last + 1
}

/// With plain line ends.
pub fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

pub(super) fn picture_of(image: &Image) -> Picture {
    Picture {
        mime: image.mime.clone(),
        base64: STANDARD.encode(&image.bytes),
    }
}

/// `None` for what somebody else wrote into the file.
pub(super) fn image_of(picture: &Picture) -> Option<Image> {
    let bytes = STANDARD.decode(&picture.base64).ok()?;
    Some(Image {
        mime: picture.mime.clone(),
        bytes: bytes.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_its_whole_lines() {
        let document = Document::new("file:///p/src/a.rs", 1, "rust", "aμ\r\nb\r\nc");
        let folders = [PathBuf::from("/p")];
        for (range, lines, text) in [
            (None, 0..3, "aμ\nb\nc"),
            (Some(0..1), 0..1, "aμ\n"),
            (Some(1..5), 0..1, "aμ\n"),
            (Some(1..6), 0..2, "aμ\nb\n"),
            (Some(5..5), 1..2, "b\n"),
            (Some(8..99), 2..3, "c"),
            (Some(99..99), 2..3, "c"),
        ] {
            let piece = piece_of(&document, range.clone(), &folders);
            assert_eq!(
                (piece.lines, piece.text.as_str()),
                (lines, text),
                "{range:?}"
            );
            assert_eq!(&*piece.path, "src/a.rs");
        }
    }

    #[test]
    fn files_that_are_no_text_are_said() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        std::fs::write(path("bin"), b"\0\xff\xfe").unwrap();
        std::fs::write(path("large.txt"), vec![b'a'; MOST_TEXT_BYTES + 1]).unwrap();
        std::fs::write(path("a.py"), "x = 1\n").unwrap();
        for (name, expected) in [
            ("missing", "cannot read"),
            ("bin", "neither text"),
            (".", "neither text"),
            ("large.txt", "more than 4 MB"),
        ] {
            let error = read(&path(name)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let Ok(Attached::Text(document)) = read(&path("a.py")) else {
            panic!("text")
        };
        assert_eq!(&*document.language_id, "python");
        assert!(picture_from_base64("data:image/png;base64,!!").is_err());
        assert!(picture_from_base64("AAAA").is_err());
    }
}
