//! The front of a prompt: pieces of other text that help with this one.
//!
//! Made by `context` while nobody types, frozen while somebody does, laid out by
//! [`Family::lay_out_with`](super::fim::Family::lay_out_with). Everything in it is text of the person's
//! files; only the family's row says which sentinels stand between.

use std::borrow::Cow;
use std::sync::Arc;

use super::BYTES_PER_TOKEN;
use super::window::Window;

/// Tokens of a file's heading besides its path: the sentinel, or the comment sign, and the line end.
const HEADING_TOKENS: usize = 3;

/// A piece of text from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The document it is from, as the client or [`url::Url`] spells it; empty for copied text that
    /// came without one.
    pub uri: Arc<str>,
    /// What the model is told of where it is from: a path within the workspace.
    pub path: Arc<str>,
    /// Whole lines, line ends as `\n`.
    pub text: Arc<str>,
    /// A line that gives it away: where the window holds this line, the snippet says nothing new.
    /// Absent for text of other documents.
    pub own_line: Option<Arc<str>>,
}

impl Snippet {
    /// Tokens it takes with its heading, estimated like [`BYTES_PER_TOKEN`].
    pub fn tokens(&self) -> usize {
        (self.path.len() + self.text.len()).div_ceil(BYTES_PER_TOKEN) + HEADING_TOKENS
    }
}

/// What stands in front of a document's own text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The repository's name, for families that are told it.
    pub repository: Arc<str>,
    /// The document's own path within the workspace.
    pub path: Arc<str>,
    /// The document's LSP language id, for families that read snippets as comments.
    pub language_id: Arc<str>,
    /// The snippets, in the order in which they stand in the prompt.
    pub snippets: Vec<Snippet>,
}

impl Block {
    /// Tokens it takes, estimated like [`BYTES_PER_TOKEN`].
    pub fn tokens(&self) -> usize {
        let names = self.repository.len() + self.path.len();
        let heading = names.div_ceil(BYTES_PER_TOKEN) + 2 * HEADING_TOKENS;
        heading + self.snippets.iter().map(Snippet::tokens).sum::<usize>()
    }

    /// The block for a prompt with this window: without what the window itself holds.
    pub fn beside(&self, window: &Window) -> Cow<'_, Self> {
        let repeated = |snippet: &Snippet| {
            snippet.own_line.as_deref().is_some_and(|line| {
                [&window.above, &window.after]
                    .into_iter()
                    .any(|part| memchr::memmem::find(part.as_bytes(), line.as_bytes()).is_some())
            })
        };
        if !self.snippets.iter().any(repeated) {
            return Cow::Borrowed(self);
        }
        let mut block = self.clone();
        block.snippets.retain(|snippet| !repeated(snippet));
        Cow::Owned(block)
    }

    /// The snippets' paths and texts, neighbours of one file under one heading.
    pub(super) fn files(&self) -> Vec<(&str, String)> {
        let mut files: Vec<(&str, String)> = Vec::new();
        for snippet in &self.snippets {
            match files.last_mut() {
                Some((path, text)) if *path == &*snippet.path => text.push_str(&snippet.text),
                _ => files.push((&snippet.path, snippet.text.as_ref().to_owned())),
            }
        }
        files
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn snippet(path: &str, text: &str) -> Snippet {
        Snippet {
            uri: format!("file:///project/{path}").into(),
            path: path.into(),
            text: text.into(),
            own_line: None,
        }
    }

    pub(crate) fn block(snippets: Vec<Snippet>) -> Block {
        Block {
            repository: "project".into(),
            path: "src/main.rs".into(),
            language_id: "rust".into(),
            snippets,
        }
    }

    #[test]
    fn neighbours_of_one_file_share_a_heading() {
        let block = block(vec![
            snippet("a", "1\n"),
            snippet("a", "2\n"),
            snippet("b", "3\n"),
            snippet("a", "4\n"),
        ]);
        let files = block.files();
        let seen: Vec<_> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
        assert_eq!(seen, [("a", "1\n2\n"), ("b", "3\n"), ("a", "4\n")]);
    }

    #[test]
    fn what_the_window_holds_is_left_out_and_the_rest_stays() {
        let window = Window {
            above: "use std::fs;\n".into(),
            typed: String::new(),
            after: "fn far() {}\n".into(),
        };
        let own = |line: &str| Snippet {
            own_line: Some(line.into()),
            ..snippet("src/main.rs", line)
        };
        let block = block(vec![
            own("use std::fs;"),
            snippet("a", "fn far() {}\n"),
            own("fn b()"),
        ]);
        let left = block.beside(&window);
        let texts: Vec<_> = left.snippets.iter().map(|s| &*s.text).collect();
        assert_eq!(texts, ["fn far() {}\n", "fn b()"]);
    }
}
