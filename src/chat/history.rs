//! Which turns a model is shown again.
//!
//! Turns are shown whole or not at all, the newest first. When some are left out the first instruction
//! stays: it says what the conversation is for.

use crate::prompt::instruct::{CHAT_SYSTEM, tokens_of};
use crate::prompt::{Message, Speaker};

use super::attach;
use super::conversation::Turn;

/// What stands for the answer to the first instruction and for all turns that were left out.
const LEFT_OUT: &str = "(This answer and some turns after it are left out here.)";
/// Tokens that a template puts around a message, at most.
const FRAME_TOKENS: usize = 8;

/// The messages for the last of `turns`, in at most `budget_tokens`, and how many turns were left out.
/// The last turn and the system message are always there. `sees` tells whether pictures are shown.
pub(super) fn messages(turns: &[Turn], budget_tokens: usize, sees: bool) -> (Vec<Message>, usize) {
    let mut messages = vec![Message::new(Speaker::System, CHAT_SYSTEM)];
    let Some((last, earlier)) = turns.split_last() else {
        return (messages, 0);
    };
    // Nobody answered them, and a template wants an answer to every question.
    let earlier: Vec<&Turn> = earlier.iter().filter(|t| !t.answer.is_empty()).collect();
    let mut room = budget_tokens
        .saturating_sub(cost(CHAT_SYSTEM))
        .saturating_sub(cost(&last.sent()));
    let first_cost = earlier
        .first()
        .map_or(0, |first| cost(&first.message) + cost(LEFT_OUT));
    let whole: usize = earlier.iter().map(|turn| cost_of(turn)).sum();
    let mut kept = earlier.len();
    if whole > room {
        room = room.saturating_sub(first_cost);
        kept = 0;
        for turn in earlier.iter().skip(1).rev() {
            let Some(rest) = room.checked_sub(cost_of(turn)) else {
                break;
            };
            room = rest;
            kept += 1;
        }
        if let Some(first) = earlier.first() {
            messages.push(Message::new(Speaker::User, &first.message));
            messages.push(Message::new(Speaker::Assistant, LEFT_OUT));
        }
    }
    let left_out = earlier.len() - kept;
    for turn in earlier.iter().skip(left_out) {
        messages.push(asked(turn, sees));
        messages.push(Message::new(Speaker::Assistant, &turn.answer));
    }
    messages.push(asked(last, sees));
    (messages, left_out)
}

fn asked(turn: &Turn, sees: bool) -> Message {
    let mut message = Message::new(Speaker::User, turn.sent());
    if sees {
        message.images = turn.images.iter().filter_map(attach::image_of).collect();
    } else if !turn.images.is_empty() {
        message.text.push_str("\n\n(A picture was shown here.)");
    }
    message
}

fn cost_of(turn: &Turn) -> usize {
    cost(&turn.sent()) + cost(&turn.answer)
}

fn cost(text: &str) -> usize {
    tokens_of(text) + FRAME_TOKENS
}

#[cfg(test)]
mod tests {
    use super::super::tests::turn;
    use super::*;

    fn texts(turns: &[Turn], budget_tokens: usize) -> (Vec<String>, usize) {
        let (messages, left_out) = messages(turns, budget_tokens, false);
        let texts = messages.into_iter().skip(1).map(|message| message.text);
        (texts.collect(), left_out)
    }

    #[test]
    fn the_first_instruction_and_the_newest_turns_stay() {
        let long = |word: &str| format!("{word} ").repeat(100);
        let turns = [
            turn("Speak French.", &long("un")),
            turn("two", &long("deux")),
            turn("three", "trois"),
            turn("four", ""),
        ];
        let (all, none_left_out) = texts(&turns, 10_000);
        assert_eq!((all.len(), none_left_out), (7, 0));
        let base = cost(CHAT_SYSTEM) + cost("four");
        let (some, left_out) = texts(&turns, base + 120);
        assert_eq!(some, ["Speak French.", LEFT_OUT, "three", "trois", "four"]);
        assert_eq!(left_out, 2);
        // The person's last words are never cut.
        let (least, _) = texts(&turns, 0);
        assert_eq!(least, ["Speak French.", LEFT_OUT, "four"]);
    }

    #[test]
    fn question_and_answer_alternate_whatever_failed() {
        let turns = [turn("a", ""), turn("b", "B"), turn("c", ""), turn("d", "")];
        let (said, _) = texts(&turns, 10_000);
        assert_eq!(said, ["b", "B", "d"]);
        assert_eq!(messages(&[], 100, true).0.len(), 1);
    }
}
