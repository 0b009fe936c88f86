//! Runs a Python program that a model wrote, so that it can do no harm.
//!
//! Called by `eval/passing`. Each program runs in a process of its own that has confined itself
//! before it became Python ([`confine`]): no network, nothing written outside an empty folder that is
//! deleted afterwards, nothing read but Python and the system's libraries, no other process started,
//! and limits of memory, processor time, files and output. The wall clock is watched from here.
//!
//! Invariants: without confinement nothing runs unless the person said so; a program that is not
//! waited for any more is killed, with all it started.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

pub mod confine;
mod interpreter;
mod outcome;

pub use interpreter::Interpreter;
pub use outcome::Outcome;

use outcome::Ending;

/// The program's file in its folder.
const PROGRAM_FILE: &str = "program.py";

/// What a program may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Processor time. A test of the published sets takes milliseconds; slower ones are loops. Counted
    /// in place of the wall clock, so that a busy machine gives the same result.
    pub cpu: Duration,
    /// From start to end: ends a program that sleeps.
    pub wall: Duration,
    /// Address space.
    pub memory_bytes: u64,
    /// Output of each kind.
    pub output_bytes: u64,
    /// All files together.
    pub folder_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(5),
            wall: Duration::from_mins(1),
            memory_bytes: 1 << 30,
            output_bytes: 64 << 10,
            folder_bytes: 16 << 20,
        }
    }
}

/// How often the folder's size is looked at.
const FOLDER_LOOK: Duration = Duration::from_millis(100);
/// Most files whose sizes are added up at a look; a program that has more has too many.
const MOST_FILES: usize = 1000;

/// A program could not be run, which says nothing about the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The system gave no folder or process.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is no Python, or it is not one.
    #[error("`{program}` is no working Python 3: {why}; name one with --python")]
    NoPython {
        /// What was tried.
        program: String,
        /// What was seen.
        why: String,
    },
    /// The system cannot confine a program.
    #[error(
        "programs that a model wrote are run only where they can be confined, and here they cannot: \
         {why}; --unconfined runs them with your own rights"
    )]
    Unconfinable {
        /// What is missing.
        why: String,
    },
    /// A confined program could do what it must not.
    #[error("the confinement does not hold: a program could {what}; nothing was run")]
    Leaks {
        /// What it could do.
        what: &'static str,
    },
}

fn cannot(what: &'static str) -> impl FnOnce(std::io::Error) -> SandboxError {
    move |source| SandboxError::System { what, source }
}

/// Where programs are run.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// This program, which confines itself and becomes Python.
    launcher: PathBuf,
    interpreter: Interpreter,
    limits: Limits,
    confined: bool,
}

impl Sandbox {
    /// A sandbox that was tried out. `launcher` is the built `ghostline`.
    ///
    /// # Errors
    /// [`SandboxError`] where programs cannot be confined, or where the confinement does not hold.
    pub async fn confined(
        launcher: PathBuf,
        interpreter: Interpreter,
        limits: Limits,
    ) -> Result<Self, SandboxError> {
        let sandbox = Self {
            launcher,
            interpreter,
            limits,
            confined: true,
        };
        sandbox.try_out().await?;
        Ok(sandbox)
    }

    /// Runs programs with the person's own rights, within the limits of time and output.
    pub fn unconfined(launcher: PathBuf, interpreter: Interpreter, limits: Limits) -> Self {
        Self {
            launcher,
            interpreter,
            limits,
            confined: false,
        }
    }

    /// What holds programs back, for reports.
    pub fn name(&self) -> &'static str {
        if self.confined {
            "landlock, seccomp, rlimit"
        } else {
            "none"
        }
    }

    /// Python's version, such as `3.11.7`.
    pub fn python_version(&self) -> &str {
        &self.interpreter.version
    }

    /// Runs a program to its end or to a limit. It has passed when it ran to its last line.
    pub async fn run(&self, program: &str) -> Result<Outcome, SandboxError> {
        let passed = nonce();
        // Written past Python's buffers, so that no exit on the way looks like the end.
        let source = format!("{program}\n__import__('os').write(1, b'{passed}')\n");
        let ending = self.run_to_end(&source).await?;
        Ok(Outcome::of(&ending, &passed))
    }

    async fn run_to_end(&self, source: &str) -> Result<Ending, SandboxError> {
        let folder = tempfile::Builder::new()
            .prefix("ghostline-run-")
            .tempdir()
            .map_err(cannot("make a folder for a program"))?;
        // The confinement knows files by their real path.
        let path = folder
            .path()
            .canonicalize()
            .map_err(cannot("find the program's folder"))?;
        std::fs::write(path.join(PROGRAM_FILE), source).map_err(cannot("write a program"))?;
        let mut child = self
            .command(&path)
            .spawn()
            .map_err(cannot("start a program"))?;
        let group = Group::of(&child);
        let most = self.limits.output_bytes;
        let output = (
            bounded(child.stdout.take(), most),
            bounded(child.stderr.take(), most),
        );
        let ended = async {
            let read = tokio::try_join!(output.0, output.1);
            match read {
                Ok((stdout, stderr)) => Ok(Ending::Exited {
                    status: wait(&mut child).await?,
                    stdout,
                    stderr,
                }),
                Err(TooMuch) => Ok(Ending::TooMuchOutput),
            }
        };
        let ending = tokio::select! {
            ended = ended => ended,
            () = tokio::time::sleep(self.limits.wall) => Ok(Ending::TooLong),
            () = overfull(&path, self.limits.folder_bytes) => Ok(Ending::TooMuchOutput),
        };
        drop(group);
        let _ = child.kill().await;
        ending
    }

    /// The process: nothing of our environment, nothing to read, its own process group.
    fn command(&self, folder: &Path) -> Command {
        let mut command = if self.confined {
            let mut command = Command::new(&self.launcher);
            let confinement = confine::Confinement {
                folder: folder.to_owned(),
                readable: self.interpreter.readable.clone(),
                cpu_seconds: self.limits.cpu.as_secs(),
                memory_bytes: self.limits.memory_bytes,
                file_bytes: self.limits.folder_bytes,
            };
            command.args(confinement.to_arguments());
            command.arg(&self.interpreter.program);
            command
        } else {
            Command::new(&self.interpreter.program)
        };
        command
            // No site-packages: the same result on a machine with and without them.
            .args(["-S", "-s", "-B", PROGRAM_FILE])
            .current_dir(folder)
            .env_clear()
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .env("LC_ALL", "C.UTF-8")
            .env("PYTHONHASHSEED", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        command
    }

    /// Lets programs try what they must not be able to do, before any other runs.
    async fn try_out(&self) -> Result<(), SandboxError> {
        let nothing = self.run_to_end("").await?;
        if let Ending::Exited { status, stderr, .. } = &nothing
            && !status.success()
        {
            let said = String::from_utf8_lossy(stderr);
            let last = said.trim().rsplit('\n').next().unwrap_or_default().trim();
            return Err(match last.split_once(confine::CANNOT) {
                Some((_, why)) => SandboxError::Unconfinable {
                    why: why.to_owned(),
                },
                None => SandboxError::NoPython {
                    program: self.interpreter.program.display().to_string(),
                    why: format!("confined, it ends with {status}: {last}"),
                },
            });
        }
        for (what, attack) in ATTACKS {
            if self.run(attack).await? == Outcome::Passed {
                return Err(SandboxError::Leaks { what });
            }
        }
        Ok(())
    }
}

/// Programs that must not pass.
const ATTACKS: &[(&str, &str)] = &[
    ("open a socket", "import socket; socket.socket()"),
    ("start a process", "import os; os.fork() or os._exit(0)"),
    (
        "write outside its folder",
        "import os; open(os.path.join('..', 'ghostline-' + str(os.getpid())), 'w')",
    ),
    ("list the root folder", "import os; os.listdir('/')"),
];

/// Text that no program can know.
fn nonce() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:016x}", RandomState::new().hash_one(0_u8))
}

/// The output was longer than allowed.
struct TooMuch;

async fn bounded(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> Result<Vec<u8>, TooMuch> {
    let mut read = Vec::new();
    if let Some(pipe) = pipe {
        // A pipe that breaks has ended.
        let _ = pipe.take(most + 1).read_to_end(&mut read).await;
    }
    if read.len() as u64 > most {
        return Err(TooMuch);
    }
    Ok(read)
}

async fn wait(child: &mut Child) -> Result<ExitStatus, SandboxError> {
    child
        .wait()
        .await
        .map_err(cannot("wait for a program's end"))
}

/// Resolves once the folder holds more than `most_bytes`.
async fn overfull(folder: &Path, most_bytes: u64) {
    loop {
        tokio::time::sleep(FOLDER_LOOK).await;
        let (mut files, mut bytes) = (0, 0);
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries.take(MOST_FILES) {
                files += 1;
                match entry.metadata() {
                    Ok(found) if found.is_dir() => folders.push(entry.path()),
                    Ok(found) => bytes += found.len(),
                    Err(_) => {}
                }
            }
            if files > MOST_FILES || bytes > most_bytes {
                return;
            }
        }
    }
}

/// The processes that a program may have started; killed with it. Confined programs start none.
struct Group(#[cfg(unix)] Option<rustix::process::Pid>);

impl Group {
    #[cfg(unix)]
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }

    #[cfg(not(unix))]
    fn of(_: &Child) -> Self {
        Self()
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
