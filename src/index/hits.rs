//! From chunks that were found to what is shown: their texts as the files are now.
//!
//! Called by `index`, on a thread that may block. A file may have changed since it was indexed: then the
//! chunk of today that stands where the old one stood is shown, and the file is looked at again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::corpus::Place;
use super::rank::Ranked;
use super::store::Stamp;
use super::text::Manner;
use super::words::terms;
use super::{Hit, Shared, chunk, files};
use crate::document::language::language_id;
use crate::redact::redact;

/// Most places of one answer.
const MOST_HITS: usize = 200;

impl Shared {
    /// The places for a question, with the files that are out of date.
    pub(super) fn find(
        &self,
        query: &str,
        vector: Option<&(Arc<str>, Vec<f32>)>,
        limit: usize,
    ) -> (Vec<Hit>, Vec<PathBuf>) {
        let workspace = self.workspace.load_full();
        let ranked: Vec<(f32, Place, Option<Stamp>)> = {
            let corpus = self.read();
            let same_model = vector.filter(|(model, _)| corpus.model() == Some(model));
            let weight = same_model.map_or(1.0, |(model, _)| Manner::of(model).weight);
            let ranked = corpus.search(
                Some(&terms(query)),
                same_model.map(|(_, v)| v.as_slice()),
                weight,
            );
            let known = |r: &Ranked| {
                let place = corpus.place(r.chunk)?;
                let stamp = corpus.known(&place.file).map(|(stamp, _)| stamp);
                Some((r.score, place, stamp))
            };
            ranked.iter().filter_map(known).collect()
        };
        let (mut hits, mut stale): (Vec<Hit>, Vec<PathBuf>) = (Vec::new(), Vec::new());
        for (score, place, stamp) in ranked {
            if hits.len() >= limit.min(MOST_HITS) {
                break;
            }
            let Some(path) = workspace.path_of(&place.file) else {
                continue;
            };
            let Ok(Some(text)) = files::read(&path) else {
                stale.push(path);
                continue;
            };
            let is_known = files::stamp_of(&path) == stamp;
            let (found, is_stale) = if is_known {
                (as_indexed(&place, &text), false)
            } else {
                now(&place, &text)
            };
            if is_stale {
                stale.push(path.clone());
            }
            let Some((lines, code)) = found else { continue };
            let text = if workspace.redacts() {
                redact(code).into_owned()
            } else {
                code.to_owned()
            };
            hits.push(Hit {
                path,
                shown_path: place.file.1.to_string(),
                lines,
                score,
                text,
            });
        }
        (hits, stale)
    }
}

type Shown<'t> = Option<(std::ops::Range<u32>, &'t str)>;

fn as_indexed<'t>(place: &Place, text: &'t str) -> Shown<'t> {
    let at = |byte: u32| usize::try_from(byte).unwrap_or(usize::MAX);
    let code = text.get(at(place.bytes.0)..at(place.bytes.1))?;
    Some((place.lines.0..place.lines.1, code))
}

/// Where the chunk is in the text of today, and whether the text is another.
fn now<'t>(place: &Place, text: &'t str) -> (Shown<'t>, bool) {
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let chunks = chunk::chunks(language_id(Path::new(&*place.file.1)), text);
    let same = chunks.iter().find(|c| {
        (number(c.lines.start), number(c.lines.end)) == place.lines
            && (number(c.bytes.start), number(c.bytes.end)) == place.bytes
    });
    let at_line = || {
        chunks
            .iter()
            .rfind(|c| number(c.lines.start) <= place.lines.0)
    };
    let shown = same.or_else(at_line).and_then(|c| {
        let lines = number(c.lines.start)..number(c.lines.end);
        Some((lines, text.get(c.bytes.clone())?))
    });
    (shown, same.is_none())
}
