//! Files that an open document imports, read from the workspace.
//!
//! No module system is modelled: an import is a list of names, and a file whose path within the
//! workspace ends in them is taken for the one meant. Wrong guesses cost a look at the disk, no more.
//!
//! Invariants: nothing outside the workspace's folders is read, links included; every look is bounded;
//! a file is read again only when its size or time has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::names::names_in;
use super::outline::{Import, Outline, Reader};
use crate::grammar::Grammar;

/// Longest file read, in bytes; longer ones are generated.
pub(super) const LONGEST_FILE_BYTES: usize = 256 * 1024;
/// Files read for one document.
const MOST_FILES: usize = 24;
/// Paths tried for one document; one costs about 2 µs.
const MOST_TRIES: usize = 4_000;
/// Names of an import that are tried as path and file.
const MOST_PARTS: usize = 5;
/// Folders above a document where an import may begin.
const MOST_FOLDERS: usize = 6;
/// Words that are no part of a path.
const SYNTAX: &[&str] = &[
    "use", "pub", "mod", "crate", "self", "super", "import", "from", "as", "include", "static",
    "type", "extern",
];

/// A file that was read.
#[derive(Debug)]
pub(super) struct Read {
    changed: Option<SystemTime>,
    len: u64,
    pub(super) outline: Outline,
    /// Whether it is another than at the last look.
    pub(super) is_new: bool,
}

/// What is looked for.
#[derive(Debug)]
pub(super) struct Search<'s> {
    /// The document that imports.
    pub(super) path: &'s Path,
    pub(super) imports: &'s [Import],
    /// Names near the cursor.
    pub(super) near: &'s [String],
    pub(super) folders: &'s [PathBuf],
    pub(super) grammar: &'static Grammar,
}

/// Files by path.
#[derive(Debug, Default)]
pub(super) struct Disk {
    files: BTreeMap<PathBuf, Read>,
}

impl Disk {
    /// The files that a document's imports name, and those beside it that are named like something
    /// near the cursor. Only what `allowed` allows is opened.
    pub(super) fn find(
        &mut self,
        search: &Search<'_>,
        allowed: impl Fn(&Path) -> bool,
        reader: &mut Reader,
    ) -> Vec<PathBuf> {
        let &Search {
            path,
            imports,
            near,
            folders,
            grammar,
        } = search;
        let bases = bases(path, folders);
        let mut tries = MOST_TRIES;
        let mut found: Vec<PathBuf> = Vec::new();
        let mut try_at = |base: &Path, parts: &str| {
            for end in grammar.files {
                if tries == 0 || found.len() == MOST_FILES {
                    return;
                }
                tries -= 1;
                let file = base.join(format!("{parts}{end}"));
                if file.is_file() && file != path && !found.contains(&file) {
                    found.push(file);
                }
            }
        };
        for parts in imports.iter().flat_map(|import| paths_in(&import.text)) {
            for base in &bases {
                try_at(base, &parts);
            }
        }
        if let Some(beside) = path.parent().filter(|_| !bases.is_empty()) {
            for name in near {
                try_at(beside, name);
            }
        }
        let inside = |file: &PathBuf| {
            // A link may lead anywhere.
            let real = file.canonicalize().ok();
            real.is_some_and(|real| is_inside(&real, path, folders)) && allowed(file)
        };
        found.retain(inside);
        found.retain(|file| self.read(file, grammar, reader));
        found
    }

    /// What was found in a file.
    pub(super) fn get(&self, path: &Path) -> Option<&Read> {
        self.files.get(path)
    }

    /// Forgets the files that were not asked for at this look.
    pub(super) fn keep(&mut self, paths: &[PathBuf]) {
        self.files.retain(|path, _| paths.contains(path));
    }

    fn read(&mut self, path: &Path, grammar: &'static Grammar, reader: &mut Reader) -> bool {
        let Ok(meta) = fs::metadata(path) else {
            return false;
        };
        let (changed, len) = (meta.modified().ok(), meta.len());
        if let Some(known) = self.files.get_mut(path)
            && (known.changed, known.len) == (changed, len)
        {
            known.is_new = false;
            return true;
        }
        if len > LONGEST_FILE_BYTES as u64 {
            return false;
        }
        let Ok(text) = fs::read_to_string(path) else {
            return false;
        };
        let read = Read {
            changed,
            len,
            outline: reader.read(grammar, &text),
            is_new: true,
        };
        self.files.insert(path.to_owned(), read);
        true
    }
}

/// Whether a real path is in the workspace: in one of its folders, or, where there is none, beside the
/// document.
fn is_inside(real: &Path, document: &Path, folders: &[PathBuf]) -> bool {
    let real_folder = |folder: &Path| folder.canonicalize().is_ok_and(|f| real.starts_with(f));
    if folders.is_empty() {
        return document.parent().is_some_and(real_folder);
    }
    folders.iter().any(|folder| real_folder(folder))
}

/// Where an import may begin: the document's folder, those above it up to the workspace's, and a `src`
/// in each.
fn bases(path: &Path, folders: &[PathBuf]) -> Vec<PathBuf> {
    let top = folders.iter().find(|folder| path.starts_with(folder));
    let above = path.ancestors().skip(1).take(MOST_FOLDERS);
    let mut bases = Vec::new();
    for folder in above {
        bases.push(folder.to_owned());
        if top.is_none_or(|top| top == folder) {
            break;
        }
    }
    let sources: Vec<PathBuf> = bases.iter().map(|base| base.join("src")).collect();
    bases.extend(sources.into_iter().filter(|folder| folder.is_dir()));
    bases
}

/// The relative paths an import may mean, without their ends: longest first.
fn paths_in(import: &str) -> Vec<String> {
    // Quoted, it is a path already.
    let quoted = import
        .split(['"', '\''])
        .nth(1)
        .filter(|_| import.contains(['"', '\'']));
    if let Some(quoted) = quoted {
        let plain = quoted.trim_end_matches(".js").trim_end_matches(".ts");
        let plain = plain.trim_end_matches(".h").trim_end_matches(".hpp");
        let mut paths = vec![quoted.to_owned(), plain.to_owned()];
        paths.dedup();
        return paths;
    }
    let (head, items) = import.split_once('{').unwrap_or((import, ""));
    let is_part = |name: &&str| !SYNTAX.contains(name);
    let head: Vec<&str> = names_in(head).filter(is_part).take(MOST_PARTS).collect();
    let mut paths = Vec::new();
    let mut add = |parts: &[&str]| {
        for length in (1..=parts.len()).rev() {
            let path = parts.get(..length).unwrap_or_default().join("/");
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    };
    for item in names_in(items).filter(is_part) {
        add(&[head.as_slice(), &[item]].concat());
    }
    add(&head);
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_names_paths() {
        for (import, expected) in [
            ("use crate::a::b::C;", &["a/b/C", "a/b", "a"][..]),
            (
                "use super::place::{Fit, Place};",
                &["place/Fit", "place", "place/Place"],
            ),
            ("mod b;", &["b"]),
            ("from a.b import c", &["a/b/c", "a/b", "a"]),
            ("from . import c", &["c"]),
            (
                "import { a } from './lib/a.js';",
                &["./lib/a.js", "./lib/a"],
            ),
            ("#include \"a/b.h\"", &["a/b.h", "a/b"]),
            ("import a.b.C;", &["a/b/C", "a/b", "a"]),
        ] {
            assert_eq!(paths_in(import), expected, "{import}");
        }
    }

    #[test]
    fn imported_files_are_found_inside_the_workspace_and_read_once() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("src/inline")).unwrap();
        fs::write(at("src/store.rs"), "pub fn open() {}\n").unwrap();
        fs::write(at("src/inline/place.rs"), "pub fn fit() {}\n").unwrap();
        fs::write(at("src/secret.rs"), "pub fn key() {}\n").unwrap();
        fs::write(outside.path().join("far.rs"), "pub fn far() {}\n").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path().join("far.rs"), at("src/far.rs")).unwrap();
        let import = |text: &str| Import {
            text: text.into(),
            lines: 0..1,
        };
        let imports = [
            import("use crate::store::open;"),
            import("use super::place::fit;"),
            import("use crate::secret::key;"),
            import("use crate::far::far;"),
            import("use crate::missing::{a, b};"),
        ];
        let mut disk = Disk::default();
        let mut find = |folders: &[PathBuf]| {
            let search = Search {
                path: &at("src/inline/change.rs"),
                imports: &imports,
                near: &[],
                folders,
                grammar: Grammar::of("rust").unwrap(),
            };
            let allowed = |path: &Path| !path.ends_with("secret.rs");
            disk.find(&search, allowed, &mut Reader::default())
        };
        let folders = [root.path().to_owned()];
        let found = find(&folders);
        assert_eq!(found, [at("src/store.rs"), at("src/inline/place.rs")]);
        assert_eq!(find(&folders), found);
        assert_eq!(find(&[]), [at("src/inline/place.rs")]);
        let read = disk.get(&found[1]).unwrap();
        assert_eq!(read.outline.declarations[0].name, "fit");
        assert!(!read.is_new);
    }
}
