//! What the tests of this module share.

use super::*;
use crate::prompt::Image;
use crate::prompt::instruct::{CHAT_SYSTEM, tokens_of};

/// A turn that was answered.
pub(super) fn turn(message: &str, answer: &str) -> Turn {
    Turn {
        answer: answer.to_owned(),
        state: TurnState::Answered,
        ..Turn::begun(message, &Ask::default(), None)
    }
}

#[test]
fn a_turn_asked_anew_keeps_what_it_was_given() {
    let mut old = turn("Why?", "Because.");
    old.quoted = "DATA a\n".to_owned();
    let again = Turn::begun("How?", &Ask::default(), Some(old.clone()));
    assert_eq!(again.sent(), "DATA a\nHow?");
    assert!(again.answer.is_empty());
    let with_other = Ask {
        images: vec![Image {
            mime: "image/png".into(),
            bytes: Arc::new([1]),
        }],
        ..Ask::default()
    };
    let other = Turn::begun("How?", &with_other, Some(old));
    assert_eq!((other.sent(), other.images.len()), ("How?".to_owned(), 1));
    let spelled_out = turn("/explain in French", "").sent();
    assert!(spelled_out.ends_with("\n\nin French"), "{spelled_out}");
}

#[test]
fn the_words_are_never_cut_and_pieces_are() {
    let budget = Budget {
        prompt_tokens: tokens_of(CHAT_SYSTEM) + 200,
        answer_tokens: 10,
    };
    let piece = Piece {
        what: "the file",
        uri: "file:///a".into(),
        path: "a".into(),
        language_id: "rust".into(),
        lines: 0..1_000,
        text: "let a = 1;\n".repeat(1_000),
    };
    let mut asked = turn("Why?", "");
    let notes = asked
        .quote(vec![piece], budget)
        .expect("room for the words");
    assert_eq!(notes.len(), 1);
    assert!(asked.sent().ends_with("Why?") && asked.references[0].lines.len() < 50);
    let mut long = turn(&"word ".repeat(1_000), "");
    let error = long.quote(Vec::new(), budget).expect_err("no room");
    assert!(error.to_string().contains("has room for 200"), "{error}");
}
