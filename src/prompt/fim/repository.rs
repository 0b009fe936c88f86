//! Where snippets of other files go, family by family.

use crate::prompt::comment::{commented, sign_of};
use crate::prompt::{Block, Segment};

/// How a family reads files beside the one that is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repository {
    /// Each file begins with a sentinel and its path, as the family was trained.
    Files {
        /// Before the repository's name, where the family is told it.
        name: Option<&'static str>,
        /// Before each path.
        file: &'static str,
        /// Whether the path of the file with the hole follows the prefix sentinel rather than `file`.
        path_in_prefix: bool,
    },
    /// Comments of the file's language above its own text; nothing where the language has none.
    Comments,
}

impl Repository {
    /// Puts the block's segments into `front` and returns the lines above with what must stand there.
    pub(super) fn front(self, block: &Block, front: &mut Vec<Segment>, above: String) -> String {
        use Segment::{Special, Text};
        match self {
            Self::Files {
                name,
                file,
                path_in_prefix,
            } => {
                if let Some(name) = name {
                    let line_end = if path_in_prefix { "" } else { "\n" };
                    front.push(Special(name));
                    front.push(Text(format!("{}{line_end}", block.repository)));
                }
                for (path, text) in block.files() {
                    front.push(Special(file));
                    front.push(Text(format!("{path}\n{text}")));
                }
                front.push(Special(file));
                let own_path = format!("{}\n", block.path);
                if path_in_prefix {
                    return own_path + &above;
                }
                front.push(Text(own_path));
                above
            }
            Self::Comments => {
                let Some(sign) = sign_of(&block.language_id) else {
                    return above;
                };
                let mut commented_above = String::new();
                for (path, text) in block.files() {
                    commented_above += &commented(&format!("{path}\n{text}"), sign);
                }
                commented_above + &above
            }
        }
    }
}

#[cfg(test)]
mod tests;
