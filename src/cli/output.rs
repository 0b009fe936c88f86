//! The only place that writes to standard output and standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the command line's output"
)]

/// Writes a line of the result to standard output.
pub(super) fn line(text: &str) {
    println!("{text}");
}

/// Writes a piece of the result to standard output, at once.
pub(super) fn text(text: &str) {
    use std::io::Write as _;
    print!("{text}");
    // Who reads it may have gone; the next line would say so.
    let _ = std::io::stdout().flush();
}

/// Writes a line about the work to standard error.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Ghost text as editors draw it, where the terminal can.
pub(super) fn dim(text: &str) -> String {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[2m{text}\x1b[0m")
    } else {
        format!("‹{text}›")
    }
}
