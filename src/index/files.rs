//! Which files are indexed, and reading them.
//!
//! Called by `refresh`, for a whole folder or for one path that changed. A file is left out when an ignore
//! file or the settings name it, when its name is that of a secret or of generated text, when it is too long,
//! or when it is not text. Links are not followed: they may lead anywhere.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ignore::WalkBuilder;

use super::store::Stamp;
use crate::config::IndexSettings;
use crate::kept_out::Files;

/// Names of files that programs write, lower case; `*` stands at the beginning.
const GENERATED: &[&str] = &[
    "*.lock",
    "*.min.js",
    "*.min.css",
    "*.map",
    "*.svg",
    "*.snap",
    "*-lock.json",
    "*-lock.yaml",
    "go.sum",
    "*.csv",
    "*.tsv",
    "*.jsonl",
    "*.log",
    "*.ipynb",
    "*.pbxproj",
    "npm-shrinkwrap.json",
];
/// Longest mean line, in bytes: longer ones are data or minified.
const MOST_LINE_BYTES: usize = 400;
/// How much is looked at before the whole is read.
const FIRST_BYTES: usize = 8 * 1024;

/// A file that may be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Within its folder, with `/`.
    pub(super) path: String,
    pub(super) stamp: Stamp,
}

/// Every file of `folder` that may be indexed, those changed last first.
pub(super) fn walk(folder: &Path, rules: &Files, settings: &IndexSettings) -> Vec<Found> {
    let mut builder = WalkBuilder::new(folder);
    builder
        .add_custom_ignore_filename(".ghostlineignore")
        .require_git(false)
        .follow_links(false);
    let mut found: Vec<Found> = builder
        .build()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .filter(|entry| rules.refusal_without_ignore_files(entry.path()).is_none())
        .filter_map(|entry| found(folder, entry.path(), settings))
        .collect();
    found.sort_by(|a, b| (b.stamp.modified_ns, &a.path).cmp(&(a.stamp.modified_ns, &b.path)));
    found.truncate(settings.max_files);
    found
}

/// The file at `path`, if it may be indexed; the same rules as [`walk`].
pub(super) fn look(
    folder: &Path,
    path: &Path,
    rules: &Files,
    settings: &IndexSettings,
) -> Option<Found> {
    let inside = path.strip_prefix(folder).ok()?;
    let hidden =
        |part: std::path::Component<'_>| part.as_os_str().to_string_lossy().starts_with('.');
    let is_file = fs::symlink_metadata(path).ok()?.is_file();
    // A folder above may be a link out of the workspace.
    let real = path.canonicalize().ok()?;
    let stays = folder
        .canonicalize()
        .is_ok_and(|folder| real.starts_with(folder));
    let kept = !inside.components().any(hidden) && rules.refusal_of_path(path).is_none();
    (is_file && stays && kept).then(|| found(folder, path, settings))?
}

/// The same of every file in the folder at `path`, which was moved in; `None` when it is no folder. What
/// the rules keep out as a whole is not walked.
pub(super) fn look_inside(
    folder: &Path,
    path: &Path,
    rules: &Files,
    settings: &IndexSettings,
) -> Option<Vec<Found>> {
    fs::symlink_metadata(path)
        .ok()
        .filter(fs::Metadata::is_dir)?;
    let any = path.join("any");
    let inside = any.strip_prefix(folder).ok()?;
    let hidden = inside
        .components()
        .any(|part| part.as_os_str().to_string_lossy().starts_with('.'));
    if hidden || rules.refusal_of_path(&any).is_some() {
        return Some(Vec::new());
    }
    let mut builder = WalkBuilder::new(path);
    builder
        .add_custom_ignore_filename(".ghostlineignore")
        .require_git(false)
        .follow_links(false);
    let files = builder.build().filter_map(Result::ok);
    let found = files.filter_map(|entry| look(folder, entry.path(), rules, settings));
    Some(found.take(settings.max_files).collect())
}

fn found(folder: &Path, path: &Path, settings: &IndexSettings) -> Option<Found> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let generated = |pattern: &&str| match pattern.strip_prefix('*') {
        Some(end) => name.ends_with(end),
        None => name == **pattern,
    };
    if GENERATED.iter().any(generated) {
        return None;
    }
    let meta = fs::metadata(path).ok()?;
    if meta.len() == 0 || meta.len() > settings.max_file_kib * 1024 {
        return None;
    }
    // A name that is no text is no address either.
    let path = path.strip_prefix(folder).ok()?.to_str()?.replace('\\', "/");
    Some(Found {
        path,
        stamp: stamp(&meta),
    })
}

/// The stamp of the file at `path` now.
pub(super) fn stamp_of(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|meta| stamp(&meta))
}

fn stamp(meta: &fs::Metadata) -> Stamp {
    let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp {
        modified_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        len: meta.len(),
    }
}

/// The text of a file; nothing where it is not text, or not written by anyone.
///
/// # Errors
/// What the system says: the file is gone, or may not be read.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    let mut file = fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(FIRST_BYTES as u64)
        .read_to_end(&mut bytes)?;
    if memchr::memchr(0, &bytes).is_some() {
        return Ok(None);
    }
    file.read_to_end(&mut bytes)?;
    let Ok(text) = String::from_utf8(bytes) else {
        return Ok(None);
    };
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1;
    Ok((text.len() / lines <= MOST_LINE_BYTES && !text.contains('\0')).then_some(text))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::Settings;

    #[test]
    fn only_what_somebody_wrote_and_may_be_shown_is_found() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["src", "build", ".git", "node_modules/a", "private"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at(".gitignore"), "build/\nnode_modules\n").unwrap();
        fs::write(at(".ghostlineignore"), "private\n").unwrap();
        fs::write(outside.path().join("far.rs"), "fn far() {}\n").unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outside.path(), at("link")).unwrap();
            std::os::unix::fs::symlink(outside.path().join("far.rs"), at("far.rs")).unwrap();
        }
        let files = [
            "src/main.rs",
            "README.md",
            "build/out.rs",
            "node_modules/a/index.js",
            "private/x.rs",
            ".env",
            "server.pem",
            "Cargo.lock",
            "a.min.js",
            ".git/config",
            "notes.csv",
            "src/empty.rs",
            "src/long.rs",
        ];
        for file in files {
            let text = match file {
                "src/empty.rs" => String::new(),
                "src/long.rs" => "x\n".repeat(400_000),
                _ => "fn main() {}\n".to_owned(),
            };
            fs::write(at(file), text).unwrap();
        }
        let settings = Settings::default();
        let rules = Files::new(&settings.privacy, &[root.path().to_owned()]);
        let mut paths: Vec<_> = walk(root.path(), &rules, &settings.index)
            .into_iter()
            .map(|f| f.path)
            .collect();
        paths.sort();
        assert_eq!(paths, ["README.md", "src/main.rs"]);
        let every =
            files
                .iter()
                .map(|file| at(file))
                .chain([at("far.rs"), at("link/far.rs"), at("src")]);
        let looked = |path: PathBuf| look(root.path(), &path, &rules, &settings.index);
        let mut singly: Vec<_> = every.filter_map(looked).map(|f| f.path).collect();
        singly.sort();
        assert_eq!(singly, paths, "one by one as all together");
        let few = IndexSettings {
            max_files: 1,
            ..settings.index
        };
        assert_eq!(walk(root.path(), &rules, &few).len(), 1);
    }

    #[test]
    fn what_is_no_text_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let written = |bytes: &[u8]| {
            let path = root.path().join("file");
            fs::write(&path, bytes).unwrap();
            read(&path).unwrap()
        };
        assert_eq!(written(b"fn a() {}\n").as_deref(), Some("fn a() {}\n"));
        assert_eq!(written(b"a\0b"), None);
        assert_eq!(written(b"\xff\xfe"), None);
        assert_eq!(written("x".repeat(5_000).as_bytes()), None);
        let late = [vec![b'\n'; 9_000], vec![0]].concat();
        assert_eq!(written(&late), None);
        assert!(read(&root.path().join("missing")).is_err());
    }
}
