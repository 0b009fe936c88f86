//! What a model is shown for an action: the code that is meant, what stands around it, the task.

use std::path::Path;

use super::run::Job;
use super::tests_place::{self, Place};
use super::{Gives, Refusal, Scene};
use crate::chat::Searcher;
use crate::chat::attach::{self, Attached};
use crate::chat::generation::Budget;
use crate::context::{Around, Gatherer, Seen, Wish};
use crate::document::Document;
use crate::prompt::instruct::{ACTION_SYSTEM, Piece, fit, only_code, tokens_of, with_pieces};
use crate::prompt::{Message, Speaker};
use crate::redact::redact;
use crate::router::Route;

/// Most tokens of context beside the code itself. More helps a small model less than it costs: 1,500
/// tokens are a second on a middling accelerator.
const MOST_CONTEXT_TOKENS: usize = 1_536;
/// Places that are searched for, so that some are left when those at hand are taken out; those that are
/// shown, and their tokens together. What is only alike comes last: a small model follows it astray.
const SEARCHED_PIECES: usize = 8;
const MOST_FOUND_PIECES: usize = 3;
const MOST_FOUND_TOKENS: usize = 512;
/// Lines of code in the question to the search: the head tells what it is for.
const MOST_QUERY_LINES: usize = 12;
/// Tokens of an answer beyond the length of the code: what is added, and what is said around it.
const ANSWER_MARGIN_TOKENS: usize = 512;

/// What was found before a model is asked.
pub(super) struct Look {
    /// The code that is meant.
    pub(super) code: Piece,
    /// The item around it, where it is a part of one, and what the linter says.
    near: Vec<Piece>,
    around: Around,
    /// What a search found, elsewhere than all of these.
    found: Vec<Piece>,
    /// Where tests go, and the file there if it exists.
    pub(super) tests: (Place, Option<Document>),
}

impl Look {
    /// Parses and reads: on a thread of its own.
    pub(super) fn at(job: &Job, redact_secrets: bool) -> Self {
        let scene = &job.scene;
        let target = job.action.target;
        let wish = Wish {
            document: &scene.document,
            offset_bytes: scene.document.text.line_to_byte(scene.lines.start),
            window_lines: scene.lines.clone(),
            budget_tokens: 0,
            settings: &job.context,
            folders: &job.folders,
            allowed: &*job.allowed,
            redact_secrets,
        };
        let mut gatherer = Gatherer::default();
        let first = gatherer.around(&wish, &target.core(scene), &job.seen);
        let lines = target.lines(scene, first.enclosing.as_ref());
        let mut around = gatherer.around(&wish, &lines, &job.seen);
        if !job.context.declarations {
            around.pieces.clear();
        }
        let text = &scene.document.text;
        let start = text.line_to_byte(lines.start);
        let end = text.line_to_byte(lines.end.min(text.len_lines()));
        let mut code = attach::piece_of(&scene.document, Some(start..end), &job.folders);
        if redact_secrets {
            // What is compared with the reply is what the model saw.
            code.text = redact(&code.text).into_owned();
        }
        let mut near: Vec<Piece> =
            attach::remarks_on(&scene.document, &scene.remarks, &job.folders)
                .into_iter()
                .collect();
        let item = around.enclosing.clone();
        near.extend(attach::item_around(
            &scene.document,
            item,
            &lines,
            &job.folders,
        ));
        let place = tests_place::place(&scene.document);
        let there = match &place {
            Place::File(path) if job.action.gives == Gives::Tests => existing(path, &job.seen),
            _ => None,
        };
        Self {
            code,
            near,
            around,
            found: Vec::new(),
            tests: (place, there),
        }
    }

    /// Looks for what belongs to it elsewhere in the workspace. Without an index nothing is found.
    pub(super) async fn find(&mut self, scene: &Scene, searcher: &dyn Searcher) {
        let query = self.query(scene);
        let found = match searcher.search(query, SEARCHED_PIECES).await {
            Ok(found) => found.pieces,
            Err(why) => {
                tracing::debug!(why, "an action goes without a search");
                return;
            }
        };
        let there: Vec<&Piece> = [&self.code]
            .into_iter()
            .chain(&self.near)
            .chain(&self.around.pieces)
            .collect();
        let is_new = |piece: &Piece| {
            let overlaps = |other: &&Piece| {
                other.uri == piece.uri
                    && other.lines.start < piece.lines.end
                    && piece.lines.start < other.lines.end
            };
            !there.iter().any(overlaps)
        };
        let found = found.into_iter().filter(is_new).take(MOST_FOUND_PIECES);
        self.found = fit(found.collect(), MOST_FOUND_TOKENS).0;
    }

    /// The person's words, what the linter says, and how the code begins.
    fn query(&self, scene: &Scene) -> String {
        let words = scene.instruction.iter().map(String::as_str);
        let remarks = scene.remarks.iter().map(|remark| remark.message.as_str());
        let code = self.code.text.lines().take(MOST_QUERY_LINES);
        words
            .chain(remarks)
            .chain(code)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// What else a model is shown, in at most `room` tokens.
    pub(super) fn context(&self, room: usize) -> Vec<Piece> {
        let pieces = self.near.iter().chain(&self.around.pieces);
        let pieces = pieces.chain(&self.found).cloned();
        fit(pieces.collect(), room.min(MOST_CONTEXT_TOKENS)).0
    }
}

/// The document at `path`, as the editor has it or from the disk.
fn existing(path: &Path, seen: &[Seen]) -> Option<Document> {
    let uri = url::Url::from_file_path(path).ok()?;
    let open = seen
        .iter()
        .find(|seen| &*seen.document().uri == uri.as_str());
    if let Some(open) = open {
        return Some(open.document().clone());
    }
    match attach::read(path) {
        Ok(Attached::Text(document)) => Some(document),
        _ => None,
    }
}

/// What the model is asked.
pub(super) struct Asked {
    pub(super) messages: Vec<Message>,
    pub(super) pieces: Vec<Piece>,
    pub(super) answer_tokens: u32,
    /// The task and how it is to be answered.
    words: String,
    /// For all messages together.
    prompt_tokens: usize,
}

impl Asked {
    pub(super) fn new(task: &str, look: Look, route: &Route) -> Result<Self, Refusal> {
        let budget = Budget::of(route);
        let code = look.code.quoted();
        let tokens = tokens_of(&code);
        let wanted = tokens + ANSWER_MARGIN_TOKENS;
        let fits = u32::try_from(tokens).is_ok_and(|t| t + t / 4 <= budget.answer_tokens);
        let words = format!("{task}\n{}", only_code());
        let room = budget
            .prompt_tokens
            .checked_sub(tokens_of(ACTION_SYSTEM) + tokens_of(&words) + tokens);
        let (true, Some(room)) = (fits, room) else {
            return Err(Refusal::NoRoom {
                tokens,
                room: budget.answer_tokens,
                model: route.model.clone(),
            });
        };
        let mut pieces = look.context(room);
        // The code itself comes last, nearest to the task.
        pieces.push(Piece {
            what: "the code to work on",
            ..look.code
        });
        let messages = vec![
            Message::new(Speaker::System, ACTION_SYSTEM),
            Message::new(Speaker::User, with_pieces(&words, &pieces)),
        ];
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        Ok(Self {
            messages,
            pieces,
            answer_tokens: wanted.saturating_mul(2).min(budget.answer_tokens),
            words,
            prompt_tokens: budget.prompt_tokens,
        })
    }

    /// What is asked after `reply`, with which the file does not parse: `complaint` says why. A backend would
    /// leave out the oldest messages, and the code stands there; so what has no room goes here, the context
    /// first and the reply next.
    pub(super) fn again(&self, reply: &str, complaint: &str) -> Vec<Message> {
        let mut messages = self.messages.clone();
        let rest = |mut messages: Vec<Message>| {
            messages.push(Message::new(Speaker::Assistant, reply));
            messages.push(Message::new(Speaker::User, complaint));
            messages
        };
        let fits = |messages: &[Message]| {
            let tokens = messages.iter().map(|message| tokens_of(&message.text));
            tokens.sum::<usize>() <= self.prompt_tokens
        };
        let all = rest(messages.clone());
        if fits(&all) {
            return all;
        }
        let code = self.pieces.last().map(std::slice::from_ref);
        let code = code.unwrap_or_default();
        messages.truncate(1);
        let asked = |words: &str| Message::new(Speaker::User, with_pieces(words, code));
        let without_context = rest([messages.clone(), vec![asked(&self.words)]].concat());
        if fits(&without_context) {
            return without_context;
        }
        messages.push(asked(&format!("{}\n{complaint}", self.words)));
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(what: &'static str, text: &str) -> Piece {
        Piece {
            what,
            uri: "file:///a.rs".into(),
            path: "a.rs".into(),
            language_id: "rust".into(),
            lines: 0..text.lines().count(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_code_is_there_when_a_model_is_asked_again() {
        let pieces = vec![
            piece("an import", &"use a::b;\n".repeat(40)),
            piece("the code to work on", "fn code() {}\n"),
        ];
        let words = "Do it.".to_owned();
        let reply = "fn reply( {}\n".repeat(20);
        let first = Message::new(Speaker::User, with_pieces(&words, &pieces));
        let mut asked = Asked {
            messages: vec![Message::new(Speaker::System, ACTION_SYSTEM), first],
            pieces,
            answer_tokens: 100,
            words,
            prompt_tokens: 0,
        };
        let system = tokens_of(ACTION_SYSTEM);
        for (room, messages, has_context) in [
            (10_000, 4, true),
            (system + 200, 4, false),
            (system + 60, 2, false),
        ] {
            asked.prompt_tokens = room;
            let again = asked.again(&reply, "line 1 is wrong");
            assert_eq!(again.len(), messages, "{room}");
            assert!(again[1].text.contains("fn code()") && again[1].text.contains("Do it."));
            assert_eq!(again[1].text.contains("use a::b"), has_context, "{room}");
            assert!(again[messages - 1].text.ends_with("line 1 is wrong"));
            let tokens: usize = again.iter().map(|m| tokens_of(&m.text)).sum();
            assert!(tokens <= room, "{tokens} of {room}");
        }
    }
}
