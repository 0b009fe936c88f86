//! Which files are kept out of prompts and of the index: by name, by the settings, by the workspace's ignore
//! files. Called by `inline` and `index`.
//!
//! Built when settings, folders or ignore files change. A file is judged once and remembered, so that no
//! key reads the disk; the ignore files themselves are read then, between the file and the top of its
//! repository or workspace folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dashmap::DashMap;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::config::PrivacySettings;

/// Names of files that hold secrets and nothing else, lower case. `*` stands at an end. Names that many
/// harmless files have, such as `config.json`, `settings.json` and `credentials.ts`, and folders such as
/// `keys/`, are left to `privacy.ignore`.
const SECRET_NAMES: &[&str] = &[
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "*.gpg",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    "*.tfstate",
    "*.tfvars",
    "secrets.yml",
    "secrets.yaml",
    "secrets.json",
    "secrets.toml",
    "service-account*.json",
];
/// Folders whose files without a harmless ending are secrets.
const SECRET_FOLDERS: &[&str] = &[".ssh", ".gnupg", ".aws", ".kube"];
/// Endings of public keys and of examples that are made to be shared.
const HARMLESS: &[&str] = &[".pub", ".example", ".sample", ".template", ".dist"];
/// The workspace's ignore files; a later one decides over an earlier one of the same folder.
const IGNORE_FILES: &[&str] = &[".gitignore", ".ghostlineignore"];
/// Folders looked at above a file, for a path without a repository or workspace.
const MOST_FOLDERS: usize = 64;
/// Files remembered. All open files of a long day; past it everything is judged anew.
const MOST_FILES: usize = 4096;

/// Why a file is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its name says that it holds keys or passwords.
    Secret,
    /// The settings or an ignore file name it.
    Ignored,
}

/// The rules about files.
#[derive(Debug)]
pub(crate) struct Files {
    patterns: Gitignore,
    folders: Vec<PathBuf>,
    judged: DashMap<Arc<str>, Option<Reason>>,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            patterns: Gitignore::empty(),
            folders: Vec::new(),
            judged: DashMap::new(),
        }
    }
}

impl Files {
    /// The rules of these settings and workspace folders. A pattern that means nothing is left out: the
    /// settings have said so already.
    pub(crate) fn new(privacy: &PrivacySettings, folders: &[PathBuf]) -> Self {
        let mut builder = GitignoreBuilder::new("");
        for pattern in &privacy.ignore {
            let _ = builder.add_line(None, pattern);
        }
        Self {
            patterns: builder.build().unwrap_or_else(|_| Gitignore::empty()),
            folders: folders.to_owned(),
            judged: DashMap::new(),
        }
    }

    /// The workspace folders given to [`Files::new`].
    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Why nothing of the document goes into a prompt, if nothing does.
    pub(crate) fn refusal(&self, uri: &Arc<str>) -> Option<Reason> {
        if let Some(judged) = self.judged.get(uri) {
            return *judged;
        }
        let refusal = self.judge(uri);
        if self.judged.len() >= MOST_FILES {
            self.judged.clear();
        }
        self.judged.insert(uri.clone(), refusal);
        refusal
    }

    /// Judges the document anew when it is asked about next: its ignore files may have changed.
    pub(crate) fn forget(&self, uri: &str) {
        self.judged.remove(uri);
    }

    fn judge(&self, uri: &str) -> Option<Reason> {
        let url = url::Url::parse(uri).ok();
        let path = match url.as_ref().map(url::Url::to_file_path) {
            Some(Ok(path)) => path,
            // No file yet, or one the editor keeps elsewhere: its name still counts.
            _ => PathBuf::from(url.as_ref().map_or(uri, url::Url::path)),
        };
        self.refusal_of_path(&path)
    }

    /// The same for a path, not remembered.
    pub(crate) fn refusal_of_path(&self, path: &Path) -> Option<Reason> {
        self.refusal_without_ignore_files(path)
            .or_else(|| self.ignores(path).then_some(Reason::Ignored))
    }

    /// By name and settings alone, for a walk that reads ignore files itself.
    pub(crate) fn refusal_without_ignore_files(&self, path: &Path) -> Option<Reason> {
        if is_secret(path) {
            return Some(Reason::Secret);
        }
        self.names(path).then_some(Reason::Ignored)
    }

    /// Whether a pattern of the settings names the file, seen from its workspace folder.
    fn names(&self, path: &Path) -> bool {
        let inside = |folder: &PathBuf| path.strip_prefix(folder).ok();
        let relative = self.folders.iter().find_map(inside).unwrap_or(path);
        let relative = relative.strip_prefix("/").unwrap_or(relative);
        !relative.has_root()
            && self
                .patterns
                .matched_path_or_any_parents(relative, false)
                .is_ignore()
    }

    /// Whether an ignore file above the file names it; the nearest that says something decides.
    fn ignores(&self, path: &Path) -> bool {
        let above: Vec<&Path> = path.ancestors().skip(1).take(MOST_FOLDERS).collect();
        let is_top =
            |dir: &&Path| dir.join(".git").exists() || self.folders.iter().any(|f| f == dir);
        // The highest of them: a folder of a repository, and a repository in a folder, both count.
        let Some(top) = above.iter().rposition(is_top) else {
            return false;
        };
        for dir in above.iter().take(top + 1) {
            for name in IGNORE_FILES.iter().rev() {
                let file = dir.join(name);
                if !file.is_file() {
                    continue;
                }
                let (rules, _) = Gitignore::new(&file);
                match rules.matched_path_or_any_parents(path, false) {
                    Match::Ignore(_) => return true,
                    Match::Whitelist(_) => return false,
                    Match::None => {}
                }
            }
        }
        false
    }
}

fn is_secret(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|n| n.to_string_lossy().to_lowercase()) else {
        return false;
    };
    if HARMLESS.iter().any(|end| name.ends_with(end)) {
        return false;
    }
    let in_secret_folder = path
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|dir| SECRET_FOLDERS.iter().any(|f| dir == *f));
    in_secret_folder || SECRET_NAMES.iter().any(|pattern| matches(pattern, &name))
}

/// Whether `name` is `pattern`, in which one `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_and_harmless_ones_are_not_refused() {
        for (path, secret) in [
            (".env", true),
            (".env.production", true),
            (".env.example", false),
            (".envrc.md", false),
            ("environment.ts", false),
            ("server.pem", true),
            ("server.PEM", true),
            (".ssh/id_rsa", true),
            (".ssh/config", true),
            (".ssh/id_rsa.pub", false),
            ("deploy/id_ed25519", true),
            (".npmrc", true),
            ("secrets.yaml", true),
            ("config.json", false),
            ("settings.json", false),
            ("credentials.ts", false),
            ("secrets.rs", false),
            ("tests/keys/loader.rs", false),
            ("keys/mod.rs", false),
            ("src/token.rs", false),
            ("keyboard.key.ts", false),
        ] {
            let uri: Arc<str> = format!("file:///project/{path}").into();
            let expected = secret.then_some(Reason::Secret);
            assert_eq!(Files::default().refusal(&uri), expected, "{path}");
        }
        let untitled: Arc<str> = "untitled:.env".into();
        assert_eq!(Files::default().refusal(&untitled), Some(Reason::Secret));
        let untitled: Arc<str> = "untitled:Untitled-1".into();
        assert_eq!(Files::default().refusal(&untitled), None);
    }

    #[test]
    fn patterns_of_the_settings_are_read_as_in_an_ignore_file() {
        let privacy = PrivacySettings {
            ignore: ["*.csv", "private/", "/top.rs", "!private/open.rs", "[bad"]
                .map(str::to_owned)
                .to_vec(),
            redact_secrets: true,
        };
        let files = Files::new(&privacy, &[PathBuf::from("/project")]);
        for (path, refused) in [
            ("/project/a/b.csv", true),
            ("/project/private/x.rs", true),
            ("/project/top.rs", true),
            ("/project/a/top.rs", false),
            ("/project/a.rs", false),
            ("/elsewhere/b.csv", true),
            ("/elsewhere/a b.rs", false),
        ] {
            let uri: Arc<str> = url::Url::from_file_path(path).unwrap().as_str().into();
            let expected = refused.then_some(Reason::Ignored);
            assert_eq!(files.refusal(&uri), expected, "{path}");
        }
    }

    #[test]
    fn ignore_files_of_the_workspace_count_and_the_nearest_decides() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir_all(at("gen/kept")).unwrap();
        std::fs::write(at(".gitignore"), "gen/*\n!gen/kept\n*.log\n").unwrap();
        std::fs::write(at(".ghostlineignore"), "private.rs\n").unwrap();
        std::fs::write(at("gen/kept/.gitignore"), "!b.log\n").unwrap();
        let privacy = PrivacySettings {
            ignore: Vec::new(),
            redact_secrets: true,
        };
        let inside = Files::new(&privacy, &[root.path().to_owned()]);
        let outside = Files::new(&privacy, &[]);
        for (path, refused) in [
            ("a.rs", false),
            ("a.log", true),
            ("gen/x.rs", true),
            ("gen/kept/x.rs", false),
            ("gen/kept/a.log", true),
            ("gen/kept/b.log", false),
            ("private.rs", true),
        ] {
            let uri: Arc<str> = url::Url::from_file_path(at(path)).unwrap().as_str().into();
            let expected = refused.then_some(Reason::Ignored);
            assert_eq!(inside.refusal(&uri), expected, "{path}");
            // Without a repository or workspace folder, a stray ignore file above means nothing.
            assert_eq!(outside.refusal(&uri), None, "{path}");
        }
        std::fs::create_dir(at(".git")).unwrap();
        let again = Files::new(&privacy, &[]);
        let uri: Arc<str> = url::Url::from_file_path(at("a.log"))
            .unwrap()
            .as_str()
            .into();
        assert_eq!(again.refusal(&uri), Some(Reason::Ignored));
    }
}
