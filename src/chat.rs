//! Conversations with a model: from a message to a streamed answer that is kept.
//!
//! [`Chats::answer`] is the way, top to bottom. Called by `server/chat` and `cli/chat`; asks the router for
//! a model and knows neither the protocol nor any backend.
//!
//! Invariants: the person's own words are never cut; text of files is quoted and marked as data; a turn is
//! on disk before it is answered, and an answer that is given up is kept as far as it came; dropping the
//! future stops the model; completions go first.
//!
#![doc = include_str!("chat/recorded.md")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::backend::{self, StopReason};
use crate::config::Role;
use crate::prompt::instruct::{Piece, with_pieces};
use crate::router::{Route, Router};

mod ask;
pub mod attach;
mod conversation;
mod disk;
pub mod generation;
mod history;
pub mod intent;
mod lookup;
pub mod nearby;
mod opened;
pub mod picture;
mod turn;

pub use ask::{Answer, Ask, Begun, ChatError, Event};
pub use conversation::{Conversation, Picture, Reference, Turn, TurnState};
pub use disk::Listed;
pub use generation::Usage;

use disk::Disk;
use generation::{Budget, Delta, generate, serving};
use intent::Command;
use opened::{Known, Opened};
use turn::{Draft, role};

/// Pieces that a search adds to a question.
const FOUND_PIECES: usize = 6;
/// Pieces that `/search` lists.
const LISTED_PIECES: usize = 20;

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The best first.
    pub pieces: Vec<Piece>,
    /// What the person should know of how it was found: by words alone, in a part of the files.
    pub note: Option<String>,
}

/// Finds pieces of the workspace.
pub trait Searcher: Send + Sync + std::fmt::Debug {
    /// The best `limit` pieces for `query`; else a sentence that says what to do.
    fn search(&self, query: String, limit: usize) -> BoxFuture<'_, Result<Found, String>>;
}

/// The conversations of a workspace.
#[derive(Debug)]
pub struct Chats {
    router: Arc<Router>,
    disk: Disk,
    searcher: Option<Arc<dyn Searcher>>,
    known: Known,
}

impl Chats {
    /// Conversations kept in `folder`; without one nothing is kept.
    pub fn new(router: Arc<Router>, folder: Option<PathBuf>) -> Self {
        Self {
            router,
            disk: Disk::new(folder),
            searcher: None,
            known: Known::default(),
        }
    }

    /// Looks things up with `searcher`.
    #[must_use]
    pub fn with_searcher(mut self, searcher: Arc<dyn Searcher>) -> Self {
        self.searcher = Some(searcher);
        self
    }

    /// Answers `ask`. Dropping the future stops the model and keeps what it has written.
    pub async fn answer(
        &self,
        ask: Ask,
        on: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<Answer, ChatError> {
        let (opened, old) = self.open(&ask).await?;
        let message = ask.message.as_deref().or(old.as_ref().map(|t| &*t.message));
        let message = message.unwrap_or_default().to_owned();
        let (command, words) = intent::read(&message);
        let mut turn = Turn::begun(&message, &ask, old);
        match command {
            Some(Command::Clear) => return self.clear(opened.conversation).await,
            Some(Command::Search) => return self.list_found(opened, turn, words).await,
            Some(Command::Task(task)) => {
                let has_code = !ask.pieces.is_empty() || !turn.quoted.is_empty();
                let goes_on = opened
                    .conversation
                    .turns
                    .iter()
                    .any(|t| !t.answer.is_empty());
                if !has_code && words.is_empty() && !goes_on {
                    return Err(ChatError::NothingAttached(task.name()));
                }
            }
            None if words.is_empty() && turn.images.is_empty() => return Err(ChatError::Empty),
            None => {}
        }
        turn.role = role(&ask, command, words, &turn)?;
        let keeps_secrets = ask.keeps_secrets;
        let router = ask.router.unwrap_or_else(|| self.router.clone());
        let (mut pieces, mut notes) = (ask.pieces, Vec::new());
        if command.is_none() && ask.role.is_none() && intent::asks_where(words) {
            let mut found = self.look_up(words, &mut notes).await;
            found.retain(|found| !turn.shows(found));
            pieces.extend(found);
        }
        let route = serving(&router, turn.role)
            .await
            .map_err(ChatError::NoModel)?;
        let budget = Budget::of(&route);
        turn.served_by(&route);
        notes.extend(turn.quote(pieces, budget)?);
        let to = (&*router, &*route, budget, !keeps_secrets);
        self.write(opened, turn, to, notes, on).await
    }

    /// Asks the model and keeps what it says.
    async fn write(
        &self,
        opened: Opened,
        turn: Turn,
        (router, route, budget, redact_secrets): (&Router, &Route, Budget, bool),
        mut notes: Vec<String>,
        on: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<Answer, ChatError> {
        let sees = turn.role == Role::Vision;
        let conversation = self.begin(opened, turn.clone(), &mut notes).await?;
        let begun = Begun {
            conversation: conversation.id.clone(),
            turn: conversation.turns.len() - 1,
            role: turn.role,
            model: turn.model.clone(),
            backend: turn.backend.clone(),
            references: turn.references.clone(),
        };
        let (messages, left_out) =
            history::messages(&conversation.turns, budget.prompt_tokens, sees);
        if left_out > 0 {
            notes.push(format!(
                "{left_out} earlier turns had no room; the first instruction was kept"
            ));
        }
        on(Event::Begun(&begun));
        let mut draft = Draft {
            disk: self.disk.clone(),
            conversation: conversation.id,
            turn: Some(turn),
        };
        let asked = backend::Conversation::from(messages);
        let mut write = |delta: Delta<'_>| {
            draft.write(delta);
            on(match delta {
                Delta::Text(text) => Event::Delta(text),
                Delta::Thinking(text) => Event::Thinking(text),
            });
            ControlFlow::Continue(())
        };
        let max_tokens = budget.answer_tokens;
        let written = generate(router, route, asked, max_tokens, redact_secrets, &mut write).await;
        let state = match &written {
            Ok((StopReason::Stop, _)) => TurnState::Answered,
            Ok((StopReason::Length | StopReason::Cut, _)) => TurnState::CutOff,
            Err(_) => TurnState::Failed,
        };
        let turn = draft.end(state);
        let kept = match &turn {
            Some(turn) => {
                self.disk
                    .end(begun.conversation.clone(), turn.clone())
                    .await
            }
            None => Ok(true),
        };
        let (_, usage) = written?;
        match kept {
            Ok(true) => {}
            Ok(false) => notes.push(
                "another window took this question out of the conversation; the answer is not kept"
                    .to_owned(),
            ),
            Err(error) => notes.push(format!("the conversation cannot be kept: {error}")),
        }
        let (message, thinking) = turn.map(|t| (t.answer, t.thinking)).unwrap_or_default();
        notes.extend(remark(state, &message).map(str::to_owned));
        Ok(Answer {
            begun,
            message,
            thinking,
            state,
            usage,
            notes,
        })
    }

    async fn look_up(&self, words: &str, notes: &mut Vec<String>) -> Vec<Piece> {
        let Some(searcher) = &self.searcher else {
            notes.push("nothing was searched: there is no index of the workspace".to_owned());
            return Vec::new();
        };
        match searcher.search(words.to_owned(), FOUND_PIECES).await {
            Ok(found) => {
                notes.extend(found.note);
                found.pieces
            }
            Err(why) => {
                notes.push(format!("nothing was searched: {why}"));
                Vec::new()
            }
        }
    }

    /// `/search`: the places, without a model. They stay known to the conversation.
    async fn list_found(
        &self,
        opened: Opened,
        mut turn: Turn,
        query: &str,
    ) -> Result<Answer, ChatError> {
        if query.is_empty() {
            return Err(ChatError::Search(
                "say what to look for, as in `/search where tokens are read`".to_owned(),
            ));
        }
        let searcher = self.searcher.as_ref().ok_or_else(|| {
            ChatError::Search("there is no index of the workspace to search in".to_owned())
        })?;
        let Found {
            pieces: found,
            note,
        } = searcher
            .search(query.to_owned(), LISTED_PIECES)
            .await
            .map_err(ChatError::Search)?;
        turn.answer = listed(&found);
        turn.references = found.iter().map(Reference::of).collect();
        turn.quoted = with_pieces("", found.get(..FOUND_PIECES).unwrap_or(&found));
        turn.state = TurnState::Answered;
        let answer = turn.answer.clone();
        let references = turn.references.clone();
        let role = turn.role;
        let conversation = self.disk.begin(opened, turn).await?;
        let conversation = conversation.ok_or(ChatError::Moved)?;
        self.known.saw(&conversation);
        let begun = Begun {
            turn: conversation.turns.len() - 1,
            conversation: conversation.id,
            role,
            model: String::new(),
            backend: String::new(),
            references,
        };
        let mut answer = Answer::without_model(begun, answer);
        answer.notes.extend(note);
        Ok(answer)
    }

    /// `/clear`: the conversation stays, empty.
    async fn clear(&self, mut conversation: Conversation) -> Result<Answer, ChatError> {
        conversation.turns.clear();
        conversation.title.clear();
        conversation.touch();
        self.disk.empty(&conversation).await?;
        let begun = Begun {
            conversation: conversation.id,
            turn: 0,
            role: Role::Chat,
            model: String::new(),
            backend: String::new(),
            references: Vec::new(),
        };
        Ok(Answer::without_model(begun, String::new()))
    }

    /// All conversations, the newest first.
    pub async fn list(&self) -> Result<Vec<Listed>, ChatError> {
        Ok(self.disk.list().await?)
    }

    /// One, with all of its turns.
    pub async fn conversation(&self, id: &str) -> Result<Conversation, ChatError> {
        let found = self.load(id).await?;
        self.known.saw(&found);
        Ok(found)
    }

    async fn load(&self, id: &str) -> Result<Conversation, ChatError> {
        let found = self.disk.load(id).await?;
        found.ok_or_else(|| ChatError::NoConversation(id.to_owned()))
    }

    /// The document that a conversation is about: what was quoted last. Its folder's models go on.
    pub async fn subject(&self, id: &str) -> Option<String> {
        let turns = self.disk.load(id).await.ok()??.turns;
        let last = turns.iter().rev().find_map(|turn| turn.references.first());
        last.map(|reference| reference.uri.clone())
    }

    /// Removes one, or all; answers how many there were.
    pub async fn delete(&self, id: Option<&str>) -> Result<usize, ChatError> {
        Ok(self.disk.delete(id).await?)
    }
}

/// What a person should know of an answer that ended so.
fn remark(state: TurnState, message: &str) -> Option<&'static str> {
    match (state, message.is_empty()) {
        (TurnState::CutOff, true) => {
            Some("the model thought until there was no room for an answer")
        }
        (TurnState::CutOff, false) => Some(
            "the answer ends where there was no more room for it; say `go on` to have the rest",
        ),
        (_, true) => Some("the model said nothing; ask again, or choose another model"),
        (_, false) => None,
    }
}

/// Places as a list.
fn listed(found: &[Piece]) -> String {
    if found.is_empty() {
        return "Nothing was found.".to_owned();
    }
    let line = |piece: &Piece| {
        let (first, last) = (piece.lines.start + 1, piece.lines.end);
        let says = piece
            .text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty());
        let says = says.unwrap_or_default().replace('`', "'");
        format!("- `{}`, lines {first} to {last}: `{says}`", piece.path)
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
