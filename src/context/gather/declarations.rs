//! Declarations of the names in use near the cursor, and the imports that bind them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Gatherer, Slot, Source, Wish, overlaps, own_lines, related, slot};
use crate::context::Seen;
use crate::context::disk::Search;
use crate::context::names::{names_in, names_near};
use crate::context::outline::{Declaration, Import, Kind, Outline};
use crate::grammar::Grammar;

/// A name declared more often than this says nothing: `new`, `main`, `test`.
const MOST_MEANINGS: usize = 3;

/// A declaration and the file it is in.
pub(super) type Place<'o> = (&'o Arc<str>, &'o Declaration);

impl Gatherer {
    /// The declarations, those of the names nearest to the cursor first, then imports.
    pub(super) fn declarations(&mut self, wish: &Wish<'_>, seen: &[&Seen]) -> Vec<Slot> {
        let Some(grammar) = Grammar::of(&wish.document.language_id) else {
            return Vec::new();
        };
        if !wish.settings.declarations {
            return Vec::new();
        }
        let near = names_near(&wish.document.text, wish.offset_bytes);
        let on_disk = self.imported(wish, grammar, seen, &near);
        let own = &wish.document.uri;
        let by_name = self.by_name(wish, seen, &on_disk);
        let mut slots = Vec::new();
        for name in &near {
            let Some(places) = by_name.get(name.as_str()) else {
                continue;
            };
            for (uri, declaration) in meant(places, &near) {
                if *uri == own && overlaps(&declaration.lines, &own_lines(wish)) {
                    continue;
                }
                let line = declaration
                    .text
                    .lines()
                    .next()
                    .map(|line| line.trim_end_matches(';'));
                let slot = slot(
                    Source::Declarations,
                    wish,
                    uri,
                    declaration.text.clone(),
                    line,
                );
                if !slots.contains(&slot) {
                    slots.push(slot);
                }
            }
        }
        slots.extend(
            self.outlines
                .get(own)
                .and_then(|(_, o)| imports_of(o, &near, wish)),
        );
        slots
    }

    /// Every declaration of the files in view, by its name.
    pub(super) fn by_name<'g>(
        &'g self,
        wish: &Wish<'_>,
        seen: &[&Seen],
        on_disk: &'g [(Arc<str>, PathBuf)],
    ) -> BTreeMap<&'g str, Vec<Place<'g>>> {
        let open = seen
            .iter()
            .filter(|seen| related(&seen.document.language_id, wish))
            .filter_map(|seen| self.outlines.get_key_value(&seen.document.uri))
            .map(|(uri, (_, outline))| (uri, outline));
        let read = on_disk
            .iter()
            .filter_map(|(uri, path)| Some((uri, &self.disk.get(path)?.outline)));
        let mut by_name: BTreeMap<&str, Vec<Place<'_>>> = BTreeMap::new();
        for (uri, outline) in open.chain(read) {
            for declaration in &outline.declarations {
                let places = by_name.entry(&declaration.name).or_default();
                places.push((uri, declaration));
            }
        }
        by_name
    }

    /// The files that the document imports and nobody has open, with their URIs.
    pub(super) fn imported(
        &mut self,
        wish: &Wish<'_>,
        grammar: &'static Grammar,
        seen: &[&Seen],
        near: &[String],
    ) -> Vec<(Arc<str>, PathBuf)> {
        let path = url::Url::parse(&wish.document.uri)
            .ok()
            .and_then(|u| u.to_file_path().ok());
        let Some(path) = path else {
            return Vec::new();
        };
        let uri_of = |path: &Path| -> Option<Arc<str>> {
            Some(url::Url::from_file_path(path).ok()?.as_str().into())
        };
        let allowed = |path: &Path| {
            uri_of(path).is_some_and(|uri| {
                let open = seen.iter().any(|seen| seen.document.uri == uri);
                !open && (wish.allowed)(&uri)
            })
        };
        let imports = self
            .outlines
            .get(&wish.document.uri)
            .map(|(_, o)| o.imports.as_slice());
        let search = Search {
            path: &path,
            imports: imports.unwrap_or_default(),
            near,
            folders: wish.folders,
            grammar,
        };
        let found = self.disk.find(&search, allowed, &mut self.reader);
        self.disk.keep(&found);
        found
            .into_iter()
            .filter_map(|path| Some((uri_of(&path)?, path)))
            .collect()
    }
}

/// Which of the declarations of one name are meant where `near` names are in use.
pub(super) fn meant<'p, 'o>(places: &'p [Place<'o>], near: &[String]) -> Vec<&'p Place<'o>> {
    let in_use = |name: &Option<String>| name.as_ref().is_some_and(|name| near.contains(name));
    let of = |kind: Kind| places.iter().filter(move |(_, d)| d.kind == kind);
    // All parts of a type are one meaning: its fields, its methods.
    if let Some((file, _)) = of(Kind::Type).next() {
        return of(Kind::Type).filter(|(uri, _)| uri == file).collect();
    }
    let items: Vec<_> = of(Kind::Item).collect();
    if (1..=MOST_MEANINGS).contains(&items.len()) {
        return items.into_iter().take(1).collect();
    }
    // A member is known by its type, or by being the only one of its name.
    let members: Vec<_> = of(Kind::Member).collect();
    let known: Vec<_> = members
        .iter()
        .copied()
        .filter(|(_, d)| in_use(&d.container))
        .collect();
    match (known.len(), members.len()) {
        (1..=MOST_MEANINGS, _) => known,
        (0, 1) => members,
        _ => Vec::new(),
    }
}

/// The document's imports that bind names near the cursor, when they are far from it.
fn imports_of(outline: &Outline, near: &[String], wish: &Wish<'_>) -> Option<Slot> {
    let binds = |import: &&Import| {
        let far = !overlaps(&import.lines, &own_lines(wish));
        far && names_in(&import.text).any(|name| near.iter().any(|n| n == name))
    };
    let imports: Vec<&Import> = outline.imports.iter().filter(binds).collect();
    let first = imports.first()?.text.lines().next();
    let mut text = String::new();
    for import in &imports {
        text.push_str(&import.text);
        text.push('\n');
    }
    Some(slot(
        Source::Declarations,
        wish,
        &wish.document.uri,
        text,
        first,
    ))
}
