//! Weights of the person's own in the store: made here by quantising, named by them.
//!
//! `names/NAME` holds the SHA-256 of a file of the store. Called by the command line and, for what is
//! there, by the embedded engine. Invariant: a name appears by one rename, after its file did.

use std::fs;
use std::path::PathBuf;

use super::store::{failed, hash};
use super::{MODELS, ModelsError, Progress, Store};

#[cfg(feature = "embedded")]
mod adopt;

/// Longest name, in characters; file systems take 255 bytes.
const MOST_NAME_CHARS: usize = 100;

/// A model under a name of the person's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As in settings: `embedded/NAME`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file when it was made, in lower-case hexadecimal.
    pub sha256: String,
    /// On disk.
    pub size_bytes: u64,
}

/// Whether `name` can be a model's: letters, digits, `.`, `_` and `-`, and none of the catalogue's.
///
/// # Errors
/// [`ModelsError::Name`].
pub fn check_name(name: &str) -> Result<(), ModelsError> {
    let plain = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let why = if !plain || name.len() > MOST_NAME_CHARS {
        "a name has letters, digits, `.`, `_` and `-`, and begins with a letter or digit"
    } else if MODELS
        .iter()
        .any(|model| model.names().any(|known| known.eq_ignore_ascii_case(name)))
    {
        "it is the name of a model of the catalogue"
    } else {
        return Ok(());
    };
    Err(ModelsError::Name {
        name: name.to_owned(),
        why,
    })
}

impl Store {
    /// Models of the person's own, by name.
    pub fn named(&self) -> Vec<Named> {
        let entries = fs::read_dir(self.names_dir()).into_iter().flatten();
        let mut named: Vec<Named> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                self.find_named(&name)
            })
            .collect();
        named.sort_by(|a, b| a.name.cmp(&b.name));
        named
    }

    /// The model of that name, if it is there.
    pub fn find_named(&self, name: &str) -> Option<Named> {
        check_name(name).ok()?;
        let sha256 = fs::read_to_string(self.names_dir().join(name)).ok()?;
        let sha256 = sha256.trim().to_owned();
        // What is read here becomes part of a path.
        if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let path = self.file_of(&sha256, "gguf");
        let size_bytes = fs::metadata(&path)
            .ok()
            .filter(fs::Metadata::is_file)?
            .len();
        Some(Named {
            name: name.to_owned(),
            path,
            sha256,
            size_bytes,
        })
    }

    /// Removes a name, and its file when no other name has it; answers the bytes freed.
    ///
    /// # Errors
    /// [`ModelsError::Io`].
    pub fn remove_named(&self, named: &Named) -> Result<u64, ModelsError> {
        let path = self.names_dir().join(&named.name);
        fs::remove_file(&path).map_err(|error| failed("remove", &path, error))?;
        self.drop_file(named)
    }

    fn drop_file(&self, named: &Named) -> Result<u64, ModelsError> {
        let catalogued = MODELS.iter().any(|model| model.sha256 == named.sha256);
        if catalogued || self.named().iter().any(|n| n.sha256 == named.sha256) {
            return Ok(0);
        }
        fs::remove_file(&named.path).map_err(|error| failed("remove", &named.path, error))?;
        Ok(named.size_bytes)
    }

    fn names_dir(&self) -> PathBuf {
        self.dir().join("names")
    }
}

/// Hashes a named model again.
///
/// # Errors
/// [`ModelsError::NamedDamaged`].
pub async fn verify_named(named: &Named, progress: &dyn Progress) -> Result<(), ModelsError> {
    let found = hash(&named.path, None, named.size_bytes, progress).await?;
    if found == named.sha256 {
        return Ok(());
    }
    Err(ModelsError::NamedDamaged {
        name: named.name.clone(),
        path: named.path.clone(),
        expected: named.sha256.clone(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names_and_nobody_elses() {
        for (name, good) in [
            ("mine", true),
            ("qwen-1.5b_q5.K-M", true),
            ("", false),
            (".hidden", false),
            ("-x", false),
            ("a/b", false),
            ("..", false),
            ("a b", false),
            ("0.5b", false),
            ("Qwen2.5-Coder-1.5B", false),
        ] {
            assert_eq!(check_name(name).is_ok(), good, "{name:?}");
        }
    }

    #[test]
    fn a_name_that_leads_out_of_the_store_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        fs::create_dir(dir.path().join("names")).unwrap();
        fs::write(dir.path().join("names/evil"), "../../etc/passwd").unwrap();
        assert!(store.named().is_empty());
    }
}
