//! What the oracle says at a place.

use super::{AfterWrong, OracleOptions, tokens};
use crate::backend::{Request, StopReason};
use crate::eval::chance::{Chance, fingerprint};
use crate::prompt::Segment;

/// Bytes before the cursor that say which place a prompt is for. Three lines of code: shorter texts
/// stand in a file many times.
const PLACE_BYTES: usize = 160;
/// How far behind the newest edit a prompt may be, in bytes: a prefetch or a debounced request is laid
/// out before the key that overtakes it.
const BEHIND_BYTES: usize = 16;
/// What a model says that is wrong where something begins: names.
const WRONG_NAMES: &[&str] = &[
    "value", "node", "self", "result", "size", "entry", "index", "item", "other",
];
/// The same behind a name or a closer. Together they are code that parses, as a wrong text of a model is;
/// names in a row would be none, and the engine would show nothing of them.
const WRONG_MEMBERS: &[&str] = &[".next", ".head", ".len", ".inner", ".parent", ".count"];
/// More of a name.
const WRONG_ENDINGS: &[&str] = &["_count", "_ptr", "_of", "_at"];
/// Tokens of a wrong line: fewest, and how many more there may be. A median line has 8 tokens.
const WRONG_LINE_TOKENS: (usize, usize) = (3, 8);

/// A generation, known from the start.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) tokens: Vec<String>,
    pub(super) stop: StopReason,
}

impl Answer {
    /// Continues `written`; `truth` is what the person types there. Where that is nothing it is right to say
    /// nothing; where the person never comes (`None`) all is wrong.
    pub(super) fn new(
        options: OracleOptions,
        seed: u64,
        written: &str,
        truth: Option<&str>,
        request: &Request,
    ) -> Self {
        let place = end_of(written, PLACE_BYTES);
        let mut chance = Chance::new(seed, "oracle", fingerprint(place.as_bytes()));
        let most = usize::try_from(request.max_tokens).unwrap_or(usize::MAX);
        // Whitespace, and then the person goes elsewhere: no model says that.
        let mut rest = truth.filter(|t| !t.trim().is_empty()).unwrap_or_default();
        let mut wrong = truth.is_none().then(Wrong::default);
        let mut answer = Self {
            tokens: Vec::new(),
            stop: StopReason::Length,
        };
        let mut text = String::new();
        while answer.tokens.len() < most {
            if wrong.is_none() && !chance.hits(options.q) {
                wrong = Some(Wrong::default());
            }
            let token = match &mut wrong {
                Some(wrong) => {
                    let last = text.chars().next_back().or(written.chars().next_back());
                    wrong.next(&mut chance, last, rest)
                }
                None if rest.is_empty() => {
                    answer.stop = StopReason::Stop;
                    break;
                }
                None => {
                    let (token, after) = rest.split_at(tokens::first_length(rest));
                    rest = after;
                    token.to_owned()
                }
            };
            let before = text.len();
            text.push_str(&token);
            let stopped = request.stop.iter().filter_map(|s| text.find(s)).min();
            if let Some(at) = stopped {
                // The token that stops is computed too; what it has before the stop is sent.
                let sent = text.get(before..at.max(before)).unwrap_or_default();
                answer.tokens.push(sent.to_owned());
                answer.stop = StopReason::Stop;
                break;
            }
            answer.tokens.push(token);
            if wrong.is_none() {
                continue;
            }
            match options.wrong {
                AfterWrong::Token if truth.is_some() => {
                    wrong = None;
                    rest = behind_name(rest);
                }
                AfterWrong::Token | AfterWrong::Line => {}
                AfterWrong::End => {
                    answer.stop = StopReason::Stop;
                    break;
                }
            }
        }
        answer
    }
}

/// What a person types behind a wrong name: it stands in the place of a right one, and in front of
/// anything else, so that what is wrong is code as well.
pub(super) fn behind_name(right: &str) -> &str {
    let (token, rest) = right.split_at(tokens::first_length(right));
    let is_name = token.contains(|c: char| c.is_alphanumeric() || c == '_');
    if is_name { rest } else { right }
}

/// Where a wrong text is: tokens left on this line, once it has begun.
#[derive(Debug, Default)]
struct Wrong {
    left: Option<usize>,
}

impl Wrong {
    /// The next wrong token, behind `last`; the first differs from `right` at its first character that is
    /// no space.
    fn next(&mut self, chance: &mut Chance, last: Option<char>, right: &str) -> String {
        let (fewest, more) = WRONG_LINE_TOKENS;
        let first = self.left.is_none();
        let left = *self.left.get_or_insert_with(|| {
            let spread: Vec<usize> = (0..more).collect();
            fewest + chance.pick(&spread).copied().unwrap_or_default()
        });
        if left == 0 {
            self.left = None;
            return ";\n".to_owned();
        }
        self.left = Some(left - 1);
        // Where a space belongs a model knows; it is what comes after it that is wrong.
        let space = if first && right.starts_with(' ') {
            " "
        } else {
            ""
        };
        let right = right.get(space.len()..).unwrap_or_default();
        let kinds: &[&[&str]] = match last.filter(|_| space.is_empty()) {
            Some(c) if c.is_alphanumeric() || c == '_' => &[WRONG_MEMBERS, WRONG_ENDINGS],
            Some(')' | ']' | '"') => &[WRONG_MEMBERS],
            _ => &[WRONG_NAMES],
        };
        let words = kinds.iter().flat_map(|kind| kind.iter().copied());
        let fits: Vec<&str> = words
            .filter(|w| !first || w.chars().next() != right.chars().next())
            .collect();
        [space, chance.pick(&fits).copied().unwrap_or("?")].concat()
    }
}

/// The text before the cursor that a prompt shows, whatever stands in front of it.
pub(super) fn written(prompt: &[Segment]) -> String {
    let mut before = String::new();
    let mut typed = String::new();
    let mut part = None;
    for segment in prompt {
        match segment {
            Segment::Special(name) => part = Some(*name),
            Segment::Text(text) => match part {
                Some(name) if name.contains("suffix") => {}
                Some(name) if name.contains("middle") => typed.push_str(text),
                _ => before.push_str(text),
            },
        }
    }
    before + &typed
}

/// What the person types after `written`, when the document holds `before` up to its cursor and
/// `future` is typed there. The place nearest to the cursor wins; further on are the places that a
/// prefetch asks for. `None` where the person never comes.
pub(super) fn truth(written: &str, before: &str, future: &str) -> Option<String> {
    let life = [before, future].concat();
    let cursor = before.len();
    let matches = |&at: &usize| {
        let (lived, written) = (life.as_bytes(), written.as_bytes());
        let length = PLACE_BYTES.min(at).min(written.len());
        lived.get(at - length..at) == written.get(written.len() - length..)
    };
    let ahead = cursor..=life.len();
    let behind = (cursor.saturating_sub(BEHIND_BYTES)..cursor).rev();
    let at = ahead.chain(behind).find(matches)?;
    life.get(at..).map(str::to_owned)
}

/// The end of a text, in whole characters.
fn end_of(text: &str, bytes: usize) -> &str {
    let start = text.ceil_char_boundary(text.len().saturating_sub(bytes));
    text.get(start..).unwrap_or(text)
}
