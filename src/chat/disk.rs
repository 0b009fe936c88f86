//! Where conversations are kept: one JSON file each, in a folder per workspace.
//!
//! Operations are done in the order in which they were asked for, on threads of their own, so that what a
//! stopped answer leaves behind is there before the next question looks for it. A file is written aside
//! and renamed: a crash leaves the old one. Only the user may read them. Bounded: [`MOST_CONVERSATIONS`],
//! [`MOST_BYTES`]. Several windows may go on with one conversation: a turn is put into what is on the disk,
//! under a lock, so that none loses another's.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::conversation::{Conversation, Turn, is_id};
use super::opened::Opened;

/// Conversations of a workspace; the one not touched for longest goes first. A year of some a week.
const MOST_CONVERSATIONS: usize = 200;
/// Largest file, in bytes: 200 long answers, or a dozen pictures. Pictures of old turns go first, then
/// turns after the first.
const MOST_BYTES: usize = 4 << 20;

/// The conversations of one workspace.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    /// `None` where the user has no cache folder: nothing is kept.
    folder: Option<PathBuf>,
    queue: Arc<Queue>,
}

/// Std mutexes: `waiting` is held to push or pop, `working` by the thread that works.
#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<Act>>,
    working: Mutex<()>,
}

type Act = Box<dyn FnOnce() + Send>;

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Act>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Names it.
    pub conversation: String,
    /// Its first words.
    pub title: String,
    /// When something was last said, in milliseconds of Unix time.
    pub updated_ms: u64,
    /// How many questions.
    pub turns: usize,
}

impl Disk {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            queue: Arc::default(),
        }
    }

    /// The conversation `id`; `None` when there is none.
    pub(super) async fn load(&self, id: &str) -> io::Result<Option<Conversation>> {
        if !is_id(id) {
            return Ok(None);
        }
        let id = id.to_owned();
        self.work(None, move |folder| load(&file_of(folder, &id)))
            .await
    }

    /// Puts `turn` into the conversation and keeps both; answers the conversation as it is then, or `None`
    /// where another window changed it in a way that `turn` does not fit.
    pub(super) async fn begin(
        &self,
        opened: Opened,
        turn: Turn,
    ) -> io::Result<Option<Conversation>> {
        let Some(_) = self.folder else {
            return Ok(opened.with(turn, None));
        };
        self.work(None, move |folder| {
            let _held = hold(folder)?;
            let now = load(&file_of(folder, &opened.conversation.id))?;
            let Some(begun) = opened.with(turn, now) else {
                return Ok(None);
            };
            save(folder, begun.clone())?;
            Ok(Some(begun))
        })
        .await
    }

    /// Keeps a turn as it ended; answers whether its conversation still has it.
    pub(super) async fn end(&self, conversation: String, turn: Turn) -> io::Result<bool> {
        self.work(true, move |folder| end(folder, &conversation, turn))
            .await
    }

    /// The same without waiting: for a turn that was given up.
    pub(super) fn end_later(&self, conversation: String, turn: Turn) {
        let Some(folder) = self.folder.clone() else {
            return;
        };
        self.push(Box::new(move || {
            if let Err(error) = end(&folder, &conversation, turn) {
                tracing::warn!(%error, "a conversation could not be kept");
            }
        }));
    }

    /// Keeps a conversation without turns in the place of what it was.
    pub(super) async fn empty(&self, conversation: &Conversation) -> io::Result<()> {
        let conversation = conversation.clone();
        self.work((), move |folder| {
            let _held = hold(folder)?;
            save(folder, conversation)
        })
        .await
    }

    /// All, the newest first.
    pub(super) async fn list(&self) -> io::Result<Vec<Listed>> {
        self.work(Vec::new(), |folder| {
            let mut listed: Vec<Listed> = files(folder)?
                .into_iter()
                .filter_map(|file| load(&file).ok().flatten())
                .map(|kept| Listed {
                    conversation: kept.id,
                    title: kept.title,
                    updated_ms: kept.updated_ms,
                    turns: kept.turns.len(),
                })
                .collect();
            listed.sort_by(|a, b| {
                (b.updated_ms, &b.conversation).cmp(&(a.updated_ms, &a.conversation))
            });
            Ok(listed)
        })
        .await
    }

    /// Removes one, or all; answers how many there were.
    pub(super) async fn delete(&self, id: Option<&str>) -> io::Result<usize> {
        let id = match id {
            Some(id) if !is_id(id) => return Ok(0),
            id => id.map(str::to_owned),
        };
        self.work(0, move |folder| {
            let _held = hold(folder)?;
            let doomed = match id {
                Some(id) => vec![file_of(folder, &id)],
                None => files(folder)?,
            };
            let mut gone = 0;
            for file in doomed {
                match std::fs::remove_file(file) {
                    Ok(()) => gone += 1,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(gone)
        })
        .await
    }

    /// Does `act` with the folder, after all that was asked before; `nothing` where there is no folder.
    async fn work<T: Send + 'static>(
        &self,
        nothing: T,
        act: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let Some(folder) = self.folder.clone() else {
            return Ok(nothing);
        };
        let (done, answer) = tokio::sync::oneshot::channel();
        self.push(Box::new(move || {
            let _ = done.send(act(&folder));
        }));
        answer.await.unwrap_or_else(|_| {
            Err(io::Error::other(
                "the thread that keeps conversations ended",
            ))
        })
    }

    fn push(&self, act: Act) {
        self.queue.waiting().push_back(act);
        let queue = Arc::clone(&self.queue);
        let turn = move || {
            let _working = queue.working.lock().unwrap_or_else(PoisonError::into_inner);
            let first = queue.waiting().pop_front();
            if let Some(act) = first {
                act();
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(turn)),
            // The end of the program: nobody waits any more.
            Err(_) => turn(),
        }
    }
}

/// Held while a conversation of the folder is read and written: other windows wait for milliseconds.
struct Held(File);

impl Drop for Held {
    /// Closing is not enough: a child process that is just being started has a copy of the descriptor.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "cannot unlock");
        }
    }
}

fn hold(folder: &Path) -> io::Result<Held> {
    create_private(folder)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))?;
    file.lock()?;
    Ok(Held(file))
}

fn end(folder: &Path, id: &str, turn: Turn) -> io::Result<bool> {
    let _held = hold(folder)?;
    let Some(mut conversation) = load(&file_of(folder, id))? else {
        return Ok(false);
    };
    let Some(place) = conversation.turns.iter_mut().find(|t| t.id == turn.id) else {
        return Ok(false);
    };
    *place = turn;
    conversation.touch();
    save(folder, conversation)?;
    Ok(true)
}

fn file_of(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.json"))
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    Ok(paths)
}

fn load(file: &Path) -> io::Result<Option<Conversation>> {
    match std::fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => {
            let mut conversation: Conversation =
                serde_json::from_slice(&read?).map_err(|error| {
                    let shown = file.display();
                    io::Error::other(format!(
                        "{shown} is not a conversation ({error}); delete it"
                    ))
                })?;
            // Turns had no names once.
            for (n, turn) in conversation.turns.iter_mut().enumerate() {
                if turn.id.is_empty() {
                    turn.id = format!("turn-{n}");
                }
            }
            Ok(Some(conversation))
        }
    }
}

fn save(folder: &Path, conversation: Conversation) -> io::Result<()> {
    create_private(folder)?;
    let file = file_of(folder, &conversation.id);
    let mut aside = tempfile::NamedTempFile::new_in(folder)?;
    aside.write_all(&bounded(conversation)?)?;
    aside.persist(file).map_err(|error| error.error)?;
    let mut kept = files(folder)?;
    if kept.len() > MOST_CONVERSATIONS {
        // An id begins with the time of its making; the time of the file is that of its last turn.
        let changed = |path: &PathBuf| path.metadata().and_then(|found| found.modified()).ok();
        kept.sort_by_cached_key(|path| (changed(path), path.clone()));
        for old in kept.iter().take(kept.len() - MOST_CONVERSATIONS) {
            std::fs::remove_file(old)?;
        }
    }
    Ok(())
}

/// The file, with old pictures and then old turns left out where it would be too large.
fn bounded(mut conversation: Conversation) -> io::Result<Vec<u8>> {
    loop {
        let bytes = serde_json::to_vec(&conversation)?;
        if bytes.len() <= MOST_BYTES {
            return Ok(bytes);
        }
        let last = conversation.turns.len().saturating_sub(1);
        let shown = |turn: &Turn| !turn.images.is_empty();
        if let Some(old) = conversation.turns.iter_mut().take(last).find(|t| shown(t)) {
            old.images.clear();
        } else if last > 1 {
            conversation.turns.remove(1);
        } else {
            return Ok(bytes);
        }
    }
}

fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests;
