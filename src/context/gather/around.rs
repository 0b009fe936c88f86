//! What a piece of code is part of and what its names mean: for questions about it.

use std::ops::Range;
use std::sync::Arc;

use super::declarations::meant;
use super::{Gatherer, Seen, Wish, overlaps, shown_path};
use crate::context::disk::LONGEST_FILE_BYTES;
use crate::context::names::names_in;
use crate::grammar::Grammar;
use crate::prompt::instruct::Piece;

/// Names looked up for a question.
const MOST_NAMES: usize = 96;

/// What stands around some lines of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// The lines of the smallest declaration that holds them.
    pub enclosing: Option<Range<usize>>,
    /// Its imports, and the declarations that it uses: nearest names first.
    pub pieces: Vec<Piece>,
}

impl Gatherer {
    /// What stands around `lines` of the document of `wish`, from the files `seen`. Parses whole files.
    pub fn around(&mut self, wish: &Wish<'_>, lines: &Range<usize>, seen: &[Seen]) -> Around {
        let Some(grammar) = Grammar::of(&wish.document.language_id) else {
            return Around::default();
        };
        let own = Seen::now(wish.document.clone());
        let others = seen.iter().filter(|seen| {
            seen.document.uri != wish.document.uri && (wish.allowed)(&seen.document.uri)
        });
        let seen: Vec<&Seen> = std::iter::once(&own)
            .chain(others)
            .filter(|seen| seen.document.text.len_bytes() <= LONGEST_FILE_BYTES)
            .collect();
        self.look(&seen);
        let text = super::lines(&wish.document.text, lines.clone());
        let mut names: Vec<String> = Vec::new();
        for name in names_in(&text).filter(|name| name.len() > 1) {
            if names.len() < MOST_NAMES && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let on_disk = self.imported(wish, grammar, &seen, &names);
        let outline = self.outlines.get(&wish.document.uri).map(|(_, of)| of);
        let enclosing = outline.and_then(|outline| {
            let holds = |of: &&Range<usize>| of.start <= lines.start && lines.end <= of.end;
            let all = outline.declarations.iter().map(|d| &d.lines);
            all.filter(holds).min_by_key(|of| of.len()).cloned()
        });
        let piece = |what, uri: &Arc<str>, lines: Range<usize>, text: String| Piece {
            what,
            uri: uri.clone(),
            path: shown_path(uri, wish.folders),
            language_id: wish.document.language_id.clone(),
            lines,
            text,
        };
        let mut pieces = Vec::new();
        let imports = outline.map(|o| o.imports.as_slice()).unwrap_or_default();
        if let (Some(first), Some(last)) = (imports.first(), imports.last()) {
            let lines_of = imports.iter().flat_map(|i| [i.text.as_str(), "\n"]);
            let text = lines_of.collect();
            let lines = first.lines.start..last.lines.end;
            pieces.push(piece("its imports", &wish.document.uri, lines, text));
        }
        let by_name = self.by_name(wish, &seen, &on_disk);
        for name in &names {
            let Some(places) = by_name.get(name.as_str()) else {
                continue;
            };
            for (uri, declaration) in meant(places, &names) {
                let its_own = **uri == wish.document.uri && overlaps(&declaration.lines, lines);
                let text = declaration.text.clone();
                let lines = declaration.lines.clone();
                let piece = piece("a declaration it uses", uri, lines, text);
                if !its_own && !pieces.contains(&piece) {
                    pieces.push(piece);
                }
            }
        }
        Around { enclosing, pieces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::document::Document;

    #[test]
    fn the_enclosing_item_imports_and_declarations_are_found() {
        let text = "use std::fmt;\n\nstruct Rope {\n    left: u8,\n}\n\nfn far() {}\n\n\
                    fn cut(rope: &Rope) {\n    measure(rope);\n    let a = 1;\n}\n";
        let document = Document::new("file:///p/a.rs", 1, "rust", text);
        let other = Document::new("file:///p/b.rs", 1, "rust", "fn measure(r: &Rope) { r; }\n");
        let secret = Document::new("file:///p/c.rs", 1, "rust", "fn cut() {}\n");
        let settings = Settings::default();
        let wish = Wish {
            document: &document,
            offset_bytes: 0,
            window_lines: 0..0,
            budget_tokens: 0,
            settings: &settings.context,
            folders: &["/p".into()],
            allowed: &|uri: &Arc<str>| !uri.ends_with("c.rs"),
            redact_secrets: false,
        };
        let seen = [Seen::now(other), Seen::now(secret)];
        let around = Gatherer::default().around(&wish, &(9..10), &seen);
        assert_eq!(around.enclosing, Some(8..12));
        let said: Vec<(&str, &str, &str)> = around
            .pieces
            .iter()
            .map(|p| (p.what, &*p.path, p.text.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                ("its imports", "a.rs", "use std::fmt;\n"),
                ("a declaration it uses", "b.rs", "fn measure(r: &Rope);\n"),
            ]
        );
        let whole = Gatherer::default().around(&wish, &(8..12), &seen);
        assert!(
            whole
                .pieces
                .iter()
                .any(|p| p.text.starts_with("struct Rope"))
        );
        assert!(!whole.pieces.iter().any(|p| p.text.contains("far")));
        let plain = Document::new("file:///p/a.txt", 1, "plaintext", text);
        let wish = Wish {
            document: &plain,
            ..wish
        };
        assert_eq!(
            Gatherer::default().around(&wish, &(0..1), &[]),
            Around::default()
        );
    }
}
