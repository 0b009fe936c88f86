//! What stands around lines that a person attaches: the item they are in, the imports, the declarations that
//! they use.
//!
//! Called by the server and the command line, on a thread that may block: whole files are parsed. Files that
//! no model may see are not read.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::attach::item_around;
use crate::config::ContextSettings;
use crate::context::{Gatherer, Seen, Wish};
use crate::document::Document;
use crate::prompt::instruct::{Piece, fit};

/// Most tokens of it. More helps a small model less than it costs.
const MOST_TOKENS: usize = 1_536;

/// Tells by its URI whether text of a document may be shown to a model.
pub type Allowed = Arc<dyn Fn(&Arc<str>) -> bool + Send + Sync>;

/// Where to look.
pub struct Nearby {
    /// Other files of this session, the one touched last first.
    pub seen: Vec<Seen>,
    /// The workspace's folders.
    pub folders: Vec<PathBuf>,
    /// Switches of context.
    pub context: ContextSettings,
    /// Whether text of a document may be shown to a model.
    pub allowed: Allowed,
    /// Whether secrets are taken out.
    pub redact_secrets: bool,
}

impl std::fmt::Debug for Nearby {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nearby").finish_non_exhaustive()
    }
}

impl Nearby {
    /// What stands around `lines` of `document`, most important first.
    pub fn of(&self, document: &Document, lines: &Range<usize>) -> Vec<Piece> {
        let wish = Wish {
            document,
            offset_bytes: document.text.line_to_byte(lines.start),
            window_lines: lines.clone(),
            budget_tokens: 0,
            settings: &self.context,
            folders: &self.folders,
            allowed: &*self.allowed,
            redact_secrets: self.redact_secrets,
        };
        let around = Gatherer::default().around(&wish, lines, &self.seen);
        let enclosing = item_around(document, around.enclosing, lines, &self.folders);
        let declared = around
            .pieces
            .into_iter()
            .filter(|_| self.context.declarations);
        fit(enclosing.into_iter().chain(declared).collect(), MOST_TOKENS).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn nearby(declarations: bool) -> Nearby {
        let mut context = Settings::default().context;
        context.declarations = declarations;
        Nearby {
            seen: Vec::new(),
            folders: Vec::new(),
            context,
            allowed: Arc::new(|_| true),
            redact_secrets: true,
        }
    }

    #[test]
    fn lines_come_with_their_item_and_what_they_use() {
        let text = "use std::fs;\n\nfn helper() -> u8 {\n    1\n}\n\nfn a() {\n    let b = helper();\n    c();\n}\n";
        let document = Document::new("file:///p/a.rs", 1, "rust", text);
        let found = nearby(true).of(&document, &(7..8));
        let seen: Vec<_> = found.iter().map(|p| (p.what, p.lines.clone())).collect();
        assert_eq!(seen[0], ("the item it is in", 6..10));
        assert!(seen.contains(&("its imports", 0..1)), "{seen:?}");
        assert!(
            found.iter().any(|p| p.text.contains("fn helper")),
            "{seen:?}"
        );
        // The whole item is around nothing, and declarations can be switched off.
        assert!(nearby(false).of(&document, &(6..10)).is_empty());
    }
}
