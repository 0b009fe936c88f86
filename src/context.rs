//! What other text helps to complete this one: recent edits, similar windows of other files,
//! declarations and imports of the names in use, copied text.
//!
//! Two halves. [`Context`] is told of every document event and copies a few pointers, so that a key
//! costs the same whatever the files. [`Gatherer`] reads, parses and compares in idle time, on a thread
//! of its own, and makes a [`Block`](crate::prompt::Block). `inline/surroundings` connects the two to
//! the clock, the backend and the prompt.
//!
//! Invariants: nothing here waits, asks a model or reads a clock but for the time of the last key;
//! nothing of a file that the caller does not allow gets into a block; equal inputs give equal blocks;
//! a snippet that stays keeps its place before all that is new (`slots`).

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use ropey::Rope;
use tokio::time::Instant;

use crate::document::Document;

mod disk;
mod edits;
mod gather;
mod names;
mod outline;
mod similar;
mod slots;

pub(crate) use gather::shown_path;
pub use gather::{Around, Gatherer, Wish};

/// Files remembered, open or closed lately. Twice the tabs of a busy window; the least lately touched
/// goes first.
const MOST_FILES: NonZeroUsize = NonZeroUsize::new(32).expect("not zero");
/// Longest copied text that is kept, in bytes; of more, nobody pastes a completion.
const LONGEST_COPY_BYTES: usize = 8 * 1024;
/// Moves of the cursor that follow each other sooner may be those of a key that is held: it repeats every 33 ms.
const HELD_KEY: Duration = Duration::from_millis(100);

/// The events of this session.
#[derive(Debug)]
pub struct Context {
    /// A std mutex: held for a copy of pointers, never across an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seen: LruCache<Arc<str>, Seen>,
    active: Option<Active>,
    copied: Option<Copied>,
}

/// A file of this session.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As it was last.
    pub document: Document,
    /// The text when it was opened.
    first: Rope,
}

impl Seen {
    /// A file that is looked at for the first time.
    pub fn now(document: Document) -> Self {
        Self {
            first: document.text.clone(),
            document,
        }
    }

    /// The file as it was last.
    pub fn document(&self) -> &Document {
        &self.document
    }
}

/// Where the person is.
#[derive(Debug, Clone)]
pub struct Active {
    /// The document that was changed or asked about last.
    pub document: Document,
    /// The cursor, in bytes.
    pub offset_bytes: usize,
    /// When that was.
    pub at: Instant,
    /// Whether the cursor came there at one go: by a click or one key, not by one that is held.
    pub at_one_go: bool,
}

/// Text that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The document it is from, where the editor told.
    pub uri: Option<Arc<str>>,
    /// The text.
    pub text: Arc<str>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                seen: LruCache::new(MOST_FILES),
                active: None,
                copied: None,
            }),
        }
    }
}

impl Context {
    /// A document was opened.
    pub fn opened(&self, document: &Document) {
        let seen = Seen::now(document.clone());
        self.lock().seen.put(document.uri.clone(), seen);
    }

    /// The person is at byte `offset_bytes` of a document that may have changed.
    pub fn touched(&self, document: &Document, offset_bytes: usize) {
        let mut state = self.lock();
        let at = Instant::now();
        let at_one_go = state.active.as_ref().is_some_and(|before| {
            before.document.text.is_instance(&document.text)
                && before.offset_bytes != offset_bytes
                && at - before.at >= HELD_KEY
        });
        state.active = Some(Active {
            document: document.clone(),
            offset_bytes,
            at,
            at_one_go,
        });
        if let Some(seen) = state.seen.get_mut(&document.uri) {
            seen.document = document.clone();
            return;
        }
        let seen = Seen::now(document.clone());
        state.seen.put(document.uri.clone(), seen);
    }

    /// A document was closed: it stays known as a file viewed lately, and nobody is in it.
    pub fn closed(&self, uri: &str) {
        let mut state = self.lock();
        if state
            .active
            .as_ref()
            .is_some_and(|a| &*a.document.uri == uri)
        {
            state.active = None;
        }
    }

    /// The person copied `text`. Too little or too much of it is nothing.
    pub fn copied(&self, text: &str, uri: Option<&str>) {
        let plain = text.replace("\r\n", "\n").replace('\r', "\n");
        let fits = plain.len() <= LONGEST_COPY_BYTES && !plain.trim().is_empty();
        self.lock().copied = fits.then(|| Copied {
            uri: uri.map(Into::into),
            text: plain.into(),
        });
    }

    /// Where the person is.
    pub fn active(&self) -> Option<Active> {
        self.lock().active.clone()
    }

    /// Everything that is known, the file touched last first.
    pub fn snapshot(&self) -> (Vec<Seen>, Option<Copied>) {
        let state = self.lock();
        let seen = state.seen.iter().map(|(_, seen)| seen.clone()).collect();
        (seen, state.copied.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
