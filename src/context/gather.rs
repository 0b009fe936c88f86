//! From what is known to a block: the choice of snippets.
//!
//! Called in idle time on a thread of its own. Sources are asked in the order of their worth; each has
//! its budget, and all together the one that the backend's speed allows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use ropey::Rope;

use super::disk::{Disk, LONGEST_FILE_BYTES};
use super::edits::Edits;
use super::names::{lines, share_within, telling_lines};
use super::outline::{Outline, Reader};
use super::similar::Near;
use super::slots::{Room, Slot, Source, arrange};
use super::{Copied, Seen};
use crate::config::ContextSettings;
use crate::document::Document;
use crate::grammar::Grammar;
use crate::prompt::{Block, Snippet};
use crate::redact::{may_be_password, redact};

mod around;
mod declarations;

pub use around::Around;

/// A snippet of whose lines more than this share stands around the cursor already is left out:
/// llama.vim found that such snippets "distort the completion to repeat what was there".
const MOST_REPEATED: f64 = 0.5;
/// Lines around the window in which the document's own text is no snippet: the person may get there
/// before the next idle moment.
const OWN_MARGIN_LINES: usize = 64;
/// Lines shown around an edit.
const AROUND_EDIT_LINES: usize = 2;
/// Longest edit shown.
const MOST_EDIT_LINES: usize = 24;
/// Shortest window worth its heading.
const FEWEST_LINES: usize = 3;
/// What a text copied without a document is called.
const CLIPBOARD: &str = "clipboard";

/// What a block is made for.
pub struct Wish<'w> {
    /// The document, and the cursor in bytes.
    pub document: &'w Document,
    /// The cursor.
    pub offset_bytes: usize,
    /// The lines of the document that the prompt shows anyway.
    pub window_lines: Range<usize>,
    /// Most tokens of the block.
    pub budget_tokens: usize,
    /// Switches and budgets by source.
    pub settings: &'w ContextSettings,
    /// Whether keys and tokens are taken out of snippets.
    pub redact_secrets: bool,
    /// The workspace's folders.
    pub folders: &'w [PathBuf],
    /// Whether text of this document may be shown.
    pub allowed: &'w dyn Fn(&Arc<str>) -> bool,
}

/// What was found out so far: comparisons go on from it.
#[derive(Debug, Default)]
pub struct Gatherer {
    reader: Reader,
    edits: Edits,
    disk: Disk,
    outlines: BTreeMap<Arc<str>, (Rope, Outline)>,
    /// The block of each document, to keep its order.
    slots: BTreeMap<Arc<str>, Vec<Slot>>,
}

impl Gatherer {
    /// The block for `wish`, from the files `seen`, the one touched last first; `None` when there is
    /// nothing to say.
    pub fn gather(
        &mut self,
        wish: &Wish<'_>,
        seen: &[Seen],
        copied: Option<&Copied>,
    ) -> Option<Block> {
        let seen: Vec<&Seen> = seen
            .iter()
            .filter(|seen| seen.document.text.len_bytes() <= LONGEST_FILE_BYTES)
            .filter(|seen| (wish.allowed)(&seen.document.uri))
            .collect();
        self.look(&seen);
        let path = shown_path(&wish.document.uri, wish.folders);
        let mut block = Block {
            repository: repository(&wish.document.uri, wish.folders),
            path,
            language_id: wish.document.language_id.clone(),
            snippets: Vec::new(),
        };
        let mut room = Room {
            total_tokens: wish.budget_tokens.saturating_sub(block.tokens()),
            by_source: budgets(wish.settings),
        };
        let found = [
            self.declarations(wish, &seen),
            copied.map(|c| of_copied(c, wish)).unwrap_or_default(),
            self.recent_edits(wish, &seen),
            similar_windows(wish, &seen),
        ];
        let mut near = telling_lines(&lines(&wish.document.text, wish.window_lines.clone()));
        let mut chosen: Vec<Slot> = Vec::new();
        for mut slot in found.into_iter().flatten() {
            if wish.redact_secrets {
                slot.snippet.text = without_secrets(slot.snippet.text);
            }
            let text = telling_lines(&slot.snippet.text);
            let repeats = text.is_empty() || share_within(&text, &near) > MOST_REPEATED;
            if !repeats && room.take(&slot) {
                near.extend(text);
                chosen.push(slot);
            }
        }
        let before = self.slots.remove(&wish.document.uri).unwrap_or_default();
        let arranged = arrange(&before, chosen, room, |slot| self.still(slot, wish, &near));
        block.snippets = arranged.iter().map(|slot| slot.snippet.clone()).collect();
        self.slots.insert(wish.document.uri.clone(), arranged);
        (!block.snippets.is_empty()).then_some(block)
    }

    /// Compares every file with what it was, and forgets those that are gone.
    fn look(&mut self, seen: &[&Seen]) {
        self.edits.begin();
        let known: BTreeSet<&str> = seen.iter().map(|seen| &*seen.document.uri).collect();
        for seen in seen {
            let Document {
                uri,
                text,
                language_id,
                ..
            } = &seen.document;
            self.edits.look(uri, &seen.first, text);
            let Some(grammar) = Grammar::of(language_id) else {
                continue;
            };
            let is_known = self
                .outlines
                .get(uri)
                .is_some_and(|(of, _)| of.is_instance(text));
            if !is_known {
                let outline = self.reader.read(grammar, &text.to_string());
                self.outlines.insert(uri.clone(), (text.clone(), outline));
            }
        }
        self.edits.end(|uri| known.contains(uri));
        self.outlines.retain(|uri, _| known.contains(&**uri));
        self.slots.retain(|uri, _| known.contains(&**uri));
    }

    /// Whether a snippet that nobody asked for again may stay.
    fn still(&self, slot: &Slot, wish: &Wish<'_>, near: &BTreeSet<u64>) -> bool {
        let uri = &slot.snippet.uri;
        let unchanged = self.edits.unchanged(uri)
            || url::Url::parse(uri)
                .ok()
                .and_then(|url| url.to_file_path().ok())
                .and_then(|path| self.disk.get(&path))
                .is_some_and(|read| !read.is_new);
        let on = budgets(wish.settings).contains_key(&slot.source);
        let elsewhere = *uri != wish.document.uri && slot.source != Source::Clipboard;
        let text = telling_lines(&slot.snippet.text);
        unchanged
            && on
            && elsewhere
            && (wish.allowed)(uri)
            && share_within(&text, near) <= MOST_REPEATED
    }

    fn recent_edits(&self, wish: &Wish<'_>, seen: &[&Seen]) -> Vec<Slot> {
        if !wish.settings.recent_edits {
            return Vec::new();
        }
        let mut slots = Vec::new();
        for (uri, edit) in self.edits.latest() {
            let Some(seen) = seen.iter().find(|seen| seen.document.uri == uri) else {
                continue;
            };
            let first = edit.lines.start.saturating_sub(AROUND_EDIT_LINES);
            let last = edit.lines.end.min(edit.lines.start + MOST_EDIT_LINES) + AROUND_EDIT_LINES;
            if uri == wish.document.uri && overlaps(&(first..last), &own_lines(wish)) {
                continue;
            }
            let text = lines(&seen.document.text, first..last);
            let edited = lines(&seen.document.text, edit.lines);
            slots.push(slot(
                Source::RecentEdits,
                wish,
                &uri,
                text,
                longest_line(&edited),
            ));
        }
        slots
    }
}

fn without_secrets(text: Arc<str>) -> Arc<str> {
    match redact(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(redacted) => redacted.into(),
    }
}

/// Windows of other files that resemble the text around the cursor, the most similar first.
fn similar_windows(wish: &Wish<'_>, seen: &[&Seen]) -> Vec<Slot> {
    if !wish.settings.open_files {
        return Vec::new();
    }
    let near = Near::at(&wish.document.text, wish.offset_bytes);
    let mut found: Vec<(f64, Slot)> = Vec::new();
    for Seen { document, .. } in seen {
        if document.uri == wish.document.uri || !related(&document.language_id, wish) {
            continue;
        }
        let Some(window) = near.best_in(&document.text) else {
            continue;
        };
        let text = lines(&document.text, window.lines);
        if text.lines().filter(|line| !line.is_empty()).count() >= FEWEST_LINES {
            found.push((
                window.share,
                slot(Source::OpenFiles, wish, &document.uri, text, None),
            ));
        }
    }
    // Stable: of equals, the file touched last.
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.into_iter().map(|(_, slot)| slot).collect()
}

fn of_copied(copied: &Copied, wish: &Wish<'_>) -> Vec<Slot> {
    let allowed = copied.uri.as_ref().is_none_or(|uri| (wish.allowed)(uri));
    if !wish.settings.clipboard || !allowed || may_be_password(&copied.text) {
        return Vec::new();
    }
    let mut text = copied.text.trim_end().to_owned();
    text.push('\n');
    let uri = copied.uri.clone().unwrap_or_default();
    let mut slot = slot(Source::Clipboard, wish, &uri, text, None);
    if copied.uri.is_none() {
        slot.snippet.path = CLIPBOARD.into();
    }
    // What was copied is mostly pasted next, and then stands in the window.
    slot.snippet.own_line = longest_line(&copied.text).map(Into::into);
    vec![slot]
}

/// Whether a file in `language_id` has anything to say to the document: the same grammar, or the same
/// language.
fn related(language_id: &str, wish: &Wish<'_>) -> bool {
    let family = |id: &str| match id {
        "javascript" | "javascriptreact" | "typescript" | "typescriptreact" => "script".to_owned(),
        "c" | "cpp" | "objective-c" | "objective-cpp" | "cuda-cpp" => "c".to_owned(),
        other => other.to_owned(),
    };
    family(language_id) == family(&wish.document.language_id)
}

fn slot(source: Source, wish: &Wish<'_>, uri: &Arc<str>, text: String, line: Option<&str>) -> Slot {
    let own_line = line.filter(|line| *uri == wish.document.uri && !line.trim().is_empty());
    Slot {
        source,
        snippet: Snippet {
            uri: uri.clone(),
            path: shown_path(uri, wish.folders),
            own_line: own_line.map(Into::into),
            text: text.into(),
        },
    }
}

/// The line by which a text is known: the longest says most.
fn longest_line(text: &str) -> Option<&str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.max_by_key(|line| line.len())
}

/// The lines of the document whose text is no snippet.
fn own_lines(wish: &Wish<'_>) -> Range<usize> {
    let Range { start, end } = wish.window_lines;
    start.saturating_sub(OWN_MARGIN_LINES)..end + OWN_MARGIN_LINES
}

fn overlaps(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The budgets of the sources that are switched on.
fn budgets(settings: &ContextSettings) -> BTreeMap<Source, usize> {
    let ContextSettings {
        open_files,
        open_files_tokens,
        recent_edits,
        recent_edits_tokens,
        declarations,
        declarations_tokens,
        clipboard,
        clipboard_tokens,
    } = *settings;
    [
        (open_files, Source::OpenFiles, open_files_tokens),
        (recent_edits, Source::RecentEdits, recent_edits_tokens),
        (declarations, Source::Declarations, declarations_tokens),
        (clipboard, Source::Clipboard, clipboard_tokens),
    ]
    .into_iter()
    .filter(|(on, ..)| *on)
    .map(|(_, source, tokens)| (source, tokens))
    .collect()
}

/// The path of a document within the workspace; its name where it is elsewhere.
pub(crate) fn shown_path(uri: &str, folders: &[PathBuf]) -> Arc<str> {
    let url = url::Url::parse(uri).ok();
    let path = match url.as_ref().map(url::Url::to_file_path) {
        Some(Ok(path)) => path,
        _ => PathBuf::from(url.as_ref().map_or(uri, url::Url::path)),
    };
    let within = folders
        .iter()
        .find_map(|folder| path.strip_prefix(folder).ok());
    let shown = within.unwrap_or_else(|| path.file_name().map_or(path.as_path(), |n| n.as_ref()));
    shown.to_string_lossy().replace('\\', "/").into()
}

/// The name of the workspace folder that holds the document.
fn repository(uri: &str, folders: &[PathBuf]) -> Arc<str> {
    let path = url::Url::parse(uri)
        .ok()
        .and_then(|url| url.to_file_path().ok());
    let holds = |folder: &&PathBuf| path.as_ref().is_some_and(|path| path.starts_with(folder));
    let folder = folders
        .iter()
        .find(holds)
        .and_then(|folder| folder.file_name());
    folder.map_or_else(|| "project".into(), |name| name.to_string_lossy().into())
}

#[cfg(test)]
mod tests;
