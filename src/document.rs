//! Open documents: the store mutates, everyone else works on snapshots.
//!
//! Called by `server/text_sync` (changes) and by every feature (snapshots). Invariants: changes of one
//! document are applied in the order they arrive; a snapshot never changes; no guard of the map lives
//! longer than one method of [`Store`], so none crosses an await.

use std::sync::Arc;

use dashmap::DashMap;
use ropey::Rope;

pub mod language;
pub mod position;

/// A document as it was at one version. A clone costs nanoseconds: the rope shares its nodes.
#[derive(Debug, Clone)]
pub struct Document {
    /// The URI exactly as the client spelled it.
    pub uri: Arc<str>,
    /// The client's version number.
    pub version: i32,
    /// The LSP language id.
    pub language_id: Arc<str>,
    /// The text.
    pub text: Rope,
}

/// A replacement of a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes replaced; the whole document when absent.
    pub range_bytes: Option<std::ops::Range<usize>>,
    /// What stands there afterwards.
    pub text: String,
}

impl Document {
    /// Builds a document.
    pub fn new(uri: &str, version: i32, language_id: &str, text: &str) -> Self {
        Self {
            uri: uri.into(),
            version,
            language_id: language_id.into(),
            text: Rope::from_str(text),
        }
    }

    /// Applies `edit` and returns the byte offset where the inserted text ends. Offsets past the end are
    /// clamped.
    pub fn apply(&mut self, edit: &Edit) -> usize {
        let Some(range) = &edit.range_bytes else {
            self.text = Rope::from_str(&edit.text);
            return edit.text.len();
        };
        let len = self.text.len_bytes();
        let start = self.text.byte_to_char(range.start.min(len));
        // What is typed replaces nothing.
        if range.start < range.end {
            let end = self.text.byte_to_char(range.end.min(len)).max(start);
            self.text.remove(start..end);
        }
        self.text.insert(start, &edit.text);
        self.text.char_to_byte(start) + edit.text.len()
    }
}

/// The open documents.
#[derive(Debug, Default)]
pub struct Store {
    documents: DashMap<Arc<str>, Document>,
}

impl Store {
    /// Adds or replaces a document.
    pub fn open(&self, document: Document) {
        self.documents.insert(document.uri.clone(), document);
    }

    /// Forgets a document and frees its text.
    pub fn close(&self, uri: &str) {
        self.documents.remove(uri);
    }

    /// The document now.
    pub fn snapshot(&self, uri: &str) -> Option<Document> {
        self.documents.get(uri).map(|d| d.clone())
    }

    /// Lets `change` mutate the document and returns what it returns with the new snapshot; `None`
    /// when the document is not open. `change` must not touch the store again.
    pub fn update<T>(
        &self,
        uri: &str,
        change: impl FnOnce(&mut Document) -> T,
    ) -> Option<(Document, T)> {
        let mut document = self.documents.get_mut(uri)?;
        let value = change(&mut document);
        Some((document.clone(), value))
    }

    /// How many documents are open.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether no document is open.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(range: std::ops::Range<usize>, text: &str) -> Edit {
        Edit {
            range_bytes: Some(range),
            text: text.into(),
        }
    }

    #[test]
    fn edits_land_where_they_say_and_tell_where_the_cursor_is() {
        for (before, change, after, cursor) in [
            ("ab", edit(1..1, "x"), "axb", 2),
            ("aμb", edit(1..3, ""), "ab", 1),
            ("ab", edit(9..12, "c"), "abc", 3),
            (
                "ab",
                Edit {
                    range_bytes: None,
                    text: "μ".into(),
                },
                "μ",
                2,
            ),
            ("", edit(0..0, "\r\n"), "\r\n", 2),
        ] {
            let mut document = Document::new("u", 1, "rust", before);
            assert_eq!(document.apply(&change), cursor, "{change:?}");
            assert_eq!(document.text.to_string(), after, "{change:?}");
        }
    }

    #[test]
    fn a_snapshot_does_not_follow_later_changes() {
        let store = Store::default();
        store.open(Document::new("u", 1, "rust", "old"));
        let before = store.snapshot("u").unwrap();
        store.update("u", |d| d.apply(&edit(0..3, "new"))).unwrap();
        assert_eq!(before.text.to_string(), "old");
        assert_eq!(store.snapshot("u").unwrap().text.to_string(), "new");
        store.close("u");
        assert!(store.snapshot("u").is_none());
    }
}
