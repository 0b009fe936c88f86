//! Cached prompts on disk, for the next run and after an unload.
//!
//! Called by the engine: when its model is unloaded it keeps the prompts of completions that are worth it,
//! and before a prompt that would be computed it looks for one that begins alike. A file is llama.cpp's
//! state of one sequence, with its tokens in front; it lies in a folder that only this user reads, under
//! a name that tells the model, and is not opened before its hash is checked: llama.cpp ends the process
//! on some damaged ones. Prompts of chats are not kept, and of files that are kept out of prompts there
//! are none. The oldest files go when there are too many bytes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use llama_cpp_2::token::LlamaToken;
use sha2::{Digest, Sha256};

use super::EmbeddedModel;
use crate::common_prefix::common_prefix;

/// Bytes of all files together: ten prompts of the 1.5B model, at 28 KiB a token.
const MOST_BYTES: u64 = 192 << 20;

/// A prompt must spare so much computing.
const WORTH: Duration = Duration::from_millis(200);

/// Bytes per second that a slow disk gives, read and checked.
const DISK_BYTES_PER_SECOND: f64 = 100e6;

/// Prompts older than this belong to text that has changed since.
const OLDEST: Duration = Duration::from_hours(24 * 14);

/// Read at once.
const BATCH_BYTES: usize = 1 << 20;

/// What stands in front of the tokens: llama.cpp's magic number and version, and the tokens' number.
const HEADER_BYTES: usize = 12;

/// The prompts of one model.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    prompts: Vec<Prompt>,
}

#[derive(Debug)]
struct Prompt {
    path: PathBuf,
    bytes: u64,
    tokens: Vec<LlamaToken>,
}

/// A prompt to load.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Its tokens.
    pub(super) len: usize,
    /// Tokens that it has in common with the wanted one.
    pub(super) common: usize,
}

impl Kept {
    /// Looks what there is of a model. Reads the heads of a few files.
    pub(super) fn of(root: &Path, model: &EmbeddedModel, context: &str) -> Self {
        let folder = root.join(key(model, context));
        let mut kept = Self {
            folder,
            prompts: Vec::new(),
        };
        for (path, bytes, _) in states(&kept.folder) {
            if let Ok(tokens) = tokens_of(&path) {
                kept.prompts.push(Prompt {
                    path,
                    bytes,
                    tokens,
                });
            }
        }
        kept
    }

    /// The prompt that has most of `wanted`, where loading it is quicker than computing what is not
    /// `cached` of that.
    pub(super) fn find(
        &self,
        wanted: &[LlamaToken],
        cached: usize,
        prompt_tokens_per_second: f64,
    ) -> Option<Found> {
        let prompts = self.prompts.iter();
        let (prompt, common) = prompts
            .map(|prompt| (prompt, common_prefix(&prompt.tokens, wanted)))
            .max_by_key(|(_, common)| *common)?;
        let tokens = common.saturating_sub(cached);
        let spared = spared(tokens, prompt.bytes, prompt_tokens_per_second);
        (spared > WORTH.as_secs_f64()).then(|| Found {
            path: prompt.path.clone(),
            len: prompt.tokens.len(),
            common,
        })
    }

    /// Whether keeping so many tokens may ever be of use.
    pub(super) fn is_worth(tokens: usize, bytes: usize, prompt_tokens_per_second: f64) -> bool {
        spared(tokens, bytes as u64, prompt_tokens_per_second) > WORTH.as_secs_f64()
    }

    /// Whether the prompt, or a longer one that begins like it, is there.
    pub(super) fn has(&self, tokens: &[LlamaToken]) -> bool {
        let mut prompts = self.prompts.iter();
        prompts.any(|prompt| prompt.tokens.starts_with(tokens))
    }

    /// Checks a file before llama.cpp reads it. A bad one is removed.
    pub(super) fn check(&mut self, path: &Path) -> bool {
        let is_good = hash_of(path).is_ok_and(|hash| path.file_stem() == Some(hash.as_ref()));
        if is_good {
            // The file used last is removed last.
            let now = File::options().append(true).open(path);
            drop(now.and_then(|file| file.set_modified(SystemTime::now())));
        } else {
            self.forget(path);
        }
        is_good
    }

    /// Removes what cannot be used.
    pub(super) fn forget(&mut self, path: &Path) {
        drop(fs::remove_file(path));
        self.prompts.retain(|prompt| prompt.path != path);
    }

    /// Keeps a prompt that `write` puts into the file it is told.
    ///
    /// # Errors
    /// What the system or `write` says.
    pub(super) fn keep(
        &mut self,
        tokens: &[LlamaToken],
        write: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<(), String> {
        let said = |error: io::Error| error.to_string();
        private_folder(&self.folder).map_err(said)?;
        let aside = tempfile::Builder::new()
            .prefix("new-")
            .tempfile_in(&self.folder)
            .map_err(said)?
            .into_temp_path();
        write(&aside)?;
        let hash = hash_of(&aside).map_err(said)?;
        let path = self.folder.join(hash).with_extension("state");
        let bytes = aside.metadata().map_err(said)?.len();
        aside.persist(&path).map_err(|error| said(error.error))?;
        self.prompts.push(Prompt {
            path,
            bytes,
            tokens: tokens.to_vec(),
        });
        if let Some(root) = self.folder.parent() {
            remove_old(root, MOST_BYTES);
        }
        Ok(())
    }
}

/// Seconds that are spared when `bytes` are read and `tokens` therefore not computed.
#[expect(clippy::cast_precision_loss, reason = "megabytes and thousands")]
fn spared(tokens: usize, bytes: u64, prompt_tokens_per_second: f64) -> f64 {
    tokens as f64 / prompt_tokens_per_second - bytes as f64 / DISK_BYTES_PER_SECOND
}

/// The folder's name: what the numbers in a state depend on.
fn key(model: &EmbeddedModel, context: &str) -> String {
    let mut hash = Sha256::new();
    if let Some(digest) = &model.digest {
        hash.update(digest);
    } else {
        hash.update(model.path.as_os_str().as_encoded_bytes());
        if let Ok(file) = model.path.metadata() {
            hash.update(file.len().to_le_bytes());
            let changed = file.modified().ok();
            let since = changed.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
            hash.update(since.unwrap_or_default().as_nanos().to_le_bytes());
        }
    }
    hash.update(context);
    hex(&hash.finalize()[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn hash_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut batch = vec![0; BATCH_BYTES];
    loop {
        match file.read(&mut batch)? {
            0 => break,
            read => hash.update(batch.get(..read).unwrap_or_default()),
        }
    }
    Ok(hex(&hash.finalize()))
}

/// The tokens in front of a state.
fn tokens_of(path: &Path) -> io::Result<Vec<LlamaToken>> {
    let mut file = File::open(path)?;
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header)?;
    let count = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let mut bytes = Vec::new();
    file.take(u64::from(count) * 4).read_to_end(&mut bytes)?;
    let tokens = bytes.chunks_exact(4).map(|four| {
        let four: [u8; 4] = four.try_into().unwrap_or_default();
        LlamaToken::new(i32::from_le_bytes(four))
    });
    Ok(tokens.collect())
}

/// The states in a folder: path, bytes, when used last.
fn states(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let state = |entry: fs::DirEntry| {
        let path = entry.path();
        let metadata = entry.metadata().ok()?;
        (path.extension()? == "state")
            .then(|| Some((path, metadata.len(), metadata.modified().ok()?)))?
    };
    entries.filter_map(state).collect()
}

/// Removes what is too old, and the oldest of what is too much, of all models.
fn remove_old(root: &Path, most_bytes: u64) {
    let folders = fs::read_dir(root).into_iter().flatten().flatten();
    let mut all: Vec<_> = folders.flat_map(|folder| states(&folder.path())).collect();
    all.sort_by_key(|(_, _, used)| std::cmp::Reverse(*used));
    let mut sum = 0;
    for (path, bytes, used) in all {
        sum += bytes;
        if sum > most_bytes || used.elapsed().is_ok_and(|age| age > OLDEST) {
            drop(fs::remove_file(path));
        }
    }
}

/// Makes a folder that only this user reads.
fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use llama_cpp_2::token::LlamaToken;

    use super::{Kept, remove_old, states};
    use crate::backend::embedded::EmbeddedModel;

    fn model(name: &str) -> EmbeddedModel {
        EmbeddedModel {
            name: name.to_owned(),
            path: "weights.gguf".into(),
            digest: Some(name.to_owned()),
        }
    }

    fn tokens(range: std::ops::Range<i32>) -> Vec<LlamaToken> {
        range.map(LlamaToken::new).collect()
    }

    /// As llama.cpp writes it.
    fn write(path: &Path, tokens: &[LlamaToken]) -> Result<(), String> {
        let mut bytes = vec![0; 8];
        bytes.extend(u32::try_from(tokens.len()).expect("few").to_le_bytes());
        for token in tokens {
            bytes.extend(token.0.to_le_bytes());
        }
        bytes.extend([7; 100]);
        fs::write(path, bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_kept_is_found_again_by_its_model_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let mut kept = Kept::of(root.path(), &model("a"), "1");
        let all = tokens(0..400);
        kept.keep(&all, |path| write(path, &all)).expect("a disk");
        assert!(kept.has(&tokens(0..300)) && !kept.has(&tokens(1..300)));
        let mut again = Kept::of(root.path(), &model("a"), "1");
        let wanted = tokens(0..300);
        let found = again.find(&wanted, 10, 40.0).expect("it was kept");
        assert_eq!(found.common, 300);
        // Little is spared, or nothing.
        assert_eq!(again.find(&wanted, 299, 40.0), None);
        assert_eq!(again.find(&wanted, 10, 1e6), None);
        assert_eq!(again.find(&tokens(500..900), 0, 40.0), None);
        for (name, context) in [("b", "1"), ("a", "2")] {
            let other = Kept::of(root.path(), &model(name), context);
            assert_eq!(other.find(&wanted, 0, 40.0), None);
        }
        assert!(again.check(&found.path));
        let mut bytes = fs::read(&found.path).expect("it is there");
        bytes[50] ^= 1;
        fs::write(&found.path, bytes).expect("a disk");
        assert!(!again.check(&found.path), "it was changed");
        assert_eq!(again.find(&wanted, 0, 40.0), None);
        assert!(!found.path.exists());
    }

    #[test]
    fn the_oldest_goes_first() {
        let root = tempfile::tempdir().expect("a folder");
        let mut kept = Kept::of(root.path(), &model("a"), "1");
        for number in 0..3 {
            let prompt = tokens(number * 1000..number * 1000 + 100);
            kept.keep(&prompt, |path| write(path, &prompt))
                .expect("a disk");
            let path = &kept.prompts.last().expect("just kept").path;
            let hours = u64::try_from(3 - number).expect("small");
            let used = SystemTime::now() - Duration::from_hours(hours);
            fs::File::options()
                .append(true)
                .open(path)
                .and_then(|file| file.set_modified(used))
                .expect("a disk");
        }
        remove_old(root.path(), 1100);
        let left = states(&kept.folder);
        let newest: Vec<_> = kept.prompts.iter().skip(1).map(|p| &p.path).collect();
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|(path, ..)| newest.contains(&path)));
    }
}
