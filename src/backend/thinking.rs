//! Splits what a model thinks from what it answers.
//!
//! Models that think aloud write it between `<think>` and `</think>` in front of their answer, and
//! some templates open the first for them. Called by the backends that get both as one text.
//! Invariant: what is given out, tags and the white space around them left out, is what came in, in
//! order, however it was cut into pieces.

use super::Chunk;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Splits one answer, piece by piece.
#[derive(Debug)]
pub(crate) struct ThinkSplitter {
    state: State,
    /// What may be the beginning of a tag, or white space that a tag would swallow.
    held: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space came.
    Start,
    /// The tag was opened, and nothing but white space came after it.
    Opened,
    Thinking,
    /// The tag was closed, and nothing but white space came after it.
    Closed,
    Answer,
}

impl ThinkSplitter {
    /// For an answer from its start. `open` when the prompt itself ends in the opening tag.
    pub(crate) fn new(open: bool) -> Self {
        Self {
            state: if open { State::Opened } else { State::Start },
            held: String::new(),
        }
    }

    /// Takes a piece; gives what is decided, at most one chunk of each kind.
    pub(crate) fn push(&mut self, piece: &str) -> Vec<Chunk> {
        self.held.push_str(piece);
        let mut out = Vec::new();
        loop {
            match self.state {
                State::Start => {
                    let begun = self.held.trim_start();
                    if let Some(rest) = begun.strip_prefix(OPEN) {
                        self.held = rest.to_owned();
                        self.state = State::Opened;
                    } else if OPEN.starts_with(begun) {
                        return out;
                    } else {
                        self.state = State::Answer;
                    }
                }
                State::Thinking => {
                    if let Some((thought, rest)) = self.held.split_once(CLOSE) {
                        let (thought, rest) = (thought.trim_end().to_owned(), rest.to_owned());
                        self.held = rest;
                        self.state = State::Closed;
                        push_if_any(&mut out, Chunk::Thinking, thought);
                        continue;
                    }
                    let keep = undecided_bytes(&self.held);
                    let held = self.held.split_off(self.held.len() - keep);
                    let thought = std::mem::replace(&mut self.held, held);
                    push_if_any(&mut out, Chunk::Thinking, thought);
                    return out;
                }
                State::Opened | State::Closed => {
                    let rest = self.held.trim_start().len();
                    self.held.drain(..self.held.len() - rest);
                    if self.held.is_empty() {
                        return out;
                    }
                    self.state = if self.state == State::Opened {
                        State::Thinking
                    } else {
                        State::Answer
                    };
                }
                State::Answer => {
                    push_if_any(&mut out, Chunk::Text, std::mem::take(&mut self.held));
                    return out;
                }
            }
        }
    }

    /// The rest, at the end of the answer.
    pub(crate) fn finish(&mut self) -> Option<Chunk> {
        let rest = std::mem::take(&mut self.held);
        let chunk = match self.state {
            State::Opened | State::Thinking => Chunk::Thinking(rest),
            State::Start | State::Closed | State::Answer => Chunk::Text(rest),
        };
        self.state = State::Answer;
        let (Chunk::Thinking(text) | Chunk::Text(text)) = &chunk else {
            return None;
        };
        (!text.is_empty()).then_some(chunk)
    }
}

fn push_if_any(out: &mut Vec<Chunk>, kind: fn(String) -> Chunk, text: String) {
    if !text.is_empty() {
        out.push(kind(text));
    }
}

/// The length of the end of `text` that a closing tag would swallow or may belong to.
fn undecided_bytes(text: &str) -> usize {
    let tag = (1..CLOSE.len())
        .rev()
        .find(|&bytes| CLOSE.get(..bytes).is_some_and(|head| text.ends_with(head)))
        .unwrap_or(0);
    let before = text.get(..text.len() - tag).unwrap_or_default();
    text.len() - before.trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thinking and answer of the text cut into pieces of so many characters.
    fn split(open: bool, text: &str, piece_chars: usize) -> (String, String) {
        let mut splitter = ThinkSplitter::new(open);
        let characters: Vec<char> = text.chars().collect();
        let mut chunks = Vec::new();
        for piece in characters.chunks(piece_chars) {
            chunks.extend(splitter.push(&piece.iter().collect::<String>()));
        }
        chunks.extend(splitter.finish());
        let mut both = (String::new(), String::new());
        for chunk in chunks {
            match chunk {
                Chunk::Thinking(more) => both.0.push_str(&more),
                Chunk::Text(more) => both.1.push_str(&more),
                other => panic!("{other:?}"),
            }
        }
        both
    }

    #[test]
    fn thinking_is_split_off_however_the_text_is_cut() {
        let cases = [
            (false, "", "", ""),
            (false, "yes", "", "yes"),
            (false, "<think>a b</think>yes", "a b", "yes"),
            (false, "\n<think>\na\n</think>\n\nyes\n", "a", "yes\n"),
            (false, "<think></think>yes", "", "yes"),
            (true, "a</think>yes", "a", "yes"),
            (
                true,
                "a < b </ b\n\n c</think> yes",
                "a < b </ b\n\n c",
                "yes",
            ),
            // Cut off while it thinks.
            (false, "<think>a </thi", "a </thi", ""),
            // A tag elsewhere is text.
            (
                false,
                "use <think> here</think>",
                "",
                "use <think> here</think>",
            ),
            (false, "<thinner>", "", "<thinner>"),
            (false, " <thin", "", " <thin"),
            (true, "a</think>b</think>", "a", "b</think>"),
            (true, "日</think>é", "日", "é"),
        ];
        for (open, text, thinking, answer) in cases {
            for piece_chars in 1..=8 {
                assert_eq!(
                    split(open, text, piece_chars),
                    (thinking.to_owned(), answer.to_owned()),
                    "{text:?} in pieces of {piece_chars}"
                );
            }
        }
    }

    #[test]
    fn what_is_decided_is_given_at_once() {
        let mut splitter = ThinkSplitter::new(false);
        assert_eq!(splitter.push("<think>so"), [Chunk::Thinking("so".into())]);
        assert_eq!(splitter.push(" </thi"), []);
        assert_eq!(splitter.push("s"), [Chunk::Thinking(" </this".into())]);
        assert_eq!(splitter.push("</think>"), []);
        assert_eq!(splitter.push("yes "), [Chunk::Text("yes ".into())]);
    }
}
