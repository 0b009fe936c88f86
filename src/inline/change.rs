//! What a change of a document, of settings or of folders means for what is under way: the second way
//! into the engine, beside [`Engine::complete`]. Synchronous, so that changes and requests keep their order.

use std::path::PathBuf;
use std::sync::Arc;

use super::cache::Cache;
use super::place::Place;
use super::trigger::Files;
use super::{Engine, Skip, lock};
use crate::config::Settings;
use crate::context::Seen;
use crate::document::Document;

impl Engine {
    /// Uses other settings from the next request on.
    pub fn set_settings(&self, settings: Arc<Settings>) {
        let folders = self.files.load().folders().to_owned();
        self.files
            .store(Arc::new(Files::new(&settings.privacy, &folders)));
        let old = self.settings.swap(settings);
        let settings = self.settings.load();
        if old.context != settings.context || old.privacy != settings.privacy {
            self.surroundings.forget_blocks();
        }
        // What another model said, or the same one under other rules, is not what was asked for now.
        if old.roles != settings.roles
            || old.backends != settings.backends
            || old.inline != settings.inline
        {
            lock(&self.live).take();
            *lock(&self.cache) = Cache::default();
        }
    }

    /// Reads the ignore files of these workspace folders from the next request on.
    pub fn set_folders(&self, folders: &[PathBuf]) {
        let privacy = &self.settings.load().privacy;
        self.files.store(Arc::new(Files::new(privacy, folders)));
        self.surroundings.refused_anew();
    }

    /// Why nothing of the document goes into a prompt, if nothing does.
    pub fn kept_out(&self, uri: &Arc<str>) -> Option<Skip> {
        self.files.load().refusal(uri).map(Skip::from)
    }

    /// The files of this session, the one touched last first.
    pub fn seen(&self) -> Vec<Seen> {
        self.surroundings.seen()
    }

    /// A document was opened: others may be completed with it in view. For a client that does not watch
    /// files, it is also the moment at which the document's ignore files are read anew.
    pub fn document_opened(&self, document: &Document) {
        self.files.load().forget(&document.uri);
        self.surroundings.opened(document);
    }

    /// Gathers what stands in front of the prompt for byte `offset_bytes` of a document that no editor has
    /// open, where an engine otherwise waits for an idle moment. Returns when it is there.
    pub async fn gather_context(&self, document: &Document, offset_bytes: usize) {
        self.surroundings.gather_now(document, offset_bytes).await;
    }

    /// The person copied text, from the document `uri` where the editor tells.
    pub fn text_copied(&self, text: &str, uri: Option<&str>) {
        self.surroundings.copied(text, uri);
    }

    /// Ends the generation in flight when it no longer fits `document`, in which the cursor is at one of
    /// the bytes `cursors` since the last edit, the likeliest first. Costs nothing when none is in flight.
    pub fn document_changed(&self, document: &Document, cursors: &[usize]) {
        let Some(&likeliest) = cursors.first() else {
            return;
        };
        self.surroundings.touched(document, likeliest);
        // Whatever was asked of an older text is settled: its answer would stand at the wrong place.
        if let Some((_, turn)) = self.turns.remove(&document.uri) {
            turn.cancel();
        }
        if !lock(&self.outcomes).watches(&document.uri) && !self.is_busy() {
            return;
        }
        let places = places(document, cursors);
        let finished = lock(&self.outcomes).moved(&places);
        let finished = finished.and_then(|n| Some((places.get(n)?.clone(), *cursors.get(n)?)));
        self.end_unwanted(document, places);
        if let Some((now, offset_bytes)) = finished {
            self.prefetch_line_below(&now, document, offset_bytes);
        }
    }

    /// Ends the generation in flight when nobody who is at one of `places` wants it.
    fn end_unwanted(&self, document: &Document, places: Vec<Place>) {
        let mut slot = lock(&self.live);
        let stale = slot.as_ref().is_some_and(|live| {
            live.watch().origin.uri == document.uri
                && (places.is_empty() || !live.may_be_wanted(places))
        });
        if stale && slot.take().is_some_and(|live| live.is_waste()) {
            lock(&self.rhythm).generation_ended(false);
        }
    }

    /// The cursor went to `offset_bytes` without a change. Editors tell it of every move; those that follow
    /// a key are none.
    pub fn cursor_moved(&self, document: &Document, offset_bytes: usize) {
        if self.surroundings.is_at(&document.uri, offset_bytes) {
            return;
        }
        // Nobody waits for an answer, or for more of one, where the cursor is no more.
        if let Some((_, turn)) = self.turns.remove(&document.uri) {
            turn.cancel();
        }
        self.surroundings.touched(document, offset_bytes);
        if self.is_busy() {
            self.end_unwanted(document, places(document, &[offset_bytes]));
        }
    }

    /// Ends everything that belongs to a document.
    pub fn document_closed(&self, uri: &str) {
        if let Some((_, turn)) = self.turns.remove(uri) {
            turn.cancel();
        }
        lock(&self.outcomes).forget(uri);
        self.surroundings.closed(uri);
        self.syntax.closed(uri);
        let mut slot = lock(&self.live);
        if slot
            .as_ref()
            .is_some_and(|live| live.watch().origin.uri.as_ref() == uri)
        {
            slot.take();
        }
    }
}

/// None on a line that is too long to be completed.
fn places(document: &Document, cursors: &[usize]) -> Vec<Place> {
    let places = cursors.iter().filter_map(|&at| Place::at(document, at));
    places.collect()
}
