//! LSP position ↔ byte offset, in the three encodings.
//!
//! Columns past a line's content clamp to its end, lines past the last to the end of the text, and a
//! column inside a character rounds down, as the specification asks.

use ropey::{Rope, RopeSlice, str_utils};
use tower_lsp::gen_lsp_types::{Position, PositionEncodingKind, Range};

/// What a column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units, the protocol's default.
    #[default]
    Utf16,
    /// Characters (Unicode scalar values).
    Utf32,
}

impl Encoding {
    /// The first encoding of the client's list that is known here. The list is in order of
    /// preference; without one, UTF-16 is what the specification prescribes.
    pub fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Self {
        offered
            .unwrap_or_default()
            .iter()
            .find_map(Self::from_kind)
            .unwrap_or_default()
    }

    fn from_kind(kind: &PositionEncodingKind) -> Option<Self> {
        [Self::Utf8, Self::Utf16, Self::Utf32]
            .into_iter()
            .find(|e| e.kind() == *kind)
    }

    /// The protocol's name.
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
            Self::Utf32 => PositionEncodingKind::UTF32,
        }
    }
}

/// The byte offset of `position`.
pub fn to_offset(text: &Rope, position: Position, encoding: Encoding) -> usize {
    let line = position.line as usize;
    if line >= text.len_lines() {
        return text.len_bytes();
    }
    let content = line_content(text, line);
    let column = position.character as usize;
    let column_bytes = match encoding {
        Encoding::Utf8 => {
            content.char_to_byte(content.byte_to_char(column.min(content.len_bytes())))
        }
        Encoding::Utf16 => {
            content.char_to_byte(content.utf16_cu_to_char(column.min(content.len_utf16_cu())))
        }
        Encoding::Utf32 => content.char_to_byte(column.min(content.len_chars())),
    };
    text.line_to_byte(line) + column_bytes
}

/// The position of byte `offset`, which is clamped to the text and rounded down to a character.
pub fn to_position(text: &Rope, offset: usize, encoding: Encoding) -> Position {
    let (line, before) = line_before(text, offset.min(text.len_bytes()));
    let column = match encoding {
        Encoding::Utf8 => before.len_bytes(),
        Encoding::Utf16 => before.len_utf16_cu(),
        Encoding::Utf32 => before.len_chars(),
    };
    Position {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        character: u32::try_from(column).unwrap_or(u32::MAX),
    }
}

/// The line of byte `offset`, and what stands on it before that byte.
fn line_before(text: &Rope, offset: usize) -> (usize, RopeSlice<'_>) {
    // Mostly the line begins in the piece of the rope in which the offset is: one way down the tree.
    let (piece, piece_byte, _, piece_line) = text.chunk_at_byte(offset);
    let end = piece.floor_char_boundary(offset - piece_byte);
    let line = str_utils::byte_to_line_idx(piece, end);
    let start = str_utils::line_to_byte_idx(piece, line);
    if let Some(before) = piece.get(start..end).filter(|_| line > 0) {
        return (piece_line + line, before.into());
    }
    let char_index = text.byte_to_char(offset);
    let start = text.line_to_char(piece_line);
    (piece_line, text.slice(start..char_index))
}

/// The range of the bytes `range`.
pub fn to_range(text: &Rope, range: std::ops::Range<usize>, encoding: Encoding) -> Range {
    let start = to_position(text, range.start, encoding);
    let end = if range.end == range.start {
        start
    } else {
        to_position(text, range.end, encoding)
    };
    Range { start, end }
}

/// The byte range of `range`; an inverted range is taken as empty at its start.
pub fn to_byte_range(text: &Rope, range: Range, encoding: Encoding) -> std::ops::Range<usize> {
    let start = to_offset(text, range.start, encoding);
    // What is typed replaces nothing.
    if range.end == range.start {
        return start..start;
    }
    start..to_offset(text, range.end, encoding).max(start)
}

/// A line without its line ending.
pub fn line_content(text: &Rope, line: usize) -> RopeSlice<'_> {
    without_end(text.line(line))
}

/// What is left of a line, or of the end of one, without its line ending.
pub fn without_end(content: RopeSlice<'_>) -> RopeSlice<'_> {
    // Nearly every line lies in one piece of the rope: then its end is there to be seen.
    if let Some(whole) = content.as_str() {
        let without = whole.strip_suffix('\n').unwrap_or(whole);
        let without = without.strip_suffix('\r').unwrap_or(without);
        return if without.len() == whole.len() {
            content
        } else {
            content.byte_slice(..without.len())
        };
    }
    let mut end = content.len_chars();
    if end > 0 && content.char(end - 1) == '\n' {
        end -= 1;
    }
    if end > 0 && content.char(end - 1) == '\r' {
        end -= 1;
    }
    content.slice(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn a_line_is_the_same_wherever_the_pieces_of_the_rope_end() {
        let text = "aμ😀b\r\nz\rq\n\n".repeat(1_000) + &"long ".repeat(1_000) + "\r\n😀";
        let rope = Rope::from_str(&text);
        assert!(rope.chunks().count() > 3);
        let mut expect = at(0, 0);
        let mut chars = text.char_indices().peekable();
        while let Some((offset, c)) = chars.next() {
            let found = to_position(&rope, offset, Encoding::Utf16);
            assert_eq!(found, expect, "{offset}");
            let next = chars.peek().map(|&(_, next)| next);
            if c == '\n' || c == '\r' && next != Some('\n') {
                expect = at(expect.line + 1, 0);
            } else {
                expect.character += if c == '😀' { 2 } else { 1 };
            }
        }
        assert_eq!(to_position(&rope, text.len(), Encoding::Utf16), expect);
    }

    #[test]
    fn columns_count_what_the_encoding_says() {
        // "a" 1 byte, "μ" 2 bytes, "😀" 4 bytes and 2 UTF-16 units.
        let text = Rope::from_str("aμ😀b\r\nz\rq\n");
        for (encoding, position, offset) in [
            (Encoding::Utf8, at(0, 3), 3),
            (Encoding::Utf16, at(0, 2), 3),
            (Encoding::Utf32, at(0, 2), 3),
            (Encoding::Utf8, at(0, 7), 7),
            (Encoding::Utf16, at(0, 4), 7),
            (Encoding::Utf32, at(0, 3), 7),
            (Encoding::Utf16, at(1, 0), 10),
            (Encoding::Utf16, at(2, 1), 13),
        ] {
            assert_eq!(
                to_offset(&text, position, encoding),
                offset,
                "{encoding:?} {position:?}"
            );
            assert_eq!(
                to_position(&text, offset, encoding),
                position,
                "{encoding:?} {offset}"
            );
        }
    }

    #[test]
    fn what_is_out_of_range_clamps_and_what_splits_a_character_rounds_down() {
        let text = Rope::from_str("aμ😀\r\nb");
        for (encoding, position, offset) in [
            (Encoding::Utf16, at(0, 99), 7),
            (Encoding::Utf16, at(9, 0), 10),
            (Encoding::Utf16, at(1, u32::MAX), 10),
            (Encoding::Utf8, at(0, 2), 1),
            (Encoding::Utf16, at(0, 3), 3),
        ] {
            assert_eq!(
                to_offset(&text, position, encoding),
                offset,
                "{encoding:?} {position:?}"
            );
        }
        assert_eq!(to_position(&text, 99, Encoding::Utf8), at(1, 1));
    }

    #[test]
    fn only_the_line_ends_of_the_protocol_end_a_line() {
        let text = Rope::from_str("a\u{2028}b\u{b}c\u{85}d\n");
        assert_eq!(text.len_lines(), 2);
    }

    #[test]
    fn the_clients_first_known_encoding_wins() {
        let offered = [
            PositionEncodingKind::Custom("latin1".into()),
            PositionEncodingKind::UTF32,
        ];
        assert_eq!(Encoding::negotiate(Some(&offered)), Encoding::Utf32);
        assert_eq!(Encoding::negotiate(None), Encoding::Utf16);
        assert_eq!(Encoding::negotiate(Some(&[])), Encoding::Utf16);
    }
}
