//! Properties: of positions and edits, against an independent model of the text; of the completion
//! engine, in `properties/engine.rs`.

use ghostline::document::position::{Encoding, to_offset, to_position};
use ghostline::document::{Document, Edit};
use proptest::prelude::*;
use ropey::Rope;
use tower_lsp::gen_lsp_types::Position;

#[path = "properties/engine.rs"]
mod engine;

const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];

/// Text with everything that makes positions hard: all line ends, astral characters, joiners,
/// combining marks, and separators that are no line ends in the protocol.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "let x",
        "\n",
        "\r\n",
        "\r",
        "μ",
        "é",
        "e\u{301}",
        "😀",
        "👩\u{200d}💻",
        "\t",
        "\u{2028}",
        "\u{85}",
        "\u{b}",
        "日本",
        " ",
        "\u{feff}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// The lines without their ends, as the protocol counts them.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\n', '\r']) {
        let (line, end) = rest.split_at(at);
        lines.push(line);
        let one = end.strip_prefix(['\n', '\r']).unwrap_or_default();
        rest = end.strip_prefix("\r\n").unwrap_or(one);
    }
    lines.push(rest);
    lines
}

fn units(text: &str, encoding: Encoding) -> usize {
    match encoding {
        Encoding::Utf8 => text.len(),
        Encoding::Utf16 => text.encode_utf16().count(),
        Encoding::Utf32 => text.chars().count(),
    }
}

proptest! {
    #[test]
    fn every_character_has_the_position_an_independent_count_gives(text in text()) {
        let rope = Rope::from_str(&text);
        for encoding in ENCODINGS {
            for (number, line) in lines(&text).into_iter().enumerate() {
                let start = line.as_ptr() as usize - text.as_ptr() as usize;
                let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
                for at in ends {
                    let position = Position {
                        line: u32::try_from(number).unwrap(),
                        character: u32::try_from(units(line.split_at(at).0, encoding)).unwrap(),
                    };
                    prop_assert_eq!(to_offset(&rope, position, encoding), start + at);
                    prop_assert_eq!(to_position(&rope, start + at, encoding), position);
                }
            }
        }
    }

    #[test]
    fn any_position_gives_a_character_boundary_inside_the_text(
        text in text(), line in 0..60_u32, character in 0..60_u32,
    ) {
        let rope = Rope::from_str(&text);
        for encoding in ENCODINGS {
            let offset = to_offset(&rope, Position { line, character }, encoding);
            prop_assert!(text.is_char_boundary(offset));
            let again = to_position(&rope, offset, encoding);
            prop_assert_eq!(to_offset(&rope, again, encoding), offset);
        }
    }

    #[test]
    fn edits_do_what_they_do_to_a_string(
        first in text(),
        edits in prop::collection::vec((0..200_usize, 0..20_usize, text()), 0..10),
    ) {
        let mut model = first.clone();
        let mut document = Document::new("u", 1, "rust", &first);
        for (start, length, inserted) in edits {
            let start = model.floor_char_boundary(start.min(model.len()));
            let end = model.floor_char_boundary((start + length).min(model.len()));
            model.replace_range(start..end, &inserted);
            let edit = Edit { range_bytes: Some(start..end), text: inserted.clone() };
            prop_assert_eq!(document.apply(&edit), start + inserted.len());
            prop_assert_eq!(document.text.to_string(), model.clone());
        }
    }
}
