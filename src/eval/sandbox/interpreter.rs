//! The person's Python: where it really is, and what it must be able to read.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use super::SandboxError;

/// Asked of Python: its own file, its folders, its version.
const QUESTION: &str = "import sys; print(sys.executable, sys.base_prefix, sys.base_exec_prefix, \
                        '%d.%d.%d' % sys.version_info[:3], sys.version_info[0], sep='\\n')";

/// A Python 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The program itself, no script that starts one.
    pub program: PathBuf,
    /// Files and folders it needs.
    pub readable: Vec<PathBuf>,
    /// Such as `3.11.7`.
    pub version: String,
}

impl Interpreter {
    /// Asks `program`, which is run with the person's own rights, what it is.
    ///
    /// # Errors
    /// [`SandboxError::NoPython`].
    pub async fn find(program: &str) -> Result<Self, SandboxError> {
        let no = |why: String| SandboxError::NoPython {
            program: program.to_owned(),
            why,
        };
        let output = Command::new(program)
            .args(["-I", "-S", "-c", QUESTION])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| no(error.to_string()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = said.lines().collect();
        let [executable, prefix, exec_prefix, version, "3"] = lines.as_slice() else {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.trim().rsplit('\n').next().unwrap_or_default();
            return Err(no(format!("it ends with {} {last}", output.status)));
        };
        let real = |path: &str| std::fs::canonicalize(path).map_err(|error| no(error.to_string()));
        let program = real(executable)?;
        let mut readable = vec![program.clone()];
        for prefix in [prefix, exec_prefix] {
            let prefix = real(prefix)?;
            // Of a Python of the system its libraries are enough, which are readable anyway.
            if prefix.parent().is_some() && !readable.contains(&prefix) {
                readable.push(prefix);
            }
        }
        Ok(Self {
            program,
            readable,
            version: (*version).to_owned(),
        })
    }
}
