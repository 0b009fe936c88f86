//! The sandbox under attack: programs that try what generated code must not be able to do.
//!
//! Needs Linux with Landlock and a Python 3; skipped loudly elsewhere.

#![expect(clippy::print_stderr, reason = "skipped tests are announced")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use ghostline::eval::sandbox::confine::{CANNOT, Confinement};
use ghostline::eval::sandbox::{Interpreter, Limits, Outcome, Sandbox, SandboxError};

/// Short, so that what never ends ends soon.
const LIMITS: Limits = Limits {
    cpu: Duration::from_secs(1),
    wall: Duration::from_secs(20),
    memory_bytes: 1 << 30,
    output_bytes: 64 << 10,
    folder_bytes: 4 << 20,
};

fn launcher() -> PathBuf {
    env!("CARGO_BIN_EXE_ghostline").into()
}

/// A confined sandbox; `None`, said on stderr, where there can be none.
pub(crate) async fn sandbox() -> Option<Sandbox> {
    let sandbox = match Interpreter::find("python3").await {
        Ok(python) => Sandbox::confined(launcher(), python, LIMITS).await,
        Err(error) => Err(error),
    };
    match sandbox {
        Ok(sandbox) => Some(sandbox),
        Err(error @ (SandboxError::NoPython { .. } | SandboxError::Unconfinable { .. })) => {
            eprintln!("SKIPPED: a test of the sandbox: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A file that belongs to the person, outside every program's folder.
fn secret(folder: &Path) -> String {
    let path = folder.join("secret");
    std::fs::write(&path, "secret").unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn attacks_do_not_succeed() {
    let Some(sandbox) = sandbox().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let secret = secret(folder.path());
    let home = std::env::var("HOME").unwrap_or_else(|_| "/".into());
    let attacks = [
        ("import socket; socket.socket()", Outcome::Exception),
        (
            "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
            Outcome::Exception,
        ),
        (
            "import socket; socket.socket(socket.AF_UNIX)",
            Outcome::Exception,
        ),
        (&format!("open({secret:?}).read()"), Outcome::Exception),
        (&format!("open({secret:?}, 'w')"), Outcome::Exception),
        (
            &format!("import os; os.remove({secret:?})"),
            Outcome::Exception,
        ),
        (
            &format!("import os; os.rename({secret:?}, 'mine')"),
            Outcome::Exception,
        ),
        (
            &format!("import os; os.symlink({secret:?}, 'link'); open('link').read()"),
            Outcome::Exception,
        ),
        (
            &format!("import os; os.listdir({home:?})"),
            Outcome::Exception,
        ),
        (
            &format!("import os; os.chmod({secret:?}, 0)"),
            Outcome::Exception,
        ),
        (
            &format!("import os; os.chown({secret:?}, 1, 1)"),
            Outcome::Exception,
        ),
        (
            &format!("import os; os.utime({secret:?}, (1, 1))"),
            Outcome::Exception,
        ),
        ("open('/etc/passwd').read()", Outcome::Exception),
        (
            "import resource as r; r.setrlimit(r.RLIMIT_AS, (-1, -1))",
            Outcome::Exception,
        ),
        ("open('/proc/self/environ').read()", Outcome::Exception),
        ("import os; os.fork()", Outcome::Exception),
        (
            "import os; os.posix_spawn('/bin/true', ['true'], {})",
            Outcome::Exception,
        ),
        (
            "import subprocess; subprocess.run(['true'])",
            Outcome::Exception,
        ),
        ("import os; os.kill(os.getppid(), 9)", Outcome::Exception),
        ("import os; os.setsid()", Outcome::Exception),
        ("a = bytearray(8 << 30)", Outcome::OutOfMemory),
        ("while True: pass", Outcome::Timeout),
        (
            "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
            Outcome::Killed,
        ),
        ("while True: print('x' * 1000)", Outcome::TooMuchOutput),
        (
            "import sys\nwhile True: sys.stderr.write('x' * 1000)",
            Outcome::TooMuchOutput,
        ),
        (
            "import time\nfor n in range(8): open(str(n), 'wb').write(bytes(1 << 20))\ntime.sleep(60)",
            Outcome::TooMuchOutput,
        ),
        ("import os; os._exit(0)", Outcome::EndedEarly),
        ("raise SystemExit", Outcome::EndedEarly),
        (
            "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
            Outcome::Killed,
        ),
    ];
    for (program, expected) in attacks {
        let outcome = sandbox.run(program).await.unwrap();
        let crashed = expected == Outcome::Killed && outcome != Outcome::Passed;
        assert!(outcome == expected || crashed, "{outcome:?} of {program:?}");
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
}

#[tokio::test]
async fn a_program_may_do_what_tests_need() {
    let Some(sandbox) = sandbox().await else {
        return;
    };
    for program in [
        "",
        "import collections, dataclasses, heapq, itertools, json, math, re, typing",
        "import threading\nt = threading.Thread(target=print)\nt.start(); t.join()",
        "open('file', 'w').write('x')\nassert open('file').read() == 'x'",
        "import tempfile\nwith tempfile.TemporaryFile() as f: f.write(b'x')",
        "import os\nassert os.path.samefile(os.environ['HOME'], '.')",
        "import os\nassert not [v for v in os.environ if 'CARGO' in v or 'PATH' == v], os.environ",
        "import os, sys\nassert sys.stdin.read() == ''",
        "assert hash('x') == hash('x') and 'μ' == '\\u03bc'\nprint('μ')",
    ] {
        let outcome = sandbox.run(program).await.unwrap();
        assert_eq!(outcome, Outcome::Passed, "{program:?}");
    }
}

#[tokio::test]
async fn outcomes_say_what_went_wrong() {
    let Some(sandbox) = sandbox().await else {
        return;
    };
    for (program, expected) in [
        ("assert False", Outcome::WrongAnswer),
        ("def a(:", Outcome::SyntaxError),
        (" x = 1\ny = 2", Outcome::SyntaxError),
        ("unknown()", Outcome::NameError),
        ("1 / 0", Outcome::Exception),
    ] {
        let outcome = sandbox.run(program).await.unwrap();
        assert_eq!(outcome, expected, "{program:?}");
    }
}

/// Whether a process runs; one that ended and that nobody waited for does not.
#[cfg(target_os = "linux")]
fn runs(id: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = status
        .rsplit(')')
        .next()
        .and_then(|s| s.trim().chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// Without confinement a program can start others; they end with it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_program_started_ends_with_it() {
    let Ok(python) = Interpreter::find("python3").await else {
        eprintln!("SKIPPED: a test of the sandbox: no python3");
        return;
    };
    let limits = Limits {
        wall: Duration::from_secs(3),
        ..LIMITS
    };
    let sandbox = Sandbox::unconfined(launcher(), python, limits);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    let program = format!(
        "import os, time\n\
         child = os.fork()\n\
         if child: open({path:?}, 'w').write(str(child))\n\
         time.sleep(600)\n"
    );
    let outcome = sandbox.run(&program).await.unwrap();
    assert_eq!(outcome, Outcome::Timeout);
    let id = std::fs::read_to_string(&path).unwrap();
    // The signal is on its way; the process needs a moment to be gone.
    for _ in 0..1000 {
        if !runs(&id) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {id} runs on");
}

#[tokio::test]
async fn a_python_that_is_none_is_named() {
    for program in ["no-such-python", "true"] {
        let error = Interpreter::find(program).await.unwrap_err().to_string();
        assert!(
            error.contains(program) && error.contains("--python"),
            "{error}"
        );
    }
}

/// One that had others would be ended by them, now and then, when they begin while memory is short.
#[test]
fn a_program_that_confines_itself_has_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let confinement = Confinement {
        folder: folder.path().to_owned(),
        readable: Vec::new(),
        cpu_seconds: 1,
        memory_bytes: LIMITS.memory_bytes,
        file_bytes: LIMITS.folder_bytes,
    };
    let mut command = std::process::Command::new(launcher());
    command.args(confinement.to_arguments()).arg("/nowhere");
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.contains(CANNOT), "{said}");
    assert!(!said.contains("thread"), "{said}");
}
