//! A block in the middle of a source file, to be written again line by line.

use std::ops::Range;
use std::path::Path;

use anyhow::Context;

/// A file's lines, and which of them are written.
#[derive(Debug)]
pub(super) struct Block {
    lines: Vec<String>,
    /// The block's lines, by number.
    pub(super) range: Range<usize>,
}

impl Block {
    /// The `lines` lines in the middle of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or has fewer lines.
    pub(super) fn read(file: &Path, lines: usize) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let all: Vec<String> = text.lines().map(str::to_owned).collect();
        anyhow::ensure!(
            all.len() > lines + 2,
            "{} has {} lines; name longer files, or ask for fewer with --lines",
            file.display(),
            all.len()
        );
        let start = (all.len() - lines) / 2;
        Ok(Self {
            lines: all,
            range: start..start + lines,
        })
    }

    /// One line of the file, without its end.
    pub(super) fn line(&self, at: usize) -> &str {
        self.lines.get(at).map_or("", String::as_str)
    }

    /// The file as it is above line `at`.
    pub(super) fn above(&self, at: usize) -> String {
        joined(self.lines.get(..at))
    }

    /// The file as it is below the block.
    pub(super) fn below(&self) -> String {
        joined(self.lines.get(self.range.end..))
    }
}

fn joined(lines: Option<&[String]>) -> String {
    let lines = lines.unwrap_or_default().iter();
    lines.flat_map(|line| [line.as_str(), "\n"]).collect()
}
