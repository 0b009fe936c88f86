//! What the tests of this module share.

use super::*;
use crate::eval::oracle::{MODEL, Oracle, OracleOptions};
use crate::prompt::Image;
use crate::prompt::instruct::{CHAT_SYSTEM, FOUND, tokens_of};

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

fn piece(lines: std::ops::Range<usize>) -> Piece {
    Piece {
        what: FOUND,
        uri: "file:///a.rs".into(),
        path: "a.rs".into(),
        language_id: "rust".into(),
        text: "line\n".repeat(lines.len()),
        lines,
    }
}

/// Finds two places, whatever is asked.
#[derive(Debug)]
struct Finds;

impl Searcher for Finds {
    fn search(&self, _: String, _: usize) -> BoxFuture<'_, Result<Found, String>> {
        let found = Found {
            pieces: vec![piece(2..4), piece(10..12)],
            note: None,
        };
        Box::pin(std::future::ready(Ok(found)))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_found_is_shown_once() {
    let home = tempfile::tempdir().expect("a folder");
    let oracle = Oracle::sharing(OracleOptions::default(), 1);
    let router = Router::fixed_for_chat_too(Arc::new(oracle), MODEL);
    let chats = Chats::new(router, Some(home.path().to_owned())).with_searcher(Arc::new(Finds));
    let answer = async |ask: Ask| chats.answer(ask, &mut |_| {}).await.expect("an answer");
    let lines = |answer: &Answer| -> Vec<_> {
        let references = answer.begun.references.iter();
        references
            .map(|reference| reference.lines.clone())
            .collect()
    };
    let question = Ask {
        message: Some("Where is it?".to_owned()),
        ..Ask::default()
    };
    let first = answer(question.clone()).await;
    assert_eq!(lines(&first), [2..4, 10..12]);
    let again = Ask {
        conversation: Some(first.begun.conversation.clone()),
        turn: Some(-1),
        ..Ask::default()
    };
    assert_eq!(lines(&answer(again.clone()).await), [2..4, 10..12]);
    let otherwise = Ask {
        message: Some("Where is the other one?".to_owned()),
        ..again
    };
    assert_eq!(lines(&answer(otherwise).await), [2..4, 10..12]);
    let attached = Ask {
        pieces: vec![Piece {
            what: "the file",
            ..piece(0..6)
        }],
        ..question
    };
    assert_eq!(lines(&answer(attached).await), [0..6, 10..12]);
}
