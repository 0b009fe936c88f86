//! The binary: logging, the runtime, exit codes. The only file that exits.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ghostline::cli::{self, Cli, Command, Exit, Usage};
use tracing_subscriber::EnvFilter;

/// A key makes and drops hundreds of small texts and tree nodes, the parser's in C among them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the threads of a command may take to end. They do so between two pieces of work, within
/// milliseconds; one that reads the keyboard or quantises does not.
const LAST_WORDS: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let missing = ghostline::processor::missing();
    if !missing.is_empty() {
        cli::output::note(&format!(
            "ghostline: this program was built for another processor: here there is no {}; build it on \
             this machine, or with RUSTFLAGS=\"-C target-cpu=x86-64-v3\" for any with AVX2",
            missing.join(", no ")
        ));
        return ExitCode::from(Exit::Failed as u8);
    }
    let cli = Cli::parse();
    if let Err(message) = start_logging(&cli) {
        cli::output::note(&format!("ghostline: {message}"));
        return ExitCode::from(Exit::Usage as u8);
    }
    let runtime = match runtime_for(&cli).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            cli::output::note(&format!("ghostline: cannot start threads: {error}"));
            return ExitCode::from(Exit::Failed as u8);
        }
    };
    let (serves, fetches) = match cli.command {
        None | Some(Command::Serve(_)) => (true, false),
        Some(Command::Models(_)) => (false, true),
        Some(_) => (false, false),
    };
    // There an interrupt stops the answer.
    let converses = matches!(&cli.command, Some(Command::Chat(args)) if args.message.is_none());
    let exit = runtime.block_on(async {
        tokio::select! {
            // The interrupt first: its handler is there before the command does anything.
            biased;
            Ok(()) = tokio::signal::ctrl_c(), if !converses => Ok(Exit::Interrupted),
            result = cli::run(cli) => result,
        }
    });
    if fetches && matches!(exit, Ok(Exit::Interrupted)) {
        cli::output::note("interrupted; the same command carries on");
    }
    if serves {
        // A thread is waiting for standard input for ever.
        runtime.shutdown_background();
    } else {
        // What a thread is in the middle of does not meet the end of the process.
        runtime.shutdown_timeout(LAST_WORDS);
    }
    let exit = exit.unwrap_or_else(|error| {
        cli::output::note(&format!("ghostline: {error:#}"));
        if error.is::<Usage>() {
            Exit::Usage
        } else {
            Exit::Failed
        }
    });
    ExitCode::from(exit as u8)
}

/// The server has one thread for its conversation: a key's way through it then wakes no other thread,
/// each of which costs about as much as all the work done for the key. What computes or reads
/// files there takes a thread of its own. Other commands have nobody typing; one that gives up its memory
/// must have no thread that still takes some.
fn runtime_for(cli: &Cli) -> tokio::runtime::Builder {
    match &cli.command {
        None | Some(Command::Serve(_)) => tokio::runtime::Builder::new_current_thread(),
        Some(Command::Bench(args)) if args.has_one_thread() => {
            tokio::runtime::Builder::new_current_thread()
        }
        Some(_) => tokio::runtime::Builder::new_multi_thread(),
    }
}

/// Logs to standard error or to a file, never to standard output: that is the protocol's.
fn start_logging(cli: &Cli) -> Result<(), String> {
    let filter = EnvFilter::try_from_env("GHOSTLINE_LOG")
        .unwrap_or_else(|_| "warn,llama-cpp-2=error".into());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false);
    match &cli.log_file {
        None => log.with_ansi(false).with_writer(std::io::stderr).init(),
        Some(path) => {
            let file = std::fs::File::options()
                .create(true)
                .append(true)
                .open(path);
            let file = file.map_err(|e| format!("cannot write the log {}: {e}", path.display()))?;
            log.with_ansi(false)
                .with_writer(std::sync::Mutex::new(file))
                .init();
        }
    }
    Ok(())
}
