//! Code actions: what may be done with a piece of code, and what a model's reply makes of it.
//!
//! [`offered`] lists without a model; [`Actions::run`] asks one and makes an edit, a file or Markdown of
//! its reply. One file per action: each opens with what it makes of what. Called by `server/code_action`,
//! `server/command` and `cli/action`.
//!
//! Invariants: listing costs no more than the lines selected; a reply is compared with what it replaces,
//! so lines that stay are not touched; a reply that is no code, is cut off or breaks what parsed is refused
//! with a sentence, never applied; dropping the future stops the model; completions go first.
//!
//! # An edit, recorded
//!
//! With the embedded `qwen2.5-coder-1.5b` on two threads; the files are those of the conversation in
//! [`chat`](crate::chat). The code stays as it was.
//!
//! ```text
//! $ ghostline action document median.py:13-14 --apply
//! qwen2.5-coder-1.5b (embedded) …
//! about median.py:1-1, report.py:1-6, median.py:13-14
//! wrote median.py
//! (what was written)
//!  def sample(n):
//! +    """
//! +    The `sample` function generates a list of `n` random numbers between 0 and 1.
//! +
//! +    Parameters:
//! +    - n (int): The number of random numbers to generate.
//! +
//! +    Returns:
//! +    - list: A list of `n` random numbers between 0 and 1.
//! +    """
//!      return [random.random() for _ in range(n)]
//! ```

use std::ops::Range;

use similar::DiffTag;

use crate::backend::BackendError;
use crate::chat::attach::Remark;
use crate::config::Role;
use crate::document::Document;

mod comment;
mod complete;
mod docstring;
mod document;
mod edit;
mod explain;
mod fix;
mod indent;
mod look;
mod plan;
mod reply;
mod rewrite;
mod run;
mod simplify;
mod target;
mod tests_place;
mod write_tests;

pub use edit::{Change, applied};
pub use run::{Actions, Event, Job, Made, Outcome};

/// Something that may be done with code.
#[derive(Debug)]
pub struct Action {
    /// Its name in commands.
    pub id: &'static str,
    /// The protocol's kind of code action.
    pub kind: &'static str,
    /// Who does it.
    pub role: Role,
    /// What comes of it.
    pub gives: Gives,
    /// Its title where it applies; `None` where it does not.
    title: fn(&Scene) -> Option<String>,
    /// What the model is told to do.
    task: fn(&Scene) -> String,
    /// Which lines it works on.
    target: target::Target,
    /// Which parts of the difference are kept.
    keep: fn(DiffTag, &[&str], &str) -> bool,
}

/// What comes of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// Changes of the document.
    Edit,
    /// Tests, in the document or in a file of their own.
    Tests,
    /// Markdown.
    Text,
}

/// Where an action is asked for.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The document as it is.
    pub document: Document,
    /// The lines of the selection, or of the cursor; counted from 0.
    pub lines: Range<usize>,
    /// Whether something is selected.
    pub selected: bool,
    /// What compilers and linters say of these lines.
    pub remarks: Vec<Remark>,
    /// The person's own words, where they gave some.
    pub instruction: Option<String>,
    /// Whether the person can be asked for words.
    pub asks: bool,
}

/// Every action, in the order in which they are listed.
pub const ACTIONS: &[&Action] = &[
    &fix::ACTION,
    &complete::ACTION,
    &explain::ACTION,
    &document::ACTION,
    &write_tests::ACTION,
    &simplify::ACTION,
    &rewrite::ACTION,
    &plan::ACTION,
];

/// The action of that name.
pub fn named(id: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| action.id == id).copied()
}

/// The actions that apply, with their titles. Asks no model and parses nothing.
pub fn offered(scene: &Scene) -> Vec<(&'static Action, String)> {
    let title = |action: &&'static Action| Some((*action, (action.title)(scene)?));
    ACTIONS.iter().filter_map(title).collect()
}

/// Why a reply is not taken, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Prose.
    #[error(
        "the model's reply is not code; nothing was changed. Ask again, or say more exactly what to do"
    )]
    Chat,
    /// An end is missing.
    #[error(
        "the model's reply was cut off; nothing was changed. Select less, or let a larger model do it"
    )]
    CutOff,
    /// Nothing in it, or nothing new.
    #[error("the model's reply is empty or changes nothing")]
    Nothing,
    /// A comment stands for code.
    #[error("the model left code out (`{0}`); nothing was changed. Select less")]
    LeftOut(String),
    /// What the model did not see would be overwritten.
    #[error(
        "the model's edit touches a line with a secret, which it was not shown; nothing was changed"
    )]
    Secret,
    /// What parsed would not parse.
    #[error(
        "the model's edit does not parse (line {line}: {message}), also when asked again; nothing was changed"
    )]
    Broken {
        /// Counted from 1.
        line: usize,
        /// The first fault.
        message: String,
    },
    /// The document is not what it was.
    #[error("the document changed meanwhile; nothing was changed. Run the action again")]
    Moved,
    /// Too long for the model.
    #[error("the code has about {tokens} tokens, and {model} may answer with {room}; select less")]
    NoRoom {
        /// Estimated.
        tokens: usize,
        /// Of the answer.
        room: u32,
        /// The model.
        model: String,
    },
}

/// Why an action came to nothing. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The action does not apply.
    #[error("{0}")]
    NotHere(&'static str),
    /// Nothing serves the role.
    #[error("{0}")]
    NoModel(String),
    /// The reply is not taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The model failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A file of tests cannot be read.
    #[error("the file of the tests cannot be read")]
    Tests(#[from] std::io::Error),
}

/// Most lines that are looked at to list actions.
const MOST_LISTED_LINES: usize = 400;

impl Scene {
    /// The lines selected, at most [`MOST_LISTED_LINES`] of them.
    fn first_lines(&self) -> impl Iterator<Item = String> {
        let text = &self.document.text;
        let end = self.lines.end.min(text.len_lines());
        (self.lines.start..end)
            .take(MOST_LISTED_LINES)
            .map(|line| crate::document::position::line_content(text, line).to_string())
    }

    /// Whether there is anything but white space.
    fn says_something(&self) -> bool {
        self.first_lines().any(|line| !line.trim().is_empty())
    }

    /// Whether the document is prose: nothing in it is documented or tested.
    fn is_prose(&self) -> bool {
        matches!(
            &*self.document.language_id,
            "plaintext" | "markdown" | "json" | "jsonc" | "yaml" | "toml" | "xml" | "html" | ""
        )
    }
}

/// Keeps every difference.
fn keep_all(_: DiffTag, _: &[&str], _: &str) -> bool {
    true
}

#[cfg(test)]
mod tests;
