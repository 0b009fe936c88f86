//! A finished file of weights into the store, under a name. Only the engine makes such files.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::super::store::{failed, hash};
use super::super::{ModelsError, Progress, Store, check_name};
use super::Named;

impl Store {
    /// Takes the finished file `made`, in the store's directory, under its content's name, and gives
    /// it `name`. An older model of that name loses it, and its file when no other name has it.
    ///
    /// # Errors
    /// [`ModelsError::Io`].
    pub(in crate::models) async fn adopt(
        &self,
        made: &Path,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<Named, ModelsError> {
        check_name(name)?;
        let size_bytes = fs::metadata(made)
            .map_err(|error| failed("read", made, error))?
            .len();
        let sha256 = hash(made, None, size_bytes, progress).await?;
        let path = self.file_of(&sha256, "gguf");
        let synced = fs::File::open(made).and_then(|file| file.sync_all());
        synced.map_err(|error| failed("sync", made, error))?;
        fs::rename(made, &path).map_err(|error| failed("create", &path, error))?;
        let before = self.find_named(name);
        self.write_name(name, &sha256)?;
        if let Some(before) = before.filter(|before| before.sha256 != sha256) {
            self.drop_file(&before)?;
        }
        Ok(Named {
            name: name.to_owned(),
            path,
            sha256,
            size_bytes,
        })
    }

    fn write_name(&self, name: &str, sha256: &str) -> Result<(), ModelsError> {
        let dir = self.names_dir();
        fs::create_dir_all(&dir).map_err(|error| failed("create", &dir, error))?;
        let write = || -> io::Result<()> {
            // In the store's own directory, so that no half-written name is ever listed.
            let mut file = tempfile::NamedTempFile::new_in(self.dir())?;
            writeln!(file, "{sha256}")?;
            file.as_file().sync_all()?;
            file.persist(dir.join(name)).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|error| failed("write", &dir.join(name), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::named::verify_named;
    use crate::models::{Event, Progress};

    const QUIET: &dyn Progress = &|_: Event<'_>| {};

    #[tokio::test]
    async fn a_name_is_given_verified_moved_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let made = dir.path().join("made");
        fs::write(&made, "one").unwrap();
        let one = store.adopt(&made, "mine", QUIET).await.unwrap();
        assert_eq!(store.named(), std::slice::from_ref(&one));
        verify_named(&one, QUIET).await.unwrap();

        fs::write(&made, "one").unwrap();
        store.adopt(&made, "yours", QUIET).await.unwrap();
        fs::write(&made, "two!").unwrap();
        let two = store.adopt(&made, "mine", QUIET).await.unwrap();
        assert!(one.path.exists(), "`yours` still has it");
        assert_eq!(store.find_named("mine").unwrap(), two);

        fs::write(&two.path, "bad!").unwrap();
        assert!(matches!(
            verify_named(&two, QUIET).await,
            Err(ModelsError::NamedDamaged { .. })
        ));
        let yours = store.find_named("yours").unwrap();
        assert_eq!(store.remove_named(&yours).unwrap(), 3);
        assert_eq!(store.remove_named(&two).unwrap(), 4);
        assert!(store.named().is_empty());
    }
}
