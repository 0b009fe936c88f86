//! Editing traces: a file of transactions that turn one text into another.
//!
//! The format is that of <https://github.com/josephg/editing-traces>: positions and lengths in Unicode
//! code points, patches of a transaction applied one after the other. Times are not read: they are
//! whole seconds, too coarse for typing ([`rhythm`](super::rhythm) has the gaps).

use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;

/// The first bytes of every gzip file (RFC 1952).
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// What a person did to one text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The text before the first transaction.
    pub start_content: String,
    /// The text after the last.
    pub end_content: String,
    /// Edits in order.
    pub txns: Vec<Transaction>,
}

/// What happened at once: usually one key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Transaction {
    /// Applied in order; each position counts in the text that the one before left.
    pub patches: Vec<Patch>,
}

/// A replacement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "(usize, usize, String)")]
pub struct Patch {
    /// Where, in characters.
    pub at_chars: usize,
    /// How many characters go.
    pub deleted_chars: usize,
    /// What comes.
    pub inserted: String,
}

impl From<(usize, usize, String)> for Patch {
    fn from((at_chars, deleted_chars, inserted): (usize, usize, String)) -> Self {
        Self {
            at_chars,
            deleted_chars,
            inserted,
        }
    }
}

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read or unpacked.
    #[error("cannot read the trace {path}")]
    Read {
        /// As it was named.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is something else.
    #[error(
        "{path} is no editing trace; see https://github.com/josephg/editing-traces for the format"
    )]
    Format {
        /// As it was named.
        path: String,
        /// Where it went wrong.
        #[source]
        source: serde_json::Error,
    },
    /// An edit reaches past the text.
    #[error(
        "transaction {transaction} of the trace reaches past the end of the text; is the file whole?"
    )]
    OutOfRange {
        /// Counted from 0.
        transaction: usize,
    },
    /// The edits do not lead to the text that the trace says they do.
    #[error("the transactions of the trace do not lead to its end; is the file whole?")]
    OtherEnd,
}

impl Trace {
    /// Reads a trace, plain or gzipped.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let named = || path.display().to_string();
        let read = |source| TraceError::Read {
            path: named(),
            source,
        };
        let bytes = std::fs::read(path).map_err(read)?;
        let mut plain = Vec::new();
        let json = if bytes.starts_with(GZIP_MAGIC) {
            GzDecoder::new(bytes.as_slice())
                .read_to_end(&mut plain)
                .map_err(read)?;
            &plain
        } else {
            &bytes
        };
        serde_json::from_slice(json).map_err(|source| TraceError::Format {
            path: named(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const TEXT: &str = r#"{"startContent":"a","endContent":"aμ","txns":[
        {"time":"1970-01-01T00:00:00.000Z","patches":[[1,0,"μb"],[2,1,""]]}]}"#;

    fn read(bytes: &[u8]) -> Result<Trace, TraceError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Trace::read(file.path())
    }

    #[test]
    fn plain_and_gzipped_traces_are_read_alike() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(TEXT.as_bytes()).unwrap();
        let trace = read(TEXT.as_bytes()).unwrap();
        assert_eq!(read(&gzip.finish().unwrap()).unwrap(), trace);
        assert_eq!(trace.start_content, "a");
        let patch = |at_chars, deleted_chars, inserted: &str| Patch {
            at_chars,
            deleted_chars,
            inserted: inserted.to_owned(),
        };
        let patches = vec![patch(1, 0, "μb"), patch(2, 1, "")];
        assert_eq!(trace.txns, [Transaction { patches }]);
    }

    #[test]
    fn what_is_no_trace_is_said_with_its_name() {
        for bytes in [&b"{}"[..], b"\x1f\x8bbroken", b"[1]"] {
            let error = read(bytes).unwrap_err();
            assert!(matches!(
                error,
                TraceError::Format { .. } | TraceError::Read { .. }
            ));
        }
        let missing = Trace::read(Path::new("no/such/trace.json")).unwrap_err();
        assert!(missing.to_string().contains("no/such/trace.json"));
    }
}
