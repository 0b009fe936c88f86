//! The binary: logging, the runtime, exit codes. The only file that exits.

use std::process::ExitCode;

use clap::Parser;
use ghostline::cli::{self, Cli, Exit, Usage};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(message) = start_logging(&cli) {
        cli::output::note(&format!("ghostline: {message}"));
        return ExitCode::from(Exit::Usage as u8);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            cli::output::note(&format!("ghostline: cannot start threads: {error}"));
            return ExitCode::from(Exit::Failed as u8);
        }
    };
    let exit = runtime.block_on(async {
        tokio::select! {
            result = cli::run(cli) => result,
            Ok(()) = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        }
    });
    // A thread may be waiting for standard input for ever.
    runtime.shutdown_background();
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
