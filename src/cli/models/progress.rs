//! A fetch on the terminal: a bar on stderr, or a line now and then when stderr is a file.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::models::{Event, Progress};

/// Lines about bytes in a log: one per tenth of the file.
const STEPS: u64 = 10;

/// Shows the events of one fetch or check on stderr.
#[derive(Debug)]
pub struct Display {
    name: String,
    /// Absent where stderr is not a terminal.
    bar: Option<ProgressBar>,
    /// The last line about bytes: which tenth.
    step: AtomicU64,
}

impl Display {
    /// For the model `name`.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // No colours, so NO_COLOR has nothing to switch off.
            let style = ProgressStyle::with_template(
                "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            );
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(name.clone());
            bar
        });
        Self {
            name,
            bar,
            step: AtomicU64::new(0),
        }
    }

    /// Takes the bar away; what was said stays.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| to_stderr(text)),
            None => to_stderr(text),
        }
    }

    /// A line in a log for each tenth.
    fn count_step(&self, done: u64, total: u64, say: impl Fn(u64, u64) -> String) {
        let step = done * STEPS / total.max(1);
        if step > self.step.swap(step, Ordering::Relaxed) {
            to_stderr(&format!("{}: {}", self.name, say(done, total)));
        }
    }

    fn count(&self, done_bytes: u64, total_bytes: u64) {
        let Some(bar) = &self.bar else {
            self.count_step(done_bytes, total_bytes, |done, total| {
                format!("{} of {}", HumanBytes(done), HumanBytes(total))
            });
            return;
        };
        if bar.length() != Some(total_bytes) {
            bar.set_length(total_bytes);
        }
        bar.set_position(done_bytes);
    }
}

impl Progress for Display {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Waiting => {
                self.say(&format!(
                    "another process fetches {}; waiting for it",
                    self.name
                ));
            }
            Event::Trying { source, kept_bytes } => {
                let kept = match kept_bytes {
                    0 => String::new(),
                    kept_bytes => format!(", {} are here already", HumanBytes(kept_bytes)),
                };
                self.say(&format!("fetching {} from {source}{kept}", self.name));
                // The rate counts from here on.
                if let Some(bar) = &self.bar {
                    bar.set_position(kept_bytes);
                    bar.reset_eta();
                }
            }
            Event::Doing { what } => self.say(&format!("{}: {what}", self.name)),
            Event::Retrying { source, reason } => {
                self.say(&format!("{source}: {reason}; trying again"));
            }
            Event::SourceFailed { source, reason } => self.say(&format!("{source}: {reason}")),
            Event::Fetched {
                done_bytes,
                total_bytes,
            } => {
                self.count(done_bytes, total_bytes);
            }
            Event::Tensors { done, total } => {
                let Some(bar) = &self.bar else {
                    self.count_step(u64::from(done), u64::from(total), |done, total| {
                        format!("{done} of {total} tensors")
                    });
                    return;
                };
                if let Ok(style) =
                    ProgressStyle::with_template("{msg} [{wide_bar}] {pos}/{len} tensors {eta}")
                {
                    bar.set_style(style.progress_chars("=> "));
                }
                bar.set_length(u64::from(total));
                bar.set_position(u64::from(done));
            }
            Event::Verifying {
                done_bytes,
                total_bytes,
            } => {
                // Takes a second or two: no lines in a log.
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("checking {}", self.name));
                    bar.set_length(total_bytes);
                    bar.set_position(done_bytes);
                }
            }
        }
    }
}

/// A closed stderr is no reason to stop a fetch.
fn to_stderr(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
